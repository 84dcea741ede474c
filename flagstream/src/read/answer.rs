//! A server's answer as it was written.
//!
//! Always true here: a number keeps its digits, for sums and counts are exact and floating point is not; pages put
//! together are the server's own text, item by item.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Error, Value};

/// Deeper answers are refused; the library's own limit.
const DEPTH_MAX: usize = 128;

/// The fields of an answer, each as text.
pub(super) struct Answer(BTreeMap<String, Box<RawValue>>);

impl Answer {
    pub(super) fn read(text: &str) -> Result<Self, Error> {
        serde_json::from_str(text).map(Self)
    }

    /// A field of one level.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        serde_json::from_str(self.0.get(field)?.get()).ok()
    }

    /// The path of the next page, once: what is put together has none.
    pub(super) fn take_next(&mut self) -> Option<String> {
        let none = RawValue::from_string("{}".to_owned()).ok()?;
        let links = std::mem::replace(self.0.get_mut("_links")?, none);
        let links: Value = serde_json::from_str(links.get()).ok()?;
        Some(links.pointer("/next/href")?.as_str()?.to_owned())
    }

    /// The items of this page.
    pub(super) fn take_items(&mut self) -> Result<Vec<Box<RawValue>>, Error> {
        self.0.remove("items").map_or(Ok(Vec::new()), |items| serde_json::from_str(items.get()))
    }

    /// Puts the items of all pages in the place of one's.
    pub(super) fn put_items(&mut self, items: &[Box<RawValue>]) -> Result<(), Error> {
        let lines: Vec<&str> = items.iter().map(|item| item.get()).collect();
        self.0.insert("items".to_owned(), RawValue::from_string(format!("[{}]", lines.join(",\n")))?);
        Ok(())
    }

    /// JSON, a field a line.
    pub(super) fn print(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(&self.0)
    }

    /// For tables.
    pub(super) fn json(&self) -> Result<Json, Error> {
        Json::object(&self.0, 0)
    }
}

/// JSON whose numbers are their text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

static NULL: Json = Json::Null;

impl Json {
    fn read(raw: &RawValue, depth: usize) -> Result<Self, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::custom("the answer is nested too deeply"));
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => return Self::object(&serde_json::from_str(text)?, depth),
            Some(b'[') => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text)?;
                Self::List(items.iter().map(|item| Self::read(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            _ => Self::Number(text.to_owned()),
        })
    }

    fn object(fields: &BTreeMap<String, Box<RawValue>>, depth: usize) -> Result<Self, Error> {
        let mut read = BTreeMap::new();
        for (name, raw) in fields {
            read.insert(name.clone(), Self::read(raw, depth + 1)?);
        }
        Ok(Self::Object(read))
    }

    /// With the texts among the items cut to `max` characters, an ellipsis among them.
    pub(super) fn with_items_cut(mut self, max: usize) -> Self {
        if let Self::Object(fields) = &mut self
            && let Some(items) = fields.get_mut("items")
        {
            items.cut(max);
        }
        self
    }

    fn cut(&mut self, max: usize) {
        match self {
            Self::Text(text) if text.chars().count() > max => {
                *text = text.chars().take(max.saturating_sub(1)).chain(['…']).collect();
            }
            Self::List(items) => items.iter_mut().for_each(|item| item.cut(max)),
            Self::Object(fields) => fields.values_mut().for_each(|field| field.cut(max)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => {}
        }
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&String, &Json)> {
        let fields = if let Self::Object(fields) = self { Some(fields) } else { None };
        fields.into_iter().flatten()
    }

    pub(super) fn items(&self) -> &[Json] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(super) fn has(&self, field: &str) -> bool {
        matches!(self, Self::Object(fields) if fields.contains_key(field))
    }

    pub(super) fn is_true(&self) -> bool {
        *self == Self::Bool(true)
    }
}

/// A field that is not there is null.
impl Index<&str> for Json {
    type Output = Json;

    fn index(&self, field: &str) -> &Json {
        if let Self::Object(fields) = self { fields.get(field).unwrap_or(&NULL) } else { &NULL }
    }
}

/// An item that is not there is null.
impl Index<usize> for Json {
    type Output = Json;

    fn index(&self, place: usize) -> &Json {
        self.items().get(place).unwrap_or(&NULL)
    }
}

/// As JSON, on one line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| Value::from(text).to_string();
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Number(digits) => f.write_str(digits),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Json::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Self::Object(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, v)| format!("{}:{v}", quoted(name))).collect();
                write!(f, "{{{}}}", fields.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"{"items":[{"key":"a","count":9007199254740993,"metricSum":63999999999999.999936,"value":{"n":[1.50,true,null,"x\n"]}}],"_links":{"next":{"href":"/more"}}}"#;

    #[test]
    fn numbers_keep_their_digits() {
        let answer = Answer::read(PAGE).unwrap();
        let item = &answer.json().unwrap()["items"][0];
        assert_eq!(item["count"], Json::Number("9007199254740993".to_owned()));
        assert_eq!(item["metricSum"].to_string(), "63999999999999.999936");
        assert_eq!(item["value"].to_string(), r#"{"n":[1.50,true,null,"x\n"]}"#);
        assert!(answer.print().unwrap().contains("63999999999999.999936"));
    }

    #[test]
    fn long_texts_of_items_are_cut_and_nothing_else_is() {
        let answer = r#"{"items":[{"flag":"ÄÄÄÄÄÄ","sdk":"12345","value":{"a":["123456"]},"count":123456789}],"basis":"full events only"}"#;
        let cut = Answer::read(answer).unwrap().json().unwrap().with_items_cut(5);
        let item = &cut["items"][0];
        assert_eq!(item["flag"], Json::Text("ÄÄÄÄ…".to_owned()));
        assert_eq!(item["sdk"], Json::Text("12345".to_owned()));
        assert_eq!(item["value"].to_string(), r#"{"a":["1234…"]}"#);
        assert_eq!(item["count"].to_string(), "123456789");
        assert_eq!(cut["basis"], Json::Text("full events only".to_owned()));
    }

    #[test]
    fn pages_are_put_together_as_they_were_written() {
        let mut answer = Answer::read(PAGE).unwrap();
        assert_eq!(answer.take_next().as_deref(), Some("/more"));
        let mut last = Answer::read(r#"{"items":[{"metricSum":1e2}],"_links":{}}"#).unwrap();
        let mut items = answer.take_items().unwrap();
        items.extend(last.take_items().unwrap());
        last.put_items(&items).unwrap();
        assert_eq!(last.take_next(), None);
        let printed = last.print().unwrap();
        assert!(printed.contains("63999999999999.999936") && printed.contains(r#"{"metricSum":1e2}"#), "{printed}");
        assert_eq!(last.json().unwrap()["items"].items().len(), 2);
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let deep = format!(r#"{{"items":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        assert!(Answer::read(&deep).and_then(|answer| answer.json()).is_err());
    }
}
