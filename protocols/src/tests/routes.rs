//! Every path: whose it is, what it carries, where its key lies.

use schemas::event::Credential::{ClientSide, Mobile, Server};

use crate::Carries::{Analytics, Diagnostic, Image, Preflight};
use crate::{CredentialPlace, RouteMiss, route};

#[test]
fn every_path_is_known_however_its_slashes_stand() {
    let cases = [
        ("POST", "/bulk", Analytics, Server, None),
        ("POST", "/bulk/", Analytics, Server, None),
        ("POST", "//bulk", Analytics, Server, None),
        ("POST", "/diagnostic", Diagnostic, Server, None),
        ("POST", "/mobile", Analytics, Mobile, None),
        ("POST", "/mobile/events", Analytics, Mobile, None),
        ("POST", "/mobile/events/bulk", Analytics, Mobile, None),
        ("POST", "/mobile//events/bulk//", Analytics, Mobile, None),
        ("POST", "/mobile/events/diagnostic", Diagnostic, Mobile, None),
        ("POST", "/events/bulk/5f01", Analytics, ClientSide, Some("5f01")),
        ("POST", "/events/diagnostic/5f01", Diagnostic, ClientSide, Some("5f01")),
        ("POST", "//events/bulk//5f01/", Analytics, ClientSide, Some("5f01")),
        ("POST", "/events/bulk/a%2Fb%20c%zz", Analytics, ClientSide, Some("a/b c%zz")),
        ("OPTIONS", "/events/bulk/5f01", Preflight, ClientSide, Some("5f01")),
        ("OPTIONS", "/events/diagnostic/5f01", Preflight, ClientSide, Some("5f01")),
        ("GET", "/a/5f01.gif", Image, ClientSide, Some("5f01")),
        ("GET", "/events/bulk/5f01/a/5f01.gif", Image, ClientSide, Some("5f01")),
    ];
    for (method, path, carries, kind, id) in cases {
        let route = route(method, path).unwrap_or_else(|miss| panic!("{method} {path}: {miss:?}"));
        assert_eq!((route.carries, route.credential_kind), (carries, kind), "{method} {path}");
        let place = id.map_or(CredentialPlace::Authorization, |id| CredentialPlace::Path(id.as_bytes().into()));
        assert_eq!(route.credential_place, place, "{method} {path}");
        assert_eq!(route.is_for_browsers(), kind == ClientSide);
    }
}

#[test]
fn what_lies_under_an_sdks_prefix_is_never_somebody_elses() {
    let paths = [
        "/bulk/x",
        "/mobile/x",
        "/mobile/events/x",
        "/events/",
        "/events/bulk",
        "/events/bulk/e/x",
        "/events/x/e",
        "/diagnostic/x",
        "/a/e.png",
        "/a",
        "/bulk/a/b/c/d/e/f/g/h/i",
    ];
    for path in paths {
        assert_eq!(route("POST", path).unwrap_err(), RouteMiss::UnknownUnderPrefix, "{path}");
    }
}

#[test]
fn other_methods_are_told_which_one() {
    for (method, path, allow) in [
        ("GET", "/bulk", "POST"),
        ("PUT", "/events/bulk/e", "POST, OPTIONS"),
        ("POST", "/a/e.gif", "GET, OPTIONS"),
        ("OPTIONS", "/bulk", "POST"),
        ("OPTIONS", "/diagnostic", "POST"),
        ("OPTIONS", "/mobile", "POST"),
    ] {
        assert_eq!(route(method, path).unwrap_err(), RouteMiss::WrongMethod { allow }, "{method} {path}");
    }
}

#[test]
fn flags_are_not_delivered_here() {
    let paths = [
        "/all",
        "/sdk/latest-all",
        "/sdk/evalx/e/contexts/x",
        "/sdk/goals/e",
        "/meval",
        "/meval/x",
        "/msdk/evalx/contexts/x",
        "/eval/e/x",
        "/mping",
        "/ping/e",
        "/clientstream",
        "/api/client/features",
        "/api/client/features/f",
        "/api/frontend",
    ];
    for path in paths {
        assert_eq!(route("GET", path).unwrap_err(), RouteMiss::FlagDelivery, "{path}");
    }
    for path in
        ["/", "/v1/projects", "/api/v2/usage/evaluations/p/e/f", "/allx", "/api/client", "/flags/f", "/livez", ""]
    {
        assert_eq!(route("GET", path).unwrap_err(), RouteMiss::Foreign, "{path}");
    }
}

#[test]
fn keys_come_bare_or_after_a_word() {
    let key = |value: &'static str| {
        let headers: [(&str, &[u8]); 1] = [("AUTHORIZATION", value.as_bytes())];
        route("POST", "/mobile").unwrap().credential(&headers).map(|key| String::from_utf8_lossy(&key).into_owned())
    };
    assert_eq!(key("mob-1").as_deref(), Some("mob-1"));
    assert_eq!(key("api_key mob-1").as_deref(), Some("mob-1"));
    assert_eq!(key(" api_key  mob-1 ").as_deref(), Some("mob-1"));
    assert_eq!(key(""), None);
    assert_eq!(key("api_key "), Some("api_key".to_owned()), "no key at all, and so an unknown one");
    assert_eq!(route("POST", "/bulk").unwrap().credential(&[]), None);
    assert_eq!(route("GET", "/a/.gif").unwrap().credential(&[]), None);
}
