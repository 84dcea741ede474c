//! The suite on real brokers, and what only a group of several readers shows.
//!
//! They must run already: `cargo xtask services up kafka` starts them and says what to put into the environment.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::kafka::{KafkaLog, Options, Planned, set_up};

/// A topic of its own, with two partitions.
async fn log() -> KafkaLog {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let brokers = std::env::var("FLAGSTREAM_TEST_KAFKA");
    let brokers = brokers.expect("FLAGSTREAM_TEST_KAFKA names the brokers: see `cargo xtask services up kafka`");
    let topic = format!("eventlog-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let options = Options::new(brokers, topic, 2);
    assert_eq!(set_up(&options, 1).await.unwrap(), Planned::Made);
    assert_eq!(set_up(&options, 1).await.unwrap(), Planned::Exists, "safe to run twice");
    KafkaLog::open(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafka_conforms() {
    conforms(log).await;
}

/// Waits for the group to have handed both partitions to these readers, one each; each begins at 0.
async fn one_each(readers: &mut [Box<dyn Subscription>; 2]) -> [u32; 2] {
    let mut owned: [Vec<u32>; 2] = [vec![], vec![]];
    while owned.iter().any(|owned| owned.len() != 1) {
        let [first, second] = readers;
        let (place, signal) = tokio::select! {
            signal = next(first) => (0, signal.unwrap()),
            signal = next(second) => (1, signal.unwrap()),
        };
        match signal {
            Signal::Assigned { partition } => {
                readers[place].begin(partition, 0).unwrap();
                owned[place].push(partition);
            }
            Signal::Revoked { partition } => owned[place].retain(|held| *held != partition),
            Signal::Idle | Signal::Batch { .. } => {}
        }
    }
    [owned[0][0], owned[1][0]]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_between_members_of_the_group() {
    let log = log().await;
    let first = log.subscribe().unwrap();
    let mut readers = [first, log.subscribe().unwrap()];
    let owned = one_each(&mut readers).await;
    assert_ne!(owned[0], owned[1]);
    log.append(vec![record(0, "0"), record(1, "1")]).await.unwrap();
    for (place, reader) in readers.iter_mut().enumerate() {
        let records = loop {
            if let Signal::Batch { records, partition } = next(reader).await.unwrap() {
                assert_eq!(partition, owned[place]);
                break records;
            }
        };
        assert_eq!(records.iter().map(body).collect::<Vec<_>>(), [owned[place].to_string()]);
    }
    // A member that goes hands over what it had; the other reads it from where it says.
    let [mut first, second] = readers;
    drop(second);
    let read =
        read_until(&mut first, &[0, 0], |read| read.iter().any(|(partition, _, _)| *partition == owned[1])).await;
    assert_eq!(of(&read, owned[1]), [(0, owned[1].to_string().as_str())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_does_not_fit_is_refused_with_what_to_do() {
    let brokers = std::env::var("FLAGSTREAM_TEST_KAFKA").unwrap();
    let topic = format!("eventlog-{}-fits", std::process::id());
    let none = KafkaLog::open(Options::new(brokers.clone(), topic.clone(), 2)).await.unwrap_err().to_string();
    assert!(none.contains(&format!("there is no topic {topic}")) && none.contains("flagstream setup"), "{none}");
    set_up(&Options::new(brokers.clone(), topic.clone(), 2), 1).await.unwrap();
    let other = KafkaLog::open(Options::new(brokers, topic.clone(), 3)).await.unwrap_err().to_string();
    assert!(other.contains("it has 2 partitions, the generation 3"), "{other}");
    let mut away = Options::new("127.0.0.1:1", topic, 2);
    away.answer_within = Duration::from_millis(500);
    let away = KafkaLog::open(away).await.unwrap_err();
    assert!(away.is_retryable() && away.to_string().contains("no broker at 127.0.0.1:1 answers"), "{away}");
}
