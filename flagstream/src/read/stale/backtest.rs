//! `flagstream stale --backtest`: what the rule would have said on past days, as a table of days and one of flags.
//!
//! Always true here: the table of flags has those that came alive again (`--all` shows the others called stale too);
//! what cannot be known of the past stands below in the server's own words. CSV has all flags called stale, and them
//! alone.

use std::process::ExitCode;

use anyhow::Context;

use super::row::{day, reason_said};
use super::{note, rule};
use crate::cli::Stale;
use crate::read::answer::Json;
use crate::read::tables::foot;
use crate::read::words::{NAME_CHARS_MAX, cut, number, right, table, text};
use crate::read::{ask_text, for_people, list, segment};

/// `flagstream stale --backtest`
pub(super) fn backtest(command: &Stale) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/projects/{}/stale-flags/backtest", segment(&command.project));
    let given = [
        ("critical", command.critical.clone()),
        ("asOf", command.as_of.clone()),
        ("from", command.from.clone()),
        ("to", command.to.clone()),
        ("step", command.step.map(|days| days.to_string())),
        ("within", command.within.map(|days| days.to_string())),
    ];
    let mut query: Vec<(&str, String)> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if command.csv {
        query.push(("format", "csv".to_owned()));
        let (_, written) = ask_text(&command.reader, &path, &query)?;
        crate::output::line(written.trim_end_matches(['\r', '\n']))?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = list(&command.reader, &path, &query)?;
    let printed = if command.reader.json {
        answer.print()
    } else {
        answer.json().map(|answer| report(&for_people(answer), command.all))
    };
    crate::output::line(&printed.context("cannot print the answer")?)?;
    Ok(ExitCode::SUCCESS)
}

fn report(answer: &Json, all: bool) -> String {
    let within = text(&answer["within"]);
    let items = answer["items"].items();
    let rows: Vec<&Json> = items.iter().filter(|item| all || item["revived"].is_true()).collect();
    let mut parts = vec![days(answer, &within), summary(answer, &within)];
    if !rows.is_empty() {
        parts.push(flags(&rows));
    }
    match items.len() - rows.len() {
        0 => {}
        1 => parts.push("1 other stayed dead so far; --all shows it".to_owned()),
        others => parts.push(format!("{others} others stayed dead so far; --all shows them")),
    }
    parts.extend(answer["notes"].items().iter().map(note));
    parts.extend(rule(&answer["rule"]));
    parts.push(foot(answer));
    parts.join("\n")
}

/// A row a day; what became of the newest cannot be known to the end yet.
fn days(answer: &Json, within: &str) -> String {
    let soon = format!("alive again in {within} days");
    let mut table = table(&["day", "flags", "stale", "to remove", "to archive", &soon, "later", "too little heard"]);
    for told in answer["days"].items() {
        let advised = |advice: &str| match &told["byAdvice"][advice] {
            Json::Null => "0".to_owned(),
            number => text(number),
        };
        let is_open = number(&told["watchedDays"]) < number(&answer["within"]);
        let open = if is_open { " so far" } else { "" };
        table.add_row([
            day(&told["asOf"]),
            text(&told["flags"]),
            text(&told["stale"]),
            advised("READY_FOR_CODE_REMOVAL"),
            advised("READY_TO_ARCHIVE"),
            format!("{}{open}", text(&told["revivedWithin"])),
            text(&told["revivedLater"]),
            text(&told["lowCoverage"]),
        ]);
    }
    for column in 1..8 {
        right(&mut table, column);
    }
    table.to_string()
}

fn summary(answer: &Json, within: &str) -> String {
    let share = |rate: &Json| match text(rate).parse::<f64>() {
        Ok(rate) => format!(" ({:.1} %)", rate * 100.0),
        _ => String::new(),
    };
    let called = match text(&answer["called"]).as_str() {
        "1" => "1 flag was".to_owned(),
        number => format!("{number} flags were"),
    };
    format!(
        "{called} called stale, {} of them came alive again{}; of {} that could be watched for {within} days, {} did so \
         within them{}",
        text(&answer["revived"]),
        share(&answer["rate"]),
        text(&answer["watched"]),
        text(&answer["revivedWithin"]),
        share(&answer["rateWithin"]),
    )
}

fn flags(rows: &[&Json]) -> String {
    let mut table = table(&["flag", "called stale on", "because", "alive again on", "after", "what happened"]);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    for item in rows {
        let because: Vec<String> = item["reasons"].items().iter().map(reason_said).collect();
        let revived = item["revived"].is_true();
        let told = |cell: String| if revived { cell } else { "–".to_owned() };
        table.add_row([
            cut(&text(&item["key"]), NAME_CHARS_MAX),
            day(&item["calledOn"]),
            because.join("; "),
            told(day(&item["revivedOn"])),
            told(format!("{} days", text(&item["revivedAfterDays"]))),
            told(happened(item)),
        ]);
    }
    table.to_string()
}

fn happened(item: &Json) -> String {
    let place = text(&item["revivedIn"]);
    match (&item["forwardVariation"], &item["revivedVariation"]) {
        (Json::Null, _) => format!("asked for in {place}"),
        (expected, Json::Null) => format!("not only variation {} served in {place}", text(expected)),
        (expected, served) => format!("variation {} served in {place}, not {}", text(served), text(expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::answer::Answer;

    const ANSWER: &str = r#"{"within": 30, "called": 3, "revived": 2, "rate": 0.6667, "watched": 0, "revivedWithin": 0, "rateWithin": null,
        "days": [
            {"asOf": 0, "watchedDays": 60, "flags": 9, "stale": 3, "byAdvice": {"none": 1, "READY_FOR_CODE_REMOVAL": 2},
             "lowCoverage": 0, "revivedWithin": 1, "revivedLater": 1},
            {"asOf": 3456000000, "watchedDays": 20, "flags": 9, "stale": 1, "byAdvice": {}, "lowCoverage": 4,
             "revivedWithin": 1, "revivedLater": 0}],
        "items": [
            {"key": "rare\u001b", "calledOn": 0, "reasons": ["SINGLE_VARIATION"], "forwardVariation": 1, "revived": true,
             "revivedOn": 864000000, "revivedAfterDays": 10, "revivedIn": "production", "revivedVariation": 0},
            {"key": "woke", "calledOn": 0, "reasons": ["NO_EVALUATIONS"], "forwardVariation": null, "revived": true,
             "revivedOn": 864000000, "revivedAfterDays": 10, "revivedIn": "eu", "revivedVariation": null},
            {"key": "gone", "calledOn": 0, "reasons": ["NO_EVALUATIONS"], "forwardVariation": null, "revived": false}],
        "notes": ["as it is now"], "rule": {}, "asOf": 0, "complete": true}"#;

    fn printed(all: bool) -> String {
        let report = report(&Answer::read(ANSWER).unwrap().json().unwrap(), all);
        report.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn days_have_what_came_of_them_and_say_when_that_is_not_known_yet() {
        let printed = printed(false);
        for part in ["1970-01-01", "1970-02-10", "alive again in 30 days", "1 so far", "note: as it is now"] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert_eq!(printed.matches("so far").count(), 2, "one day, and the flags that stayed dead: {printed}");
        let summary = "3 flags were called stale, 2 of them came alive again (66.7 %); of 0 that could be watched for 30 days, 0 did \
                       so within them";
        assert!(printed.contains(summary), "{printed}");
    }

    #[test]
    fn flags_that_came_alive_again_say_how_and_all_has_the_others() {
        let revived = printed(false);
        for part in [
            "rare\\u{1b}",
            "variation 0 served in production, not 1",
            "asked for in eu",
            "10 days",
            "1 other stayed dead so far; --all shows it",
        ] {
            assert!(revived.contains(part), "{part}: {revived}");
        }
        assert!(!revived.contains("gone") && printed(true).contains("gone"), "{revived}");
    }
}
