//! The list as CSV (RFC 4180), for spreadsheets.
//!
//! Always true here: every cell stands in quotation marks; where one begins that a spreadsheet would take for a formula, a
//! single quote stands before it. Some spreadsheets split lines at semicolons, so a cell may begin behind one of these too.

use csv::{QuoteStyle, Terminator, WriterBuilder};

use super::entry::Entry;
use super::shown::{Cell, HEADER, row};
use crate::hidden::visible;

/// What begins a formula; the wide forms do in some languages. Tab and CR are told by what the text was, for they
/// are made visible.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// # Errors
/// None that is known: rows are of one length, and memory takes them all.
pub(super) fn write(entries: &[Entry]) -> Result<String, csv::Error> {
    let terminator = Terminator::CRLF;
    let mut lines = WriterBuilder::new().terminator(terminator).quote_style(QuoteStyle::Always).from_writer(Vec::new());
    lines.write_record(HEADER)?;
    for entry in entries {
        lines.write_record(row(entry).map(|(Cell::Own(text) | Cell::Foreign(text))| harmless(&text)))?;
    }
    let bytes = lines.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text with nothing in it that a spreadsheet would reckon.
fn harmless(text: &str) -> String {
    let part = |part: &str| {
        let quote = if part.trim_start_matches(' ').starts_with(FORMULA) { "'" } else { "" };
        format!("{quote}{}", visible(part))
    };
    text.split(';').map(part).collect::<Vec<_>>().join(";")
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
            ("x;=1+1", "x;'=1+1"),
            ("x; -1", "x;' -1"),
            ("a=1", "a=1"),
            ("a\r\nb", "a\\u{d}\\u{a}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("plain;text", "plain;text"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), expected, "{text}");
        }
    }
}
