//! A log on Kafka, for several processes.
//!
//! Always true here: a record is answered as appended once all replicas in sync have it, and by its own offset;
//! partitions are chosen by [`schemas::partition`] and never by Kafka; positions come from whoever reads, never from
//! the group, which only hands partitions out; records lie in a topic as its users see it: the header in a Kafka
//! header, the body as value, no key.
//!
//! Where to go next: `producer` appends, `group` hands partitions out, `reader` reads them, `watermarks` says what is
//! held, `checks` looks at the topic before anything else does, `setup` makes it.

mod checks;
mod client;
mod group;
mod options;
mod producer;
mod reader;
mod setup;
mod watermarks;

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use schemas::log::{Append, RECORD_BYTES_MAX};
use tokio::sync::mpsc;

use self::group::Group;
pub use self::options::Options;
use self::producer::Producer;
use self::reader::{Fetcher, Reader};
pub use self::setup::{Planned, permissions, plan, set_up};
use self::watermarks::Watermarks;
use crate::{Error, EventLog, Held, Subscription};

/// The name of the Kafka header in which a record's header lies.
const HEADER: &str = "flagstream";

/// A log on Kafka.
#[derive(Debug)]
pub struct KafkaLog {
    options: Arc<Options>,
    producer: Arc<Producer>,
    watermarks: Arc<Watermarks>,
}

impl KafkaLog {
    /// Connects to a topic that [`set_up`] or an administrator made, and checks that it keeps what the log promises.
    ///
    /// # Errors
    /// [`Error::Setting`] that says what does not fit and what to do; [`Error::Away`] when no broker answers.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let options = Arc::new(options);
        checks::check(&options).await?;
        let producer = Arc::new(Producer::new(Arc::clone(&options))?);
        let watermarks = Arc::new(Watermarks::new(Arc::clone(&options))?);
        Ok(Self { options, producer, watermarks })
    }

    /// Joins the group; each partition has a reader of its own, by number.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting of the options is none of Kafka's.
    pub fn join(&self) -> Result<Vec<Box<dyn Subscription>>, Error> {
        let (routes, news): (Vec<_>, Vec<_>) = (0..self.options.partitions).map(|_| mpsc::unbounded_channel()).unzip();
        let group = Arc::new(Group::join(&self.options, routes)?);
        let fetcher = Arc::new(Fetcher::new(Arc::clone(&self.options))?);
        let readers = news.into_iter().map(|news| {
            let reader = Reader::of_group(Arc::clone(&fetcher), Arc::clone(&self.watermarks), Arc::clone(&group), news);
            Box::new(reader) as Box<dyn Subscription>
        });
        Ok(readers.collect())
    }

    fn check(&self, records: &[Append]) -> Result<(), Error> {
        for Append { partition, header, body } in records {
            self.check_partition(*partition)?;
            let size = header.len() + body.len();
            if size > RECORD_BYTES_MAX {
                return Err(Error::Setting(format!(
                    "a record of {size} bytes is over the log's limit of {RECORD_BYTES_MAX}"
                )));
            }
        }
        Ok(())
    }

    fn check_partition(&self, partition: u32) -> Result<(), Error> {
        let count = self.options.partitions;
        if partition < count {
            return Ok(());
        }
        Err(Error::Setting(format!("there is no partition {partition}; the log has {count}, from 0")))
    }
}

impl EventLog for KafkaLog {
    fn partitions(&self) -> u32 {
        self.options.partitions
    }

    /// The records are handed to the producer by the call; a future that is dropped withdraws nothing.
    fn append(&self, records: Vec<Append>) -> BoxFuture<'static, Result<Vec<u64>, Error>> {
        match self.check(&records) {
            Ok(()) => Arc::clone(&self.producer).append(records),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    /// One member of the group, for all partitions that come to it.
    fn subscribe(&self) -> Result<Box<dyn Subscription>, Error> {
        let (route, news) = mpsc::unbounded_channel();
        let routes = (0..self.options.partitions).map(|_| route.clone()).collect();
        let group = Arc::new(Group::join(&self.options, routes)?);
        let fetcher = Arc::new(Fetcher::new(Arc::clone(&self.options))?);
        Ok(Box::new(Reader::of_group(fetcher, Arc::clone(&self.watermarks), group, news)))
    }

    fn read(&self, partition: u32) -> Result<Box<dyn Subscription>, Error> {
        self.check_partition(partition)?;
        let fetcher = Arc::new(Fetcher::new(Arc::clone(&self.options))?);
        Ok(Box::new(Reader::alone(fetcher, Arc::clone(&self.watermarks), partition)))
    }

    fn held(&self) -> BoxFuture<'_, Result<Vec<Held>, Error>> {
        self.watermarks.held().boxed()
    }

    /// Kafka keeps records by its own retention, which [`KafkaLog::open`] has compared with what the fold needs.
    fn release(&self, _partition: u32, _below: u64) {}
}
