//! The numbers for people, as Markdown that reads well in a terminal, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Outcome;
use super::answer::Said;
use super::score::{Row, Score};

/// For people.
pub(super) fn table(outcome: &Outcome, score: &Score<'_>) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} flags, {} payloads\n", outcome.flags.len(), outcome.payloads);
    days(&mut text, score);
    let _ = writeln!(
        text,
        "\n| {:<44} | {:<10} | {:>5} | {:>5} | {:>7} | {:>5} | what it is told by |",
        "kind, on the last day", "truth", "flags", "stale", "unknown", "right"
    );
    let _ = writeln!(text, "|{:-<46}|{:-<12}|------:|------:|--------:|------:|---|", "", "");
    for row in &score.rows {
        let Row { kind, flags, stale, unknown, right, .. } = row;
        let _ = writeln!(
            text,
            "| {:<44} | {:<10} | {flags:>5} | {stale:>5} | {unknown:>7} | {right:>5} | {} |",
            kind.name,
            kind.truth.name(),
            told_by(row)
        );
    }
    let misses = score.rows.iter().filter_map(|row| row.kind.rule.as_ref().map(|(_, why)| (row, why)));
    text.push_str("\nMisjudged by the rule's own text:\n");
    for (row, why) in misses {
        let keys: Vec<&str> = score
            .misses
            .iter()
            .filter(|miss| std::ptr::eq(miss.flag.kind, row.kind))
            .map(|miss| miss.flag.key.as_str())
            .collect();
        let _ = writeln!(text, "- {}: {why} ({})", row.kind.name, keys.join(", "));
    }
    for row in &score.rows {
        for (key, said) in &row.surprises {
            let _ = writeln!(text, "NOT AS EXPECTED: {key} ({}): {}", row.kind.name, sentence(said));
        }
    }
    text
}

fn days(text: &mut String, score: &Score<'_>) {
    text.push_str(
        "| day | flags | removable | called stale | precision | recall | of kinds the rule can tell | unknowable | called unknown | precision | recall |\n\
         |----:|------:|----------:|-------------:|----------:|-------:|---------------------------:|-----------:|---------------:|----------:|-------:|\n",
    );
    for day in &score.days {
        let (stale, others, unknown) = (day.stale, day.stale_of_others, day.unknown);
        let both = format!("{}, {}", percent(others.precision()), percent(others.recall()));
        let _ = writeln!(
            text,
            "| {:>3} | {:>5} | {:>9} | {:>12} | {:>9} | {:>6} | {both:>26} | {:>10} | {:>14} | {:>9} | {:>6} |",
            day.day,
            day.flags,
            stale.so,
            stale.said,
            percent(stale.precision()),
            percent(stale.recall()),
            unknown.so,
            unknown.said,
            percent(unknown.precision()),
            percent(unknown.recall())
        );
    }
    for day in score.days.iter().filter(|day| !day.misjudged.is_empty()) {
        let kinds = day.misjudged.iter().map(|(kind, times)| format!("{} ({times})", kind.name));
        let _ = write!(
            text,
            "\nDay {}, misjudged of kinds the rule can tell: {}.",
            day.day,
            kinds.collect::<Vec<_>>().join(", ")
        );
    }
    text.push('\n');
}

fn percent(permille: Option<usize>) -> String {
    permille.map_or_else(|| "–".to_owned(), |permille| format!("{}.{} %", permille / 10, permille % 10))
}

/// Reasons, blockers and conditions that the report gives for flags of the kind.
fn told_by(row: &Row) -> String {
    let told = row.kind.expected();
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
pub(super) fn json(seed: u64, outcome: &Outcome, score: &Score<'_>) -> Value {
    let share = |share: super::score::Share| {
        json!({ "right": share.right, "said": share.said, "true": share.so,
            "precisionPermille": share.precision(), "recallPermille": share.recall() })
    };
    let days = score.days.iter().map(|day| {
        let misjudged: serde_json::Map<_, _> =
            day.misjudged.iter().map(|(kind, times)| (kind.name.to_owned(), json!(times))).collect();
        json!({ "day": day.day, "flags": day.flags, "stale": share(day.stale), "unknown": share(day.unknown),
                "staleOfKindsTheRuleCanTell": share(day.stale_of_others), "misjudgedOfThose": misjudged })
    });
    let kinds = score.rows.iter().map(|row| {
        let surprises = row.surprises.iter().map(|(key, said)| json!({ "key": key, "said": sentence(said) }));
        json!({ "kind": row.kind.name, "truth": row.kind.truth.name(), "flags": row.flags, "stale": row.stale,
            "unknown": row.unknown, "right": row.right, "misjudgedBecause": row.kind.rule.as_ref().map(|(_, why)| why),
            "notAsExpected": surprises.collect::<Vec<_>>() })
    });
    let misses = score.misses.iter().map(|miss| {
        json!({ "key": miss.flag.key, "kind": miss.flag.kind.name, "truth": miss.truth.name(), "stale": miss.said.stale,
            "status": miss.said.status, "reasons": miss.said.reasons, "blockers": miss.said.blockers })
    });
    json!({ "seed": seed, "flags": outcome.flags.len(), "payloads": outcome.payloads, "asExpected": score.is_as_expected(),
        "days": days.collect::<Vec<_>>(), "kinds": kinds.collect::<Vec<_>>(), "misjudged": misses.collect::<Vec<_>>() })
}
