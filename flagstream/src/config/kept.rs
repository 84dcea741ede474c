//! `[log]`, `[store]` and, in `snapshots`, `[snapshots]`: where things are kept, as written and as understood.
//!
//! Always true here: a field that belongs to another kind than the one chosen is refused by name; what is left out has
//! the default of its kind, and `--print-config` shows it.

mod snapshots;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize, Serializer};

pub use self::snapshots::{Snapshots, SnapshotsSection};
use super::written::Secret;

/// Kinds of logs that this build has.
const LOGS: &[&str] = &[
    "embedded",
    #[cfg(feature = "kafka")]
    "kafka",
];
/// Kinds of stores that this build has.
const STORES: &[&str] = &[
    "embedded",
    #[cfg(feature = "dynamodb")]
    "dynamodb",
    #[cfg(feature = "cassandra")]
    "cassandra",
];

/// Days that Kafka is asked to keep records: so long may one wait to be folded, or be folded again.
#[cfg(any(feature = "dynamodb", feature = "cassandra"))]
const LOG_DAYS: u64 = 8;

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// `embedded` or `kafka`.
    pub kind: String,
    /// Name of the log without its generation; Kafka's topic is `<topic>.g<generation>`.
    pub topic: String,
    /// Number of the generation, from 1.
    pub generation: u32,
    /// Number of partitions; fixed for a generation.
    pub partitions: u32,
    /// The embedded log keeps at least this many MiB, even when durable state has passed them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_mib: Option<u64>,
    /// Kafka's HOST:PORT, commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<String>,
    /// Copies of each record that `flagstream setup` asks Kafka for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<u32>,
    /// Settings of Kafka's client (librdkafka) for access: `"security.protocol" = "SASL_SSL"`.
    #[serde(skip_serializing_if = "ClientSettings::is_empty")]
    pub client: ClientSettings,
}

/// `[store]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// `embedded`, `dynamodb` or `cassandra`.
    pub kind: String,
    /// Seconds between flushes of the cells: 1 when embedded, else 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flush_seconds: Option<u64>,
    /// Days that usage and events are kept from the end of their window, at least 15; not for the embedded store, which
    /// keeps all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u32>,
    /// A local DynamoDB's address; left out, AWS's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// AWS's region; left out, as the environment or the profile says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the names of DynamoDB's tables begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// HOST:PORT of some of Cassandra's nodes; the others are heard of from them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_points: Option<Vec<String>>,
    /// Cassandra's keyspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyspace: Option<String>,
    /// The data centre whose copies are written and read; left out, the only one that the keyspace has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datacenter: Option<String>,
    /// Copies of each row in that data centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication: Option<u32>,
    /// Whom Cassandra knows us as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// That user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Settings of Kafka's client. Those that may be secrets print masked.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ClientSettings(pub BTreeMap<String, String>);

impl ClientSettings {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn masked(&self) -> BTreeMap<&str, String> {
        const OPEN: [&str; 4] = ["security.protocol", "sasl.mechanism", "sasl.mechanisms", "ssl.ca.location"];
        let shown = |(name, value): (&'_ String, &String)| {
            if OPEN.contains(&name.as_str()) { value.clone() } else { Secret(value.clone()).masked() }
        };
        self.0.iter().map(|(name, value)| (name.as_str(), shown((name, value)))).collect()
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.masked().fmt(f)
    }
}

impl Serialize for ClientSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.masked().serialize(serializer)
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            kind: "embedded".to_owned(),
            topic: "flagstream.events".to_owned(),
            generation: 1,
            partitions: 4,
            retain_mib: None,
            brokers: None,
            replication: None,
            client: ClientSettings::default(),
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            kind: "embedded".to_owned(),
            flush_seconds: None,
            keep_days: None,
            endpoint: None,
            region: None,
            prefix: None,
            contact_points: None,
            keyspace: None,
            datacenter: None,
            replication: None,
            user: None,
            password: None,
        }
    }
}

/// The log, understood.
#[derive(Debug, Clone)]
pub enum Log {
    /// Files in the data directory; at least so many bytes of records are kept.
    Embedded {
        /// See [`LogSection::retain_mib`].
        retain_bytes: u64,
    },
    /// Kafka, and the copies of a record that `setup` asks for.
    #[cfg(feature = "kafka")]
    Kafka(Box<eventlog::kafka::Options>, u32),
}

/// The store, understood.
#[derive(Debug, Clone)]
pub enum Store {
    /// A file in the data directory.
    Embedded,
    /// DynamoDB.
    #[cfg(feature = "dynamodb")]
    DynamoDb(stores::dynamodb::Options),
    /// Cassandra.
    #[cfg(feature = "cassandra")]
    Cassandra(Box<stores::cassandra::Options>),
}

impl LogSection {
    /// What was written, with the defaults of its kind filled in.
    ///
    /// # Errors
    /// Which value cannot be, and what to write.
    pub fn understand(&mut self) -> anyhow::Result<Log> {
        known("log", &self.kind, LOGS, &["embedded", "kafka"])?;
        ensure!(
            (1..=1024).contains(&self.partitions),
            "log.partitions = {} must lie between 1 and 1024",
            self.partitions
        );
        ensure!(self.generation >= 1, "log.generation = 0 must be at least 1");
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ensure!(
            (1..=200).contains(&self.topic.len()) && self.topic.bytes().all(is_name),
            "log.topic = {:?} is no name: 1 to 200 letters, digits, dots, - and _",
            self.topic
        );
        belong(
            "log",
            &self.kind,
            &[
                ("retain_mib", self.retain_mib.is_some(), &["embedded"]),
                ("brokers", self.brokers.is_some(), &["kafka"]),
                ("replication", self.replication.is_some(), &["kafka"]),
                ("client", !self.client.is_empty(), &["kafka"]),
            ],
        )?;
        match self.kind.as_str() {
            #[cfg(feature = "kafka")]
            "kafka" => self.kafka(),
            _ => {
                let mib = *self.retain_mib.get_or_insert(256);
                Ok(Log::Embedded { retain_bytes: mib.saturating_mul(1024 * 1024) })
            }
        }
    }

    #[cfg(feature = "kafka")]
    fn kafka(&mut self) -> anyhow::Result<Log> {
        let brokers = self.brokers.get_or_insert_with(|| "127.0.0.1:9092".to_owned());
        ensure!(!brokers.trim().is_empty(), "log.brokers is empty; name at least one as HOST:PORT");
        let replication = *self.replication.get_or_insert(3);
        ensure!((1..=100).contains(&replication), "log.replication = {replication} must lie between 1 and 100");
        let topic = format!("{}.g{}", self.topic, self.generation);
        let mut options = eventlog::kafka::Options::new(brokers.trim(), topic, self.partitions);
        options.extra = self.client.0.clone().into_iter().collect();
        Ok(Log::Kafka(Box::new(options), replication))
    }
}

impl StoreSection {
    /// What was written, with the defaults of its kind filled in.
    ///
    /// # Errors
    /// Which value cannot be, and what to write.
    pub fn understand(&mut self) -> anyhow::Result<Store> {
        known("store", &self.kind, STORES, &["embedded", "dynamodb", "cassandra"])?;
        belong(
            "store",
            &self.kind,
            &[
                ("keep_days", self.keep_days.is_some(), &["dynamodb", "cassandra"]),
                ("endpoint", self.endpoint.is_some(), &["dynamodb"]),
                ("region", self.region.is_some(), &["dynamodb"]),
                ("prefix", self.prefix.is_some(), &["dynamodb"]),
                ("contact_points", self.contact_points.is_some(), &["cassandra"]),
                ("keyspace", self.keyspace.is_some(), &["cassandra"]),
                ("datacenter", self.datacenter.is_some(), &["cassandra"]),
                ("replication", self.replication.is_some(), &["cassandra"]),
                ("user", self.user.is_some(), &["cassandra"]),
                ("password", self.password.is_some(), &["cassandra"]),
            ],
        )?;
        let seconds = *self.flush_seconds.get_or_insert(if self.kind == "embedded" { 1 } else { 60 });
        ensure!((1..=3600).contains(&seconds), "store.flush_seconds = {seconds} must lie between 1 and 3600");
        match self.kind.as_str() {
            #[cfg(feature = "dynamodb")]
            "dynamodb" => self.dynamodb(),
            #[cfg(feature = "cassandra")]
            "cassandra" => self.cassandra(),
            _ => Ok(Store::Embedded),
        }
    }

    #[cfg(feature = "dynamodb")]
    fn dynamodb(&mut self) -> anyhow::Result<Store> {
        let defaults = stores::dynamodb::Options::default();
        let keep_days = self.keep_days(defaults.keep_days, u32::MAX)?;
        let prefix = self.prefix.get_or_insert(defaults.prefix).clone();
        let (endpoint, region) = (self.endpoint.clone(), self.region.clone());
        Ok(Store::DynamoDb(stores::dynamodb::Options { endpoint, region, prefix, keep_days, ..defaults }))
    }
}

#[cfg(feature = "cassandra")]
impl StoreSection {
    fn cassandra(&mut self) -> anyhow::Result<Store> {
        use stores::cassandra::{Access, KEEP_DAYS_MAX, Options};
        let defaults = Options::default();
        let contact_points = self.contact_points.get_or_insert(defaults.contact_points).clone();
        ensure!(!contact_points.is_empty(), "store.contact_points is empty; name at least one node as HOST:PORT");
        for point in &contact_points {
            let is_whole =
                point.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            ensure!(is_whole, "store.contact_points has {point:?}, which is no HOST:PORT, as 127.0.0.1:9042");
        }
        let keyspace = self.keyspace.get_or_insert(defaults.keyspace).clone();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        ensure!(
            (1..=48).contains(&keyspace.len())
                && keyspace.bytes().all(is_name)
                && keyspace.as_bytes()[0].is_ascii_lowercase(),
            "store.keyspace = {keyspace:?} is no name: a small letter, then small letters, digits and _, at most 48"
        );
        let replication = *self.replication.get_or_insert(defaults.replication);
        ensure!((1..=100).contains(&replication), "store.replication = {replication} must lie between 1 and 100");
        let keep_days = self.keep_days(defaults.keep_days, KEEP_DAYS_MAX)?;
        let access = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some(Access { user: user.clone(), password: password.0.clone() }),
            (None, None) => None,
            _ => bail!("store.user and store.password go together; write both, or neither"),
        };
        let datacenter = self.datacenter.clone();
        let options = Options { contact_points, keyspace, datacenter, replication, access, keep_days, ..defaults };
        Ok(Store::Cassandra(Box::new(options)))
    }
}

#[cfg(any(feature = "dynamodb", feature = "cassandra"))]
impl StoreSection {
    /// A cell that is gone before its last record is folded begins anew, and shows a part of its hour.
    fn keep_days(&mut self, default: u32, most: u32) -> anyhow::Result<u32> {
        let late_days = schemas::generation::ClockLimits::default().lateness_ms.div_ceil(24 * 3_600_000);
        let least = late_days + LOG_DAYS;
        let keep_days = *self.keep_days.get_or_insert(default);
        ensure!(
            u64::from(keep_days) >= least && keep_days <= most,
            "store.keep_days = {keep_days} must lie between {least} and {most}: an event may be {late_days} days old when \
             it comes, and its record wait {LOG_DAYS} more in the log, so that its hour would be gone before it is counted"
        );
        Ok(keep_days)
    }
}

pub(super) fn known(section: &str, kind: &str, built: &[&str], all: &[&str]) -> anyhow::Result<()> {
    if built.contains(&kind) {
        return Ok(());
    }
    if all.contains(&kind) {
        bail!(
            "{section}.kind = {kind:?} is not in this build (it has: {}); build with --features {kind}",
            built.join(", ")
        );
    }
    bail!("{section}.kind = {kind:?} is unknown; there are: {}", all.join(", "));
}

/// Refuses what was written for another kind: each field with whether it was, and the kinds that have it.
pub(super) fn belong(section: &str, kind: &str, fields: &[(&str, bool, &[&str])]) -> anyhow::Result<()> {
    match fields.iter().find(|(_, is_written, kinds)| *is_written && !kinds.contains(&kind)) {
        Some((field, _, kinds)) => bail!(
            "{section}.{field} is for {section}.kind = \"{}\", and it is {kind:?}; take it out, or set the kind",
            kinds.join("\" or \"")
        ),
        None => Ok(()),
    }
}

impl LogSection {
    /// One with every field, for those who need their names.
    pub fn with_all() -> Self {
        Self { retain_mib: Some(0), brokers: Some(String::new()), replication: Some(0), ..Self::default() }
    }
}

impl StoreSection {
    /// One with every field, for those who need their names.
    pub fn with_all() -> Self {
        let text = || Some(String::new());
        Self {
            flush_seconds: Some(0),
            keep_days: Some(0),
            endpoint: text(),
            region: text(),
            prefix: text(),
            contact_points: Some(Vec::new()),
            keyspace: text(),
            datacenter: text(),
            replication: Some(0),
            user: text(),
            password: Some(Secret(String::new())),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_another_kind_is_refused_by_name() {
        let mut log = LogSection { brokers: Some("b:9092".to_owned()), ..LogSection::default() };
        let said = log.understand().unwrap_err().to_string();
        assert!(said.contains("log.brokers is for log.kind = \"kafka\""), "{said}");
        let mut store = StoreSection { keep_days: Some(3), ..StoreSection::default() };
        let said = store.understand().unwrap_err().to_string();
        assert!(said.contains("store.keep_days is for store.kind = \"dynamodb\" or \"cassandra\""), "{said}");
        let mut store = StoreSection { keyspace: Some("k".to_owned()), ..StoreSection::default() };
        let said = store.understand().unwrap_err().to_string();
        assert!(said.contains("store.keyspace is for store.kind = \"cassandra\""), "{said}");
    }

    #[test]
    fn an_unknown_kind_is_told_from_one_that_is_not_built() {
        let mut log = LogSection { kind: "pulsar".to_owned(), ..LogSection::default() };
        assert_eq!(
            log.understand().unwrap_err().to_string(),
            "log.kind = \"pulsar\" is unknown; there are: embedded, kafka"
        );
        let said = known("log", "kafka", &["embedded"], &["embedded", "kafka"]).unwrap_err().to_string();
        assert!(said.contains("(it has: embedded); build with --features kafka"), "{said}");
    }

    #[test]
    fn the_defaults_are_those_of_the_kind() {
        let (mut log, mut store) = (LogSection::default(), StoreSection::default());
        assert!(matches!(log.understand().unwrap(), Log::Embedded { retain_bytes: 268_435_456 }));
        assert!(matches!(store.understand().unwrap(), Store::Embedded));
        assert_eq!((log.retain_mib, store.flush_seconds), (Some(256), Some(1)));
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn a_topic_is_named_by_its_generation() {
        let mut log = LogSection { kind: "kafka".to_owned(), generation: 3, ..LogSection::default() };
        let Log::Kafka(options, replication) = log.understand().unwrap() else { panic!() };
        assert_eq!(
            (options.topic.as_str(), options.brokers.as_str(), replication),
            ("flagstream.events.g3", "127.0.0.1:9092", 3)
        );
        #[cfg(any(feature = "dynamodb", feature = "cassandra"))]
        assert_eq!(options.retention_min_ms, LOG_DAYS * 24 * 3_600_000);
    }

    #[cfg(feature = "dynamodb")]
    #[test]
    fn a_store_elsewhere_is_flushed_each_minute() {
        let mut store = StoreSection { kind: "dynamodb".to_owned(), ..StoreSection::default() };
        let Store::DynamoDb(options) = store.understand().unwrap() else { panic!() };
        assert_eq!((store.flush_seconds, options.prefix.as_str(), options.keep_days), (Some(60), "flagstream_", 400));
    }

    #[cfg(any(feature = "dynamodb", feature = "cassandra"))]
    #[test]
    fn an_hour_is_kept_until_the_last_of_its_events_can_be_counted() {
        for kind in STORES.iter().filter(|kind| **kind != "embedded") {
            let keep = |days| {
                StoreSection { kind: (*kind).to_owned(), keep_days: Some(days), ..StoreSection::default() }.understand()
            };
            let said = keep(14).unwrap_err().to_string();
            assert!(
                said.contains("store.keep_days = 14 must lie between 15 and") && said.contains("7 days old"),
                "{said}"
            );
            assert!(keep(15).is_ok(), "{kind}");
        }
    }

    #[cfg(feature = "cassandra")]
    #[test]
    fn cassandra_is_asked_at_its_usual_place_and_what_it_cannot_be_is_refused() {
        let new = || StoreSection { kind: "cassandra".to_owned(), ..StoreSection::default() };
        let mut store = new();
        let Store::Cassandra(options) = store.understand().unwrap() else { panic!() };
        assert_eq!(
            (options.contact_points, options.keyspace.as_str()),
            (vec!["127.0.0.1:9042".to_owned()], "flagstream")
        );
        assert_eq!((options.replication, options.keep_days, store.flush_seconds), (3, 400, Some(60)));
        let points = |points: &[&str]| Some(points.iter().map(|point| (*point).to_owned()).collect());
        let name = |name: &str| Some(name.to_owned());
        for (mut wrong, said) in [
            (StoreSection { contact_points: points(&[]), ..new() }, "store.contact_points is empty"),
            (StoreSection { contact_points: points(&["a:1", "b"]), ..new() }, "has \"b\", which is no HOST:PORT"),
            (StoreSection { keyspace: name("Flags"), ..new() }, "store.keyspace = \"Flags\" is no name"),
            (StoreSection { keyspace: name(""), ..new() }, "store.keyspace = \"\" is no name"),
            (StoreSection { replication: Some(0), ..new() }, "store.replication = 0 must"),
            (StoreSection { keep_days: Some(9_999), ..new() }, "store.keep_days = 9999 must lie between 15 and 3650"),
            (StoreSection { user: name("u"), ..new() }, "store.user and store.password go together"),
        ] {
            let found = wrong.understand().unwrap_err().to_string();
            assert!(found.contains(said), "{found}");
        }
        let password = Some(Secret("hunter2-hunter2".to_owned()));
        let mut known = StoreSection { user: name("u"), password, ..new() };
        let shown = format!("{:?}{known:?}{}", known.understand().unwrap(), toml::to_string(&known).unwrap());
        assert!(!shown.contains("hunter2-h") && shown.contains("…ter2"), "{shown}");
    }

    #[test]
    fn what_may_be_a_secret_is_masked() {
        let settings: ClientSettings =
            toml::from_str("\"security.protocol\" = \"SASL_SSL\"\n\"sasl.password\" = \"hunter2-hunter2\"").unwrap();
        let shown = format!("{settings:?}{}", toml::to_string(&settings).unwrap());
        assert!(!shown.contains("hunter2-h") && shown.contains("SASL_SSL") && shown.contains("…ter2"), "{shown}");
    }
}
