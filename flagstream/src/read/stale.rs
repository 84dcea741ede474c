//! `flagstream stale`: which flags are dead, as a table, and an exit code for pipelines.
//!
//! Always true here: table, CSV and Markdown have the stale flags, or every flag with `--all`; JSON is the server's own
//! answer and has every flag. `--fail-on` looks for stale flags, so it finds the same in each form. The verdicts are the
//! server's own; the exit code is of the answer that was printed, and of a complete one.

mod backtest;
mod fail_on;
mod row;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{ColumnConstraint, ContentArrangement, Width};

pub use self::fail_on::FailOn;
use super::answer::Json;
use super::tables::foot;
use super::words::{NAME_CHARS_MAX, cut, grouped, right, table, text};
use super::{ask_text, for_people, list, segment};
use crate::cli::Stale;
use crate::output::aside;

/// What the process ends with when `--fail-on` matches: neither success, nor an error (1), nor a wrong command line
/// (2).
const MATCHED: u8 = 3;
/// What it ends with when `--fail-on` cannot tell, for the numbers lag the log.
const INCOMPLETE: u8 = 4;
/// Longest wait for complete numbers; between two looks at them.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Characters of a key that are not broken over lines, where the terminal is wide enough: keys are there to be copied.
const KEY_CHARS_WHOLE: u16 = 40;
/// What the longest of our own words and a day with its comma take in a column, with the cell's own space; and all columns but the
/// key's.
const WORD_CHARS: u16 = 13;
const SCORE_CHARS: u16 = 7;
const OTHER_COLUMNS_CHARS: u16 = 4 * WORD_CHARS + SCORE_CHARS + 5;

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
        query.extend((!command.all).then(|| ("stale", "true".to_owned())));
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
        report(&for_people(json), command.all)
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
    parts.extend(heard(answer));
    parts.extend(rule(&answer["rule"]));
    parts.push(foot(answer));
    parts.join("\n")
}

/// A note of the server's, with its parameter as this command has it, and its field in words.
fn note(note: &Json) -> String {
    format!("note: {}", text(note).replace("`critical`", "`--critical`").replace("`asOf`", "the time below"))
}

/// How well each environment was heard.
fn heard(answer: &Json) -> Option<String> {
    let one = |heard: &Json| {
        let name = text(&heard["environment"]);
        if !heard["measured"].is_true() {
            return format!("{name} no hour expected");
        }
        let hours = [&heard["reported"], &heard["expected"]].map(|hours| grouped(&text(hours)));
        format!("{name} {} of {} hours in {} days", hours[0], hours[1], text(&heard["days"]))
    };
    let all: Vec<String> = answer["heard"].items().iter().map(one).collect();
    (!all.is_empty()).then(|| format!("heard: {}", all.join("; ")))
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
    if let Some(width) = width {
        table.set_width(width);
    }
    // Keys are there to be copied: a narrow terminal has them on several lines rather than in half.
    let left = table.width().map_or(NAME_CHARS_MAX, |width| usize::from(width.saturating_sub(OTHER_COLUMNS_CHARS)));
    let key_max = left.clamp(usize::from(KEY_CHARS_WHOLE), NAME_CHARS_MAX);
    for item in rows {
        let status = if all && item["stale"].is_true() { "stale, " } else { "" };
        table.add_row([
            cut(&text(&item["key"]), key_max),
            format!("{status}{}", text(&item["status"])),
            text(&item["score"]),
            row::why(item),
            row::forward(item),
            row::last(item),
        ]);
    }
    right(&mut table, 2);
    let longest = rows.iter().map(|item| text(&item["key"]).chars().count()).max().unwrap_or(0);
    // The cell's own space on both sides counts.
    let whole = u16::try_from(longest).unwrap_or(u16::MAX).min(KEY_CHARS_WHOLE) + 2;
    let left = table.width().map_or(whole, |width| width.saturating_sub(OTHER_COLUMNS_CHARS));
    let bounds = [whole.min(left), WORD_CHARS, SCORE_CHARS, WORD_CHARS, WORD_CHARS, WORD_CHARS];
    for (place, chars) in bounds.into_iter().enumerate() {
        if let Some(column) = table.column_mut(place) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(chars)));
        }
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use experiments::is_hidden;
    use experiments::stale::{BlockerCode, ReasonCode};

    use super::row::{blocker_said, forward, reason_said, why};
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
        ], "project": "default", "heard": [{"environment": "production", "expected": 720, "reported": 712, "measured": true, "days": 30},
            {"environment": "eu\u001b", "expected": 0, "reported": 0, "measured": false, "days": 30}], "rule": {"inactiveDays": 7, "staleDays": 30, "coverageMin": 0.95, "critical": ["production"],
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
            "one variation only since 1970-01-02",
            "heard: production 712 of 720 hours in 30 days; eu\\u{1b} no hour expected",
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
        let why = "never evaluated, though code names it (web/src/a.ts:12 and 1 more); but other flags depend on it, \
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
            "reasons": [{"code": "OLD_APP_VERSIONS_ONLY", "since": 345600000}, {"code": "NO_CODE_REFS"}], "forwardVariation": 1, "forwardValue": true}"#;
        items.push(Answer::read(long).unwrap().json().unwrap());
        let printed = rows_table(&items.iter().collect::<Vec<_>>(), true, Some(80));
        assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
        for word in
            ["launched", "experiment", "1970-01-02", "1970-01-03", "1970-01-05", "(variation", "last", "score", "100"]
        {
            assert!(
                printed.split_whitespace().any(|cell| cell.trim_end_matches([';', ',']) == word),
                "{word}:\n{printed}"
            );
        }
    }

    #[test]
    fn the_day_of_a_reason_that_is_not_the_last_is_whole_too() {
        let item = |json: &str| Answer::read(json).unwrap().json().unwrap();
        let items = [
            item(
                r#"{"key": "old", "status": "inactive", "stale": true, "score": 80, "advice": "READY_TO_ARCHIVE",
                "reasons": [{"code": "NEVER_EVALUATED", "since": 345600000}, {"code": "NO_CODE_REFS"}]}"#,
            ),
            item(&format!(
                r#"{{"key": "{}", "status": "active", "score": 0, "lastRequested": 0, "lastRequestedBy": {{"sdk": "NodeJSClient/9.13.7"}}}}"#,
                "long-".repeat(50)
            )),
        ];
        let printed = rows_table(&items.iter().collect::<Vec<_>>(), true, Some(80));
        assert!(printed.contains(" 1970-01-05; "), "{printed}");
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
        assert_eq!(note(&Json::Text("asked since `asOf`".to_owned())), "note: asked since the time below");
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
    fn a_flag_that_nobody_asks_for_says_what_it_served_last() {
        let said =
            |served: &str| forward(&Answer::read(&format!(r#"{{"lastServed": [{served}]}}"#)).unwrap().json().unwrap());
        let one = r#"{"variation": 0, "value": "red", "lastSeen": 172800000, "bulk": false}"#;
        let other = r#"{"variation": "blue\u001b", "value": null, "lastSeen": 86400000, "bulk": true}"#;
        assert_eq!(said(one), "last served \"red\" (variation 0) on 1970-01-03");
        assert_eq!(
            said(&format!("{other}, {one}")),
            "last served variation blue\\u{1b} in bulk on 1970-01-02, 1 before"
        );
        assert_eq!(said(""), "–");
    }

    #[test]
    fn a_key_of_any_length_leaves_the_table_as_wide_as_the_terminal() {
        let item = |key: &str| Answer::read(&format!(r#"{{"key": "{key}", "stale": true}}"#)).unwrap().json().unwrap();
        let items = [item(&"long".repeat(64)), item("short")];
        for width in [Some(80), Some(200), None] {
            let printed = rows_table(&items.iter().collect::<Vec<_>>(), false, width);
            let widest = printed.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= usize::from(width.unwrap_or(160)), "{width:?}: {widest}\n{printed}");
            assert!(printed.contains('…') && printed.contains(" short "), "{printed}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = format!(r#"{{"forwardVariation": 1, "forwardValue": "{}"}}"#, "x".repeat(500));
        let said = forward(&Answer::read(&long).unwrap().json().unwrap());
        assert!(said.ends_with("xx… (variation 1)") && said.chars().count() < 60, "{said}");
    }
}
