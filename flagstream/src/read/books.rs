//! The books of a day as a table.
//!
//! Always true here: a day that is not over, or has not begun, says so beside its numbers; what was counted without its
//! value does not stand among what was rejected.

use super::answer::Json;
use super::tables::foot;
use super::words::{count, grouped, number, right, shown, table, text};

/// The reason that refuses nothing.
const LEFT_OUT: &str = "metric_out_of_range";

/// The books of a day.
pub(super) fn books(answer: &Json) -> String {
    let mut table = table(&["books", "events"]);
    for field in ["accepted", "counted", "duplicate", "late", "poison"] {
        table.add_row([field.to_owned(), count(answer, field)]);
    }
    for (reason, number) in answer["rejected"].fields().filter(|(reason, _)| *reason != LEFT_OUT) {
        table.add_row([format!("rejected: {}", shown(reason)), grouped(&text(number))]);
    }
    if answer["rejected"].has(LEFT_OUT) {
        let number = grouped(&text(&answer["rejected"][LEFT_OUT]));
        table.add_row([format!("counted without value: {LEFT_OUT}"), number]);
    }
    for (field, meaning) in [("clamped", "clamped time"), ("withoutId", "payloads without an id")] {
        if answer.has(field) {
            table.add_row([meaning.to_owned(), count(answer, field)]);
        }
    }
    right(&mut table, 1);
    let head = format!("books of {} (UTC)", text(&answer["day"]));
    match day_state(answer) {
        Day::NotBegun => format!("{head}: the day has not begun\n{}", foot(answer)),
        Day::NotOver => {
            let foot = foot(answer).replacen(", complete", ", complete so far", 1);
            format!("{head}: the day is not over, more may come\n{table}\n{foot}")
        }
        Day::Over => format!("{head}\n{table}\n{}", foot(answer)),
    }
}

/// Where the time up to which the numbers reach stands to the day.
enum Day {
    NotBegun,
    NotOver,
    Over,
}

fn day_state(answer: &Json) -> Day {
    let [as_of, from, to] = ["asOf", "from", "to"].map(|field| number(&answer[field]));
    match (as_of, from, to) {
        (Some(as_of), Some(from), _) if as_of < from && answer["complete"].is_true() => Day::NotBegun,
        (Some(as_of), _, Some(to)) if as_of < to => Day::NotOver,
        _ => Day::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn shown_books(text: &str) -> String {
        books(&Answer::read(text).unwrap().json().unwrap())
    }

    #[test]
    fn the_books_show_every_reason() {
        let answer = r#"{"accepted": 5000, "counted": 4998, "duplicate": 1, "late": 1, "poison": 0,
            "rejected": {"unknown_kind": 7}, "withoutId": 6, "saturated": true}"#;
        let printed = shown_books(answer);
        for part in ["accepted", "≥ 5,000", "rejected: unknown_kind", "7", "payloads without an id", "6", "≥ at least"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }

    #[test]
    fn a_value_that_was_left_out_is_not_rejected() {
        let printed = shown_books(r#"{"counted": 3, "rejected": {"invalid_key": 1, "metric_out_of_range": 2}}"#);
        assert!(printed.contains("rejected: invalid_key"), "{printed}");
        assert!(
            printed.contains("counted without value: metric_out_of_range") && printed.matches("rejected").count() == 1,
            "{printed}"
        );
    }

    #[test]
    fn a_day_that_is_not_over_says_so() {
        let state = |as_of: i64, complete: bool| {
            let head = shown_books(&format!(
                r#"{{"asOf": {as_of}, "complete": {complete}, "day": "1970-01-02", "from": 86400000, "to": 172800000}}"#
            ));
            assert_eq!(head.contains("accepted"), as_of >= 86_400_000 || !complete, "{head}");
            assert_eq!(head.contains("complete so far"), (86_400_000..172_800_000).contains(&as_of), "{head}");
            head.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(state(86_399_999, true), "books of 1970-01-02 (UTC): the day has not begun");
        assert_eq!(state(86_400_000, true), "books of 1970-01-02 (UTC): the day is not over, more may come");
        assert_eq!(state(172_800_000, true), "books of 1970-01-02 (UTC)");
        assert_eq!(state(0, false), "books of 1970-01-02 (UTC): the day is not over, more may come", "the numbers lag");
    }
}
