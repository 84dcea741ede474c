//! `/metrics`: text that a scraper can read, with numbers of what happened.

use std::collections::BTreeMap;

use crate::command::SUMMARY;
use crate::server::Server;

/// Reads the text as OpenMetrics has it: families of `HELP`, `TYPE` and samples, each sample under its own family, the
/// end told. Answers types by family and values by sample.
fn read(text: &str) -> (BTreeMap<&str, &str>, BTreeMap<&str, f64>) {
    let (mut helped, mut types, mut samples) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let lines = text.strip_suffix("# EOF\n").expect("its end").lines();
    for line in lines {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", family, help] => {
                assert!(help.len() > 2 && help.ends_with('.') && !help.ends_with(".."), "{line}");
                helped.push(family);
            }
            ["#", "TYPE", family, kind] => {
                assert_eq!(helped.last(), Some(&family), "no help before {line}");
                assert_eq!(types.insert(family, kind), None, "twice: {line}");
            }
            ["#", "UNIT", family, unit] => assert!(family.ends_with(&format!("_{unit}")), "{line}"),
            _ => {
                let (sample, value) = line.rsplit_once(' ').expect("a value");
                let name = sample.split('{').next().expect("a name");
                let family = *helped.last().expect("a family");
                let endings: &[&str] = match types[family] {
                    "counter" => &["_total"],
                    "histogram" => &["_bucket", "_sum", "_count"],
                    "info" => &["_info"],
                    _ => &[""],
                };
                assert!(endings.iter().any(|ending| name == format!("{family}{ending}")), "{line} in {family}");
                assert_eq!(samples.insert(sample, value.parse().expect("a number")), None, "twice: {line}");
            }
        }
    }
    (types, samples)
}

/// The sum of a name's samples that have `label` in them.
fn sum(samples: &BTreeMap<&str, f64>, name: &str, label: &str) -> f64 {
    let of = |sample: &str| sample.split('{').next() == Some(name) && sample.contains(label);
    samples.iter().filter(|(sample, _)| of(sample)).map(|(_, value)| *value).sum()
}

#[test]
fn metrics_tell_what_happened() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    for _ in 0..2 {
        assert_eq!(server.bulk("6f2f6f0c-52c5-4f3e-9a55-0a3a1b9f6b11", SUMMARY).0, 202);
    }
    assert_eq!(server.bulk("6f2f6f0c-52c5-4f3e-9a55-0a3a1b9f6b12", "{").0, 400);
    assert_eq!(server.send("POST", "/bulk", &[("authorization".into(), "sdk-nobody".into())], b"[]").0, 401);
    let mut text = String::new();
    server.until("all folded and durable", || {
        let (status, now) = server.send("GET", "/metrics", &[], b"");
        assert_eq!(status, 200);
        text = now;
        let (_, samples) = read(&text);
        sum(&samples, "flagstream_processor_records_total", "duplicate") == 1.0
            && sum(&samples, "flagstream_processor_lag_records", "") == 0.0
    });
    let (types, samples) = read(&text);
    let sum = |name: &str, label: &str| sum(&samples, name, label);
    assert_eq!(
        [202, 400, 401, 503].map(|status| sum("flagstream_ingest_requests_total", &format!("\"{status}\""))),
        [2.0, 1.0, 1.0, 0.0],
        "{text}"
    );
    for (name, label, value) in [
        ("flagstream_ingest_accepted_total", "", 2.0),
        ("flagstream_ingest_request_seconds_count", "", 4.0),
        ("flagstream_ingest_rejected_total", "malformed_payload", 1.0),
        ("flagstream_ingest_in_flight_bytes", "", 0.0),
        ("flagstream_build_info", concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""), 1.0),
    ] {
        assert_eq!(sum(name, label), value, "{name} {label} in:\n{text}");
    }
    assert_eq!(types["flagstream_processor_lag_records"], "gauge");
    assert_eq!(
        sum("flagstream_processor_log_end_offset", ""),
        sum("flagstream_processor_durable_offset", ""),
        "all is durable:\n{text}"
    );
}
