//! Answers as tables for people.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

/// Evaluations: a row an item, largest count first within a flag as the server gives them.
pub(super) fn evaluations(answer: &Value) -> String {
    let items = items(answer);
    let optional: Vec<&str> = ["version", "application", "sdk", "reason"]
        .into_iter()
        .filter(|field| items.iter().any(|item| item.get(field).is_some()))
        .collect();
    let mut header = vec!["flag", "variation"];
    header.extend(&optional);
    header.extend(["count", "first seen", "last seen"]);
    let mut table = table(&header);
    for item in items {
        let mut row = vec![text(&item["flag"]), variation(item)];
        row.extend(optional.iter().map(|field| text(&item[field])));
        row.extend([text(&item["count"]), time(&item["firstSeen"]), time(&item["lastSeen"])]);
        table.add_row(row);
        for point in item["series"].as_array().into_iter().flatten() {
            let mut row = vec![String::new(), String::new()];
            row.extend(optional.iter().map(|_| String::new()));
            row.extend([text(&point[1]), time(&point[0]), String::new()]);
            table.add_row(row);
        }
    }
    right(&mut table, header.len() - 3);
    format!("{table}\n{}", foot(answer))
}

/// Custom events.
pub(super) fn events(answer: &Value) -> String {
    let mut table = table(&["event", "count", "with a value", "sum of values"]);
    for item in items(answer) {
        table.add_row([text(&item["key"]), text(&item["count"]), text(&item["metricCount"]), text(&item["metricSum"])]);
    }
    for column in 1..4 {
        right(&mut table, column);
    }
    format!("{table}\n{}", foot(answer))
}

/// The books of a day.
pub(super) fn books(answer: &Value) -> String {
    let mut table = table(&["books", "events"]);
    for field in ["accepted", "counted", "duplicate", "late", "poison"] {
        table.add_row([field.to_owned(), text(&answer[field])]);
    }
    for (reason, number) in answer["rejected"].as_object().into_iter().flatten() {
        table.add_row([format!("rejected: {}", shown(reason)), text(number)]);
    }
    right(&mut table, 1);
    format!("{table}\n{}", foot(answer))
}

/// Lag by partition.
pub(super) fn pipeline(answer: &Value) -> String {
    let partitions = answer["partitions"].as_array().map_or(&[][..], Vec::as_slice);
    let fields: Vec<&String> =
        partitions.first().and_then(Value::as_object).into_iter().flat_map(|p| p.keys()).collect();
    let mut table = table(&fields.iter().map(|field| field.as_str()).collect::<Vec<_>>());
    for partition in partitions {
        table.add_row(fields.iter().map(|field| text(&partition[field.as_str()])));
    }
    let lag = &answer["lag"];
    format!("lag: {} records, {} s\n{table}", text(&lag["records"]), text(&lag["seconds"]))
}

fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map_or(&[], Vec::as_slice)
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

fn variation(item: &Value) -> String {
    let name = if item["default"] == Value::Bool(true) { "default".to_owned() } else { text(&item["variation"]) };
    match item.get("value") {
        Some(value) if !value.is_null() => format!("{name} = {}", shown(&value.to_string())),
        _ => name,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// A foreign string with control characters and direction marks made visible.
fn shown(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().flat_map(|c| if hidden(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }).collect()
}

fn time(value: &Value) -> String {
    match value {
        Value::Number(ms) => ms
            .as_i64()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .map_or_else(|| ms.to_string(), |time| time.strftime("%Y-%m-%d %H:%M").to_string()),
        other => text(other),
    }
}

fn foot(answer: &Value) -> String {
    let state =
        if answer["complete"] == Value::Bool(true) { "complete" } else { "incomplete: the numbers lag the log" };
    format!("as of {} UTC, {state}", time(&answer["asOf"]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hostile_key_cannot_move_the_cursor() {
        let answer = json!({"items": [{"flag": "a\u{1b}[2Jb\u{202e}", "variation": 0, "count": 3}], "asOf": 0, "complete": true});
        let printed = evaluations(&answer);
        assert!(!printed.contains('\u{1b}') && !printed.contains('\u{202e}'), "{printed:?}");
        assert!(printed.contains("a\\u{1b}[2Jb\\u{202e}") && printed.contains('3'), "{printed}");
    }

    #[test]
    fn the_books_show_every_reason() {
        let answer = json!({"accepted": 5, "counted": 3, "duplicate": 1, "late": 1, "poison": 0, "rejected": {"unknown_kind": 7}});
        let printed = books(&answer);
        for part in ["accepted", "5", "rejected: unknown_kind", "7"] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }
}
