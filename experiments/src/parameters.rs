//! Query parameters: read once, named when they are wrong.
//!
//! Always true here: a parameter that nobody asked for, or one given twice, is refused by name; times are Unix
//! milliseconds or RFC 3339.

use axum::extract::Query;
use axum::http::{StatusCode, Uri};
use jiff::Timestamp;

use crate::refusal::Refusal;

/// The parameters of one request that were not taken yet.
#[derive(Debug, Clone)]
pub(crate) struct Parameters {
    left: Vec<(String, String)>,
}

/// A time that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Unix milliseconds.
    pub(crate) ms: i64,
    /// As it was typed.
    pub(crate) typed: String,
}

/// The latest time understood: the end of the year 9999, Unix milliseconds.
pub(crate) const TIME_MS_MAX: i64 = 253_402_300_799_999;
const TIME_ALLOWED: &str =
    "Unix milliseconds from 1970 to 9999, or RFC 3339 like 2026-01-31T12:00:00Z (a plus sign is written %2B)";

impl Parameters {
    /// Reads the query of an address.
    pub(crate) fn read(uri: &Uri) -> Result<Self, Refusal> {
        let Query(left) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            Refusal::new(StatusCode::BAD_REQUEST, "invalid_query", "the query of this address is not name=value&…")
        })?;
        for (at, (name, value)) in left.iter().enumerate() {
            if left[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Refusal::parameter(name, value, "once"));
            }
        }
        Ok(Self { left })
    }

    /// What was given and not taken yet: names and values, in order.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.left.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text of a parameter; an empty one is one not given.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(given, _)| given == name)?;
        Some(self.left.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    /// A time.
    pub(crate) fn time(&mut self, name: &str) -> Result<Option<Asked>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let time = match text.parse::<i64>() {
            Ok(ms) => Some(ms),
            Err(_) => text.parse::<Timestamp>().ok().map(|time| time.as_millisecond()),
        };
        match time.filter(|ms| (0..=TIME_MS_MAX).contains(ms)) {
            Some(ms) => Ok(Some(Asked { ms, typed: text })),
            None => Err(Refusal::parameter(name, &text, TIME_ALLOWED)),
        }
    }

    /// A whole number in `1..=max`.
    pub(crate) fn number(&mut self, name: &str, default: usize, max: usize) -> Result<usize, Refusal> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match text.parse::<usize>().ok().filter(|number| (1..=max).contains(number)) {
            Some(number) => Ok(number),
            None => Err(Refusal::parameter(name, &text, &format!("a whole number from 1 to {max}"))),
        }
    }

    /// One of several words.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, default: T, words: &[(&str, T)]) -> Result<T, Refusal> {
        let Some(text) = self.text(name) else { return Ok(default) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, chosen)) => Ok(*chosen),
            None => {
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(Refusal::parameter(name, &text, &all.join(", ")))
            }
        }
    }

    /// Refuses what is left, by name.
    pub(crate) fn end(self, known: &[&str]) -> Result<(), Refusal> {
        match self.left.first() {
            None => Ok(()),
            Some((name, value)) => Err(Refusal::parameter(name, value, &format!("only {}", known.join(", ")))),
        }
    }
}
