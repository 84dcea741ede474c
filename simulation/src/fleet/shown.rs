//! The numbers for people, as Markdown that reads well in a terminal, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::answer::Said;
use super::kinds::Kind;
use super::score::{Score, Share};

/// For people: the numbers of all fleets together.
pub(super) fn table(score: &Score) -> String {
    let mut text = format!("{} flags, {} payloads\n\n", score.flags, score.payloads);
    days(&mut text, score);
    kinds(&mut text, score);
    text.push_str("\nMisjudged, as is known of them:\n");
    for kind in score.rows.iter().map(|row| row.kind) {
        if let Some(missed) = &kind.missed {
            let _ = writeln!(text, "- {} ({}): {}", kind.name, missed.by.name(), missed.why);
        }
    }
    text
}

/// A line for each flag that is told otherwise than its kind is known to be.
pub(super) fn surprises(score: &Score) -> String {
    let mut text = String::new();
    for row in &score.rows {
        for (key, said) in &row.surprises {
            let _ = writeln!(text, "NOT AS EXPECTED: {key} ({}): {}", row.kind.name, sentence(said));
        }
    }
    text
}

/// The last day of each seed.
pub(super) fn seeds(scores: &[(u64, Score)]) -> String {
    let mut text = format!("| seed, on the last day | flags | {WORDS} |\n|----:|------:|{RULE}|\n");
    for (seed, score) in scores {
        if let Some(day) = score.days.last() {
            let _ = writeln!(text, "| {seed:>3} | {:>5} | {} |", day.flags, words(day.stale, day.unknown));
        }
    }
    text.push('\n');
    text
}

/// Columns of the two words.
const WORDS: &str = "removable | called stale | precision | recall | unknowable | called unknown | precision | recall";
const RULE: &str =
    "----------:|-------------:|----------:|--------:|-----------:|---------------:|----------:|--------:";

fn words(stale: Share, unknown: Share) -> String {
    format!(
        "{:>9} | {:>12} | {:>9} | {:>7} | {:>10} | {:>14} | {:>9} | {:>7}",
        stale.so,
        stale.said,
        percent(stale.precision()),
        percent(stale.recall()),
        unknown.so,
        unknown.said,
        percent(unknown.precision()),
        percent(unknown.recall())
    )
}

fn days(text: &mut String, score: &Score) {
    let _ = writeln!(text, "| day | flags | {WORDS} |\n|----:|------:|{RULE}|");
    for day in &score.days {
        let _ = writeln!(text, "| {:>3} | {:>5} | {} |", day.day, day.flags, words(day.stale, day.unknown));
    }
    for day in score.days.iter().map(|day| day.day) {
        let misjudged = score.misjudged_beside_the_known(day);
        let kinds: Vec<_> = misjudged.iter().map(|(kind, times)| format!("{} ({times})", kind.name)).collect();
        if !kinds.is_empty() {
            let kinds = kinds.join(", ");
            let _ = write!(text, "\nDay {day}, misjudged beside the kinds that are on the last day: {kinds}.");
        }
    }
    text.push('\n');
}

fn kinds(text: &mut String, score: &Score) {
    let _ = writeln!(
        text,
        "\n| kind, on the last day | truth | flags | stale | precision | recall | unknown | precision | recall | all right | what it is told by |\n\
         |---|---|------:|------:|----------:|--------:|--------:|----------:|--------:|----------:|---|"
    );
    let (mut stale, mut unknown, mut right) = (Share::default(), Share::default(), 0);
    for row in &score.rows {
        stale.merge(row.stale);
        unknown.merge(row.unknown);
        right += row.right;
        let counts = counts(row.flags, row.stale, row.unknown, row.right);
        let _ = writeln!(text, "| {} | {} | {counts} | {} |", row.kind.name, row.kind.truth.name(), told_by(row.kind));
    }
    let _ = writeln!(text, "| **all** | | {} | |", counts(score.flags, stale, unknown, right));
}

fn counts(flags: usize, stale: Share, unknown: Share, right: usize) -> String {
    let (precision, recall) = (percent(stale.precision()), percent(stale.recall()));
    let right = percent((right * 1000).checked_div(flags));
    format!(
        "{flags} | {} | {precision} | {recall} | {} | {} | {} | {right}",
        stale.said,
        unknown.said,
        percent(unknown.precision()),
        percent(unknown.recall())
    )
}

fn percent(permille: Option<usize>) -> String {
    permille.map_or_else(|| "–".to_owned(), |permille| format!("{}.{} %", permille / 10, permille % 10))
}

/// Reasons, blockers and conditions that the report gives for flags of the kind.
pub(super) fn told_by(kind: &Kind) -> String {
    let told = kind.expected();
    let words: Vec<&str> = told.reasons.iter().chain(told.blockers).chain(told.held).copied().collect();
    if words.is_empty() { "in use".to_owned() } else { words.join(" ") }
}

fn sentence(said: &Said) -> String {
    let list = |codes: &std::collections::BTreeSet<String>| codes.iter().cloned().collect::<Vec<_>>().join(" ");
    format!(
        "{}, stale: {}, reasons [{}], blockers [{}], held [{}], advice {:?}, forward {:?}",
        said.status,
        said.stale,
        list(&said.reasons),
        list(&said.blockers),
        list(&said.held),
        said.advice,
        said.forward
    )
}

/// For programs.
pub(super) fn json(seed: u64, score: &Score) -> Value {
    let share = |share: Share| {
        json!({ "right": share.right, "said": share.said, "true": share.so,
            "precisionPermille": share.precision(), "recallPermille": share.recall() })
    };
    let days = score.days.iter().map(
        |day| json!({ "day": day.day, "flags": day.flags, "stale": share(day.stale), "unknown": share(day.unknown) }),
    );
    let kinds = score.rows.iter().map(|row| {
        let surprises = row.surprises.iter().map(|(key, said)| json!({ "key": key, "said": sentence(said) }));
        json!({ "kind": row.kind.name, "truth": row.kind.truth.name(), "flags": row.flags,
            "stale": share(row.stale), "unknown": share(row.unknown), "right": row.right,
            "misjudgedBy": row.kind.missed.as_ref().map(|missed| missed.by.name()),
            "misjudgedBecause": row.kind.missed.as_ref().map(|missed| missed.why),
            "notAsExpected": surprises.collect::<Vec<_>>() })
    });
    let misses = score.misses.iter().map(|miss| {
        json!({ "day": miss.day, "key": miss.key, "kind": miss.kind.name, "truth": miss.truth.name(), "stale": miss.said.stale,
            "status": miss.said.status, "reasons": miss.said.reasons, "blockers": miss.said.blockers })
    });
    json!({ "seed": seed, "flags": score.flags, "payloads": score.payloads, "asExpected": score.is_as_expected(),
        "days": days.collect::<Vec<_>>(), "kinds": kinds.collect::<Vec<_>>(), "misjudged": misses.collect::<Vec<_>>() })
}
