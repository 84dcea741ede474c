//! `flagstream stale`: which flags are dead, as a table, and an exit code for pipelines.
//!
//! Always true here: the table has the stale flags, and says how many others there are (`--all` shows them); the other
//! forms and `--fail-on` look at every flag. The verdicts are the server's own; the exit code is of the answer that was
//! printed, and of a complete one.

mod backtest;
mod fail_on;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub use self::fail_on::FailOn;
use super::answer::Json;
use super::tables::foot;
use super::words::{right, shown, table, text, time};
use super::{ask_text, list, on_terminal, segment};
use crate::cli::Stale;
use crate::output::aside;
use anyhow::Context;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};

/// What the process ends with when `--fail-on` matches: neither success, nor an error (1), nor a wrong command line
/// (2).
const MATCHED: u8 = 3;
/// What it ends with when `--fail-on` cannot tell, for the numbers lag the log.
const INCOMPLETE: u8 = 4;
/// Longest wait for complete numbers; between two looks at them.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Characters of a forward value in a table.
const VALUE_CHARS_MAX: usize = 40;
/// Characters of a key that are not broken over lines, where the terminal is wide enough: keys are there to be copied.
const KEY_CHARS_WHOLE: u16 = 40;
/// What the longest of our own words and a day take in a column, with the cell's own space; and all columns but the
/// key's.
const WORD_CHARS: u16 = 12;
const OTHER_COLUMNS_CHARS: u16 = 4 * WORD_CHARS + WORD_CHARS / 2 + 5;

/// `flagstream stale`
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn stale(command: &Stale) -> anyhow::Result<ExitCode> {
    if command.backtest {
        return backtest::backtest(command);
    }
    let told = settled(command)?;
    crate::output::line(told.printed.trim_end_matches(['\r', '\n']))?;
    if command.fail_on.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if !told.complete {
        aside(&format!(
            "flagstream: the numbers still lag the log after {} s, so --fail-on cannot tell: a flag may have been asked for \
             since; see `flagstream pipeline`, and ask again when the lag is 0",
            SETTLED_WITHIN.as_secs()
        ));
        return Ok(ExitCode::from(INCOMPLETE));
    }
    let matched = command.fail_on.iter().any(|word| told.found.contains(word.as_str()));
    Ok(if matched { ExitCode::from(MATCHED) } else { ExitCode::SUCCESS })
}

/// One answer: what it prints, and what the exit code is made of.
struct Told {
    printed: String,
    complete: bool,
    /// `stale`, and the advices and reasons of stale flags.
    found: BTreeSet<String>,
}

/// An answer; where `--fail-on` looks at it, one that is complete if there is one in time.
fn settled(command: &Stale) -> anyhow::Result<Told> {
    let give_up = Instant::now() + SETTLED_WITHIN;
    let mut said = false;
    loop {
        let told = ask(command)?;
        if told.complete || command.fail_on.is_empty() || Instant::now() >= give_up {
            return Ok(told);
        }
        if !std::mem::replace(&mut said, true) {
            aside(&format!("note: the numbers lag the log; waiting up to {} s", SETTLED_WITHIN.as_secs()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn ask(command: &Stale) -> anyhow::Result<Told> {
    let path = format!("/v1/projects/{}/stale-flags", segment(&command.project));
    let mut query: Vec<(&'static str, String)> = Vec::new();
    query.extend(command.environment.iter().map(|name| ("environment", name.clone())));
    query.extend(command.critical.iter().map(|names| ("critical", names.clone())));
    if command.csv || command.markdown {
        query.push(("format", if command.csv { "csv" } else { "markdown" }.to_owned()));
        let (headers, printed) = ask_text(&command.reader, &path, &query)?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let found = header("x-flagstream-found").split(',').map(str::to_owned).collect();
        return Ok(Told { printed, complete: header("x-flagstream-complete") == "true", found });
    }
    let answer = list(&command.reader, &path, &query)?;
    let json = answer.json().context("cannot read the answer")?;
    let (complete, found) = (json["complete"].is_true(), found(&json));
    let printed = if command.reader.json {
        answer.print().context("cannot print the answer")?
    } else {
        report(&on_terminal(json), command.all)
    };
    Ok(Told { printed, complete, found })
}

/// A reason of a flag that is meant to stay, or that something blocks, is nothing to fail on.
fn found(answer: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for item in answer["items"].items().iter().filter(|item| item["stale"].is_true()) {
        let codes = item["reasons"].items().iter().map(|reason| &reason["code"]);
        let words = codes.chain([&item["advice"]]).filter_map(|code| match code {
            Json::Text(code) => Some(code.clone()),
            _ => None,
        });
        found.extend(words.chain([FailOn::Stale.as_str().to_owned()]));
    }
    found
}

/// The table, or why there is none, and what to know beside it.
fn report(answer: &Json, all: bool) -> String {
    let items = answer["items"].items();
    let rows: Vec<&Json> = items.iter().filter(|item| all || item["stale"].is_true()).collect();
    let mut parts = Vec::new();
    if rows.is_empty() {
        parts.push(format!("no flag of project {} is stale", text(&answer["project"])));
    } else {
        parts.push(rows_table(&rows, all, None));
    }
    let others = items.len() - rows.len();
    if others > 0 {
        let flags = if others == 1 { "flag is" } else { "flags are" };
        parts.push(format!("{others} other {flags} not stale; --all shows them, and what speaks for and against"));
    }
    parts.extend(answer["notes"].items().iter().map(note));
    parts.extend(rule(&answer["rule"]));
    parts.push(foot(answer));
    parts.join("\n")
}

/// A note of the server's, with its parameter as this command has it.
fn note(note: &Json) -> String {
    format!("note: {}", text(note).replace("`critical`", "`--critical`"))
}

/// The settings that the verdicts were made with.
fn rule(rule: &Json) -> Option<String> {
    let numbers = |of: &Json| {
        let said = [("inactiveDays", "inactive after", " days"), ("staleDays", "dead after", " days")]
            .into_iter()
            .chain([("coverageMin", "coverage at least", "")])
            .filter(|(field, ..)| of.has(field))
            .map(|(field, before, after)| format!("{before} {}{after}", text(&of[field])));
        said.collect::<Vec<_>>().join(", ")
    };
    let own = rule["overrides"].items().iter().map(|of| {
        let names = [("environment", "in "), ("type", "type ")].into_iter().filter(|(field, _)| of.has(field));
        let names: Vec<String> = names.map(|(field, before)| format!("{before}{}", text(&of[field]))).collect();
        format!("; {}: {}", names.join(", "), numbers(of))
    });
    let critical: Vec<String> = rule["critical"].items().iter().map(text).collect();
    let own: String = own.collect();
    rule.has("staleDays").then(|| format!("rule: {}{own}; decided by {}", numbers(rule), critical.join(", ")))
}

/// `width`: of the terminal, in characters; `None` = what it says itself.
fn rows_table(rows: &[&Json], all: bool, width: Option<u16>) -> String {
    let mut table = table(&["flag", "status", "score", "why", "put in its place", "last asked for"]);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for item in rows {
        let status = if all && item["stale"].is_true() { "stale, " } else { "" };
        table.add_row([
            text(&item["key"]),
            format!("{status}{}", text(&item["status"])),
            text(&item["score"]),
            why(item),
            forward(item),
            last(item),
        ]);
    }
    right(&mut table, 2);
    let longest = rows.iter().map(|item| text(&item["key"]).chars().count()).max().unwrap_or(0);
    if let Some(width) = width {
        table.set_width(width);
    }
    // The cell's own space on both sides counts.
    let whole = u16::try_from(longest).unwrap_or(u16::MAX).min(KEY_CHARS_WHOLE) + 2;
    let left = table.width().map_or(whole, |width| width.saturating_sub(OTHER_COLUMNS_CHARS));
    let bounds = [whole.min(left), WORD_CHARS, WORD_CHARS / 2, WORD_CHARS, WORD_CHARS, WORD_CHARS];
    for (place, chars) in bounds.into_iter().enumerate() {
        if let Some(column) = table.column_mut(place) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(chars)));
        }
    }
    table.to_string()
}

/// Reasons in words, and what speaks against them; where no reason holds, what it is instead.
fn why(item: &Json) -> String {
    let reasons = item["reasons"].items().iter().map(|reason| {
        let since =
            if reason["since"] == Json::Null { String::new() } else { format!(" since {}", day(&reason["since"])) };
        let names_it = reason["evidence"].has("codeReferences") && said_of(reason, "NEVER_EVALUATED");
        let in_code =
            if names_it { format!(", though code names it{}", in_code(&reason["evidence"])) } else { String::new() };
        format!("{}{since}{in_code}", reason_said(&reason["code"]))
    });
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        return "–".to_owned();
    }
    let blockers = item["blockers"].items().iter().map(|blocker| blocker_said(&blocker["code"]));
    let conditions = &item["conditions"];
    let kept = [
        (conditions.has("temporary") && !conditions["temporary"].is_true(), "meant to stay"),
        (conditions["archived"].is_true(), "archived already"),
        (conditions["snoozed"].is_true(), "snoozed"),
        (conditions.has("oldEnough") && !conditions["oldEnough"].is_true(), "too young"),
    ];
    let kept = kept.iter().filter(|(holds, _)| *holds).map(|(_, said)| (*said).to_owned());
    let against: Vec<String> = blockers.chain(kept).collect();
    let against = if against.is_empty() { String::new() } else { format!("; but {}", against.join(", ")) };
    reasons.join("; ") + &against
}

/// The first of the places that are told, and how many others there are.
fn in_code(evidence: &Json) -> String {
    let Some(first) = evidence["codePlaces"].items().first() else { return String::new() };
    let others = match text(&evidence["codeReferences"]).parse::<u64>().map_or(0, |number| number.saturating_sub(1)) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(" ({}{others})", cut(&text(first)))
}

fn said_of(reason: &Json, code: &str) -> bool {
    reason["code"] == Json::Text(code.to_owned())
}

fn reason_said(code: &Json) -> String {
    let Json::Text(code) = code else { return text(code) };
    let said = match code.as_str() {
        "NEVER_EVALUATED" => "no evaluation reported",
        "NO_EVALUATIONS" => "not asked for",
        "BULK_READ_ONLY" => "only read along with all flags",
        "SINGLE_VARIATION" => "only one variation served",
        "PAST_LIFETIME" => "past its type's lifetime",
        "NO_CODE_REFS" => "in no code",
        "ERRORS_ONLY" => "nothing but errors",
        "DEFAULTS_ONLY" => "nothing but callers' defaults",
        "OLD_APP_VERSIONS_ONLY" => "only old app versions ask",
        other => return shown(other),
    };
    said.to_owned()
}

fn blocker_said(code: &Json) -> String {
    let Json::Text(code) = code else { return text(code) };
    let said = match code.as_str() {
        "DEPENDENTS" => "other flags depend on it",
        "EXPERIMENT_RUNNING" => "an experiment is running",
        "MIXED_VALUES" => "environments differ",
        "LOW_COVERAGE" => "too little was heard",
        "PERIODIC" => "asked for weekly or monthly",
        other => return shown(other),
    };
    said.to_owned()
}

/// The variation to put in the flag's place, with its value; else what else to do.
fn forward(item: &Json) -> String {
    match (&item["advice"], &item["forwardVariation"]) {
        (Json::Text(advice), _) if advice == "READY_TO_ARCHIVE" => "nothing: archive it".to_owned(),
        (_, Json::Null) => "–".to_owned(),
        (_, variation) => match &item["forwardValue"] {
            Json::Null => format!("variation {}", text(variation)),
            value => format!("{} (variation {})", cut(&shown(&value.to_string())), text(variation)),
        },
    }
}

fn cut(text: &str) -> String {
    let is_long = text.chars().count() > VALUE_CHARS_MAX;
    if is_long { text.chars().take(VALUE_CHARS_MAX - 1).chain(['…']).collect() } else { text.to_owned() }
}

/// The day when it was last asked for, and by which application, or by which SDK where none was told.
fn last(item: &Json) -> String {
    if item["lastRequested"] == Json::Null {
        return "never".to_owned();
    }
    let by = ["application", "sdk"].map(|field| &item["lastRequestedBy"][field]);
    let told = by.into_iter().find(|name| !matches!(name, Json::Null) && **name != Json::Text(String::new()));
    let by = told.map_or_else(String::new, |name| format!(" by {}", text(name)));
    format!("{}{by}", day(&item["lastRequested"]))
}

fn day(value: &Json) -> String {
    time(value).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use experiments::is_hidden;
    use experiments::stale::{BlockerCode, ReasonCode};

    use super::*;
    use crate::read::answer::Answer;

    const ANSWER: &str = r#"{"items": [
        {"key": "check\u001bout", "status": "launched", "stale": true, "score": 60, "advice": "READY_FOR_CODE_REMOVAL",
         "reasons": [{"code": "SINGLE_VARIATION", "since": 86400000}], "blockers": [],
         "conditions": {"temporary": true, "archived": false, "snoozed": false, "oldEnough": true},
         "forwardVariation": 1, "forwardValue": "blue", "lastRequested": 172800000,
         "lastRequestedBy": {"application": "web", "sdk": "js/4.10", "environment": "production"}},
        {"key": "kept", "status": "inactive", "stale": false, "score": 60, "advice": null,
         "reasons": [{"code": "NEVER_EVALUATED", "since": null, "evidence": {"codeReferences": 2, "codePlaces": ["web/src/a.ts:12"]}}], "blockers": [{"code": "DEPENDENTS"}],
         "conditions": {"temporary": false, "archived": false, "snoozed": true, "oldEnough": true},
         "forwardVariation": null, "lastRequested": null, "lastRequestedBy": null}
        ], "project": "default", "rule": {"inactiveDays": 7, "staleDays": 30, "coverageMin": 0.95, "critical": ["production"],
            "overrides": [{"type": "release", "staleDays": 20}, {"environment": "eu\u001b", "type": "release", "inactiveDays": 9}]}, "notes": ["look \u202ehere"], "asOf": 0, "complete": true}"#;

    fn answer() -> Answer {
        Answer::read(ANSWER).unwrap()
    }

    /// Cells that are broken over lines, put together.
    fn flat(report: &str) -> String {
        report.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_stale_flag_says_why_what_to_do_and_who_asked_last() {
        let printed = flat(&report(&answer().json().unwrap(), false));
        for part in [
            "check\\u{1b}out",
            " launched ",
            "only one variation served since 1970-01-02",
            "\"blue\" (variation 1)",
            "1970-01-03 by web",
            "1 other flag is not stale; --all shows them",
            "note: look \\u{202e}here",
            "rule: inactive after 7 days, dead after 30 days, coverage at least 0.95; type release: dead after 20 days; in eu\\u{1b}, \
             type release: inactive after 9 days; decided by production",
            "as of 1970-01-01 00:00 UTC, complete",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert!(!printed.contains("kept") && !printed.chars().any(is_hidden), "{printed}");
    }

    #[test]
    fn all_has_the_others_with_what_speaks_against() {
        let printed = flat(&report(&answer().json().unwrap(), true));
        let why = "no evaluation reported, though code names it (web/src/a.ts:12 and 1 more); but other flags depend on it, \
                   meant to stay, snoozed";
        assert!(
            printed.contains(why) && printed.contains(" never ") && printed.contains(" stale, launched "),
            "{printed}"
        );
        assert!(!printed.contains("--all") && !printed.contains("too young"), "{printed}");
        let none = Answer::read(r#"{"items": [], "project": "p", "asOf": 0, "complete": true}"#).unwrap();
        assert!(report(&none.json().unwrap(), false).starts_with("no flag of project p is stale\n"));
    }

    #[test]
    fn a_flag_that_no_reason_speaks_against_is_told_nothing_against() {
        let item = r#"{"reasons": [], "blockers": [{"code": "LOW_COVERAGE"}], "conditions": {"oldEnough": false}}"#;
        assert_eq!(why(&Answer::read(item).unwrap().json().unwrap()), "–");
    }

    #[test]
    fn eighty_columns_break_no_word_of_ours_and_no_day() {
        let mut items = answer().json().unwrap()["items"].items().to_vec();
        let long = r#"{"key": "checkout-redesign-of-the-second-quarter", "status": "launched", "stale": true, "score": 100,
            "advice": null, "blockers": [{"code": "EXPERIMENT_RUNNING"}], "lastRequested": 172800000,
            "reasons": [{"code": "OLD_APP_VERSIONS_ONLY", "since": 86400000}], "forwardVariation": 1, "forwardValue": true}"#;
        items.push(Answer::read(long).unwrap().json().unwrap());
        let printed = rows_table(&items.iter().collect::<Vec<_>>(), true, Some(80));
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
        for word in ["launched", "experiment", "1970-01-02", "1970-01-03", "(variation", "served", "100"] {
            assert!(
                printed.split_whitespace().any(|cell| cell.trim_end_matches([';', ',']) == word),
                "{word}:\n{printed}"
            );
        }
    }

    #[test]
    fn fail_on_looks_at_stale_flags_alone() {
        let found = found(&answer().json().unwrap());
        assert_eq!(Vec::from_iter(found), ["READY_FOR_CODE_REMOVAL", "SINGLE_VARIATION", "stale"]);
    }

    #[test]
    fn a_note_names_the_option_and_not_the_parameter() {
        let told = Json::Text("name those that decide with `critical`".to_owned());
        assert_eq!(note(&told), "note: name those that decide with `--critical`");
    }

    #[test]
    fn every_code_has_words() {
        let text = |code: &str| Json::Text(code.to_owned());
        for code in ReasonCode::ALL.map(ReasonCode::as_str) {
            assert_ne!(reason_said(&text(code)), code);
        }
        for code in BlockerCode::ALL.map(BlockerCode::as_str) {
            assert_ne!(blocker_said(&text(code)), code);
        }
        assert_eq!(reason_said(&text("NEW\u{1b}")), "NEW\\u{1b}");
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = format!(r#"{{"forwardVariation": 1, "forwardValue": "{}"}}"#, "x".repeat(500));
        let said = forward(&Answer::read(&long).unwrap().json().unwrap());
        assert!(said.ends_with("xx… (variation 1)") && said.chars().count() < 60, "{said}");
    }
}
