//! The gate and the comparison of its two paths, as tables.
//!
//! Always true here: a difference has its sign; a cause that may have more than one size is shown with both ends.

use super::answer::Json;
use super::tables::foot;
use super::words::{grouped, name, number, right, second, shown, table, text, time};

/// The last changes of an environment that are shown.
const CHANGES_MAX: usize = 5;

/// Stages of all environments, and how they came there.
pub(super) fn gate(answer: &Json) -> String {
    let mut table = table(&["environment", "stage", "since (UTC)", "the flag says", "held back", "unexplained"]);
    for item in answer["items"].items() {
        let trouble = if item["flagError"] == Json::Null { &item["heldBack"] } else { &item["flagError"] };
        table.add_row([
            of_environment(item),
            text(&item["stage"]),
            second(&item["since"]),
            text(&item["asked"]),
            text(trouble),
            grouped(&text(&item["unexplained"])),
        ]);
    }
    right(&mut table, 5);
    let changes: String = answer["items"].items().iter().map(changes).collect();
    format!("{table}\n{changes}{}", foot(answer))
}

fn of_environment(item: &Json) -> String {
    format!("{}/{}", text(&item["project"]), text(&item["environment"]))
}

fn changes(item: &Json) -> String {
    let history = item["history"].items();
    let newest = &history[history.len().saturating_sub(CHANGES_MAX)..];
    let line = |change: &Json| {
        let (at, from, to, cause) =
            (second(&change["at"]), text(&change["from"]), text(&change["to"]), text(&change["cause"]));
        format!("  {at}  {} {from} → {to}: {cause}\n", of_environment(item))
    };
    newest.iter().map(line).collect()
}

/// Old path, new path and the causes of what lies between, by flag or event, variation and hour; the totals below.
pub(super) fn comparison(answer: &Json) -> String {
    let mut table = table(&[
        "flag or event",
        "variation",
        "hour (UTC)",
        "old path",
        "new path",
        "difference",
        "because",
        "unexplained",
    ]);
    for item in answer["items"].items() {
        let (key, variation) = match &item["flag"] {
            Json::Null => (format!("event {}", text(&item["key"])), "–".to_owned()),
            flag => (text(flag), variation(item)),
        };
        let row = [key, variation, time(&item["hour"])];
        table.add_row(row.into_iter().chain(numbers(item)));
    }
    let totals = ["total".to_owned(), String::new(), String::new()];
    table.add_row(totals.into_iter().chain(numbers(&answer["totals"])));
    for column in [3, 4, 5, 7] {
        right(&mut table, column);
    }
    format!("{table}\n{}", foot(answer))
}

fn variation(item: &Json) -> String {
    if item["default"].is_true() { "the caller's default".to_owned() } else { name(item, "variation") }
}

fn numbers(item: &Json) -> [String; 5] {
    let causes: Vec<String> = item["causes"].items().iter().filter_map(cause).collect();
    [
        grouped(&text(&item["old"])),
        grouped(&text(&item["new"])),
        signed(&item["difference"]),
        causes.join(", "),
        grouped(&text(&item["unexplained"])),
    ]
}

/// A cause in words, with its sign; none where it has no size.
fn cause(cause: &Json) -> Option<String> {
    let (low, high) = (number(&cause["low"])?, number(&cause["high"])?);
    let what = shown(&text(&cause["cause"]).replace('_', " "));
    match (low, high) {
        (0, 0) => None,
        _ if low == high => Some(format!("{} {what}", signed(&cause["low"]))),
        _ => Some(format!("{} to {} {what}", signed(&cause["low"]), signed(&cause["high"]))),
    }
}

fn signed(value: &Json) -> String {
    match number(value) {
        Some(number @ ..0) => format!("−{}", grouped(&number.unsigned_abs().to_string())),
        Some(0) => "0".to_owned(),
        Some(number) => format!("+{}", grouped(&number.to_string())),
        None => text(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn json(text: &str) -> Json {
        Answer::read(text).unwrap().json().unwrap()
    }

    #[test]
    fn stages_and_their_changes_are_shown() {
        let printed = gate(&json(
            r#"{"asOf": 1768480491789, "complete": true, "items": [{"project": "shop", "environment": "production", "stage": "shadow",
                "since": 1768480491789, "asked": "live", "heldBack": "12 evaluations are unexplained", "flagError": null,
                "unexplained": 12, "history": [{"at": 1768480491789, "from": "off", "to": "shadow", "cause": "flag says `shadow`"}]}]}"#,
        ));
        for part in
            [" shop/production ", " shadow ", " live ", "12 evaluations are unexplained", "off → shadow: flag says"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }

    #[test]
    fn a_difference_is_told_by_cause_with_its_sign() {
        let printed = comparison(&json(
            r#"{"asOf": 1768480491789, "complete": true, "items": [
                {"flag": "checkout", "variation": 1, "default": false, "hour": 1768480491789, "old": 1012, "new": 1000, "difference": 12,
                 "causes": [{"cause": "duplicate", "low": 20, "high": 20}, {"cause": "write_refused", "low": -9, "high": -9},
                            {"cause": "write_uncertain", "low": 0, "high": 3}, {"cause": "late", "low": 0, "high": 0}], "unexplained": 0},
                {"key": "paid", "hour": 1768480491789, "old": 5, "new": 7, "difference": -2, "causes": [], "unexplained": 2}],
               "totals": {"old": 1017, "new": 1007, "difference": 10, "causes": [], "unexplained": 2}}"#,
        ));
        for part in [
            " 1,012 ",
            " +12 ",
            "+20 duplicate, −9 write refused, 0 to +3 write uncertain ",
            " event paid ",
            " −2 ",
            " total ",
            " +10 ",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert!(!printed.contains("late"), "{printed}");
    }
}
