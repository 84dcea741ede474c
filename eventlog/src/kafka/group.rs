//! The group: who of several processes has which partition.
//!
//! Always true here: the member fetches nothing and commits nothing; it takes part so that partitions are handed out,
//! and tells their readers. Before it lets a partition go it waits until its reader has heard of it and asked for the
//! next signal, but no longer than it was told to: what comes of that is never a wrong number, only work done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc::UnboundedSender;

use super::{Options, client};
use crate::Error;

/// How long the member's thread sleeps where nothing happens; so long a stop may take.
const POLL: Duration = Duration::from_millis(100);

/// What a partition's reader hears from the group.
#[derive(Debug)]
pub(super) enum News {
    /// The partition is this process's.
    Assigned(u32),
    /// It goes; dropping the second says that all was done about it.
    Revoked(u32, Heard),
}

/// Held by a reader for as long as it is busy with what it heard.
#[derive(Debug)]
pub(super) struct Heard(#[expect(dead_code, reason = "to be dropped is all that it is for")] Sender<()>);

/// This process's membership; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Group {
    /// Joins; news of partition n goes to the n-th of `routes`.
    pub(super) fn join(options: &Options, routes: Vec<UnboundedSender<News>>) -> Result<Self, Error> {
        let member = Member { routes, revoke_within: options.revoke_within };
        let mut config = client::config(options);
        config
            .set("group.id", &options.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000");
        let consumer: BaseConsumer<Member> = config.create_with_context(member).map_err(|e| client::cannot_make(&e))?;
        consumer.subscribe(&[&options.topic]).map_err(|error| client::cannot_make(&error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let poll = move || {
            while !told.load(Ordering::Relaxed) {
                if let Some(Err(error)) = consumer.poll(POLL) {
                    client::trouble(&error, "as a member of the group");
                }
            }
        };
        let thread = std::thread::Builder::new().name("kafka group".into()).spawn(poll);
        Ok(Self { stop, thread: Some(thread.map_err(|error| Error::io("starting a thread", error))?) })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It leaves the group by itself; whoever drops this may be a thread that must not wait.
            drop(thread);
        }
    }
}

/// Hears what the group decides.
#[derive(Debug)]
struct Member {
    routes: Vec<UnboundedSender<News>>,
    revoke_within: Duration,
}

impl Member {
    fn partitions(list: &TopicPartitionList) -> Vec<u32> {
        list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
    }

    fn tell(&self, partition: u32, news: News) {
        if let Some(route) = self.routes.get(partition as usize) {
            // A reader that is gone has nothing to do about it.
            drop(route.send(news));
        }
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> Result<(), KafkaError> {
        // Positions are the readers' matter: here nothing is fetched, wherever it would begin.
        list.set_all_offsets(Offset::End)?;
        consumer.incremental_assign(list)?;
        consumer.pause(list)?;
        for partition in Self::partitions(list) {
            tracing::info!(partition, "partition assigned");
            self.tell(partition, News::Assigned(partition));
        }
        Ok(())
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> Result<(), KafkaError> {
        let lost = consumer.assignment_lost();
        let waits: Vec<(u32, Receiver<()>)> = Self::partitions(list)
            .into_iter()
            .map(|partition| {
                tracing::info!(partition, lost, "partition revoked");
                let (heard, done) = channel();
                self.tell(partition, News::Revoked(partition, Heard(heard)));
                (partition, done)
            })
            .collect();
        if !lost {
            self.wait(waits);
        }
        consumer.incremental_unassign(list)
    }

    /// Until each reader has let go of what it heard.
    fn wait(&self, waits: Vec<(u32, Receiver<()>)>) {
        let by = Instant::now() + self.revoke_within;
        for (partition, done) in waits {
            let left = by.saturating_duration_since(Instant::now());
            if done.recv_timeout(left) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(partition, "was not flushed in time; what is left of it is folded again elsewhere");
            }
        }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::told(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::trouble(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoked(consumer, list),
            other => Err(KafkaError::Rebalance(RDKafkaErrorCode::from(other))),
        };
        if let Err(error) = done {
            client::trouble(&error, "while partitions moved");
        }
    }
}
