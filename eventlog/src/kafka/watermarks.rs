//! What each partition holds.
//!
//! Always true here: whoever asks is answered by a look that began after the question, so whatever was answered as
//! appended before is among it; those who ask while a look is under way share the next one. One thread looks.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::{Options, client};
use crate::{Error, Held};

type Answer = Result<Vec<Held>, String>;

/// Asks for what partitions hold.
#[derive(Debug)]
pub(super) struct Watermarks {
    ask: mpsc::UnboundedSender<oneshot::Sender<Answer>>,
}

impl Watermarks {
    pub(super) fn new(options: Arc<Options>) -> Result<Self, Error> {
        let mut config = client::config(&options);
        let consumer: BaseConsumer<client::Tells> = config
            .set("group.id", &options.group)
            .create_with_context(client::Tells)
            .map_err(|e| client::cannot_make(&e))?;
        let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<Answer>>();
        let look = move || {
            while let Some(first) = asked.blocking_recv() {
                let mut waiting = vec![first];
                while let Ok(another) = asked.try_recv() {
                    waiting.push(another);
                }
                let answer = look(&consumer, &options);
                for waits in waiting {
                    // Who has gone away meanwhile wants no answer.
                    drop(waits.send(answer.clone()));
                }
            }
        };
        let thread = std::thread::Builder::new().name("kafka watermarks".into()).spawn(look);
        thread.map_err(|error| Error::io("starting a thread", error))?;
        Ok(Self { ask })
    }

    pub(super) async fn held(&self) -> Result<Vec<Held>, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Poisoned("the thread that asks Kafka for its offsets is gone".into());
        self.ask.send(answer).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?.map_err(Error::Away)
    }
}

fn look(consumer: &BaseConsumer<client::Tells>, options: &Options) -> Answer {
    (0..options.partitions).map(|partition| held(consumer, options, partition)).collect()
}

fn held(consumer: &BaseConsumer<client::Tells>, options: &Options, partition: u32) -> Result<Held, String> {
    let topic = &options.topic;
    let number = i32::try_from(partition).map_err(|_| format!("{partition} is no partition of Kafka's"))?;
    let mut found = consumer.fetch_watermarks(topic, number, options.answer_within);
    if found.as_ref().is_err_and(|error| error.rdkafka_error_code() != Some(RDKafkaErrorCode::OperationTimedOut)) {
        // The client may hold on for many minutes to what a broker said that had just begun: that there is no such
        // partition, or nobody leads it. Asked for the topic, it hears it anew.
        let heard = consumer.fetch_metadata(Some(topic), options.answer_within);
        found = heard.and_then(|_| consumer.fetch_watermarks(topic, number, options.answer_within));
    }
    let (first, end) = found.map_err(|error| format!("offsets of partition {partition} of {topic}: {error}"))?;
    match (u64::try_from(first), u64::try_from(end)) {
        (Ok(first), Ok(end)) => Ok(Held { first, end }),
        _ => Err(format!("partition {partition} of {topic} is said to hold {first}..{end}")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test]
    async fn a_partition_that_had_no_leader_is_told_of_when_it_has_one() {
        let cluster = MockCluster::new(1).expect("a stand-in for a broker");
        cluster.create_topic("t", 1, 1).expect("a topic");
        let answer_within = Duration::from_secs(2);
        let options = Options { answer_within, ..Options::new(cluster.bootstrap_servers(), "t", 1) };
        let watermarks = Watermarks::new(Arc::new(options)).expect("a client");
        cluster.partition_leader("t", 0, None).expect("no leader");
        let error = watermarks.held().await.expect_err("nobody leads it").to_string();
        assert!(error.contains("UnknownPartition"), "{error}");
        cluster.partition_leader("t", 0, Some(1)).expect("a leader");
        assert_eq!(watermarks.held().await.expect("an answer"), [Held { first: 0, end: 0 }]);
    }
}
