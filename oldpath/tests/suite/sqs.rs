//! The suite on a server that speaks SQS, and what only such a server shows.
//!
//! It must run already: `cargo xtask services up sqs` starts one and says what to put into the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use oldpath::aws::Place;
use oldpath::conformance::{self, Bench};
use oldpath::jobs::sqs::{Options, SqsJobs, plan, policy, set_up};
use oldpath::jobs::{Job, Jobs, What};
use oldpath::{Error, WriteError};

use crate::world::NOW_MS;

/// A queue of its own for whoever asks. Between taking a job and looking whether it is out of sight lies less than its
/// visibility, however busy the machine is.
fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("FLAGSTREAM_TEST_SQS");
    let server = server.expect("FLAGSTREAM_TEST_SQS names the server: see `cargo xtask services up sqs`");
    let queue = format!("jobs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options { place: Place { endpoint: Some(server), region: None }, queue, visibility: Duration::from_secs(4) }
}

async fn made() -> Options {
    let options = options();
    let both = vec![format!("{}-dead", options.queue), options.queue.clone()];
    assert_eq!(set_up(&options).await, Ok(both));
    assert_eq!(set_up(&options).await, Ok(Vec::new()), "safe to run twice");
    options
}

struct Queue(Options);

impl Bench for Queue {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Jobs>> {
        Box::pin(async { Arc::new(SqsJobs::open(&self.0).await.unwrap()) as Arc<dyn Jobs> })
    }

    /// The server's clock is the only one there is.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqs_jobs_conform() {
    let failures = conformance::of_jobs(|| async { Arc::new(Queue(made().await)) as Arc<dyn Bench> });
    assert_eq!(failures.await, []);
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_what_to_do() {
    let options = options();
    let missing = SqsJobs::open(&options).await.unwrap_err().to_string();
    assert!(missing.contains(&format!("there is no queue {}", options.queue)), "{missing}");
    assert!(missing.contains("flagstream setup"), "{missing}");
    // A queue that somebody made by hand, without dead letters.
    set_up(&Options { queue: format!("{}-dead", options.queue), ..options.clone() }).await.unwrap();
    let by_hand = Options { queue: format!("{}-dead-dead", options.queue), ..options.clone() };
    set_up(&Options { queue: format!("{}-dead", by_hand.queue), ..options.clone() }).await.unwrap();
    let error = SqsJobs::open(&by_hand).await.unwrap_err();
    assert!(matches!(&error, Error::Setting(why) if why.contains("redrive policy")), "{error}");
    let told = plan(&options).join("\n");
    assert_eq!(told.matches("create-queue").count(), 2, "{told}");
    serde_json::from_str::<serde_json::Value>(&policy(&options)).unwrap();
}

#[tokio::test]
async fn jobs_that_were_never_sent_are_refused() {
    let mut options = made().await;
    let what = What::Event { key: "event".into(), value_micros: None, sampling: 1 };
    let job = Job { project: "p".into(), environment: "e".into(), time_ms: NOW_MS, off: false, what };
    let jobs = SqsJobs::open(&options).await.unwrap();
    assert_eq!(jobs.send(vec![job.clone(); 2]).await, [Ok(()), Ok(())]);
    options.place.endpoint = Some("http://127.0.0.1:1".into());
    let away = SqsJobs::open(&options).await.unwrap_err();
    assert!(away.is_retryable(), "{away}");
    let answers = jobs.elsewhere(&options.place).await.send(vec![job; 2]).await;
    assert!(matches!(&answers[..], [Err(WriteError::Refused(_)), Err(WriteError::Refused(_))]), "{answers:?}");
}
