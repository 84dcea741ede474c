//! `golden/bad/*.json`: bad inputs with their expected answer, one file each. Its README tells the format; a file
//! dropped in is tested with no line of code.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Body;
use base64::Engine;
use http::Request;
use serde::Deserialize;
use serde_json::Value;

use super::bench::{Bench, gzipped};

#[derive(Deserialize)]
struct Case {
    name: String,
    request: Sent,
    expected: Expected,
}

#[derive(Deserialize)]
struct Sent {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
    #[serde(default)]
    body: Value,
    body_base64: Option<String>,
    #[serde(default)]
    gzip: Option<Value>,
    repeat: Option<Repeat>,
}

/// The body stands `times` times, between `before` and `after`, `between` each two.
#[derive(Deserialize)]
struct Repeat {
    times: usize,
    #[serde(default)]
    before: String,
    #[serde(default)]
    between: String,
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    code: Option<String>,
    rejected: Option<BTreeMap<String, u64>>,
    accepted: Option<u64>,
}

impl Sent {
    fn body(&self) -> Vec<u8> {
        let once = match (&self.body_base64, &self.body) {
            (Some(binary), _) => base64::engine::general_purpose::STANDARD.decode(binary).unwrap(),
            (None, Value::Null) => Vec::new(),
            (None, Value::String(text)) => text.clone().into_bytes(),
            (None, json) => json.to_string().into_bytes(),
        };
        let plain = match &self.repeat {
            None => once,
            Some(Repeat { times, before, between, after }) => {
                let mut all = [&once, between.as_bytes()].concat().repeat(*times);
                all.truncate(all.len() - between.len());
                [before.as_bytes(), &all, after.as_bytes()].concat()
            }
        };
        match &self.gzip {
            None => plain,
            Some(Value::Bool(true)) => gzipped(&plain),
            Some(Value::String(cut)) if cut == "truncated" => {
                let mut zipped = gzipped(&plain);
                zipped.truncate(zipped.len() / 2);
                zipped
            }
            Some(other) => panic!("gzip is true or \"truncated\", not {other}"),
        }
    }

    fn request(&self) -> Request<Body> {
        assert!(["GET", "POST", "PUT", "DELETE", "OPTIONS"].contains(&self.method.as_str()), "unknown {}", self.method);
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.path);
        for (name, value) in &self.headers {
            let value = match value {
                Value::String(value) => value.clone(),
                Value::Object(repeat) => {
                    let (text, times) = (repeat["text"].as_str().unwrap(), repeat["times"].as_u64().unwrap());
                    text.repeat(usize::try_from(times).unwrap())
                }
                other => panic!("header {name} is {other}"),
            };
            request = request.header(name, value);
        }
        if self.gzip.is_some() {
            request = request.header("content-encoding", "gzip");
        }
        request.body(self.body().into()).unwrap()
    }
}

#[tokio::test]
async fn bad_inputs_get_their_answer() {
    let folder = Path::new("golden/bad");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= 40, "only {} bad inputs were found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let case: Case = serde_json::from_slice(&std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(case.name, file.file_stem().unwrap().to_str().unwrap(), "a case is named like its file");
        wrong.extend(differences(&case).await.into_iter().map(|difference| format!("{}: {difference}", case.name)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Also compared for each: the budget is given back, nothing of a refused payload is in the log, the process lives.
async fn differences(case: &Case) -> Vec<String> {
    let bench = Bench::new();
    let answer = bench.send(case.request.request()).await;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            wrong.push(format!("{what} is {found}, expected {expected}"));
        }
    };
    let expected = &case.expected;
    compare("status", answer.status.to_string(), expected.status.to_string());
    if let Some(code) = &expected.code {
        compare("code", answer.code(), code.clone());
    }
    compare("bytes in flight", bench.ingest.in_flight_bytes().to_string(), "0".into());
    let fine = r#"[{"kind":"summary","features":{}}]"#;
    compare("the next request", bench.post(fine).await.status.to_string(), "202".into());
    let (accepted, rejected, payloads) = bench.books().await;
    let (accepted, payloads) = (accepted - 1, payloads - 1);
    if let Some(expected) = &expected.rejected {
        compare("rejected", format!("{rejected:?}"), format!("{expected:?}"));
    }
    if let Some(expected) = expected.accepted {
        compare("accepted", accepted.to_string(), expected.to_string());
    }
    if answer.status >= 300 {
        compare("payload records", payloads.to_string(), "0".into());
    }
    wrong
}
