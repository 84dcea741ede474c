//! What counts as an evaluation, rule by rule.

use super::ask::{Ask, summary};

const FEATURE: &str = r#"{"kind":"feature","creationDate":5,"key":"f","value":true,"default":false,"variation":1,"version":3,"context":{"kind":"user","key":"a"}}"#;

/// The same flag with other fields.
fn feature(more: &str) -> String {
    FEATURE.replace(r#""version":3"#, &format!(r#""version":3,{more}"#))
}

#[test]
fn summaries_count_by_flag_variation_and_version() {
    let flags = r#""f":{"default":false,"contextKinds":["user"],"counters":[
        {"value":true,"count":9,"variation":1,"version":11},{"value":false,"count":6,"variation":0,"version":11},
        {"variation":1,"version":12,"count":2}]},"g":{"counters":[{"variation":0,"version":1,"count":1}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&[
        "Summary @9",
        "  count f 1 v11 x9 =true",
        "  count f 0 v11 x6 =false",
        "  count f 1 v12 x2",
        "  count g 0 v1 x1",
    ]);
}

#[test]
fn several_summaries_of_one_payload_all_count() {
    let one = summary(r#""f":{"counters":[{"variation":0,"count":1}]}"#);
    let with_context = one.replace(r#""kind":"summary""#, r#""kind":"summary","context":{"kind":"user","key":"a"}"#);
    Ask::bulk(format!("[{with_context},{one}]")).shows(&[
        "Summary @9",
        "  count f 0 x1",
        "Summary @9",
        "  count f 0 x1",
    ]);
}

#[test]
fn feature_and_debug_events_are_not_added_to_a_summary() {
    let debug = FEATURE.replace("feature", "debug");
    let summed = summary(r#""f":{"counters":[{"variation":1,"version":3,"count":2}]}"#);
    Ask::bulk(format!("[{FEATURE},{FEATURE},{debug},{summed}]")).shows(&[
        "Feature @5",
        "  evaluation f 1 v3 NONE user=a",
        "Feature @5",
        "  evaluation f 1 v3 NONE user=a",
        "Debug @5",
        "Summary @9",
        "  count f 1 v3 x2",
    ]);
}

/// Nothing marks such an event: that no counter of its payload names its flag is all there is.
#[test]
fn a_flag_that_no_summary_names_is_seen_by_its_events_and_counts_nothing() {
    let other = FEATURE.replace(r#""key":"f""#, r#""key":"g""#);
    let summed = summary(r#""g":{"counters":[{"variation":0,"count":2}]}"#);
    Ask::bulk(format!("[{FEATURE},{other},{summed}]")).shows(&[
        "Feature @5",
        "  sight f 1 v3 =true",
        "  evaluation f 1 v3 NONE user=a",
        "Feature @5",
        "  evaluation g 1 v3 NONE user=a",
        "Summary @9",
        "  count g 0 x2",
    ]);
    let refused = summary(r#""f":{"counters":[{"variation":0,"count":-1}]}"#);
    let shown = Ask::bulk(format!("[{FEATURE},{refused}]")).shown();
    assert!(shown.contains("sight f 1 v3"), "a refused counter names nothing: {shown}");
    let bad = FEATURE.replace(r#""creationDate":5"#, r#""creationDate":5,"samplingRatio":"no""#);
    let shown = Ask::bulk(format!("[{bad}]")).shown();
    assert!(shown.starts_with("rejected") && !shown.contains("sight"), "{shown}");
}

#[test]
fn unsummarized_feature_events_count_one_each() {
    let counted = ["Feature @5", "  count f 1 v3 x1 =true", "  evaluation f 1 v3 NONE user=a"];
    Ask::event(FEATURE).unsummarized().shows(&counted);
    // Only the header's presence matters.
    Ask::event(FEATURE).header("X-LaunchDarkly-Unsummarized", "false").shows(&counted);
    Ask::event(FEATURE).header("X-LAUNCHDARKLY-UNSUMMARIZED", "").shows(&counted);
    let debug = FEATURE.replace("feature", "debug");
    Ask::event(&debug).unsummarized().shows(&["Debug @5"]);
}

#[test]
fn schemas_below_three_are_unsummarized() {
    for (schema, counts) in
        [("1", true), ("2", true), ("3", false), ("4", false), ("0", true), ("x", true), ("-4", true)]
    {
        let ask = Ask::post("/bulk", format!("[{FEATURE}]")).header("X-LaunchDarkly-Event-Schema", schema);
        assert_eq!(ask.shown().contains("count"), counts, "schema {schema}");
    }
    assert!(Ask::post("/bulk", format!("[{FEATURE}]")).shown().contains("count"), "no schema at all is schema 1");
}

#[test]
fn without_a_variation_the_callers_default_was_served() {
    let flags = r#""off":{"counters":[{"value":false,"count":2,"version":6}]},
        "missing":{"counters":[{"value":"d1","count":4,"unknown":true}]},
        "rust":{"counters":[{"value":"d1","count":1,"unknown":true,"variation":null,"version":null}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&[
        "Summary @9",
        "  count off default v6 x2 =false",
        "  count missing default x4 error =\"d1\"",
        "  count rust default x1 error =\"d1\"",
    ]);
    let missing = FEATURE.replace(r#""variation":1,"version":3,"#, r#""variation":null,"version":null,"#);
    let lines = ["Feature @5", "  count f default x1 error =true", "  evaluation f default NONE user=a"];
    Ask::event(&missing).unsummarized().shows(&lines);
    // Off without a variation: the default was served, and nothing failed.
    let off = FEATURE.replace(r#""variation":1"#, r#""variation":null"#);
    let lines = ["Feature @5", "  count f default v3 x1 =true", "  evaluation f default v3 NONE user=a"];
    Ask::event(&off).unsummarized().shows(&lines);
}

#[test]
fn values_never_tell_counters_apart_and_long_ones_are_left_out() {
    let long = "x".repeat(300);
    let flags = format!(r#""f":{{"counters":[{{"value":"{long}","count":4}},{{"value":{{"a": [1]}},"count":1}}]}}"#);
    Ask::bulk(format!("[{}]", summary(&flags))).shows(&[
        "Summary @9",
        "  count f default x4",
        r#"  count f default x1 ={"a": [1]}"#,
    ]);
}

#[test]
fn prerequisites_are_evaluations_of_their_own() {
    let flags = r#""child":{"counters":[{"value":"on","count":1,"variation":0,"version":14}],"contextKinds":["user"]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).shows(&["Summary @9", "  count child 0 v14 x1 =\"on\""]);
    let event = feature(r#""prereqOf":"parent""#);
    Ask::event(&event).unsummarized().shows(&[
        "Feature @5",
        "  count f 1 v3 x1 =true",
        "  evaluation f 1 v3 NONE user=a",
    ]);
}

#[test]
fn excluded_flags_are_no_usage() {
    let lines = ["Feature @5", "  sight f 1 v3 =true", "  evaluation f 1 v3 NONE user=a"];
    Ask::event(&feature(r#""excludeFromSummaries":true"#)).unsummarized().shows(&lines);
    let counted = Ask::event(&feature(r#""excludeFromSummaries":null"#)).unsummarized().shown();
    assert!(counted.contains("count f"), "{counted}");
}

#[test]
fn an_exposure_is_what_the_sdk_says_is_one() {
    let cases = [
        ("4", r#""reason":{"kind":"FALLTHROUGH","inExperiment":true}"#, true),
        ("4", r#""reason":{"inExperiment":true,"kind":"RULE_MATCH","ruleIndex":1,"ruleId":"r"}"#, true),
        ("4", r#""reason":{"kind":"FALLTHROUGH"}"#, false),
        // A flag whose events somebody wants to see is no experiment.
        ("4", r#""reason":{"kind":"FALLTHROUGH"},"trackEvents":true"#, false),
        // Before schema 4 it was, and there was no other word for it.
        ("3", r#""reason":{"kind":"FALLTHROUGH"},"trackEvents":true"#, true),
        ("3", r#""reason":{"kind":"RULE_MATCH"},"trackEvents":true"#, true),
        ("3", r#""reason":{"kind":"RULE_MATCH"},"trackEvents":false"#, false),
        ("3", r#""reason":{"kind":"TARGET_MATCH"},"trackEvents":true"#, false),
        ("3", r#""reason":{"kind":"FALLTHROUGH","inExperiment":false},"trackEvents":true"#, false),
        ("3", r#""trackEvents":true"#, false),
    ];
    for (schema, more, exposure) in cases {
        let ask = Ask::post("/bulk", format!("[{}]", feature(more))).header("X-LaunchDarkly-Event-Schema", schema);
        assert_eq!(ask.rows().unwrap().evaluations[0].in_experiment, exposure, "schema {schema}: {more}");
    }
}

#[test]
fn an_exposure_names_each_kind_of_its_context_once() {
    let multi =
        r#"{"user":{"key":"u"},"org":{"key":"o","kind":"ignored"},"anonymous":true,"_meta":{"x":1},"kind":"multi"}"#;
    let event = FEATURE.replace(r#"{"kind":"user","key":"a"}"#, multi);
    Ask::event(&event).shows(&["Feature @5", "  sight f 1 v3 =true", "  evaluation f 1 v3 NONE user=u org=o"]);
    let keys =
        FEATURE.replace(r#""context":{"kind":"user","key":"a"}"#, r#""contextKeys":{"user":"u","org":"o","user":"v"}"#);
    Ask::event(&keys).shows(&["Feature @5", "  sight f 1 v3 =true", "  evaluation f 1 v3 NONE user=v org=o"]);
}

#[test]
fn a_sampled_event_stands_for_many_where_nothing_else_counts() {
    let event = feature(r#""samplingRatio":10"#);
    Ask::event(&event).unsummarized().shows(&[
        "Feature @5",
        "  count f 1 v3 x10 estimated =true",
        "  evaluation f 1 v3 NONE user=a",
    ]);
    // A summary's count is exact: the ratio of a full event changes nothing there.
    Ask::event(&event).shows(&["Feature @5", "  sight f 1 v3 =true", "  evaluation f 1 v3 NONE user=a"]);
    for one in ["1", "0", "null"] {
        let shown = Ask::event(&feature(&format!(r#""samplingRatio":{one}"#))).unsummarized().shown();
        assert!(shown.contains("x1 =true"), "{shown}");
    }
    let custom = r#"{"kind":"custom","key":"c","samplingRatio":4,"metricValue":2}"#;
    Ask::event(custom).shows(&["Custom @-", "  Custom c 2000000 x4"]);
}

#[test]
fn a_summarys_time_is_its_end_unless_it_starts_after_it() {
    let times = [
        ("1", "9", "9"),
        ("9", "9", "9"),
        ("10", "9", "-"),
        ("null", "9", "9"),
        ("1", "null", "-"),
        ("1.5", "9.9e0", "9"),
    ];
    for (start, end, time) in times {
        let body = format!(r#"[{{"kind":"summary","features":{{}},"startDate":{start},"endDate":{end}}}]"#);
        assert_eq!(Ask::bulk(body).shown(), format!("Summary @{time}\n"), "{start} to {end}");
    }
}

#[test]
fn reasons_are_the_sdks_own_words() {
    let cases = [
        (r#"{"kind":"OFF"}"#, "OFF"),
        (r#"{"kind":"TARGET_MATCH"}"#, "TARGET_MATCH"),
        (r#"{"kind":"PREREQUISITE_FAILED","prerequisiteKey":"p"}"#, "PREREQUISITE_FAILED"),
        (r#"{"errorKind":"WRONG_TYPE","kind":"ERROR"}"#, "ERROR:WRONG_TYPE"),
        (r#"{"kind":"ERROR","errorKind":"FLAG_NOT_FOUND"}"#, "ERROR:FLAG_NOT_FOUND"),
        (r#"{"kind":"ERROR","errorKind":"NEW_ONE"}"#, "ERROR:OTHER"),
        (r#"{"kind":"NEW_ONE"}"#, "OTHER"),
        ("null", "NONE"),
    ];
    for (reason, name) in cases {
        let payload = Ask::event(&feature(&format!(r#""reason":{reason}"#))).unsummarized().rows().unwrap();
        assert_eq!(payload.evaluations[0].reason.name(), name);
        assert_eq!(payload.counts[0].error, name.starts_with("ERROR"), "{reason}");
    }
}
