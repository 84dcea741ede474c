//! Lists as CSV (RFC 4180), for spreadsheets.
//!
//! Always true here: every cell stands in quotation marks; where one begins that a spreadsheet would take for a
//! formula, a single quote stands before it. Some spreadsheets split lines at semicolons, so a cell may begin behind
//! one of these too.

use axum::http::StatusCode;
use csv::{QuoteStyle, Terminator, WriterBuilder};

use super::entry::Entry;
use super::shown::{HEADER, row};
use crate::hidden::visible;
use crate::refusal::Refusal;

/// What begins a formula; the wide forms do in some languages. Tab and CR are told by what the text was, for they
/// are made visible.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

pub(super) const KIND: &str = "text/csv; charset=utf-8; header=present";

pub(super) fn write(entries: &[Entry]) -> Result<String, Refusal> {
    table(HEADER, entries.iter().map(row))
}

/// A header and its rows. There is no error that is known: rows are of one length, and memory takes them all.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<String, Refusal> {
    written(header, rows).map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the list cannot be written: {error}"))
    })
}

fn written<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<String, csv::Error> {
    let terminator = Terminator::CRLF;
    let mut lines = WriterBuilder::new().terminator(terminator).quote_style(QuoteStyle::Always).from_writer(Vec::new());
    lines.write_record(header)?;
    for row in rows {
        lines.write_record(row.map(|text| harmless(&text)))?;
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
