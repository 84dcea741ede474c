//! The fields of a JSON object, each read once, and what was wrong with them.
//!
//! Always true here: a field that is absent or `null` is not there; a number is read as the text that it is written as;
//! a problem names the whole way to its field.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::Problem;
use crate::fixed::Micros;
use crate::id::check_key;

/// Longest piece of what was given that a problem repeats, in bytes.
const SHOWN_MAX: usize = 60;

/// An object being read.
pub(super) struct Fields<'j> {
    path: String,
    left: BTreeMap<String, &'j RawValue>,
}

impl<'j> Fields<'j> {
    /// The object that this text is; `path` is the way to it, empty at the top.
    pub(super) fn of(text: &'j str, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match serde_json::from_str(text) {
            Ok(left) => Some(Self { path: path.to_owned(), left }),
            Err(error) => {
                let field = if path.is_empty() { "definition" } else { path };
                let what = if text.trim_start().starts_with('{') {
                    format!("is no JSON object: {error}")
                } else {
                    format!("is {}; give a JSON object", shown(text))
                };
                problems.push(Problem { field: field.to_owned(), what });
                None
            }
        }
    }

    /// A field that may be absent.
    pub(super) fn may<T>(
        &mut self,
        name: &str,
        problems: &mut Vec<Problem>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.left.remove(name).map(RawValue::get).filter(|text| *text != "null")?;
        match read(value) {
            Ok(value) => Some(value),
            Err(want) => {
                self.problem(name, format!("is {}; {want}", shown(value)), problems);
                None
            }
        }
    }

    /// A field that must be there.
    pub(super) fn must<T>(
        &mut self,
        name: &str,
        problems: &mut Vec<Problem>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let before = problems.len();
        let value = self.may(name, problems, read);
        if value.is_none() && problems.len() == before {
            self.problem(name, "is missing".to_owned(), problems);
        }
        value
    }

    /// The elements of a list, each with the way to it; a list that is absent is empty.
    pub(super) fn list(&mut self, name: &str, problems: &mut Vec<Problem>) -> Vec<(&'j str, String)> {
        let value = self.left.remove(name).map(RawValue::get).filter(|text| *text != "null");
        let Some(value) = value else { return Vec::new() };
        match serde_json::from_str::<Vec<&RawValue>>(value) {
            Ok(list) => {
                let way = |place| self.way(&format!("{name}[{place}]"));
                list.into_iter().enumerate().map(|(place, element)| (element.get(), way(place))).collect()
            }
            Err(_) => {
                self.problem(name, format!("is {}; give a list", shown(value)), problems);
                Vec::new()
            }
        }
    }

    /// Says of each field that nobody asked for that it is unknown.
    pub(super) fn refuse_others(self, problems: &mut Vec<Problem>) {
        for name in self.left.keys() {
            self.problem(name, "is no field of a definition".to_owned(), problems);
        }
    }

    /// Something is wrong with a field.
    pub(super) fn problem(&self, name: &str, what: String, problems: &mut Vec<Problem>) {
        problems.push(Problem { field: self.way(name), what });
    }

    fn way(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// What was given, cut where it is long.
fn shown(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(SHOWN_MAX)];
    if cut.len() < text.len() { format!("{cut}…") } else { cut.to_owned() }
}

/// A key of at most so many bytes.
pub(super) fn key(bytes_max: usize) -> impl Fn(&str) -> Result<String, String> {
    move |text| {
        let want = || format!("give a text of 1 to {bytes_max} bytes");
        let key: String = serde_json::from_str(text).map_err(|_| want())?;
        check_key(key.as_bytes(), bytes_max).map_err(|why| format!("{why}; {}", want()))?;
        Ok(key)
    }
}

/// A whole number within a range.
pub(super) fn whole(range: RangeInclusive<i64>, unit: &'static str) -> impl Fn(&str) -> Result<i64, String> {
    move |text| {
        let want = || format!("give a whole number of {unit} from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(want)
    }
}

/// A number within a range of millionths.
pub(super) fn decimal(range: RangeInclusive<i64>, want: &'static str) -> impl Fn(&str) -> Result<Micros, String> {
    move |text| Micros::parse(text).filter(|number| range.contains(&number.0)).ok_or_else(|| want.to_owned())
}

/// Yes or no.
pub(super) fn yes_or_no(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "give true or false".to_owned())
}

/// One of some words.
pub(super) fn word<T: Copy>(all: &'static [T], word: fn(T) -> &'static str) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let given: Option<String> = serde_json::from_str(text).ok();
        let found = all.iter().find(|choice| given.as_deref() == Some(word(**choice)));
        let words: Vec<String> = all.iter().map(|choice| format!("\"{}\"", word(*choice))).collect();
        found.copied().ok_or_else(|| format!("give one of {}", words.join(", ")))
    }
}
