//! Each limit, at its edge and one past it.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use schemas::rejection::Rejection;

use super::ask::{Ask, summary};

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn rejected(ask: &Ask, reason: Rejection) -> u64 {
    ask.rows().unwrap().rejections.of(reason)
}

#[test]
fn events_beyond_the_limit_are_refused_and_numbered() {
    let events = [r#"{"kind":"custom","key":"c"}"#; 5].join(",");
    let ask = Ask::bulk(format!("[{events}]"));
    assert_eq!(rejected(&ask.clone().limits(|limits| limits.events_max = 5), Rejection::TooManyEvents), 0);
    let over = ask.limits(|limits| limits.events_max = 3);
    assert_eq!((over.rows().unwrap().elements.len(), rejected(&over, Rejection::TooManyEvents)), (3, 2));
}

#[test]
fn an_event_may_be_as_large_as_the_limit() {
    let event = |bytes: usize| {
        let head = r#"{"kind":"custom","key":"c","data":""#;
        format!("{head}{}\"}}", "x".repeat(bytes - head.len() - 2))
    };
    assert_eq!(rejected(&Ask::event(&event(64 * 1024)), Rejection::EventTooLarge), 0);
    Ask::bulk(format!("[ {} ,{{\"kind\":\"custom\",\"key\":\"d\"}}]", event(64 * 1024 + 1))).shows(&[
        "Custom @-",
        "  Custom d - x1",
        "rejected event_too_large 1",
    ]);
}

#[test]
fn a_summary_is_measured_flag_by_flag() {
    let entry = |key: &str, bytes: usize| {
        let (head, tail) = (r#"{"default":""#, r#"","counters":[{"count":1}]}"#);
        format!("\"{key}\":{head}{}{tail}", "x".repeat(bytes - head.len() - tail.len()))
    };
    // A thousand flags are far more than one event's limit, and none is lost.
    let many: Vec<_> = (0..1000).map(|n| entry(&n.to_string(), 1000)).collect();
    let payload = Ask::bulk(format!("[{}]", summary(&many.join(",")))).rows().unwrap();
    assert_eq!((payload.counts.len(), payload.rejections.is_empty()), (1000, true));
    let edge = format!("{},{}", entry("at", 64 * 1024), entry("over", 64 * 1024 + 1));
    let lines = ["Summary @9", "  count at default x1", "rejected event_too_large 1"];
    Ask::bulk(format!("[{}]", summary(&edge))).shows(&lines);
}

#[test]
fn counters_beyond_the_limit_are_refused_and_numbered() {
    let flags = r#""f":{"counters":[{"count":1},{"count":2}]},"g":{"counters":[{"count":3},{"count":0}]}"#;
    Ask::bulk(format!("[{}]", summary(flags))).limits(|limits| limits.counters_max = 2).shows(&[
        "Summary @9",
        "  count f default x1",
        "  count f default x2",
        "rejected too_many_events 1",
    ]);
}

#[test]
fn depth_is_counted_from_the_outermost_array() {
    // The array is level 1, the event level 2, its data from level 3 on.
    let event = |levels: usize| {
        format!(r#"{{"kind":"custom","key":"c","data":{}{}}}"#, "[".repeat(levels - 2), "]".repeat(levels - 2))
    };
    assert_eq!(rejected(&Ask::event(&event(32)), Rejection::TooDeep), 0);
    Ask::bulk(format!("[{},{}]", event(33), event(32))).shows(&["Custom @-", "  Custom c - x1", "rejected too_deep 1"]);
    let flags = format!(
        r#""deep":{{"default":{}{},"counters":[]}},"f":{{"counters":[{{"count":1}}]}}"#,
        "[".repeat(30),
        "]".repeat(30)
    );
    Ask::bulk(format!("[{}]", summary(&flags))).shows(&["Summary @9", "  count f default x1", "rejected too_deep 1"]);
}

#[test]
fn a_body_that_is_nothing_but_depth_is_refused_whole() {
    for opening in ["[", "{\"a\":", "[{\"kind\":"] {
        let bomb = format!("[{}", opening.repeat(1_000_000));
        Ask::bulk(bomb).shows(&["refused too_deep"]);
    }
    let closed = format!("{}{}", "[".repeat(1023), "]".repeat(1023));
    Ask::bulk(closed).shows(&["rejected too_deep 1"]);
    Ask::post("/diagnostic", "{\"a\":".repeat(5000)).shows(&["refused too_deep"]);
}

#[test]
fn bytes_that_are_no_text_do_not_make_a_body_grow_beyond_its_limit() {
    let body = |bad: usize| {
        let text = b"a\xff".repeat(bad);
        Ask::bulk([&b"[{\"kind\":\"custom\",\"key\":\"c\",\"url\":\""[..], &text, b"\"}]"].concat())
    };
    body(1000).limits(|limits| limits.inflated_bytes_max = 11_000).shows(&["Custom @-", "  Custom c - x1"]);
    let refusal = body(1000).limits(|limits| limits.inflated_bytes_max = 10_000).rows().unwrap_err();
    assert_eq!(refusal.message, "body is no UTF-8 in too many places");
}

#[test]
fn keys_may_be_as_long_as_their_limits() {
    let event = |key: usize, context: usize| {
        format!(r#"{{"kind":"custom","key":"{}","userKey":"{}"}}"#, "k".repeat(key), "u".repeat(context))
    };
    for (key, context, bad) in [(256, 1024, 0), (257, 1, 1), (1, 1025, 1)] {
        assert_eq!(rejected(&Ask::event(&event(key, context)), Rejection::InvalidKey), bad, "{key} {context}");
    }
    // A key's length is that of its text, not of the way in which it is written.
    let escaped = format!(r#"{{"kind":"custom","key":"{}"}}"#, r"\u0041".repeat(256));
    assert_eq!(rejected(&Ask::event(&escaped), Rejection::InvalidKey), 0);
}

#[test]
fn a_context_has_so_many_kinds_at_most() {
    let event = |kinds: usize| {
        let keys: Vec<_> = (0..kinds).map(|kind| format!(r#""k{kind}":"a""#)).collect();
        format!(r#"{{"kind":"custom","key":"c","contextKeys":{{{}}}}}"#, keys.join(","))
    };
    assert_eq!(rejected(&Ask::event(&event(64)), Rejection::MalformedEvent), 0);
    assert_eq!(rejected(&Ask::event(&event(65)), Rejection::MalformedEvent), 1);
}

#[test]
fn gzip_is_inflated_in_all_its_forms() {
    let plain = br#"[{"kind":"custom","key":"c"}]"#;
    let lines = ["Custom @-", "  Custom c - x1"];
    for encoding in ["gzip", "GZIP", "x-gzip", " gzip "] {
        Ask::bulk(gzip(plain)).header("Content-Encoding", encoding).shows(&lines);
    }
    let two_members = [gzip(&plain[..7]), gzip(&plain[7..])].concat();
    Ask::bulk(two_members).header("content-encoding", "gzip").shows(&lines);
    for encoding in ["identity", ""] {
        Ask::bulk(plain).header("content-encoding", encoding).shows(&lines);
    }
}

#[test]
fn bad_compression_is_refused() {
    let whole = gzip(br#"[{"kind":"custom","key":"c"}]"#);
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let bodies = [whole[..whole.len() - 1].to_vec(), whole[..4].to_vec(), b"[]".to_vec(), Vec::new(), flipped];
    for body in bodies {
        let ask = Ask::bulk(&body).header("content-encoding", "gzip");
        assert_eq!((ask.shown().as_str(), ask.reply().status), ("refused bad_compression", 400), "{body:?}");
    }
    for encoding in ["br", "deflate", "gzip, gzip", "zstd"] {
        Ask::bulk(&whole).header("content-encoding", encoding).shows(&["refused bad_compression"]);
    }
    // Not said to be compressed, so not sniffed.
    Ask::bulk(&whole).shows(&["refused malformed_payload"]);
    Ask::bulk(gzip(b"")).header("content-encoding", "gzip").shows(&["refused malformed_payload"]);
}

#[test]
fn inflating_stops_at_its_limits() {
    let spaces = |bytes: usize| {
        let mut plain = vec![b' '; bytes];
        plain[0] = b'[';
        plain[bytes - 1] = b']';
        Ask::bulk(gzip(&plain)).header("content-encoding", "gzip")
    };
    // Far beyond 100:1, but within the first MiB.
    assert_eq!(spaces(1 << 20).shown(), "");
    assert_eq!(spaces((1 << 20) + 1).shown(), "refused bad_compression");
    let message = |ask: Ask| ask.rows().unwrap_err().message.to_string();
    let said = message(spaces((1 << 20) + 1));
    assert!(said.contains("over 100 times its size") && !said.contains("flush more often"), "{said}");
    let no_ratio = |ask: Ask| ask.limits(|limits| limits.ratio_max = usize::MAX);
    assert_eq!(no_ratio(spaces(10 << 20)).shown(), "");
    assert_eq!(no_ratio(spaces((10 << 20) + 1)).shown(), "refused bad_compression");
    assert!(message(no_ratio(spaces((10 << 20) + 1))).contains("flush more often"));
}
