//! The suite on a DynamoDB server, and what only such a server shows.
//!
//! It must run already: `cargo xtask services up dynamodb` starts one and says what to put into the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oldpath::aws::Place;
use oldpath::counter::{Add, Kind};
use oldpath::store::OldStore;
use oldpath::store::dynamodb::{DynamoStore, Options, plan, policy, set_up};
use oldpath::{WriteError, conformance};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{NOW_MS, environment, evaluations, held};

/// A table of its own for whoever asks.
fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("FLAGSTREAM_TEST_DYNAMODB");
    let server = server.expect("FLAGSTREAM_TEST_DYNAMODB names the server: see `cargo xtask services up dynamodb`");
    let prefix = format!("old_{}_{}_", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options { place: Place { endpoint: Some(server), region: None }, prefix }
}

async fn made() -> (Options, DynamoStore) {
    let options = options();
    assert_eq!(set_up(&options).await, Ok(Some(format!("{}oldpath_counters", options.prefix))));
    assert_eq!(set_up(&options).await, Ok(None), "safe to run twice");
    let store = DynamoStore::open(&options).await.unwrap();
    (options, store)
}

fn add() -> Add {
    Add {
        environment: environment(),
        counter: evaluations("flag"),
        time_ms: NOW_MS,
        number: 2,
        off: false,
        value: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_counters_conform() {
    let failures = conformance::of_store(|| async { Arc::new(made().await.1) as Arc<dyn OldStore> });
    assert_eq!(failures.await, []);
}

#[tokio::test]
async fn another_process_goes_on_where_one_left() {
    let (options, store) = made().await;
    store.add(add()).await.unwrap();
    drop(store);
    let store = DynamoStore::open(&options).await.unwrap();
    store.add(add()).await.unwrap();
    assert_eq!(held(&store, Kind::Evaluations).await[0].totals.number, 4);
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_what_to_do() {
    let options = options();
    let missing = DynamoStore::open(&options).await.unwrap_err().to_string();
    assert!(missing.contains(&format!("there is no table {}oldpath_counters", options.prefix)), "{missing}");
    assert!(missing.contains("flagstream setup"), "{missing}");
    let told = plan(&options).join("\n");
    assert_eq!(told.matches("create-table").count(), 1, "{told}");
    serde_json::from_str::<serde_json::Value>(&policy(&options)).unwrap();
}

/// A store that was opened while the server was there, and now finds another one.
async fn moved_to(address: &str) -> DynamoStore {
    let (mut options, _) = made().await;
    options.place.endpoint = Some(address.to_owned());
    DynamoStore::unchecked(&options).await
}

#[tokio::test]
async fn an_addition_that_was_never_sent_is_refused() {
    let store = moved_to("http://127.0.0.1:1").await;
    let error = store.add(add()).await.unwrap_err();
    assert!(matches!(&error, WriteError::Refused(_)), "{error}");
}

#[tokio::test]
async fn an_addition_that_was_found_wrong_is_refused() {
    let (mut options, _) = made().await;
    options.prefix.push_str("nowhere_");
    let error = DynamoStore::unchecked(&options).await.add(add()).await.unwrap_err();
    assert!(matches!(&error, WriteError::Refused(why) if why.contains("ResourceNotFoundException")), "{error}");
}

/// A server that reads a request, says `end` and hangs up; and how many requests there were.
async fn server(end: &'static str) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = vec![0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(end.as_bytes()).await;
        }
    });
    (address, requests)
}

/// What an addition is answered by such a server, which is asked once.
async fn answered(end: &'static str) -> WriteError {
    let (address, requests) = server(end).await;
    let error = moved_to(&address).await.add(add()).await.unwrap_err();
    assert_eq!(requests.load(Ordering::SeqCst), 1, "{end:?}: every attempt is the writer's");
    error
}

#[tokio::test]
async fn of_an_addition_that_was_sent_and_has_no_answer_nobody_knows() {
    for end in [
        "",
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let error = answered(end).await;
        assert!(matches!(&error, WriteError::Unknown(_)), "{end:?}: {error}");
    }
}

#[tokio::test]
async fn an_addition_that_was_throttled_is_refused() {
    let error = answered(
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 84\r\n\r\n\
         {\"__type\":\"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException\"}",
    );
    let error = error.await;
    assert!(matches!(&error, WriteError::Refused(why) if why.contains("ThroughputExceeded")), "{error}");
}
