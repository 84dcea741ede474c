//! What each SDK is told.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use schemas::rejection::Rejection;

use super::ask::Ask;
use crate::{Body, Outcome, Refusal, Reply, RouteMiss, answer_miss};

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.iter().find(|(sent, _)| *sent == name).map(|(_, value)| &**value)
}

#[test]
fn accepted_is_202_with_nothing_in_it() {
    for path in ["/bulk", "/mobile", "/mobile/events/bulk", "/events/bulk/e"] {
        let reply = Ask::post(path, "[]").reply();
        assert_eq!((reply.status, &reply.body, reply.content_type()), (202, &Body::Empty, None), "{path}");
    }
    assert_eq!(Ask::post("/bulk", "[]").reply().headers, []);
}

#[test]
fn a_payload_that_is_partly_or_wholly_bad_is_202() {
    assert_eq!(Ask::bulk(r#"[{"kind":"custom","key":"c"},7]"#).reply().status, 202);
    assert_eq!(Ask::bulk("[7]").reply().status, 202);
}

#[test]
fn too_large_is_413_only_to_those_who_survive_it() {
    let too_large = Refusal::new(Rejection::PayloadTooLarge, "body is larger than 5242880 bytes");
    let cases = [
        ("NodeJSClient/9.13.7", 413),
        ("NodeJSClient/8.2.0", 400),
        ("NodeJSClient/10.0.0", 400),
        ("GoClient/7.10.0", 413),
        ("CPPServer/3.5.0", 413),
        ("CPPClient/3.9.0", 413),
        ("FlutterClientSdk/4.9.0", 413),
        ("PythonClient/9.18.2", 400),
        ("RustServerClient/2.6.1", 400),
        ("JavaClient/7.0.0", 400),
        ("iOS/9.8.0", 400),
        ("Mozilla/5.0 GoClient/", 400),
        ("", 400),
    ];
    for (agent, status) in cases {
        let reply = Ask::bulk("[]").header("User-Agent", agent).reply_to(Outcome::Refused(&too_large));
        assert_eq!(reply.status, status, "{agent}");
    }
    // Every other refusal is 400 to everybody: no other 4xx leaves an SDK alive.
    for reason in Rejection::ALL.into_iter().filter(|reason| *reason != Rejection::PayloadTooLarge) {
        let refusal = Refusal::new(reason, "x");
        let reply = Ask::bulk("[]").header("user-agent", "GoClient/7").reply_to(Outcome::Refused(&refusal));
        assert_eq!(reply.status, 400, "{reason:?}");
    }
}

#[test]
fn outcomes_of_the_server_have_their_status() {
    let ask = Ask::bulk("[]");
    for (outcome, status, code) in [
        (Outcome::UnknownKey, 401, "unknown_key"),
        (Outcome::TooSlow, 408, "too_slow"),
        (Outcome::Overloaded, 503, "overloaded"),
        (Outcome::Unavailable, 503, "unavailable"),
    ] {
        let reply = ask.reply_to(outcome);
        assert_eq!(reply.status, status);
        assert!(matches!(reply.body, Body::Error { code: told, .. } if told == code));
        assert_eq!(header(&reply, "retry-after"), (status == 503).then_some("1"));
    }
}

#[test]
fn an_unknown_key_is_told_as_what_it_is_unknown_and_what_to_do() {
    let todo = "admit it with `flagstream keys add`, then restart the app that sent it";
    for (path, what) in [
        ("/bulk", "this key as a server key"),
        ("/mobile", "this key as a mobile key"),
        ("/events/bulk/e", "this id as a client-side id"),
    ] {
        let reply = Ask::post(path, "[]").header("authorization", "sdk-x").reply_to(Outcome::UnknownKey);
        let Body::Error { message, .. } = reply.body else { panic!("{path}: {:?}", reply.body) };
        assert_eq!(message, format!("no environment has {what}; {todo}"), "{path}");
    }
}

#[test]
fn no_key_at_all_and_one_behind_bearer_are_told_apart_from_an_unknown_one() {
    let message = |ask: Ask| match ask.reply_to(Outcome::UnknownKey).body {
        Body::Error { message, .. } => message,
        body => panic!("{body:?}"),
    };
    let sent = |path: &str, value: &str| message(Ask::post(path, "[]").header("Authorization", value));
    for (path, kind) in [("/bulk", "server"), ("/mobile", "mobile")] {
        let none = format!("no key was sent: a {kind} key goes into the header `Authorization`, as it is");
        assert_eq!(message(Ask::post(path, "[]")), none);
        assert_eq!(sent(path, "  "), none);
        let bearer = format!("`Authorization` begins with `Bearer`; a {kind} key goes there as it is, without it");
        for value in ["Bearer sdk-x", "bearer sdk-x"] {
            assert_eq!(sent(path, value), bearer);
        }
        assert!(sent(path, "bearer-of-news").starts_with("no environment has"));
    }
    // Where the id stands in the path, nobody looks at the header.
    assert!(message(Ask::post("/events/bulk/e", "[]")).starts_with("no environment has"));
}

#[test]
fn errors_are_json_whatever_stands_in_them() {
    let refusal = Refusal::new(Rejection::BadCompression, "content-encoding \"b\\r\u{1}\n\" is ü");
    let reply = Ask::bulk("[]").reply_to(Outcome::Refused(&refusal));
    assert_eq!(reply.content_type(), Some("application/json"));
    let read = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    let with_id = read(&reply.body_bytes(Some("r-\"1")));
    assert_eq!(
        with_id,
        serde_json::json!({"code": "bad_compression", "message": refusal.message, "requestId": "r-\"1"})
    );
    assert_eq!(read(&reply.body_bytes(None)).get("requestId"), None);
}

#[test]
fn a_preflight_allows_what_browsers_ask_for() {
    let mut ask = Ask::post("/events/bulk/e", "").header("Origin", "https://shop.test");
    ask.method = "OPTIONS";
    let reply = ask.reply();
    assert_eq!((reply.status, &reply.body), (204, &Body::Empty));
    let expected = [
        ("access-control-allow-origin", "https://shop.test"),
        ("access-control-allow-credentials", "false"),
        ("access-control-expose-headers", "Date"),
        ("access-control-max-age", "300"),
        ("access-control-allow-methods", "POST, OPTIONS"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&reply, name), Some(value), "{name}");
    }
    let allowed = header(&reply, "access-control-allow-headers").unwrap().to_lowercase();
    let asked = "content-type,x-launchdarkly-event-schema,x-launchdarkly-payload-id,x-launchdarkly-user-agent,\
        x-launchdarkly-wrapper,x-launchdarkly-tags";
    for name in asked.split(',') {
        assert!(allowed.split(", ").any(|allowed| allowed == name), "{name} in {allowed}");
    }
}

#[test]
fn every_answer_to_a_browser_can_be_read_by_its_page() {
    let ask = Ask::post("/events/bulk/e", "[").header("origin", "https://shop.test");
    for reply in [
        ask.reply(),
        ask.reply_to(Outcome::Accepted),
        ask.reply_to(Outcome::UnknownKey),
        ask.reply_to(Outcome::Unavailable),
    ] {
        assert_eq!(header(&reply, "access-control-allow-origin"), Some("https://shop.test"), "{}", reply.status);
        assert_eq!(header(&reply, "access-control-expose-headers"), Some("Date"));
    }
    assert_eq!(header(&Ask::post("/events/bulk/e", "[]").reply(), "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&Ask::bulk("[]").header("origin", "x").reply(), "access-control-allow-origin"), None);
}

#[test]
fn misses_have_their_answers() {
    let cases = [
        (RouteMiss::UnknownUnderPrefix, 400, "unknown_path"),
        (RouteMiss::WrongMethod { allow: "POST, OPTIONS" }, 405, "method_not_allowed"),
        (RouteMiss::FlagDelivery, 404, "flag_delivery"),
        (RouteMiss::Foreign, 404, "not_found"),
    ];
    for (miss, status, code) in cases {
        let reply = answer_miss(miss, &[]);
        assert_eq!(reply.status, status);
        assert!(matches!(&reply.body, Body::Error { code: told, .. } if *told == code));
        assert_eq!(header(&reply, "access-control-allow-origin"), None);
    }
    let reply = answer_miss(RouteMiss::FlagDelivery, &[("Origin", b"https://shop.test")]);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some("https://shop.test"));
    assert!(
        matches!(reply.body, Body::Error { message, .. } if message == "Flagstream takes events only; set the events address alone")
    );
}

/// An image request with this parameter.
fn image(query: String) -> Ask {
    let mut ask = Ask::post("/events/bulk/e/a/e.gif", "");
    (ask.method, ask.query) = ("GET", query);
    ask
}

#[test]
fn an_image_request_is_read_in_both_alphabets_and_answered_with_an_image() {
    // Its base64 holds both characters in which the alphabets differ.
    let events = r#"[{"kind":"custom","key":"???>>>~~~","userKey":"ÿþx"}]"#;
    let forms = [
        STANDARD.encode(events),
        STANDARD_NO_PAD.encode(events),
        URL_SAFE.encode(events),
        URL_SAFE_NO_PAD.encode(events),
    ];
    assert!(forms[0].contains('+') && forms[0].contains('/') && forms[0] != forms[1], "{}", forms[0]);
    let escaped = forms[0].replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let spaced = forms[0].replace('+', "%20");
    for d in forms.into_iter().chain([escaped, spaced]) {
        let ask = image(format!("x=1&d={d}&y=2"));
        ask.shows(&["Custom @-", "  Custom ???>>>~~~ - x1 user=ÿþx"]);
        let reply = ask.reply();
        assert_eq!((reply.status, reply.content_type()), (200, Some("image/gif")));
        assert!(reply.body_bytes(None).starts_with(b"GIF89a\x01\0\x01\0"));
        assert_eq!(header(&reply, "cache-control"), Some("no-store"));
    }
}

#[test]
fn an_image_request_is_of_schema_3() {
    let encode = |events: &str| image(format!("d={}", URL_SAFE_NO_PAD.encode(events)));
    let payload = encode(r#"[{"kind":"feature","key":"f","userKey":"u","variation":0}]"#).rows().unwrap();
    let counted: u64 = payload.counts.iter().map(|row| row.count).sum();
    assert_eq!((counted, payload.evaluations.len(), payload.id), (0, 1, None));
}

#[test]
fn a_bad_image_request_is_refused() {
    for query in ["", "d", "d=", "e=W10", "d=***", "d=W", "d=e30"] {
        let ask = image(query.to_owned());
        assert_eq!((ask.shown().as_str(), ask.reply().status), ("refused malformed_payload", 400), "{query}");
    }
}
