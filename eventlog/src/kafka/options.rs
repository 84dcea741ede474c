//! What a log on Kafka is told.

use std::time::Duration;

/// Which topic of which brokers, and how patient to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Addresses to begin with, `HOST:PORT` with commas.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Partitions of the generation; the topic must have as many.
    pub partitions: u32,
    /// The group in which processors share the partitions.
    pub group: String,
    /// How long the client tries to bring a record in: 30 s. Ingest waits less long; but no twin of a record may land
    /// much later than what its SDK sends again.
    pub acknowledge_within: Duration,
    /// How long a member may go on flushing a partition that it must give away: 10 s. Nothing depends on it: what is
    /// not flushed by then is folded again elsewhere.
    pub revoke_within: Duration,
    /// How long a broker may take to answer a question: 5 s.
    pub answer_within: Duration,
    /// Bytes of records of one partition that may wait for their acknowledgement: 16 MiB. More are
    /// [`crate::Error::Busy`], so that a partition that is slow or gone fills no memory that others need. A broker
    /// works on one request of a connection at a time: what waits for a follower there may hold up the other partitions
    /// that it leads.
    pub waiting_bytes_max: usize,
    /// How long the topic must keep records at least, in milliseconds; see [`crate::kafka::Options::new`].
    pub retention_min_ms: u64,
    /// Settings of librdkafka beside ours, for access (`security.protocol`, `sasl.…`, `ssl.…`). They are set first, so
    /// none of them can take away what the log promises.
    pub extra: Vec<(String, String)>,
}

impl Options {
    /// The defaults, for a topic. Its retention must reach over the lateness limit and time for a person to act: 8
    /// days.
    #[must_use]
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>, partitions: u32) -> Self {
        const DAY_MS: u64 = 86_400_000;
        let topic = topic.into();
        Self {
            brokers: brokers.into(),
            group: format!("{topic}.processor"),
            topic,
            partitions,
            acknowledge_within: Duration::from_secs(30),
            revoke_within: Duration::from_secs(10),
            answer_within: Duration::from_secs(5),
            waiting_bytes_max: 16 * 1024 * 1024,
            retention_min_ms: 8 * DAY_MS,
            extra: Vec::new(),
        }
    }
}
