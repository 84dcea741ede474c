//! The list as CSV (RFC 4180), for spreadsheets.
//!
//! Always true here: a cell that a spreadsheet would take for a formula begins with a single quote; a cell with a comma or a
//! quotation mark stands in quotation marks, its own doubled.

use super::entry::Entry;
use super::shown::{HEADER, row, visible};

/// What begins a formula; the wide forms do in some languages. Tab and CR are told by what the text was, for they
/// are made visible.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) fn write(entries: &[Entry]) -> String {
    let header = HEADER.map(str::to_owned);
    let lines = std::iter::once(header).chain(entries.iter().map(row));
    lines.map(|cells| cells.map(|cell| cell_of(&cell)).join(",") + "\r\n").collect()
}

fn cell_of(text: &str) -> String {
    let quote = if text.starts_with(FORMULA) { "'" } else { "" };
    let guarded = format!("{quote}{}", visible(text));
    if guarded.contains([',', '"']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_a_formula_is_quoted() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "'\\u{9}=1"),
            ("\r1", "'\\u{d}1"),
            ("a=1", "a=1"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("a,b", "\"a,b\""),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(cell_of(text), expected, "{text}");
        }
    }
}
