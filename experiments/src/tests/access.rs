//! Who may read what, by every form in which a key may come; and the page's log-in.

use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::world::{World, development, fill, path_of, slashed};
use crate::access::{Access, hash_key};

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Statuses of: development's books, the other environment's books, pipeline health.
async fn opens(world: &World, headers: &[(&str, &str)]) -> [u16; 3] {
    let books = |environment| format!("{}/books", path_of(environment));
    let paths = [books(&development()), books(&slashed()), "/v1/pipeline/health".to_owned()];
    let mut statuses = [0; 3];
    for (status, path) in statuses.iter_mut().zip(paths) {
        *status = world.get_with(&path, headers).await.status.as_u16();
    }
    statuses
}

#[tokio::test]
async fn each_key_opens_what_it_should_in_each_form() {
    let world = fill(World::guarded()).await;
    let cookie = |key: &str| format!("theme=dark; flagstream_key={}", URL_SAFE_NO_PAD.encode(key));
    let hash: String = hash_key("admin").iter().map(|byte| format!("{byte:02x}")).collect();
    let (read, admin, wrong, hash) =
        (cookie("read-development"), cookie("admin"), cookie("nobody"), format!("sha256:{hash}"));
    let long = "k".repeat(4000);
    let cases: [(Headers<'_>, [u16; 3]); 28] = [
        (&[], [401; 3]),
        (&[("authorization", "read-development")], [200, 404, 403]),
        (&[("authorization", "Bearer read-development")], [200, 404, 403]),
        (&[("authorization", "bearer   read-development ")], [200, 404, 403]),
        (&[("authorization", "read-shop")], [404, 200, 403]),
        (&[("authorization", "read-both")], [200, 200, 403]),
        (&[("authorization", "admin")], [200, 200, 200]),
        (&[("authorization", "Bearer admin")], [200, 200, 200]),
        (&[("cookie", &read)], [200, 404, 403]),
        (&[("cookie", &admin)], [200, 200, 200]),
        (&[("cookie", &wrong)], [401; 3]),
        (&[("cookie", "flagstream_key=admin")], [401; 3]),
        (&[("cookie", "flagstream_key=!!!")], [401; 3]),
        (&[("cookie", "flagstream_key=")], [401; 3]),
        (&[("authorization", "wrong"), ("cookie", &admin)], [401; 3]),
        (&[("authorization", "")], [401; 3]),
        (&[("authorization", "Bearer")], [401; 3]),
        (&[("authorization", "Bearer ")], [401; 3]),
        (&[("authorization", "Basic admin")], [401; 3]),
        (&[("authorization", "Token admin")], [401; 3]),
        (&[("authorization", "ADMIN")], [401; 3]),
        (&[("authorization", "admin2")], [401; 3]),
        (&[("authorization", "admi")], [401; 3]),
        (&[("authorization", "admin, read-shop")], [401; 3]),
        (&[("authorization", "\u{e4}dmin")], [401; 3]),
        (&[("authorization", &hash)], [401; 3]),
        (&[("authorization", &long)], [401; 3]),
        (&[("authorization", "admin"), ("authorization", "admin")], [401; 3]),
    ];
    for (headers, expected) in cases {
        assert_eq!(opens(&world, headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn another_keys_environment_cannot_be_told_from_none() {
    let world = fill(World::guarded()).await;
    let headers = [("authorization", "read-development")];
    let told = |reply: super::world::Reply, name: &str| {
        (reply.status, reply.body.replace(name, "NAME").replace("test-1", "").replace("test-2", ""))
    };
    for rest in ["books", "events", "evaluations", "evaluations?granularity=nonsense"] {
        let real = world.get_with(&format!("{}/{rest}", path_of(&slashed())), &headers).await;
        let none = world.get_with(&format!("/v1/projects/no/environments/where/{rest}"), &headers).await;
        assert_eq!(real.status, 404);
        assert_eq!(told(real, "shop/eu/prod & %2F"), told(none, "no/where"), "{rest}");
    }
    let real = world.get_with("/?project=shop%2Feu&environment=prod+%26+%252F", &headers).await;
    let none = world.get_with("/?project=no&environment=where", &headers).await;
    assert_eq!(told(real, "shop/eu/prod & %2F"), told(none, "no/where"));
    let page = world.page_with("/", &headers).await;
    assert!(
        page.body.contains("development") && !page.body.contains("shop"),
        "the page names an environment of others"
    );
}

#[tokio::test]
async fn usage_of_events_adds_up_only_what_a_key_opens() {
    let world = fill(World::guarded()).await;
    for (key, expected) in [("read-development", 1), ("read-shop", 1), ("read-both", 2), ("admin", 2)] {
        let reply = world.get_with("/api/v2/usage/events/received", &[("authorization", key)]).await;
        assert_eq!(reply.json()["metadata"].as_array().unwrap().len(), expected, "{key}");
    }
}

#[tokio::test]
async fn probes_need_no_key_and_wrong_keys_do_not_close_them() {
    let world = World::guarded();
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/login", "/page.css", "/page.js"] {
        for headers in [&[][..], &[("authorization", "nobody")]] {
            assert_eq!(world.get_with(path, headers).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn without_keys_only_this_machines_own_names_are_answered() {
    let world = World::empty();
    for (host, expected) in [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("flagstream.localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
    ] {
        assert_eq!(opens(&world, &[("host", host)]).await, [expected; 3], "{host}");
    }
    assert_eq!(opens(&World::guarded(), &[("host", "numbers.example"), ("authorization", "admin")]).await, [200; 3]);
}

#[tokio::test]
async fn the_log_in_keeps_the_key_where_no_script_reads_it() {
    let world = fill(World::guarded()).await;
    let visit = world.page("/").await;
    assert_eq!((visit.status, visit.header("location")), (StatusCode::SEE_OTHER, "/login"));
    let wrong = world.ask(Method::POST, "/login", &[], "key=sdk-nobody").await;
    assert_eq!((wrong.status, wrong.headers.get("set-cookie")), (StatusCode::UNAUTHORIZED, None));
    assert!(wrong.body.contains("opens nothing"));
    let entered = world.ask(Method::POST, "/login", &[], "key=read-development").await;
    assert_eq!((entered.status, entered.header("location")), (StatusCode::SEE_OTHER, "/"));
    let cookie = entered.header("set-cookie").to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
    let (pair, _) = cookie.split_once(';').unwrap();
    assert_eq!(opens(&world, &[("cookie", pair)]).await, [200, 404, 403]);
    assert_eq!(world.page_with("/", &[("cookie", pair)]).await.status, 200);
    let left = world.ask(Method::POST, "/logout", &[("cookie", pair)], "").await;
    assert!(left.header("set-cookie").starts_with("flagstream_key=; Path=/; Max-Age=0;"));
    let https = world.ask(Method::POST, "/login", &[("x-forwarded-proto", "https")], "key=admin").await;
    assert!(https.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn the_log_in_leads_back_to_the_page_that_was_asked_for_and_nowhere_else() {
    let world = World::guarded();
    let asked = "/stale?project=default&flag=a%26b";
    let visit = world.page(asked).await.header("location").to_owned();
    assert_eq!(visit, "/login?to=%2Fstale%3Fproject%3Ddefault%26flag%3Da%2526b");
    let form = world.page(&visit).await.body;
    assert!(form.contains(&format!("action=\"{visit}\"")), "{form}");
    let wrong = world.ask(Method::POST, &visit, &[], "key=wrong").await;
    assert!(wrong.status == 401 && wrong.body.contains(&visit), "it is not forgotten: {}", wrong.body);
    let enter =
        async |address: &str| world.ask(Method::POST, address, &[], "key=admin").await.header("location").to_owned();
    assert_eq!(enter(&visit).await, asked);
    assert_eq!(enter("/login?to=%2Fflag%2Fcheckout").await, "/flag/checkout");
    let long = format!("%2Fstale%3Fq%3D{}", "x".repeat(2_000));
    for elsewhere in [
        "https%3A%2F%2Fevil.example%2Fstale",
        "%2F%2Fevil.example%2Fstale",
        "%2F%5Cevil.example",
        "%5C%5Cevil.example",
        "javascript%3Aalert(1)",
        "evil.example",
        "%2Fstale%0D%0ALocation%3A%20x",
        "%2Fstale%7F",
        "%2Fstale%3F%C3%A4",
        "%2Flogin",
        "%2Fv1%2Fprojects",
        "",
        &long,
    ] {
        assert_eq!(enter(&format!("/login?to={elsewhere}")).await, "/", "{elsewhere}");
    }
}

#[tokio::test]
async fn other_sites_can_neither_log_in_nor_out() {
    let world = World::guarded();
    for (site, expected) in [("cross-site", 403), ("same-site", 403), ("same-origin", 303), ("none", 303)] {
        for (path, body) in [("/login", "key=admin"), ("/logout", "")] {
            let reply = world.ask(Method::POST, path, &[("sec-fetch-site", site)], body).await;
            assert_eq!(reply.status.as_u16(), expected, "{path} from {site}");
        }
    }
    for body in ["", "nokey=1", "key=%FF", "key="] {
        assert_eq!(world.ask(Method::POST, "/login", &[], body).await.status, 401, "{body:?}");
    }
}

/// It is no refusal: LaunchDarkly's API clients always send a key, and a cookie outlives the server that set it.
#[tokio::test]
async fn where_no_key_is_needed_one_that_is_sent_is_told_so() {
    let books = format!("{}/books", path_of(&development()));
    let open = fill(World::empty()).await;
    let sent = open.get_with(&books, &[("authorization", "nonsense")]).await;
    assert_eq!((sent.status.as_u16(), sent.header("x-flagstream-key")), (200, "not-needed"));
    assert_eq!(open.get(&books).await.header("x-flagstream-key"), "");
    let guarded = fill(World::guarded()).await;
    let sent = guarded.get_with(&books, &[("authorization", "admin")]).await;
    assert_eq!((sent.status.as_u16(), sent.header("x-flagstream-key")), (200, ""));
}

#[test]
fn no_key_at_all_is_open_and_any_key_closes() {
    assert!(Access::default().is_open());
    assert!(World::empty().access.is_open() && !World::guarded().access.is_open());
    let only_admin = Access { environments: vec![], admin_keys: vec![hash_key("a")] };
    assert!(!only_admin.is_open() && only_admin.grant(None).is_none());
}
