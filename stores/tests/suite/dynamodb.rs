//! The suite on a DynamoDB server, and what only such a server shows.
//!
//! It must run already: `cargo xtask services up dynamodb` starts one and says what to put into the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stores::dynamodb::{DynamoStore, Options, plan, set_up};
use stores::{Error, Store, conformance};

/// Tables of their own for whoever asks.
fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("FLAGSTREAM_TEST_DYNAMODB");
    let server = server.expect("FLAGSTREAM_TEST_DYNAMODB names the server: see `cargo xtask services up dynamodb`");
    let prefix = format!("stores_{}_{}_", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options { endpoint: Some(server), prefix, ..Options::default() }
}

async fn store() -> Result<Arc<dyn Store>, Error> {
    let options = options();
    assert_eq!(set_up(&options).await?.len(), 3);
    assert_eq!(set_up(&options).await?, [""; 0], "safe to run twice");
    Ok(Arc::new(DynamoStore::open(options).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_conforms() {
    assert_eq!(conformance::run_shared(store).await.unwrap(), []);
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_what_to_do() {
    let options = options();
    let missing = DynamoStore::open(options.clone()).await.unwrap_err().to_string();
    assert!(missing.contains(&format!("there is no table {}hours", options.prefix)), "{missing}");
    assert!(missing.contains("flagstream setup"), "{missing}");
    let nobody = Options { endpoint: Some("http://127.0.0.1:1".into()), ..options.clone() };
    let away = DynamoStore::open(nobody).await.unwrap_err();
    assert!(away.is_retryable(), "{away}");
    let told = plan(&options).join("\n");
    assert_eq!(told.matches("create-table").count(), 3, "{told}");
    assert_eq!(told.matches("update-time-to-live").count(), 1, "{told}");
}
