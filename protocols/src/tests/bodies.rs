//! Bodies that are odd, broken or hostile: what is refused, and how much of it.

use super::ask::{Ask, summary};

const GOOD: &str = r#"{"kind":"custom","key":"c"}"#;
const KEPT: [&str; 2] = ["Custom @-", "  Custom c - x1"];

#[test]
fn what_is_no_json_array_is_refused_whole() {
    let bodies: [&[u8]; 23] = [
        b"",
        b"  \n",
        b"null",
        b"true",
        b"12",
        b"\"[]\"",
        b"[",
        b"]",
        b"[,]",
        b"[{\"kind\":\"custom\",\"key\":\"c\"},]",
        b"[{\"kind\":\"custom\",\"key\":\"c\"}",
        b"[{\"kind\":\"custom\",\"key\":\"c\"}]]",
        b"[{\"kind\":\"custom\",\"key\":\"c\"}] x",
        b"[{\"kind\":\"custom\" \"key\":\"c\"}]",
        b"[{\"kind\":\"custom\",key:\"c\"}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",}]",
        b"[{'kind':'custom'}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"data\":[1,2}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"data\":{\"a\":1]}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"metricValue\":01}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"data\":NaN}]",
        b"[{\"kind\":\"custom\",\"key\":\"a\nb\"}]",
        b"\xef\xbb\xbf[]",
    ];
    for body in bodies {
        let ask = Ask::bulk(body);
        assert_eq!(ask.shown(), "refused malformed_payload", "{}", String::from_utf8_lossy(body));
        assert_eq!(ask.reply().status, 400);
    }
}

#[test]
fn a_break_anywhere_refuses_what_stood_before_it_too() {
    for broken in
        ["{\"kind\":\"nobody\",\"x\":tru}", "{\"kind\":\"custom\",\"key\":\"c\",\"unread\":{\"a\":[\"\\x\"]}}", "nul"]
    {
        Ask::bulk(format!("[{GOOD},{broken}]")).shows(&["refused malformed_payload"]);
    }
}

#[test]
fn nothing_in_it_is_fine_and_so_is_white_space() {
    for body in ["[]", " [ ] ", "\r\n\t[\n]\n"] {
        assert_eq!(Ask::bulk(body).shown(), "");
        assert_eq!(Ask::bulk(body).reply().status, 202);
    }
    Ask::bulk(" [ { \"kind\" : \"custom\" ,\n\"key\"\t: \"c\" } ] ").shows(&KEPT);
}

#[test]
fn a_bad_element_is_refused_alone() {
    let cases = [
        ("null", "malformed_event"),
        ("7", "malformed_event"),
        ("[]", "malformed_event"),
        ("{}", "malformed_event"),
        (r#"{"kind":7}"#, "malformed_event"),
        (r#"{"kind":"from-the-future","key":"c"}"#, "unknown_kind"),
        (r#"{"kind":"Custom","key":"c"}"#, "unknown_kind"),
        (r#"{"kind":"custom"}"#, "malformed_event"),
        (r#"{"kind":"custom","key":null}"#, "malformed_event"),
        (r#"{"kind":"custom","key":7}"#, "malformed_event"),
        (r#"{"kind":"custom","key":""}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"a\u0000b"}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"\ud800"}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"\udc00\ud800"}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"\ud800\ue000"}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"\ud800x\udc00"}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"c","creationDate":"yesterday"}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","context":"alice"}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","context":{"kind":"user"}}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","context":{"kind":"user","key":""}}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"c","context":{"kind":"","key":"a"}}"#, "invalid_key"),
        (r#"{"kind":"custom","key":"c","context":{"kind":"multi","user":{"name":"x"}}}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","contextKeys":{"user":7}}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","contextKeys":["user"]}"#, "malformed_event"),
        (r#"{"kind":"custom","key":"c","samplingRatio":-1}"#, "count_out_of_range"),
        (r#"{"kind":"custom","key":"c","samplingRatio":1e300}"#, "count_out_of_range"),
        (r#"{"kind":"feature","key":"f","variation":"red"}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","variation":-1}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","variation":4294967296}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","version":1.5}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","reason":"OFF"}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","reason":"\ud800"}"#, "malformed_event"),
        (r#"{"kind":"feature","key":"f","context":1e400}"#, "malformed_event"),
        (r#"{"kind":"index","creationDate":1}"#, "malformed_event"),
        (r#"{"kind":"summary","startDate":1,"endDate":2}"#, "malformed_event"),
        (r#"{"kind":"summary","features":[]}"#, "malformed_event"),
        (r#"{"kind":"diagnostic-next"}"#, "unknown_kind"),
    ];
    for (bad, reason) in cases {
        let rejected = format!("rejected {reason} 1");
        let lines = [&KEPT[..], &KEPT[..], &[&rejected]].concat();
        Ask::bulk(format!("[{GOOD},{bad},{GOOD}]")).unsummarized().shows(&lines);
    }
}

#[test]
fn rows_of_a_refused_element_are_taken_back() {
    // Each of these pushes rows (counters, context keys) before its fault is seen.
    let flags = r#""features":{"f":{"counters":[{"count":1}]}}"#;
    for bad in [
        format!(r#"{{{flags},"kind":"unknown"}}"#),
        format!(r#"{{{flags},"kind":"summary","endDate":"x"}}"#),
        format!(r#"{{{flags},"kind":"diagnostic-next"}}"#),
        r#"{"kind":"custom","key":"c","contextKeys":{"user":"a","org":7}}"#.to_owned(),
        r#"{"kind":"index","contextKeys":{"user":"a","org":7}}"#.to_owned(),
    ] {
        let payload = Ask::event(&bad).rows().unwrap();
        assert_eq!((payload.elements.len(), payload.counts.len(), payload.context_keys.len()), (0, 0, 0), "{bad}");
        assert_eq!(payload.rejections.refused(), 1, "{bad}");
        assert!(payload.contexts_seen.is_empty(), "{bad}");
    }
    // On another kind the field means nothing.
    Ask::event(&format!(r#"{{{flags},"kind":"custom","key":"c"}}"#)).shows(&KEPT);
}

#[test]
fn a_bad_counter_or_entry_is_refused_alone() {
    let good = r#""f":{"counters":[{"count":1}]}"#;
    let cases = [
        (r#""g":{"counters":[{"count":-1}]}"#, "count_out_of_range"),
        (r#""g":{"counters":[{"count":1.5}]}"#, "count_out_of_range"),
        (r#""g":{"counters":[{"count":1000000001}]}"#, "count_out_of_range"),
        (r#""g":{"counters":[{"count":9007199254740993}]}"#, "count_out_of_range"),
        (r#""g":{"counters":[{"count":1e300}]}"#, "count_out_of_range"),
        (r#""g":{"counters":[{"count":"1"}]}"#, "malformed_event"),
        (r#""g":{"counters":[{"variation":1}]}"#, "malformed_event"),
        (r#""g":{"counters":[{"count":1,"variation":true}]}"#, "malformed_event"),
        (r#""g":{"counters":[{"count":1,"unknown":"yes"}]}"#, "malformed_event"),
        (r#""g":{"counters":[7]}"#, "malformed_event"),
        (r#""g":{"counters":{}}"#, "malformed_event"),
        (r#""g":{"default":1}"#, "malformed_event"),
        (r#""g":7"#, "malformed_event"),
        (r#""g":"\ud800""#, "malformed_event"),
        (r#""g":{"counters":[1e400]}"#, "malformed_event"),
        (r#""":{"counters":[{"count":1}]}"#, "invalid_key"),
        (r#""\ud800":{"counters":[{"count":1}]}"#, "invalid_key"),
    ];
    for (bad, reason) in cases {
        let rejected = format!("rejected {reason} 1");
        let lines = ["Summary @9", "  count f default x1", &rejected];
        Ask::bulk(format!("[{}]", summary(&format!("{good},{bad}")))).shows(&lines);
        Ask::bulk(format!("[{}]", summary(&format!("{bad},{good}")))).shows(&lines);
        // With nothing good left in it, the summary is no element.
        Ask::bulk(format!("[{}]", summary(bad))).shows(&[&rejected]);
    }
    let mixed = r#""f":{"counters":[{"count":-1},{"count":2},{}]}"#;
    let lines = ["Summary @9", "  count f default x2", "rejected malformed_event 1", "rejected count_out_of_range 1"];
    Ask::bulk(format!("[{}]", summary(mixed))).shows(&lines);
}

#[test]
fn a_summary_may_be_empty() {
    for features in ["", r#""f":{"counters":[]}"#, r#""f":{"counters":[{"count":0}]}"#] {
        Ask::bulk(format!("[{}]", summary(features))).shows(&["Summary @9"]);
    }
}

#[test]
fn of_a_field_named_twice_the_last_counts() {
    Ask::event(r#"{"key":"x","kind":"debug","kind":"custom","key":7,"key":"c"}"#).shows(&KEPT);
    Ask::event(r#"{"\u006bind":"custom","k\u0065y":"\u0063"}"#).shows(&KEPT);
    let twice = r#"{"kind":"summary","endDate":9,"features":{"a":{"counters":[{"count":1}]}},
        "features":{"b":{"counters":[{"count":2}],"counters":[{"count":3}]}}}"#;
    Ask::event(twice).shows(&["Summary @9", "  count b default x3"]);
    let refused_first = r#""f":{"counters":[{"count":-1},{"count":1}],"counters":[{"count":3}]}"#;
    Ask::bulk(format!("[{}]", summary(refused_first))).shows(&["Summary @9", "  count f default x3"]);
    // Two entries of one flag may both hold counts: none is dropped in silence.
    let both = r#""f":{"counters":[{"count":1}]},"f":{"counters":[{"count":2}]}"#;
    Ask::bulk(format!("[{}]", summary(both))).shows(&["Summary @9", "  count f default x1", "  count f default x2"]);
}

#[test]
fn broken_text_matters_only_in_keys() {
    let tolerated: [&[u8]; 3] = [
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"data\":\"\xff\xfe\"}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"data\":{\"\\ud800\":\"\\udfff\"}}]",
        b"[{\"\xff\":1,\"kind\":\"custom\",\"key\":\"c\",\"url\":\"\xc3\"}]",
    ];
    for body in tolerated {
        Ask::bulk(body).shows(&KEPT);
    }
    let keys: [&[u8]; 4] = [
        b"[{\"kind\":\"custom\",\"key\":\"\xff\"}]",
        b"[{\"kind\":\"custom\",\"key\":\"\\u0041\xc3\"}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"userKey\":\"\xff\"}]",
        b"[{\"kind\":\"custom\",\"key\":\"c\",\"contextKeys\":{\"\xff\":\"a\"}}]",
    ];
    for body in keys {
        Ask::bulk(body).shows(&["rejected invalid_key 1"]);
    }
    // Half a pair on either side of bad bytes does not make a pair with what they become.
    for halves in [&b"\\ud83d\xff"[..], b"\xff\\udc00", b"\\ud83d\xff\\udc00", b"\\\\\xff"] {
        let body = [&b"[{\"kind\":\"custom\",\"key\":\""[..], halves, b"\"}]"].concat();
        Ask::bulk(&body).shows(&["rejected invalid_key 1"]);
    }
    // Bad bytes mend no syntax: after a backslash, outside of a string.
    for broken in [&b"[\"\\\xff\"]"[..], b"[\xff]", b"\xff[]", b"[]\xff", b"[\"\\\\\\\xff\"]"] {
        Ask::bulk(broken).shows(&["refused malformed_payload"]);
    }
    let value = b"[{\"kind\":\"summary\",\"features\":{\"f\":{\"counters\":[{\"count\":1,\"value\":\"\xff\"}]}}}]";
    Ask::bulk(value).shows(&["Summary @-", "  count f default x1"]);
}

#[test]
fn escapes_are_undone_in_keys() {
    let event = r#"{"kind":"custom","key":"\"\\\/\b\f\n\r\t\u00fc\ud834\udd1e"}"#;
    assert_eq!(Ask::event(event).rows().unwrap().conversions[0].key, "\"\\/\u{8}\u{c}\n\r\tü𝄞");
}
