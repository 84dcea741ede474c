//! Rows of a file of flags: a JSON list, a JSON object by flag, or CSV with a header.
//!
//! Always true here: each row knows its line (from 1) and is either good, by the server's own rules, or says what is
//! wrong.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail, ensure};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Rows of one file: as many as flags of an environment are kept apart.
const ROWS_MAX: usize = 10_000;

/// A flag's row.
#[derive(Debug)]
pub struct Row {
    /// Its line, from 1.
    pub line: usize,
    /// The flag; empty = none is named.
    pub key: String,
    /// Its fields, or what is wrong.
    pub said: Result<Map<String, Value>, String>,
}

/// Reads all rows, as they may be sent at `now_ms` (Unix milliseconds).
///
/// # Errors
/// When the file as a whole cannot be read.
pub fn read(text: &str, name: &str, now_ms: i64) -> anyhow::Result<Vec<Row>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines::of(text);
    let mut rows = match text.trim_start().chars().next() {
        Some('[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).context("it is no JSON list")?;
            items.into_iter().map(|item| of_item(lines.line_of(item), item)).collect()
        }
        Some('{') => {
            let flags: Members = serde_json::from_str(text).context("it is no JSON object")?;
            let row = |(key, raw): (String, &RawValue)| Row { line: lines.line_of(raw), said: object(raw), key };
            flags.0.into_iter().map(row).collect()
        }
        Some(_) if name.ends_with(".json") || serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            bail!("it is no JSON list of flags, and no JSON object by flag")
        }
        Some(_) => of_csv(text)?,
        None => Vec::new(),
    };
    ensure!(!rows.is_empty(), "{name} has no rows: give a JSON list, an object by flag, or CSV with a header");
    ensure!(
        rows.len() <= ROWS_MAX,
        "{name} has {} rows, and at most {ROWS_MAX} are taken at once, as many as an environment may have flags; is it the \
         right file? Split it, if it is",
        rows.len()
    );
    let mut before = BTreeSet::new();
    for row in &mut rows {
        if let Ok(fields) = &row.said
            && let Err(what) = experiments::check_flag_metadata(&row.key, fields, now_ms)
        {
            row.said = Err(what);
        }
        if let Ok(fields) = &mut row.said {
            experiments::shorten_code_references(fields);
        }
        if !row.key.is_empty() && !before.insert(row.key.clone()) {
            row.said = Err("the same flag stands in an earlier row too".to_owned());
        }
    }
    Ok(rows)
}

/// The line of each part, asked in the order of the text: each line break is looked at once.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0, line: 1 }
    }

    fn line_of(&mut self, part: &RawValue) -> usize {
        let at = part.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        self.line += self.text.as_bytes().get(self.at..at).unwrap_or_default().iter().filter(|b| **b == b'\n').count();
        self.at = at;
        self.line
    }
}

/// A JSON object's members in their order; one that stands there twice is there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn of_item(line: usize, item: &RawValue) -> Row {
    let mut key = String::new();
    let said = object(item).and_then(|mut fields| match fields.remove("key") {
        Some(Value::String(named)) if !named.is_empty() => {
            key = named;
            Ok(fields)
        }
        _ => Err("field `key` is missing or no text; allowed: the flag's key".to_owned()),
    });
    Row { line, key, said }
}

fn object(raw: &RawValue) -> Result<Map<String, Value>, String> {
    let members: Members = serde_json::from_str(raw.get()).map_err(|_| {
        let value: String = raw.get().chars().take(100).collect();
        format!("{value} is no JSON object; give fields, like {{\"owner\": \"web\"}}")
    })?;
    let mut fields = Map::new();
    for (name, value) in members.0 {
        let value = serde_json::from_str(value.get()).map_err(|error| format!("field {name:?}: {error}"))?;
        if fields.insert(name.clone(), value).is_some() {
            return Err(format!("field {name:?} stands there twice"));
        }
    }
    Ok(fields)
}

fn of_csv(text: &str) -> anyhow::Result<Vec<Row>> {
    if let Some(line) = unclosed(text) {
        bail!("the quote in line {line} is not closed on that line: close it, or double a quote that is meant (\"\")");
    }
    // The library takes the second half of a line break of two for the next row's first line.
    let text = text.replace("\r\n", "\n");
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().context("it has no header")?.clone();
    check_header(&header)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let place = |position: Option<&csv::Position>| position.map_or(0, |at| line_at(&text, at));
        rows.push(match record {
            Ok(record) => {
                let mut row = of_record(place(record.position()), &header, &record);
                if let Some(what) = misfit(&header, &record) {
                    row.said = Err(what);
                }
                row
            }
            Err(error) => Row { line: place(error.position()), key: String::new(), said: Err(error.to_string()) },
        });
    }
    Ok(rows)
}

/// The line with a quoted cell that does not end on it: no field has line breaks, so a quote is missing, and all rows
/// until the next quote would be taken for one cell.
fn unclosed(text: &str) -> Option<usize> {
    let (mut inside, mut at_start, mut line) = (false, true, 1);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if inside && characters.peek() == Some(&'"') => {
                characters.next();
            }
            '"' if inside => inside = false,
            '"' if at_start => inside = true,
            '\n' if inside => return Some(line),
            '\n' => line += 1,
            _ => {}
        }
        at_start = !inside && matches!(character, ',' | '\n' | '\r');
    }
    inside.then_some(line)
}

fn check_header(header: &csv::StringRecord) -> anyhow::Result<()> {
    if header.iter().any(|name| name == "key") {
        return Ok(());
    }
    let names: Vec<String> = header.iter().map(|name| name.escape_debug().to_string()).collect();
    let hint = if header.iter().any(|name| name.eq_ignore_ascii_case("key")) {
        "write `key` in small letters"
    } else if header.len() == 1 && header.iter().any(|name| name.contains([';', '\t'])) {
        "separate columns by commas, not by semicolons or tabs"
    } else {
        "name the column of flag keys `key`"
    };
    bail!("its header has no column `key`; it has: {}; {hint}", names.join(", "))
}

/// The line of a record: the library tells where it began to look for it, which may be at empty lines before it.
fn line_at(text: &str, position: &csv::Position) -> usize {
    let number = |number: u64| usize::try_from(number).unwrap_or(0);
    let behind = text.as_bytes().get(number(position.byte())..).unwrap_or_default();
    number(position.line()) + behind.iter().take_while(|byte| **byte == b'\n').count()
}

/// What is wrong with a row that has not as many cells as the header.
fn misfit(header: &csv::StringRecord, record: &csv::StringRecord) -> Option<String> {
    let cells = |number: usize| format!("{number} cell{}", if number == 1 { "" } else { "s" });
    if record.len() < header.len() {
        let missing: Vec<String> =
            header.iter().skip(record.len()).map(|name| name.escape_debug().to_string()).collect();
        return Some(format!(
            "it has {} of {}: {} is missing; a cell of which nothing is said is left empty, and its comma stays",
            cells(record.len()),
            header.len(),
            missing.join(", ")
        ));
    }
    (record.len() > header.len()).then(|| {
        format!(
            "it has {}, and the header {}; a cell with a comma in it stands in quotation marks",
            cells(record.len()),
            header.len()
        )
    })
}

fn of_record(line: usize, header: &csv::StringRecord, record: &csv::StringRecord) -> Row {
    let mut fields = Map::new();
    let mut key = String::new();
    let mut twice = None;
    // An empty cell says nothing.
    for (name, cell) in header.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        if name == "key" {
            cell.clone_into(&mut key);
        } else if fields.insert(name.to_owned(), of_cell(name, cell)).is_some() {
            twice = Some(format!("column {name:?} stands there twice"));
        }
    }
    Row { line, key, said: twice.map_or(Ok(fields), Err) }
}

/// Lists are keys with blanks or semicolons between; owners are texts; of the others a number is a number; `null` ends
/// what was known.
fn of_cell(name: &str, cell: &str) -> Value {
    match (name, cell.to_ascii_lowercase().as_str()) {
        (_, "null") => Value::Null,
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

    /// 2026-01-15
    const NOW: i64 = 1_768_480_496_789;

    fn told(text: &str) -> Vec<String> {
        let shown = |row: Row| match row.said {
            Ok(fields) => format!("{} {} {}", row.line, row.key, Value::Object(fields)),
            Err(what) => format!("{} wrong: {what}", row.line),
        };
        read(text, "flags", NOW).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let list = "[\n{\"key\":\"a\",\"createdAt\":1767225600000,\"temporary\":true},\n{\"key\":\"b\",\"dependents\":[\"a\",\"c\"]}]";
        let object =
            "{\n\"a\":{\"createdAt\":1767225600000,\"temporary\":true},\n\"b\":{\"dependents\":[\"a\",\"c\"]}}";
        let csv = "key,createdAt,temporary,dependents\na,1767225600000,yes,\nb,,,a;c\n";
        let expected = [r#"2 a {"createdAt":1767225600000,"temporary":true}"#, r#"3 b {"dependents":["a","c"]}"#];
        for text in [list, object, csv] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn places_in_code_may_be_listed() {
        let many = vec![r#"{"file":"web/cart.ts","line":4}"#; 1000].join(",");
        let told = |places: &str| told(&format!(r#"[{{"key":"a","codeReferences":{places}}}]"#)).remove(0);
        assert_eq!(told("[]"), r#"1 a {"codeReferences":0}"#);
        let one = r#"1 a {"codePlaces":[{"file":"a.rs","line":1}],"codeReferences":1}"#;
        assert_eq!(told(r#"["a.rs:1"]"#), one);
        // The number is of all, and no more are sent than are kept.
        let long = told(&format!("[{many}]"));
        assert!(long.ends_with(r#"],"codeReferences":1000}"#) && long.matches("web/cart.ts").count() == 20, "{long}");
    }

    #[test]
    fn bad_rows_have_their_line_and_what_is_allowed() {
        let rows = told(
            "[{\"key\":\"a\"},\n{\"key\":\"a\"},\n{\"temporary\":true},\n7,\n{\"key\":\"b\",\"type\":\"toggle\"}]",
        );
        for (row, words) in
            rows[1..].iter().zip(["2 wrong: the same", "3 wrong: field `key`", "4 wrong: 7 is no", "5 wrong"])
        {
            assert!(row.starts_with(words), "{row}");
        }
        assert!(rows[4].contains("kill-switch"), "{}", rows[4]);
        let rows = told("key,createdAt\na,soon\nb,1,2\nc,2026-01-01\n");
        assert!(rows[0].starts_with("2 wrong: field `createdAt` is \"soon\""), "{rows:?}");
        assert_eq!(
            rows[1],
            "3 wrong: it has 3 cells, and the header 2; a cell with a comma in it stands in quotation marks"
        );
        assert!(rows[2].starts_with("4 c"), "{rows:?}");
        let short = told("key,owner,type,createdAt\na,web\n\nb\nc,web,,\n");
        assert!(short[0].starts_with("2 wrong: it has 2 cells of 4: type, createdAt is missing"), "{short:?}");
        assert!(
            short[1].starts_with("4 wrong: it has 1 cell of 4: owner, type, createdAt")
                && short[2] == r#"5 c {"owner":"web"}"#,
            "{short:?}"
        );
        let wrong = |text: &str, name: &str| format!("{:#}", read(text, name, NOW).unwrap_err());
        for (text, name, words) in [
            ("flag,owner\na,web\n", "x", "no column `key`; it has: flag, owner; name the column"),
            ("Key,owner\na,web\n", "x", "small letters"),
            ("key;owner\na;web\n", "x", "by commas"),
            ("key\towner\na\tweb\n", "x", "it has: key\\towner; separate columns by commas"),
            (" ", "x", "no rows"),
            ("null", "-", "no JSON list of flags, and no JSON object"),
            ("key", "x.json", "no JSON list of flags, and no JSON object"),
            ("key,owner\na,\"web\nb,shop\n", "x", "the quote in line 2 is not closed"),
            ("key,owner\na,web\nb,\"shop\nc,\"web\"\n", "x", "the quote in line 3 is not closed"),
        ] {
            assert!(wrong(text, name).contains(words), "{text}: {}", wrong(text, name));
        }
    }

    #[test]
    fn a_file_with_more_rows_than_flags_is_refused_as_a_whole() {
        let rows = |number: usize| (0..number).map(|row| format!("f{row},web\n")).collect::<String>();
        assert_eq!(read(&format!("key,owner\n{}", rows(10_000)), "x", NOW).unwrap().len(), 10_000);
        let said = read(&format!("key,owner\n{}", rows(10_001)), "x", NOW).unwrap_err().to_string();
        assert!(said.starts_with("x has 10001 rows, and at most 10000 are taken"), "{said}");
    }

    #[test]
    fn quotes_that_are_closed_are_read() {
        assert_eq!(told("key,owner\r\n\"a\",\"web, \"\"shop\"\"\"\r\n"), [r#"2 a {"owner":"web, \"shop\""}"#]);
    }

    #[test]
    fn what_stands_there_twice_is_refused_and_flags_are_named() {
        let object = "{\"a\":{\"owner\":\"x\",\"owner\":\"y\"},\n\"b\":{},\"b\":{\"owner\":\"z\"},\"c\":7}";
        let rows = read(object, "x", NOW).unwrap();
        let wrong: Vec<_> = rows.iter().map(|row| (row.line, row.key.as_str(), row.said.clone().err())).collect();
        let says = |at: usize, words: &str| wrong[at].2.as_ref().is_some_and(|what| what.contains(words));
        assert_eq!((wrong[0].1, wrong[1].1, wrong[2].1, wrong[3].1), ("a", "b", "b", "c"));
        assert!(says(0, "field \"owner\" stands there twice") && says(2, "in an earlier row"), "{wrong:?}");
        assert!(wrong[1].2.is_none() && says(3, "7 is no JSON object"), "{wrong:?}");
        assert!(told("key,owner,owner\na,x,y\n")[0].contains("column \"owner\" stands there twice"));
    }

    #[test]
    fn a_day_number_of_a_spreadsheet_is_no_time_and_a_date_is_one() {
        assert!(told("key,createdAt\na,45658\n")[0].contains("looks like a day number"));
        let expected = r#"2 a {"createdAt":"2025-01-01","owner":null}"#;
        assert_eq!(told("key,createdAt,owner\na,2025-01-01,null\n"), [expected]);
    }
}
