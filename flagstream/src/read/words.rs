//! How values of an answer read in a table.
//!
//! Always true here: digits are the server's own; what is foreign cannot act on the terminal.

use comfy_table::{CellAlignment, Table, presets};
pub(super) use experiments::visible as shown;

use super::answer::Json;

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}

pub(super) fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// A name, or `other` for what is beyond a limit of names.
pub(super) fn name(item: &Json, field: &str) -> String {
    if item[field] == Json::Null && item["other"].is_true() { "other".to_owned() } else { text(&item[field]) }
}

/// A count, with what is known of its truth.
pub(super) fn count(item: &Json, field: &str) -> String {
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
pub(super) fn grouped(digits: &str) -> String {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return digits.to_owned();
    }
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    digits.char_indices().flat_map(|(place, c)| comma(place).then_some(',').into_iter().chain([c])).collect()
}

pub(super) fn text(value: &Json) -> String {
    match value {
        Json::Null => "–".to_owned(),
        Json::Text(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// A time to the minute.
pub(super) fn time(value: &Json) -> String {
    moment(value, "%Y-%m-%d %H:%M")
}

/// A time to the second, for what is watched while it moves.
pub(super) fn second(value: &Json) -> String {
    moment(value, "%Y-%m-%d %H:%M:%S")
}

/// Milliseconds as a length of time: `90 s`, `12 min`, `5 h`.
pub(super) fn length(value: &Json) -> String {
    let Some(seconds) = number(value).map(|ms| ms / 1000) else { return text(value) };
    match seconds {
        ..600 => format!("{seconds} s"),
        600..36_000 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// A whole number, to compare with another.
pub(super) fn number(value: &Json) -> Option<i64> {
    if let Json::Number(digits) = value { digits.parse().ok() } else { None }
}

fn moment(value: &Json, form: &str) -> String {
    let Some(ms) = number(value) else { return text(value) };
    let time = jiff::Timestamp::from_millisecond(ms);
    time.map_or_else(|_| ms.to_string(), |time| time.strftime(form).to_string())
}
