//! What SDKs do that one would not expect, trap by trap.

use schemas::event::PayloadId;

use super::ask::{Ask, summary};

const INIT: &str = r#"{"kind":"diagnostic-init","id":{"diagnosticId":"d-1","sdkKeySuffix":"st-key"},"creationDate":7,
    "sdk":{"name":"node-server-sdk","version":"9.13.7"},"configuration":{"eventsCapacity":10000},"platform":{"name":"Node"}}"#;

#[test]
fn a_diagnostic_retried_on_the_analytics_path_is_still_a_diagnostic() {
    let first = Ask::post("/diagnostic", INIT);
    let retry = Ask::post("/bulk", INIT);
    for ask in [&first, &retry, &Ask::post("/mobile", INIT), &Ask::post("/events/bulk/e", INIT)] {
        ask.shows(&["diagnostic d-1 @7 start node-server-sdk 9.13.7 dropped 0"]);
        assert_eq!(ask.reply().status, 202);
    }
    let (first, retry) = (first.rows().unwrap().id, retry.rows().unwrap().id);
    assert_eq!(first, retry, "the retry is known again");
    assert_eq!(
        first,
        Some(PayloadId::Diagnostic(b"\x00\x03d-1\x00\x0fdiagnostic-init\x00\x08\0\0\0\0\0\0\0\x07".to_vec()))
    );
}

#[test]
fn diagnostics_with_headers_of_analytics_are_diagnostics() {
    let ask = Ask::bulk(INIT).header("x-launchdarkly-payload-id", "p");
    ask.shows(&["diagnostic d-1 @7 start node-server-sdk 9.13.7 dropped 0"]);
    assert!(matches!(ask.rows().unwrap().id, Some(PayloadId::Diagnostic(_))));
}

#[test]
fn every_kind_of_diagnostic_is_a_fact_and_no_event() {
    let periodic = r#"{"kind":"diagnostic","id":{"diagnosticId":"d"},"creationDate":7e0,"dataSinceDate":1,"droppedEvents":12,
        "deduplicatedUsers":0,"eventsInLastBatch":3,"streamInits":[{"timestamp":1,"failed":false,"durationMillis":3}]}"#;
    Ask::post("/diagnostic", periodic).shows(&["diagnostic d @7   dropped 12"]);
    let combined = r#"{"kind":"diagnostic-combined","id":{"diagnosticId":"d"},"sdk":{"name":"js"},"droppedEvents":1}"#;
    Ask::post("/events/diagnostic/e", combined).shows(&["diagnostic d @- start js  dropped 1"]);
    Ask::bulk(format!("[{periodic}]")).shows(&["diagnostic d @7   dropped 12"]);
}

#[test]
fn a_diagnostic_is_a_fact_whatever_its_fields_are() {
    for odd in ["7", "1e400", r#""\ud800""#, "[[]]", "null", r#"{"name":1e400,"diagnosticId":{}}"#] {
        let body = format!(r#"{{"kind":"diagnostic","id":{odd},"creationDate":7,"sdk":{odd},"droppedEvents":{odd}}}"#);
        for ask in [Ask::post("/diagnostic", &body), Ask::bulk(format!("[{body}]"))] {
            assert!(ask.shown().starts_with("diagnostic  @7   dropped "), "{odd}: {}", ask.shown());
        }
    }
}

#[test]
fn a_kind_of_diagnostic_unknown_to_us_is_taken_and_numbered() {
    for path in ["/diagnostic", "/bulk"] {
        let ask = Ask::post(path, r#"{"kind":"diagnostic-next","id":{"diagnosticId":"d"}}"#);
        ask.shows(&["rejected unknown_kind 1"]);
        assert_eq!(ask.reply().status, 202);
    }
}

#[test]
fn a_bare_event_or_an_array_of_diagnostics_has_the_wrong_shape() {
    Ask::bulk(r#"{"kind":"feature","key":"f"}"#).shows(&["refused malformed_payload"]);
    Ask::bulk("{}").shows(&["refused malformed_payload"]);
    Ask::post("/diagnostic", format!("[{INIT}]")).shows(&["refused malformed_payload"]);
}

#[test]
fn explicit_nulls_are_absent() {
    let event = r#"{"kind":"feature","key":"f","creationDate":null,"variation":null,"version":null,"reason":null,"context":null,
        "contextKeys":null,"user":null,"userKey":"u","samplingRatio":null,"excludeFromSummaries":null,"trackEvents":null}"#;
    Ask::event(event).shows(&["Feature @-", "  sight f default error", "  evaluation f default NONE user=u"]);
    let custom = r#"{"kind":"custom","key":"c","data":null,"metricValue":null,"url":null}"#;
    Ask::event(custom).shows(&["Custom @-", "  Custom c - x1"]);
}

#[test]
fn default_may_be_absent() {
    let flags = r#""f":{"counters":[{"count":1,"variation":0}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&["Summary @9", "  count f 0 x1"]);
    Ask::event(r#"{"kind":"feature","key":"f","variation":0}"#).shows(&[
        "Feature @-",
        "  sight f 0",
        "  evaluation f 0 NONE",
    ]);
}

#[test]
fn flag_keys_may_hold_any_character() {
    let flags = r#""flag.with:odd/key":{"counters":[{"count":1}]},"a\u0001\tb":{"counters":[{"count":1}]},"\ud83d\ude00":{"counters":[{"count":1}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&[
        "Summary @9",
        "  count flag.with:odd/key default x1",
        "  count a\u{1}\tb default x1",
        "  count 😀 default x1",
    ]);
}

#[test]
fn dates_may_be_floats_and_counts_too() {
    let event = r#"{"kind":"feature","key":"f","creationDate":1.7954e12,"variation":2.0,"version":3e0}"#;
    Ask::event(event).shows(&["Feature @1795400000000", "  sight f 2 v3", "  evaluation f 2 v3 NONE"]);
    let flags = r#""f":{"counters":[{"count":1e9,"variation":1.0}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&["Summary @9", "  count f 1 x1000000000"]);
}

#[test]
fn a_migration_is_told_whole() {
    let event = r#"{"kind":"migration_op","operation":"read","creationDate":5,"context":{"kind":"user","key":"b"},
        "measurements":[{"key":"invoked","values":{"old":true,"new":true}},{"values":{"old":0.356558,"new":2},"key":"latency_ms"},
        {"key":"consistent","value":false,"samplingRatio":1},{"key":"error","values":{"new":true}},{"key":"newer","values":7}],
        "evaluation":{"key":"m","value":"shadow","default":"off","reason":{"kind":"FALLTHROUGH"},"variation":2,"version":16},"samplingRatio":3}"#;
    let row = "  migration m 2 write=false invoked=on consistent=Some(false) error=n us=Some(357)/Some(2000) x3";
    Ask::event(event).shows(&["MigrationOp @5", row]);
    // Go may write the default beside the evaluation.
    let moved = event.replace(r#""default":"off","#, "").replace(r#""operation""#, r#""default":"off","operation""#);
    Ask::event(&moved).shows(&["MigrationOp @5", row]);
}

#[test]
fn a_migration_may_lack_its_measurements() {
    let event = r#"{"kind":"migration_op","operation":"write","contextKeys":{"user":"b"},"evaluation":{"key":"m","default":"off"}}"#;
    let row = "  migration m default write=true invoked= consistent=None error= us=None/None x1";
    Ask::event(event).shows(&["MigrationOp @-", row]);
    Ask::event(&event.replace("write", "drop")).shows(&["rejected malformed_event 1"]);
    Ask::event(r#"{"kind":"migration_op","operation":"read"}"#).shows(&["rejected malformed_event 1"]);
    for (measurements, lines) in [("null", &["MigrationOp @-", row][..]), ("{}", &["rejected malformed_event 1"])] {
        let more = format!(r#""measurements":{measurements},"operation""#);
        Ask::event(&event.replace(r#""operation""#, &more)).shows(lines);
    }
}

#[test]
fn contexts_come_in_five_forms() {
    let cases = [
        (r#""context":{"key":"a","kind":"device","name":"x"}"#, " device=a"),
        (r#""context":{"key":"a"}"#, " user=a"),
        (r#""contextKeys":{"org":"o"}"#, " org=o"),
        (r#""user":{"custom":{"key":"no"},"key":"a","anonymous":true}"#, " user=a"),
        (r#""userKey":"a","contextKind":"anonymousUser""#, " user=a"),
        (r#""url":"none at all""#, ""),
    ];
    for (context, keys) in cases {
        let event = format!(r#"{{"kind":"custom","key":"c",{context}}}"#);
        Ask::event(&event).shows(&["Custom @-", &format!("  Custom c - x1{keys}")]);
    }
}

#[test]
fn contexts_seen_are_counted_by_kind() {
    let body = r#"[{"kind":"index","creationDate":1,"context":{"kind":"multi","user":{"key":"u"},"org":{"key":"o"}}},
        {"kind":"identify","creationDate":1,"key":"u","user":{"key":"u"}},{"kind":"identify","creationDate":1,"key":"u"},
        {"kind":"alias","key":"u","contextKind":"user","previousKey":"p","previousContextKind":"anonymousUser","creationDate":1}]"#;
    let lines = ["Index @1", "Identify @1", "Identify @1", "Alias @1", "seen org 1", "seen user 4"];
    Ask::bulk(body).shows(&lines);
    assert!(Ask::bulk(body).rows().unwrap().context_keys.is_empty(), "only kinds are kept");
}

#[test]
fn goals_are_conversions_but_for_the_page_view_of_a_click_goal() {
    let goal = |kind: &str| {
        format!(
            r#"{{"kind":"{kind}","creationDate":1,"key":"g","url":"u","selector":"s","contextKeys":{{"user":"a"}},"data":null}}"#
        )
    };
    Ask::bulk(format!("[{},{},{}]", goal("click"), goal("pageview"), goal("click_pageview"))).shows(&[
        "Click @1",
        "  Click g - x1 user=a",
        "Pageview @1",
        "  Pageview g - x1 user=a",
        "ClickPageview @1",
    ]);
}

#[test]
fn metric_values_are_read_as_decimals_and_a_bad_one_costs_only_itself() {
    let cases = [
        ("0", "0", ""),
        ("24.99", "24990000", ""),
        ("1e-2", "10000", ""),
        ("-0.0000005", "0", ""),
        ("1e12", "1000000000000000000", ""),
        ("1e13", "-", "rejected metric_out_of_range 1\n"),
        ("1e400", "-", "rejected metric_out_of_range 1\n"),
        ("\"12\"", "-", "rejected metric_out_of_range 1\n"),
        ("{}", "-", "rejected metric_out_of_range 1\n"),
    ];
    for (text, value, rejected) in cases {
        let event = format!(r#"{{"kind":"custom","key":"c","metricValue":{text}}}"#);
        assert_eq!(Ask::event(&event).shown(), format!("Custom @-\n  Custom c {value} x1\n{rejected}"), "{text}");
    }
}
