//! The proxy in front of the stand-in, which any HTTP server is good for.

use super::*;
use crate::http::{Connection, Failure};
use crate::stand_in::{Arguments, StandIn};

/// A proxy, and what holds its store.
async fn proxy() -> (Proxy, tempfile::TempDir, JoinSet<Result<()>>) {
    let folder = tempfile::tempdir().unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let data = folder.path().join("data");
    let arguments = Arguments { data, listen: here, sdk_key: "key".into(), environments: 0, fault: None, every: 1 };
    let store = StandIn::start(arguments).await.unwrap();
    let address = store.address().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(store.serve(std::future::pending()));
    (Proxy::start(here, &format!("http://{address}/"), 1).await.unwrap(), folder, serving)
}

const REQUEST: &[u8] = b"POST /diagnostic HTTP/1.1\r\nhost: x\r\nauthorization: key\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn what_is_passed_is_answered_by_the_store_and_what_is_refused_is_not() {
    let (proxy, _folder, _serving) = proxy().await;
    let mut connection = Connection::new(proxy.address);
    for _ in 0..3 {
        assert_eq!(connection.exchange(REQUEST).await.unwrap(), 202);
    }
    assert_eq!(proxy.calls(), Calls { passed: 3, refused: 0 });
    proxy.set(Mood::Throttled(1.0)).await.unwrap();
    for _ in 0..20 {
        assert!(matches!(connection.exchange(REQUEST).await.unwrap(), 400 | 500 | 503));
        let said = String::from_utf8(connection.body().to_vec()).unwrap();
        assert!(said.starts_with(r#"{"__type":"com.amazon"#), "{said}");
    }
    assert_eq!(proxy.calls(), Calls { passed: 3, refused: 20 });
    proxy.set(Mood::Well).await.unwrap();
    assert_eq!(connection.exchange(REQUEST).await.unwrap(), 202);
}

#[tokio::test]
async fn a_store_that_is_gone_takes_no_connection_and_comes_back_at_its_address() {
    let (proxy, _folder, _serving) = proxy().await;
    let (mut before, mut after) = (Connection::new(proxy.address), Connection::new(proxy.address));
    assert_eq!(before.exchange(REQUEST).await.unwrap(), 202);
    proxy.set(Mood::Gone).await.unwrap();
    for connection in [&mut before, &mut after] {
        // Whether an old connection is known to be closed before it is written to is chance.
        assert!(matches!(connection.exchange(REQUEST).await, Err(Failure::NotConnected(..) | Failure::Closed(_))));
        assert!(matches!(connection.exchange(REQUEST).await, Err(Failure::NotConnected(..))));
    }
    proxy.set(Mood::Well).await.unwrap();
    for connection in [&mut before, &mut after] {
        assert_eq!(connection.exchange(REQUEST).await.unwrap(), 202);
    }
    assert_eq!(proxy.calls(), Calls { passed: 3, refused: 0 });
}
