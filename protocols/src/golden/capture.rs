//! A run on disk: its requests in order of arrival.
//!
//! Always true here: a body is replayed byte for byte as it stands in the file, unless its times are shifted.

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::expected::Expected;
use crate::request::Request;

/// One run of an SDK.
#[derive(Debug, Clone)]
pub struct Run {
    /// Name of its folder.
    pub name: String,
    /// Its requests, in order of arrival.
    pub requests: Vec<Captured>,
    /// What the program did.
    pub expected: Expected,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Captured {
    /// Name of its file.
    pub file: String,
    /// `POST`, `GET` or `OPTIONS`.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, without the question mark.
    pub query: String,
    /// Its headers, but those that belong to the connection.
    pub headers: Vec<(String, String)>,
    /// Its body, plain.
    pub body: Vec<u8>,
    /// What the capturing server answered.
    pub status: u16,
    /// The events in its query, decoded, if it is an image request.
    image_events: Option<String>,
}

/// A capture file; fields not named here are about the capturing and are ignored.
#[derive(Deserialize)]
struct File {
    method: String,
    path: String,
    #[serde(default)]
    query: serde_json::Map<String, Value>,
    headers: serde_json::Map<String, Value>,
    body: Option<Box<RawValue>>,
    body_base64: Option<String>,
    query_d_decoded: Option<Box<RawValue>>,
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    status: u16,
}

/// Headers of the connection: whoever sends a request makes their own.
const HOP_HEADERS: [&str; 5] = ["connection", "content-length", "host", "transfer-encoding", "keep-alive"];

/// Names of fields that hold times in milliseconds.
const TIME_FIELDS: [&str; 6] =
    ["creationDate", "startDate", "endDate", "dataSinceDate", "debugEventsUntilDate", "timestamp"];

/// Every run in a folder, by name.
///
/// # Errors
/// What cannot be read, and where.
pub fn runs_in(folder: &Path) -> Result<Vec<Run>, String> {
    let mut folders = list(folder)?;
    folders.retain(|path| path.is_dir());
    folders.iter().map(|folder| Run::read(folder)).collect()
}

impl Run {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// What cannot be read, and where: also a method, a status or a field of `expected.json` that the format does not know.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let name = file_name(folder);
        let expected = read_json(&folder.join("expected.json"))?;
        let mut files = list(folder)?;
        files.retain(|path| path.extension().is_some_and(|e| e == "json") && file_name(path) != "expected.json");
        let requests: Vec<_> = files.iter().map(|file| Captured::read(file)).collect::<Result<_, _>>()?;
        if requests.is_empty() {
            return Err(format!("{}: no requests", folder.display()));
        }
        Ok(Self { name, requests, expected })
    }

    /// The latest time that stands in any request, Unix milliseconds.
    #[must_use]
    pub fn latest_ms(&self) -> Option<i64> {
        let mut latest = None;
        for document in self.requests.iter().filter_map(Captured::document) {
            each_time(&mut document.clone(), &mut |time| {
                latest = latest.max(time.as_f64().map(|ms| ms as i64));
                None
            });
        }
        latest
    }

    /// Shifts every time in every request by one constant.
    pub fn shift_ms(&mut self, by: i64) {
        self.requests.iter_mut().for_each(|request| request.shift_ms(by));
    }
}

impl Captured {
    fn read(path: &Path) -> Result<Self, String> {
        let file: File = read_json(path)?;
        let place = path.display();
        if !["GET", "POST", "OPTIONS"].contains(&file.method.as_str()) {
            return Err(format!("{place}: unknown method {}", file.method));
        }
        if !(200..600).contains(&file.response.status) {
            return Err(format!("{place}: unknown status {}", file.response.status));
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Array(many) => many.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        let mut headers: Vec<_> = file.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        headers.retain(|(name, _)| !HOP_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
        let body = match (&file.body, &file.body_base64) {
            (_, Some(binary)) => STANDARD.decode(binary).map_err(|error| format!("{place}: body_base64: {error}"))?,
            (Some(json), None) if json.get() != "null" => json.get().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        let image_events =
            file.query_d_decoded.filter(|events| events.get() != "null").map(|events| events.get().into());
        let mut query: Vec<_> = file.query.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        if let (Some(events), false) = (&image_events, query.iter().any(|(name, _)| name == "d")) {
            query.push(("d".into(), URL_SAFE_NO_PAD.encode(events)));
        }
        Ok(Self {
            file: file_name(path),
            method: file.method,
            path: file.path,
            query: written_query(&query),
            headers,
            body,
            status: file.response.status,
            image_events,
        })
    }

    /// Its headers as borrowed bytes.
    #[must_use]
    pub fn header_slices(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
    }

    /// The request that a server sees.
    #[must_use]
    pub fn request<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])], body: &'a [u8]) -> Request<'a> {
        Request { method: &self.method, path: &self.path, query: &self.query, headers, body }
    }

    /// The body as it goes over the wire: compressed when its headers say so.
    #[must_use]
    pub fn wire_body(&self) -> Vec<u8> {
        let gzip = self.headers.iter().any(|(name, value)| name == "content-encoding" && value == "gzip");
        if gzip { gzipped(&self.body) } else { self.body.clone() }
    }

    /// The same request with a compressed body.
    #[must_use]
    pub fn gzipped(mut self) -> Self {
        if !self.body.is_empty() && !self.headers.iter().any(|(name, _)| name == "content-encoding") {
            self.headers.push(("content-encoding".into(), "gzip".into()));
        }
        self
    }

    /// What it tells, as JSON: its body or the events in its query.
    #[must_use]
    pub fn document(&self) -> Option<Value> {
        let text = self.image_events.as_ref().map_or(self.body.as_slice(), |events| events.as_bytes());
        serde_json::from_slice(text).ok()
    }

    fn shift_ms(&mut self, by: i64) {
        let Some(mut document) = self.document() else { return };
        each_time(&mut document, &mut |time| match time.as_i64() {
            Some(ms) => Some(Value::from(ms + by)),
            None => time.as_f64().map(|ms| Value::from(ms + by as f64)),
        });
        let text = document.to_string();
        if self.image_events.is_some() {
            self.query = written_query(&[("d".into(), URL_SAFE_NO_PAD.encode(&text))]);
            self.image_events = Some(text);
        } else {
            self.body = text.into_bytes();
        }
    }
}

/// Compresses a body.
fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// Calls `shift` for each number whose name says that it is a time; what it gives takes the number's place.
fn each_time(value: &mut Value, shift: &mut impl FnMut(&Value) -> Option<Value>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_time(item, shift)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if member.is_number() && TIME_FIELDS.contains(&name.as_str()) {
                    if let Some(shifted) = shift(member) {
                        *member = shifted;
                    }
                } else if !["data", "value", "context", "user"].contains(&name.as_str()) {
                    each_time(member, shift);
                }
            }
        }
        _ => {}
    }
}

fn written_query(pairs: &[(String, String)]) -> String {
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

fn list(folder: &Path) -> Result<Vec<std::path::PathBuf>, String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
