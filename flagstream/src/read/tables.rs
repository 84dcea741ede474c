//! Answers as tables for people.
//!
//! Always true here: digits are the server's own; what is not exact says so (`≈` sampled by an SDK, `≥` a counter that has
//! stopped at its limit), and so does what is beyond a limit of rows (`other`).

use comfy_table::{CellAlignment, Table, presets};

use super::answer::Json;

/// Evaluations: a row an item, in the server's order, its series below it.
pub(super) fn evaluations(answer: &Json) -> String {
    let items = answer["items"].items();
    let optional: Vec<&str> = ["version", "application", "sdk", "reason"]
        .into_iter()
        .filter(|field| items.iter().any(|item| item.has(field)))
        .collect();
    let mut header = vec!["flag", "variation"];
    header.extend(&optional);
    header.extend(["count", "first seen", "last seen"]);
    let mut table = table(&header);
    for item in items {
        let mut row = vec![name(item, "flag"), variation(item)];
        row.extend(optional.iter().map(|field| text(&item[*field])));
        row.extend([count(item, "count"), time(&item["firstSeen"]), time(&item["lastSeen"])]);
        table.add_row(row);
        for point in item["series"].items() {
            let mut row = vec![String::new(), String::new()];
            row.extend(optional.iter().map(|_| String::new()));
            row.extend([grouped(&text(&point[1])), time(&point[0]), String::new()]);
            table.add_row(row);
        }
    }
    right(&mut table, header.len() - 3);
    format!("{table}\n{}", foot(answer))
}

/// Custom events.
pub(super) fn events(answer: &Json) -> String {
    let mut table = table(&["event", "count", "with a value", "sum of values"]);
    for item in answer["items"].items() {
        table.add_row([name(item, "key"), count(item, "count"), count(item, "metricCount"), text(&item["metricSum"])]);
    }
    for column in 1..4 {
        right(&mut table, column);
    }
    format!("{table}\n{}", foot(answer))
}

/// The books of a day.
pub(super) fn books(answer: &Json) -> String {
    let mut table = table(&["books", "events"]);
    for field in ["accepted", "counted", "duplicate", "late", "poison"] {
        table.add_row([field.to_owned(), count(answer, field)]);
    }
    for (reason, number) in answer["rejected"].fields() {
        table.add_row([format!("rejected: {}", shown(reason)), grouped(&text(number))]);
    }
    for (field, meaning) in [("clamped", "clamped time"), ("withoutId", "payloads without an id")] {
        if answer.has(field) {
            table.add_row([meaning.to_owned(), count(answer, field)]);
        }
    }
    right(&mut table, 1);
    format!("{table}\n{}", foot(answer))
}

/// Lag by partition, and what the server warns of.
pub(super) fn pipeline(answer: &Json) -> String {
    let partitions = answer["partitions"].items();
    let fields: Vec<&String> = partitions.iter().take(1).flat_map(Json::fields).map(|(field, _)| field).collect();
    let mut table = table(&fields.iter().map(|field| field.as_str()).collect::<Vec<_>>());
    for partition in partitions {
        table.add_row(fields.iter().map(|field| text(&partition[field.as_str()])));
    }
    let lag = &answer["lag"];
    let warnings = answer["warnings"].items().iter().map(|warning| format!("\nwarning: {}", text(warning)));
    let warnings: String = warnings.collect();
    format!("lag: {} records, {} s\n{table}{warnings}", text(&lag["records"]), text(&lag["seconds"]))
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}

fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// A name, or `other` for what is beyond a limit of names.
fn name(item: &Json, field: &str) -> String {
    if item[field] == Json::Null && item["other"].is_true() { "other".to_owned() } else { text(&item[field]) }
}

fn variation(item: &Json) -> String {
    let name = if item["default"].is_true() { "default".to_owned() } else { name(item, "variation") };
    let other = if item["other"].is_true() && name != "other" { " (other)" } else { "" };
    match &item["value"] {
        Json::Null => format!("{name}{other}"),
        value => format!("{name} = {}{other}", shown(&value.to_string())),
    }
}

/// A count, with what is known of its truth.
fn count(item: &Json, field: &str) -> String {
    let mark = if item["saturated"].is_true() {
        "≥ "
    } else if item["estimated"].is_true() {
        "≈ "
    } else {
        ""
    };
    format!("{mark}{}", grouped(&text(&item[field])))
}

/// Thousands apart: `1,234,567`.
fn grouped(digits: &str) -> String {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.to_owned();
    }
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    digits.char_indices().flat_map(|(place, c)| comma(place).then_some(',').into_iter().chain([c])).collect()
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => "–".to_owned(),
        Json::Text(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// Characters that would not show, or would change how others show; the page has the same list.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A foreign string with what does not show, or changes how others show, made visible.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    shown
}

fn time(value: &Json) -> String {
    let Json::Number(digits) = value else { return text(value) };
    let time = digits.parse().ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| digits.clone(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

fn foot(answer: &Json) -> String {
    let state = if answer["complete"].is_true() { "complete" } else { "incomplete: the numbers lag the log" };
    let mut foot = format!("as of {} UTC, {state}", time(&answer["asOf"]));
    if answer.has("basis") {
        foot += &format!("; of {}", text(&answer["basis"]));
    }
    let any = |mark: &str| answer["items"].items().iter().chain([answer]).any(|item| item[mark].is_true());
    if any("estimated") {
        foot += "\n≈ some of it was sampled by the SDK";
    }
    if any("saturated") {
        foot += "\n≥ at least: the counter has stopped at its limit";
    }
    foot
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn json(text: &str) -> Json {
        Answer::read(text).unwrap().json().unwrap()
    }

    #[test]
    fn a_hostile_key_cannot_move_the_cursor() {
        let hostile = "\\u001b\\u202e\\u200b\\u200d\\u061c\\u2028\\u2029\\ufeff";
        let answer = format!(
            r#"{{"items": [{{"flag": "a{hostile}b", "variation": 0, "count": 3}}], "asOf": 0, "complete": true}}"#
        );
        let printed = evaluations(&json(&answer));
        assert!(!printed.chars().any(|c| c != '\n' && is_hidden(c)), "{printed:?}");
        let visible = "a\\u{1b}\\u{202e}\\u{200b}\\u{200d}\\u{61c}\\u{2028}\\u{2029}\\u{feff}b";
        assert!(printed.contains(visible) && printed.contains('3'), "{printed}");
    }

    #[test]
    fn the_books_show_every_reason() {
        let answer = r#"{"accepted": 5000, "counted": 4998, "duplicate": 1, "late": 1, "poison": 0,
            "rejected": {"unknown_kind": 7}, "withoutId": 6, "saturated": true}"#;
        let printed = books(&json(answer));
        for part in ["accepted", "≥ 5,000", "rejected: unknown_kind", "7", "payloads without an id", "6", "≥ at least"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }

    #[test]
    fn what_is_not_exact_says_so() {
        let answer = r#"{"items": [
            {"flag": "a", "variation": 1, "count": 1234, "estimated": true},
            {"flag": "a", "variation": null, "other": true, "count": 12},
            {"flag": "a", "variation": 2, "other": true, "version": 3, "count": 12},
            {"flag": "b", "variation": 0, "count": 18446744073709551615, "saturated": true}
        ], "asOf": 0, "complete": true, "basis": "full events only"}"#;
        let printed = evaluations(&json(answer));
        let parts = [
            " ≈ 1,234",
            " other ",
            " 2 (other) ",
            " ≥ 18,446,744,073,709,551,615",
            "; of full events only",
            "\n≈",
            "\n≥",
        ];
        for part in parts {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        let exact = evaluations(&json(r#"{"items": [{"flag": "a", "variation": 1, "count": 1}], "complete": true}"#));
        assert!(!exact.contains(['≈', '≥']) && !exact.contains("other"), "{exact}");
    }

    #[test]
    fn sums_and_counts_keep_their_digits() {
        let answer = r#"{"items": [{"key": "paid", "count": 9007199254740993, "metricCount": 2,
            "metricSum": 63999999999999.999936}]}"#;
        let printed = events(&json(answer));
        assert!(printed.contains("9,007,199,254,740,993") && printed.contains("63999999999999.999936"), "{printed}");
    }

    #[test]
    fn warnings_of_the_pipeline_are_shown() {
        let answer = r#"{"partitions": [{"partition": 0, "lag": 2}], "lag": {"records": 2, "seconds": 0.5}, "warnings": ["the window is short"]}"#;
        let printed = pipeline(&json(answer));
        assert!(printed.contains("0.5 s") && printed.ends_with("warning: the window is short"), "{printed}");
    }
}
