//! Rows of a file of flags: a JSON list, a JSON object by flag, or CSV with a header.
//!
//! Always true here: each row knows its line (from 1) and is either good, by the server's own rules, or says what is wrong.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A flag's row.
#[derive(Debug)]
pub struct Row {
    /// Its line, from 1.
    pub line: usize,
    /// The flag and its fields, or what is wrong.
    pub said: Result<(String, Map<String, Value>), String>,
}

/// Reads all rows.
///
/// # Errors
/// When the file as a whole cannot be read.
pub fn read(text: &str, name: &str) -> anyhow::Result<Vec<Row>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = match text.trim_start().chars().next() {
        Some('[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).context("it is no JSON list")?;
            items.iter().map(|item| Row { line: line_of(text, item), said: of_item(item) }).collect()
        }
        Some('{') => {
            let flags: BTreeMap<String, &RawValue> = serde_json::from_str(text).context("it is no JSON object")?;
            flags.iter().map(|(key, raw)| Row { line: line_of(text, raw), said: of_flag(key, raw) }).collect()
        }
        Some(_) => of_csv(text)?,
        None => Vec::new(),
    };
    ensure!(!rows.is_empty(), "{name} has no rows: give a JSON list, an object by flag, or CSV with a header");
    let mut before = BTreeSet::new();
    for row in &mut rows {
        let twice = row.said.as_ref().is_ok_and(|(key, _)| !before.insert(key.clone()));
        if twice {
            row.said = Err("the same flag stands in an earlier row too".to_owned());
        }
    }
    Ok(rows)
}

fn line_of(text: &str, part: &RawValue) -> usize {
    let at = part.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

fn of_item(item: &RawValue) -> Result<(String, Map<String, Value>), String> {
    let mut fields = object(item)?;
    match fields.remove("key") {
        Some(Value::String(key)) => checked(key, fields),
        _ => Err("field `key` is missing or no text; allowed: the flag's key".to_owned()),
    }
}

fn of_flag(key: &str, raw: &RawValue) -> Result<(String, Map<String, Value>), String> {
    checked(key.to_owned(), object(raw)?)
}

fn object(raw: &RawValue) -> Result<Map<String, Value>, String> {
    serde_json::from_str(raw.get()).map_err(|_| "it is no JSON object".to_owned())
}

fn checked(key: String, fields: Map<String, Value>) -> Result<(String, Map<String, Value>), String> {
    experiments::check_flag_metadata(&key, &fields)?;
    Ok((key, fields))
}

fn of_csv(text: &str) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().context("it has no header")?.clone();
    ensure!(header.iter().any(|name| name == "key"), "its header has no column `key`; it has: {:?}", &header);
    let mut rows = Vec::new();
    for record in reader.records() {
        let place = |position: Option<&csv::Position>| position.map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
        rows.push(match record {
            Ok(record) => Row { line: place(record.position()), said: of_record(&header, &record) },
            Err(error) => Row { line: place(error.position()), said: Err(error.to_string()) },
        });
    }
    Ok(rows)
}

fn of_record(header: &csv::StringRecord, record: &csv::StringRecord) -> Result<(String, Map<String, Value>), String> {
    let mut fields = Map::new();
    let mut key = String::new();
    // An empty cell is a field that is not known.
    for (name, cell) in header.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        if name == "key" {
            cell.clone_into(&mut key);
        } else {
            fields.insert(name.to_owned(), of_cell(name, cell));
        }
    }
    checked(key, fields)
}

/// Lists are keys with blanks or semicolons between; owners are texts; of the others a number is a number.
fn of_cell(name: &str, cell: &str) -> Value {
    match (name, cell.to_ascii_lowercase().as_str()) {
        ("owner" | "type", _) => Value::from(cell),
        ("dependents" | "prerequisites", _) => {
            cell.split([';', ' ']).filter(|key| !key.is_empty()).map(Value::from).collect()
        }
        (_, "true" | "yes") => Value::Bool(true),
        (_, "false" | "no") => Value::Bool(false),
        _ => cell.parse::<i64>().map_or_else(|_| Value::from(cell), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let shown = |row: Row| match row.said {
            Ok((key, fields)) => format!("{} {key} {}", row.line, Value::Object(fields)),
            Err(what) => format!("{} wrong: {what}", row.line),
        };
        read(text, "flags").unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let list =
            "[\n{\"key\":\"a\",\"createdAt\":5,\"temporary\":true},\n{\"key\":\"b\",\"dependents\":[\"a\",\"c\"]}]";
        let object = "{\n\"a\":{\"createdAt\":5,\"temporary\":true},\n\"b\":{\"dependents\":[\"a\",\"c\"]}}";
        let csv = "key,createdAt,temporary,dependents\na,5,yes,\nb,,,a;c\n";
        let expected = [r#"2 a {"createdAt":5,"temporary":true}"#, r#"3 b {"dependents":["a","c"]}"#];
        for text in [list, object, csv] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn bad_rows_have_their_line_and_what_is_allowed() {
        let rows = told(
            "[{\"key\":\"a\"},\n{\"key\":\"a\"},\n{\"temporary\":true},\n7,\n{\"key\":\"b\",\"type\":\"toggle\"}]",
        );
        for (row, words) in
            rows[1..].iter().zip(["2 wrong: the same", "3 wrong: field `key`", "4 wrong: it is no", "5 wrong"])
        {
            assert!(row.starts_with(words), "{row}");
        }
        assert!(rows[4].contains("kill-switch"), "{}", rows[4]);
        let rows = told("key,createdAt\na,soon\nb,1,2\nc,3\n");
        assert!(rows[0].starts_with("2 wrong: field `createdAt` is \"soon\""), "{rows:?}");
        assert!(rows[1].starts_with("3 wrong") && rows[2].starts_with("4 c"), "{rows:?}");
        assert!(read("flag\na\n", "x").unwrap_err().to_string().contains("no column `key`"));
        assert!(read(" ", "x").unwrap_err().to_string().contains("no rows"));
    }
}
