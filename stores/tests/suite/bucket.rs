//! Snapshots in a bucket, on a server that speaks S3, and what only such a server shows.
//!
//! It must run already: `cargo xtask services up s3` starts one and says what to put into the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use stores::conformance::snapshots as conformance;
use stores::snapshots::bucket::{Options, open, plan, policy};
use stores::snapshots::{Content, Name, Place};
use stores::{Error, SavedState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A prefix of one's own for whoever asks.
fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("FLAGSTREAM_TEST_S3");
    let server = server.expect("FLAGSTREAM_TEST_S3 names the server: see `cargo xtask services up s3`");
    let prefix = format!("stores/{}/{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options { endpoint: Some(server), ..Options::new("flagstream", &prefix) }
}

async fn place() -> Result<Arc<dyn Place>, Error> {
    Ok(open(&options()).await?.place())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_conforms() {
    assert_eq!(conformance::run(place).await.unwrap(), []);
}

/// A server in front of nobody: the bucket was there at the start, and is away now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_an_error_that_may_pass() {
    let front = Front::new(&options().endpoint.unwrap()).await;
    let options = Options { endpoint: Some(front.address()), patience: Duration::from_millis(200), ..options() };
    let snapshots = open(&options).await.unwrap();
    let state = SavedState { position: 5, rows: vec![(Bytes::from_static(b"k"), Bytes::from_static(b"v"))] };
    snapshots.put(1, 0, state.clone()).await.unwrap();
    front.goes_away();
    assert_eq!(conformance::away(snapshots.place()).await, Ok(()));
    let error = open(&options).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    front.comes_back();
    assert_eq!(snapshots.newest(1, 0).await.unwrap().state, Some(state));
}

#[tokio::test]
async fn an_upload_whose_content_fails_leaves_no_parts_to_pay_for() {
    let options = options();
    let place = open(&options).await.unwrap().place();
    let name = Name { generation: 1, partition: 0, position: 9, content: Some(1) };
    let (server, prefix) = (options.endpoint.unwrap(), options.prefix);
    let (asked, parts) = (server.clone(), prefix.clone());
    let failing: Content = Box::new(move |out| {
        // Five parts: the upload has begun when the third is taken.
        out.write_all(&vec![0; 40 * 1024 * 1024])?;
        assert!(uploads(&asked).contains(&parts), "it is under way");
        Err(std::io::Error::other("a test wants it to fail"))
    });
    place.keep(name, failing).await.unwrap_err();
    let left = tokio::task::spawn_blocking(move || uploads(&server)).await.unwrap();
    assert!(!left.contains(&prefix), "{left}");
}

/// What the server says of uploads that have neither ended nor been given up.
fn uploads(server: &str) -> String {
    use std::io::{Read, Write};
    let address = server.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let ask = format!("GET /flagstream?uploads HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.contains("ListMultipartUploadsResult"), "{said}");
    said
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_what_to_do() {
    let missing = Options { bucket: "not-there".to_owned(), ..options() };
    let error = open(&missing).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    assert!(error.to_string().starts_with("there is no bucket for snapshots at s3://not-there/stores/"), "{error}");
}

#[test]
fn what_an_administrator_may_run_names_bucket_prefix_and_each_permission() {
    let options = Options::new("b", "p/q");
    let policy = policy(&options);
    for right in ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "ListBucket"] {
        assert!(policy.contains(&format!("\"s3:{right}\"")), "{right}: {policy}");
    }
    assert!(policy.contains("arn:aws:s3:::b/p/q/*") && policy.contains("\"s3:prefix\": \"p/q/*\""), "{policy}");
    let plan = plan(&options).join("\n");
    assert!(plan.contains("create-bucket --bucket b") && plan.contains("AbortIncompleteMultipartUpload"), "{plan}");
}

/// Stands before a server, and can be away.
struct Front {
    port: u16,
    is_away: Arc<AtomicBool>,
}

impl Front {
    async fn new(server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = Self { port: listener.local_addr().unwrap().port(), is_away: Arc::default() };
        let is_away = Arc::clone(&front.is_away);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), Arc::clone(&is_away)));
            }
        });
        front
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What is asked from now on is cut off, on connections that are open too.
    fn goes_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    fn comes_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, server: String, is_away: Arc<AtomicBool>) {
    let server = TcpStream::connect(server).await.unwrap();
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from_client.read(&mut bytes).await {
        if is_away.load(Ordering::SeqCst) || to_server.write_all(&bytes[..len]).await.is_err() {
            break;
        }
    }
    answers.abort();
}
