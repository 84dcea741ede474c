//! How values of an answer read in a table.
//!
//! Always true here: digits are the server's own; what is foreign cannot act on the terminal.

use comfy_table::{CellAlignment, Table, presets};
pub(super) use experiments::visible as shown;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::answer::Json;

/// Columns of the terminal that a name takes at most in a table, wherever that goes: one long key is no reason for all
/// lines to be long.
pub(super) const NAME_CHARS_MAX: usize = 60;
/// What is left of a name where the terminal is narrow.
const NAME_CHARS_MIN: usize = 12;
/// The blanks beside a cell, and what stands between two.
const BESIDE_CELL: usize = 3;

pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    table
}

pub fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The text in so many columns of the terminal, an ellipsis for what is left out.
pub fn cut(text: &str, columns_max: usize) -> String {
    if text.width() <= columns_max {
        return text.to_owned();
    }
    let mut room = columns_max.saturating_sub(1);
    let fits = |c: &char| {
        let left = room.checked_sub(c.width().unwrap_or(0));
        room = left.unwrap_or(0);
        left.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// A table that is no wider than the terminal, whose `width` in columns is asked of it where it is not given: cells of
/// the `names` columns are cut for that, the widest column first.
pub(super) fn fitted(header: &[&str], mut rows: Vec<Vec<String>>, names: &[usize], width: Option<u16>) -> Table {
    let mut table = table(header);
    let mut widths: Vec<usize> = header.iter().map(|title| title.width()).collect();
    for row in &rows {
        for (place, cell) in row.iter().enumerate() {
            let most = if names.contains(&place) { NAME_CHARS_MAX } else { usize::MAX };
            widths[place] = widths[place].max(cell.width().min(most));
        }
    }
    let room = width.or_else(|| table.width()).map_or(usize::MAX, usize::from);
    while widths.iter().map(|width| width + BESIDE_CELL).sum::<usize>() > room {
        let widest = names.iter().copied().max_by_key(|name| widths[*name]);
        let Some(widest) = widest.filter(|name| widths[*name] > NAME_CHARS_MIN) else { break };
        widths[widest] -= 1;
    }
    for row in &mut rows {
        names.iter().for_each(|name| row[*name] = cut(&row[*name], widths[*name]));
    }
    table.add_rows(rows);
    table
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
pub fn grouped(digits: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_takes_no_more_columns_than_it_may() {
        assert_eq!((cut("abcde", 5).as_str(), cut("abcdef", 5).as_str()), ("abcde", "abcd…"));
        assert_eq!(cut("日本語日本語", 6), "日本…", "each of them is two columns wide");
        for columns in 1..14 {
            assert!(cut("日a本b語c日d本", columns).width() <= columns, "{columns}");
        }
    }

    #[test]
    fn a_long_key_makes_no_line_longer_than_the_terminal() {
        let row =
            |key: &str| vec![key.to_owned(), "0 = true".to_owned(), "1,234".to_owned(), "2026-01-15 12:34".to_owned()];
        let of = |width| {
            let rows = vec![row(&"long".repeat(64)), row("short"), row(&"日本".repeat(60))];
            fitted(&["flag", "variation", "count", "last seen"], rows, &[0, 1], width).to_string()
        };
        let widest = |printed: &str| printed.lines().map(UnicodeWidthStr::width).max().unwrap();
        for width in [60, 80, 100] {
            let printed = of(Some(width));
            assert!(widest(&printed) <= usize::from(width), "{width}:\n{printed}");
            assert!(printed.contains("longlong") && printed.contains('…') && printed.contains(" short "), "{printed}");
            assert!(printed.contains(" 0 = true ") && printed.contains("2026-01-15 12:34"), "{printed}");
        }
        let piped = of(None);
        assert!((80..=120).contains(&widest(&piped)), "no terminal: {}\n{piped}", widest(&piped));
    }
}
