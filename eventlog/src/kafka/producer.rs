//! Appends.
//!
//! Always true here: an append is answered once each of its records is known to be kept or lost, never earlier, and
//! with `Ok` only when all are kept by every replica in sync; records of one partition wait within a limit of their
//! own; after an error that ends the client, a new one takes its place. There is no linger: a lone record leaves at
//! once, and where many come they gather while [`IN_FLIGHT`] requests are under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use schemas::log::Append;
use tokio::sync::oneshot;

use super::{HEADER, Options, client};
use crate::Error;

/// Requests under way to a broker at a time.
const IN_FLIGHT: &str = "2";

/// Appends to the topic.
#[derive(Debug)]
pub(super) struct Producer {
    options: Arc<Options>,
    live: RwLock<Live>,
    /// Bytes that wait, by partition.
    waiting: Arc<[AtomicUsize]>,
}

/// The client of now.
#[derive(Clone)]
struct Live {
    client: Arc<ThreadedProducer<Deliveries>>,
    /// How many came before it.
    number: u64,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Producer {
    pub(super) fn new(options: Arc<Options>) -> Result<Self, Error> {
        let live = RwLock::new(Live { client: connect(&options)?, number: 0 });
        let waiting = (0..options.partitions).map(|_| AtomicUsize::new(0)).collect();
        Ok(Self { options, live, waiting })
    }

    /// Hands the records to the client; the future waits for the word of all.
    pub(super) fn append(self: Arc<Self>, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        if records.is_empty() {
            return ready(Ok(Vec::new())).boxed();
        }
        let places = match Places::take(&self, &records) {
            Ok(places) => places,
            Err(error) => return ready(Err(error)).boxed(),
        };
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (pending, answered) = Pending::new(records.len(), places);
        for (place, record) in records.iter().enumerate() {
            let word = Box::new(Word { pending: Arc::clone(&pending), place });
            if let Err((error, refused)) = live.client.send(self.record(record, word)) {
                refused.delivery_opaque.pending.settle(place, Err(error));
            }
        }
        drop(pending);
        async move {
            let answer = answered.await.unwrap_or_else(|_| Err(Failed::gone()));
            answer.map_err(|failed| self.failed(failed, &live))
        }
        .boxed()
    }

    fn record<'a>(&'a self, record: &'a Append, word: Box<Word>) -> BaseRecord<'a, (), [u8], Box<Word>> {
        let header = Header { key: HEADER, value: Some(record.header.as_ref()) };
        BaseRecord::with_opaque_to(&self.options.topic, word)
            .partition(i32::try_from(record.partition).unwrap_or(i32::MAX))
            .headers(OwnedHeaders::new_with_capacity(1).insert(header))
            .payload(&*record.body)
    }

    /// What a failure means for who appends; the client is replaced where it has come to its end.
    fn failed(&self, failed: Failed, live: &Live) -> Error {
        if let Some((code, why)) = live.client.client().fatal_error() {
            self.replace(live.number, code, &why);
        }
        let Failed { kept, of, error } = failed;
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) if kept == 0 => Error::Setting(format!(
                "{error}; set `max.message.bytes` of topic {} to at least 1 MiB",
                self.options.topic
            )),
            Some(RDKafkaErrorCode::QueueFull) if kept == 0 && of == 1 => Error::Busy(error.to_string()),
            _ => Error::Unknown(format!("Kafka acknowledged {kept} of {of}: {error}")),
        }
    }

    fn replace(&self, number: u64, code: RDKafkaErrorCode, why: &str) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.number != number {
            return;
        }
        tracing::error!(%code, why, "the Kafka producer has come to its end; a new one takes its place");
        match connect(&self.options) {
            Ok(client) => {
                let old = std::mem::replace(&mut *live, Live { client, number: number + 1 });
                // Its end waits for its thread.
                drop(std::thread::spawn(move || drop(old)));
            }
            Err(error) => tracing::error!(%error, "no new Kafka producer; it is tried at the next failure"),
        }
    }
}

fn connect(options: &Options) -> Result<Arc<ThreadedProducer<Deliveries>>, Error> {
    let within = options.acknowledge_within.as_millis().to_string();
    let mut config = client::config(options);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "0")
        .set("max.in.flight.requests.per.connection", IN_FLIGHT)
        .set("message.timeout.ms", &within)
        .set("request.timeout.ms", &within)
        .set("message.max.bytes", "1048576")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", "2097151");
    config.create_with_context(Deliveries).map(Arc::new).map_err(|error| client::cannot_make(&error))
}

/// Bytes of a partition that wait for their acknowledgement; given back when dropped.
#[derive(Debug)]
struct Places {
    waiting: Arc<[AtomicUsize]>,
    taken: Vec<(u32, usize)>,
}

impl Places {
    fn take(producer: &Producer, records: &[Append]) -> Result<Self, Error> {
        let mut places = Self { waiting: Arc::clone(&producer.waiting), taken: Vec::with_capacity(records.len()) };
        for record in records {
            let bytes = record.header.len() + record.body.len();
            let before = places.waiting[record.partition as usize].fetch_add(bytes, Ordering::Relaxed);
            places.taken.push((record.partition, bytes));
            if before > producer.options.waiting_bytes_max {
                return Err(Error::Busy(format!("{before} bytes wait for partition {} already", record.partition)));
            }
        }
        Ok(places)
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for (partition, bytes) in &self.taken {
            self.waiting[*partition as usize].fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

/// An append whose records are under way.
#[derive(Debug)]
struct Pending(Mutex<Settling>);

#[derive(Debug)]
struct Settling {
    left: usize,
    kept: usize,
    offsets: Vec<u64>,
    /// The first that failed.
    error: Option<KafkaError>,
    answer: Option<oneshot::Sender<Result<Vec<u64>, Failed>>>,
    _places: Places,
}

/// Why an append failed, and how many of its records are kept for all that.
#[derive(Debug)]
struct Failed {
    kept: usize,
    of: usize,
    error: KafkaError,
}

impl Failed {
    fn gone() -> Self {
        Self { kept: 0, of: 0, error: KafkaError::Canceled }
    }
}

impl Pending {
    fn new(records: usize, places: Places) -> (Arc<Self>, oneshot::Receiver<Result<Vec<u64>, Failed>>) {
        let (answer, answered) = oneshot::channel();
        let settling = Settling {
            left: records,
            kept: 0,
            offsets: vec![0; records],
            error: None,
            answer: Some(answer),
            _places: places,
        };
        (Arc::new(Self(Mutex::new(settling))), answered)
    }

    fn settle(&self, place: usize, word: Result<u64, KafkaError>) {
        let mut settling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        settling.left = settling.left.saturating_sub(1);
        match word {
            Ok(offset) => {
                settling.kept += 1;
                settling.offsets[place] = offset;
            }
            Err(error) => drop(settling.error.get_or_insert(error)),
        }
        if settling.left > 0 {
            return;
        }
        let (kept, of) = (settling.kept, settling.offsets.len());
        let offsets = std::mem::take(&mut settling.offsets);
        let answer = settling.error.take().map_or(Ok(offsets), |error| Err(Failed { kept, of, error }));
        if let Some(waits) = settling.answer.take() {
            // Who has gone away meanwhile wants no answer.
            drop(waits.send(answer));
        }
    }
}

/// What comes back with the word on a record.
#[derive(Debug)]
struct Word {
    pending: Arc<Pending>,
    place: usize,
}

/// Hears the word on each record.
#[derive(Debug, Clone, Copy)]
struct Deliveries;

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        client::told(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::trouble(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Word>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, word: Box<Word>) {
        let kept = match delivered {
            Ok(message) => u64::try_from(message.offset())
                .map_err(|_| KafkaError::MessageProduction(RDKafkaErrorCode::InvalidRecord)),
            Err((error, _)) => Err(error.clone()),
        };
        word.pending.settle(word.place, kept);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;

    /// A producer of librdkafka's own stand-in for a broker.
    fn producer() -> (Arc<Producer>, MockCluster<'static, rdkafka::producer::DefaultProducerContext>) {
        let cluster = MockCluster::new(1).expect("a stand-in");
        cluster.create_topic("t", 1, 1).expect("a topic");
        let options = Options {
            acknowledge_within: Duration::from_secs(10),
            ..Options::new(cluster.bootstrap_servers(), "t", 1)
        };
        (Arc::new(Producer::new(Arc::new(options)).expect("a producer")), cluster)
    }

    async fn append(producer: &Arc<Producer>) -> Result<Vec<u64>, Error> {
        let record = Append { partition: 0, header: Bytes::from_static(b"h"), body: Bytes::from_static(b"b") };
        Arc::clone(producer).append(vec![record]).await
    }

    fn number(producer: &Producer) -> u64 {
        producer.live.read().unwrap_or_else(PoisonError::into_inner).number
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_producer_that_has_come_to_its_end_is_replaced_and_what_failed_was_not_acknowledged() {
        let (producer, cluster) = producer();
        // Of these librdkafka makes a fatal error: the client takes nothing ever again.
        cluster.request_errors(
            RDKafkaApiKey::InitProducerId,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED],
        );
        let failed = append(&producer).await.expect_err("there is no producer id");
        assert!(matches!(&failed, Error::Unknown(why) if why.contains("acknowledged 0 of 1")), "{failed}");
        assert_eq!(number(&producer), 1);
        for offset in 0..2 {
            assert_eq!(append(&producer).await.expect("the new client appends"), [offset]);
        }
        assert_eq!(number(&producer), 1);
    }
}
