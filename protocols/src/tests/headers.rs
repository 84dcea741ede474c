//! What headers tell of the sender and of the payload.

use schemas::event::{Credential, PayloadId};

use super::ask::{Ask, sent_id};

#[test]
fn the_sender_is_told_by_headers() {
    let origin = Ask::bulk("[]")
        .header("user-agent", "NodeJSClient/9.13.7 (linux) x/1")
        .header("X-LaunchDarkly-Tags", "application-id/driver-app application-version/1.2.3 application-id/second")
        .header("X-LaunchDarkly-Wrapper", "open-feature-node-server/1.3.6")
        .header("X-LaunchDarkly-Instance-Id", "29a3492e-04cd-45bd-bc65-84788c2aaf64")
        .rows()
        .unwrap()
        .origin;
    assert_eq!((&*origin.sdk, &*origin.sdk_version), ("NodeJSClient", "9.13.7"));
    assert_eq!((&*origin.application, &*origin.application_version), ("driver-app", "1.2.3"));
    assert_eq!(origin.wrapper, "open-feature-node-server/1.3.6");
    assert_eq!(origin.instance, "29a3492e-04cd-45bd-bc65-84788c2aaf64");
    assert_eq!(origin.credential, Credential::Server);
}

#[test]
fn nothing_told_is_empty() {
    let origin = Ask::post("/mobile", "[]").rows().unwrap().origin;
    let told = [
        origin.sdk,
        origin.sdk_version,
        origin.application,
        origin.application_version,
        origin.wrapper,
        origin.instance,
    ];
    assert!(told.iter().all(|told| told.is_empty()), "{told:?}");
    assert_eq!(origin.credential, Credential::Mobile);
}

#[test]
fn browsers_tell_their_sdk_in_a_header_of_its_own() {
    let chromium = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36";
    let ask = Ask::post("/events/bulk/e", "[]").header("user-agent", chromium);
    let origin = ask.clone().header("X-LaunchDarkly-User-Agent", "JSClient/4.10.3").rows().unwrap().origin;
    assert_eq!((&*origin.sdk, &*origin.sdk_version), ("JSClient", "4.10.3"));
    assert_eq!(ask.rows().unwrap().origin.sdk, "", "a browser is no SDK");
}

#[test]
fn names_are_cut_at_the_edge_of_a_character() {
    let long = "ü".repeat(40);
    let origin = Ask::bulk("[]")
        .header("user-agent", format!("{long}/{long}"))
        .header("x-launchdarkly-tags", format!("application-id/{long} application-version/{long}"))
        .header("x-launchdarkly-wrapper", &long)
        .header("x-launchdarkly-instance-id", &long)
        .rows()
        .unwrap()
        .origin;
    let told = [
        origin.sdk,
        origin.sdk_version,
        origin.application,
        origin.application_version,
        origin.wrapper,
        origin.instance,
    ];
    assert!(told.iter().all(|told| **told == *"ü".repeat(32)), "{told:?}");
    let broken = Ask::bulk("[]").header("user-agent", b"SDK\xff/1\xfe").rows().unwrap().origin;
    assert_eq!((&*broken.sdk, &*broken.sdk_version), ("SDK\u{fffd}", "1\u{fffd}"));
}

#[test]
fn a_payload_id_is_kept_whole_up_to_its_limit_and_known_again_beyond_it() {
    let id = |sent: &str| sent_id(&Ask::bulk("[]").header("X-LaunchDarkly-Payload-ID", sent).rows().unwrap());
    assert_eq!(id("42a7b64d-e5aa"), Some(b"42a7b64d-e5aa".to_vec()));
    assert_eq!(id(&"a".repeat(128)), Some(vec![b'a'; 128]));
    assert_eq!(id(""), None);
    let (long, same, other) = (id(&"a".repeat(129)), id(&"a".repeat(129)), id(&format!("{}b", "a".repeat(128))));
    assert_eq!(long, same);
    assert_ne!(long, other);
    assert!(long.is_some_and(|id| id.len() <= 128));
    assert_eq!(Ask::bulk("[]").rows().unwrap().id, None);
}

#[test]
fn the_identity_of_a_diagnostic_has_its_three_parts() {
    let id = |diagnostic: &str, kind: &str, time: &str| {
        let body = format!(r#"{{"kind":"{kind}","id":{{"diagnosticId":"{diagnostic}"}},"creationDate":{time}}}"#);
        Ask::post("/diagnostic", body).rows().unwrap().id
    };
    let one = id("d", "diagnostic", "1");
    assert!(matches!(&one, Some(PayloadId::Diagnostic(_))));
    for other in [
        id("e", "diagnostic", "1"),
        id("d", "diagnostic-init", "1"),
        id("d", "diagnostic", "2"),
        id("d", "diagnostic", "null"),
    ] {
        assert_ne!(one, other);
    }
    assert_eq!(id("", "diagnostic", "1"), None);
    let long = "x".repeat(3000);
    assert!(matches!(id(&long, "diagnostic", "1"), Some(PayloadId::Diagnostic(id)) if id.len() <= 128));
}
