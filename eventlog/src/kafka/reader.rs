//! Reads partitions, each from where its reader says.
//!
//! Always true here: a partition is fetched by an assignment of our own, from a position that was compared with what
//! Kafka holds, with every record's CRC checked; a position that is gone is an error and never moved; what comes is in
//! order of offset, from the position on.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{BoxFuture, select_all};
use futures_util::{FutureExt, StreamExt};
use rdkafka::Message;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::log::Logged;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::group::{Group, Heard, News};
use super::watermarks::Watermarks;
use super::{HEADER, Options, client};
use crate::{Error, Held, Signal, Subscription};

/// Records of a batch, at most …
const BATCH_RECORDS: usize = 1024;
/// … and bytes, after which it ends.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

type Queue = StreamPartitionQueue<client::Tells>;

/// A client that fetches partitions, whoever wants them.
pub(super) struct Fetcher {
    options: Arc<Options>,
    consumer: Arc<StreamConsumer<client::Tells>>,
    /// Serves what is no partition's: it must be asked for.
    events: JoinHandle<()>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("topic", &self.options.topic).finish_non_exhaustive()
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        self.events.abort();
    }
}

impl Fetcher {
    pub(super) fn new(options: Arc<Options>) -> Result<Self, Error> {
        let mut config = client::config(&options);
        config
            // It is no member of a group: it assigns to itself. librdkafka wants a name all the same.
            .set("group.id", format!("{}.fetch", options.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "16384");
        let made = config.create_with_context(client::Tells);
        let consumer: Arc<StreamConsumer<client::Tells>> = Arc::new(made.map_err(|e| client::cannot_make(&e))?);
        let served = Arc::clone(&consumer);
        let events = tokio::spawn(async move {
            loop {
                match served.recv().await {
                    Ok(message) => {
                        tracing::warn!(partition = message.partition(), "a record came that nobody asked for")
                    }
                    Err(error) => client::trouble(&error, "while fetching"),
                }
            }
        });
        Ok(Self { options, consumer, events })
    }

    fn queue(&self, partition: u32) -> Result<Queue, Error> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let queue = self.consumer.split_partition_queue(&self.options.topic, number);
        queue.ok_or_else(|| Error::Setting(format!("Kafka has no queue for partition {partition}")))
    }

    fn list(&self, partition: u32, from: Offset) -> Result<TopicPartitionList, Error> {
        let mut list = TopicPartitionList::new();
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        list.add_partition_offset(&self.options.topic, number, from).map_err(|error| client::cannot_make(&error))?;
        Ok(list)
    }

    fn begin(&self, partition: u32, position: u64) -> Result<(), Error> {
        let from = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
        let begun = self.consumer.incremental_assign(&self.list(partition, from)?);
        begun.map_err(|error| Error::Away(format!("partition {partition} cannot be fetched: {error}")))
    }

    fn end(&self, partition: u32) -> Result<(), Error> {
        let ended = self.consumer.incremental_unassign(&self.list(partition, Offset::Invalid)?);
        ended.map_err(|error| Error::Away(format!("partition {partition} cannot be let go: {error}")))
    }
}

/// Reads the partitions that come to it.
pub(super) struct Reader {
    fetcher: Arc<Fetcher>,
    watermarks: Arc<Watermarks>,
    from: From,
    owned: BTreeMap<u32, Owned>,
    /// What Kafka holds is being asked for, since partitions are to be begun; kept over a `next` that is dropped.
    looking: Option<BoxFuture<'static, Result<Vec<Held>, Error>>>,
    /// The last news is being worked on until the next signal is asked for.
    heard: Option<Heard>,
    is_idle_told: bool,
}

/// Where partitions come from.
enum From {
    Group {
        news: UnboundedReceiver<News>,
        _group: Arc<Group>,
    },
    /// This one, not yet told.
    Given(u32),
    Nowhere,
}

impl From {
    /// Waits for news; `None` = there can be none any more. For ever where no group has a say.
    async fn news(&mut self) -> Option<News> {
        match self {
            Self::Group { news, .. } => news.recv().await,
            Self::Given(_) | Self::Nowhere => std::future::pending().await,
        }
    }
}

fn group_is_gone() -> Error {
    Error::Poisoned("the group's thread is gone".into())
}

struct Owned {
    queue: Queue,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody has said where to begin.
    Waits,
    /// To be begun here; whether something is being fetched that must end first.
    Begins { position: u64, fetched: bool },
    /// Being fetched; whether everything was handed out.
    Reads { is_at_end: bool },
}

/// What a partition's queue had.
enum Got {
    /// Records, and what was told behind them.
    Records(Vec<Logged>, Option<KafkaError>),
    /// Nothing but this.
    Told(KafkaError),
}

impl Reader {
    pub(super) fn of_group(
        fetcher: Arc<Fetcher>,
        watermarks: Arc<Watermarks>,
        group: Arc<Group>,
        news: UnboundedReceiver<News>,
    ) -> Self {
        Self::new(fetcher, watermarks, From::Group { news, _group: group })
    }

    pub(super) fn alone(fetcher: Arc<Fetcher>, watermarks: Arc<Watermarks>, partition: u32) -> Self {
        Self::new(fetcher, watermarks, From::Given(partition))
    }

    fn new(fetcher: Arc<Fetcher>, watermarks: Arc<Watermarks>, from: From) -> Self {
        Self { fetcher, watermarks, from, owned: BTreeMap::new(), looking: None, heard: None, is_idle_told: false }
    }

    async fn next_signal(&mut self) -> Result<Signal, Error> {
        self.heard = None;
        loop {
            if let Some(moved) = self.moved()? {
                return Ok(moved);
            }
            self.begin_what_begins().await?;
            if !self.is_idle_told && self.is_at_end() {
                self.is_idle_told = true;
                return Ok(Signal::Idle);
            }
            if let Some(signal) = self.wait().await? {
                return Ok(signal);
            }
        }
    }

    async fn next_moved(&mut self) -> Result<Signal, Error> {
        self.heard = None;
        if let Some(moved) = self.moved()? {
            return Ok(moved);
        }
        match self.from.news().await {
            Some(news) => self.news(news),
            None => Err(group_is_gone()),
        }
    }

    /// What has come or gone already.
    fn moved(&mut self) -> Result<Option<Signal>, Error> {
        if let From::Given(partition) = self.from {
            self.from = From::Nowhere;
            return self.assigned(partition).map(Some);
        }
        match &mut self.from {
            From::Group { news, .. } => news.try_recv().ok().map(|news| self.news(news)).transpose(),
            From::Given(_) | From::Nowhere => Ok(None),
        }
    }

    fn news(&mut self, news: News) -> Result<Signal, Error> {
        match news {
            News::Assigned(partition) => self.assigned(partition),
            News::Revoked(partition, heard) => {
                self.heard = Some(heard);
                self.let_go(partition)?;
                Ok(Signal::Revoked { partition })
            }
        }
    }

    fn assigned(&mut self, partition: u32) -> Result<Signal, Error> {
        self.let_go(partition)?;
        let queue = self.fetcher.queue(partition)?;
        self.owned.insert(partition, Owned { queue, phase: Phase::Waits });
        Ok(Signal::Assigned { partition })
    }

    fn let_go(&mut self, partition: u32) -> Result<(), Error> {
        let Some(owned) = self.owned.remove(&partition) else { return Ok(()) };
        match owned.phase {
            Phase::Reads { .. } | Phase::Begins { fetched: true, .. } => self.fetcher.end(partition),
            Phase::Waits | Phase::Begins { fetched: false, .. } => Ok(()),
        }
    }

    /// Something is ours, all of it that is fetched was handed out, and no news waits.
    fn is_at_end(&self) -> bool {
        let is_quiet = match &self.from {
            From::Group { news, .. } => news.is_empty(),
            From::Given(_) | From::Nowhere => true,
        };
        let is_at_end = |owned: &Owned| !matches!(owned.phase, Phase::Reads { is_at_end: false });
        is_quiet && !self.owned.is_empty() && self.owned.values().all(is_at_end)
    }

    async fn begin_what_begins(&mut self) -> Result<(), Error> {
        let begins: Vec<(u32, u64, bool)> = self
            .owned
            .iter()
            .filter_map(|(partition, owned)| match owned.phase {
                Phase::Begins { position, fetched } => Some((*partition, position, fetched)),
                _ => None,
            })
            .collect();
        if begins.is_empty() {
            return Ok(());
        }
        let watermarks = Arc::clone(&self.watermarks);
        let looking = self.looking.get_or_insert_with(|| async move { watermarks.held().await }.boxed());
        let held = looking.await;
        self.looking = None;
        let held = held?;
        for (partition, asked, fetched) in begins {
            let Held { first, end } = held.get(partition as usize).copied().unwrap_or(Held { first: 0, end: 0 });
            if !(first..=end).contains(&asked) {
                return Err(Error::OutOfRange { partition, asked, first, end });
            }
            if fetched {
                self.fetcher.end(partition)?;
            }
            if let Some(owned) = self.owned.get_mut(&partition) {
                owned.phase = Phase::Waits;
                self.fetcher.begin(partition, asked)?;
                owned.phase = Phase::Reads { is_at_end: asked == end };
            }
        }
        Ok(())
    }

    /// Waits for news or for records, whichever comes first; `None` = look again.
    async fn wait(&mut self) -> Result<Option<Signal>, Error> {
        let Self { from, owned, .. } = self;
        let fetched = owned.iter().filter(|(_, owned)| matches!(owned.phase, Phase::Reads { .. }));
        let got: Vec<_> =
            fetched.map(|(partition, owned)| read(&owned.queue).map(|got| (*partition, got)).boxed()).collect();
        let records = async {
            match got.is_empty() {
                true => std::future::pending().await,
                false => select_all(got).await.0,
            }
        };
        tokio::select! {
            biased;
            news = from.news() => match news {
                Some(news) => self.news(news).map(Some),
                None => Err(group_is_gone()),
            },
            (partition, got) = records => self.got(partition, got).await,
        }
    }

    async fn got(&mut self, partition: u32, got: Got) -> Result<Option<Signal>, Error> {
        let (records, told) = match got {
            Got::Records(records, told) => (Some(records), told),
            Got::Told(told) => (None, Some(told)),
        };
        if records.is_some() {
            self.is_idle_told = false;
            self.read_on(partition, false);
        }
        if let Some(error) = told {
            self.told(partition, error).await?;
        }
        Ok(records.map(|records| Signal::Batch { partition, records }))
    }

    async fn told(&mut self, partition: u32, error: KafkaError) -> Result<(), Error> {
        if matches!(error, KafkaError::PartitionEOF(_)) {
            self.read_on(partition, true);
            return Ok(());
        }
        let topic = &self.fetcher.options.topic;
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                let held = self.watermarks.held().await?;
                let Held { first, end } = held.get(partition as usize).copied().unwrap_or(Held { first: 0, end: 0 });
                Err(Error::Setting(format!(
                    "partition {partition} of topic {topic} does not have the records that were next: it holds \
                     {first}..{end} ({error}); was the topic made again, or its retention shortened?"
                )))
            }
            Some(RDKafkaErrorCode::BadMessage) => {
                let place = format!("topic {topic}, partition {partition}");
                Err(Error::Damaged { place, what: error.to_string() })
            }
            // It is fetched again by itself.
            _ => {
                client::trouble(&error, "while fetching a partition");
                Ok(())
            }
        }
    }

    fn read_on(&mut self, partition: u32, is_at_end: bool) {
        if let Some(Owned { phase: Phase::Reads { is_at_end: told }, .. }) = self.owned.get_mut(&partition) {
            *told = is_at_end;
        }
    }
}

/// Takes what a partition's queue has, up to the limits of a batch. Cancel-safe: it waits only before the first.
async fn read(queue: &Queue) -> Got {
    let mut stream = queue.stream();
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut next = stream.next().await;
    loop {
        match next {
            Some(Ok(message)) => {
                let record = logged(&message);
                bytes += record.header.len() + record.body.len();
                records.push(record);
            }
            Some(Err(error)) if records.is_empty() => return Got::Told(error),
            Some(Err(error)) => return Got::Records(records, Some(error)),
            None => return Got::Records(records, None),
        }
        if records.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES {
            return Got::Records(records, None);
        }
        next = match stream.next().now_or_never() {
            Some(next) => next,
            None => return Got::Records(records, None),
        };
    }
}

/// A record as the log gives it back: copied out of the client's memory once. Where something else wrote to the topic
/// the header is empty, and the fold passes it as poison.
fn logged(message: &BorrowedMessage<'_>) -> Logged {
    let header = message.headers().and_then(|headers| headers.iter().find(|header| header.key == HEADER)?.value);
    Logged {
        offset: u64::try_from(message.offset()).unwrap_or(u64::MAX),
        append_ms: message.timestamp().to_millis().unwrap_or(0),
        header: Bytes::copy_from_slice(header.unwrap_or_default()),
        body: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

impl Subscription for Reader {
    fn next(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.next_signal().boxed()
    }

    fn next_move(&mut self) -> BoxFuture<'_, Result<Signal, Error>> {
        self.next_moved().boxed()
    }

    fn begin(&mut self, partition: u32, position: u64) -> Result<(), Error> {
        let Some(owned) = self.owned.get_mut(&partition) else {
            return Err(Error::Setting(format!("partition {partition} is not assigned to this reader")));
        };
        let fetched = matches!(owned.phase, Phase::Reads { .. } | Phase::Begins { fetched: true, .. });
        owned.phase = Phase::Begins { position, fetched };
        (self.looking, self.is_idle_told) = (None, false);
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for partition in self.owned.keys().copied().collect::<Vec<_>>() {
            if let Err(error) = self.let_go(partition) {
                tracing::warn!(partition, %error, "a reader ends");
            }
        }
    }
}
