//! `golden/<version>/<name>.bin` and `<name>.json`: bytes that were once written, and the rows that they stand for.
//!
//! Always true here: a file is written once, when it does not exist yet, and never again; old bytes are read for ever.
//! A description is `{what, received_ms, rows}`; a pair of files dropped in is tested with no line of code.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::{Value, json};

use super::describe::describe;
use super::old_path::every_outcome;
use super::payloads::{RECEIVED_MS, environment, full};
use crate::generation::Generation;
use crate::old_path::{Gated, outcome_record};
use crate::record::{Judged, Stamp, VERSION, definition_record, encode, generation_record, numbers_record};
use crate::rejection::{Rejection, Rejections};
use crate::split::split;
use crate::wire::record as wire;

fn root() -> PathBuf {
    PathBuf::from("golden")
}

/// What today's encoder writes: (name, what, bytes).
fn written_today() -> Vec<(&'static str, &'static str, Bytes)> {
    let environment = environment();
    let (payload, judged) = full();
    let mut carried = Rejections::default();
    carried.add(Rejection::MalformedPayload, 5);
    let stamp = Stamp { environment: &environment, received_ms: RECEIVED_MS, carried: &carried, gated: Gated::No };
    let alone = encode(&payload, &split(&environment, &payload, 1), &judged, &stamp);
    let spread = encode(&payload, &split(&environment, &payload, 4), &judged, &stamp);
    assert!(alone.len() == 1 && spread.len() > 1, "the sample must reach further partitions");
    let define = |kind: u32, key: &'static str, version: u64, body: &'static str| {
        let (project, key, body) = (environment.project.clone(), Bytes::from(key), Bytes::from(body));
        let definition = wire::Definition { project, environment: Bytes::new(), kind, key, version, body };
        definition_record(&definition, 2, RECEIVED_MS)
    };
    let definition = define(1, "new-checkout", 43, "{\"temporary\":true}");
    let places = define(
        1,
        "new-checkout",
        44,
        r#"{"codePlaces":[{"file":"web/src/cart.ts","line":12},{"file":"api/cart.rs"}],"codeReferences":3,"codeScan":{"at":1768480000000,"id":"5f3c"},"owner":"web","saidAt":1768480496789}"#,
    );
    let withdrawn = define(1, "new-checkout", 45, r#"{"saidAt":1768480496790,"withdrawn":true}"#);
    let scan = define(3, "code-references", 46, r#"{"at":1768480000000,"finished":true,"flags":3400,"id":"5f3c"}"#);
    // The summary and the purchase late too, so that the tables of late rows are filled.
    let mut late = judged.clone();
    for element in [0, 2] {
        late[element] = Judged { time_ms: RECEIVED_MS - 800_000_000, clamped: false, late: true };
    }
    let gated = |gated| {
        let stamp = Stamp { gated, ..stamp };
        encode(&payload, &split(&environment, &payload, 1), &late, &stamp).remove(0)
    };
    let (both, new_only) = (gated(Gated::Both), gated(Gated::NewOnly));
    let outcomes = outcome_record(&environment, 4, *b"0123456789abcdef", RECEIVED_MS, &every_outcome());
    let generation = generation_record(&Generation::new(1, "flagstream.events", 4, 1), 0, RECEIVED_MS);
    let numbers = numbers_record(&environment, 4, &carried, RECEIVED_MS);
    vec![
        ("payload-alone-header", "header", alone[0].header.clone()),
        ("payload-alone", "payload", alone[0].body.clone()),
        ("payload-home-header", "header", spread[0].header.clone()),
        ("payload-home", "payload", spread[0].body.clone()),
        ("payload-subject-header", "header", spread[1].header.clone()),
        ("payload-subject", "payload", spread[1].body.clone()),
        ("definition-header", "header", definition.header),
        ("definition", "definition", definition.body),
        ("definition-places", "definition", places.body),
        ("definition-withdrawn", "definition", withdrawn.body),
        ("definition-scan", "definition", scan.body),
        ("generation-header", "header", generation.header),
        ("generation", "generation", generation.body),
        ("numbers-header", "header", numbers.header),
        ("payload-both-header", "header", both.header),
        ("payload-both", "payload", both.body),
        ("payload-new-only-header", "header", new_only.header),
        ("payload-new-only", "payload", new_only.body),
        ("outcomes-header", "header", outcomes.header),
        ("outcomes", "outcomes", outcomes.body),
    ]
}

#[test]
fn todays_encoder_writes_the_newest_goldens() {
    let folder = root().join(format!("v{VERSION}"));
    for (name, what, bytes) in written_today() {
        let (kept, description) = (folder.join(name).with_extension("bin"), folder.join(name).with_extension("json"));
        if !kept.exists() && std::env::var_os("FLAGSTREAM_REWRITE").is_some() {
            let rows = describe(what, &bytes, RECEIVED_MS);
            let text = serde_json::to_string_pretty(&json!({"what": what, "received_ms": RECEIVED_MS, "rows": rows}));
            fs::write(&kept, &bytes).unwrap();
            fs::write(&description, text.unwrap() + "\n").unwrap();
        }
        let old = fs::read(&kept).unwrap_or_else(|e| panic!("{}: {e}; FLAGSTREAM_REWRITE=1 writes it", kept.display()));
        assert!(
            old == bytes,
            "{name}: the encoder writes other bytes than version {VERSION} did; that is a new version"
        );
    }
}

#[test]
fn old_bytes_are_read_for_ever() {
    let mut seen = 0;
    for version in fs::read_dir(root()).unwrap() {
        for file in fs::read_dir(version.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                assert!(path.with_extension("json").exists(), "nobody says what {} is", path.display());
                continue;
            }
            let described: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let bytes = Bytes::from(fs::read(path.with_extension("bin")).unwrap());
            let (what, received_ms) = (described["what"].as_str().unwrap(), described["received_ms"].as_i64().unwrap());
            assert_eq!(describe(what, &bytes, received_ms), described["rows"], "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= written_today().len(), "only {seen} golden files were found");
}
