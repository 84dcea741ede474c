//! The log, of whichever kind.

use std::sync::Arc;

use eventlog::embedded::EmbeddedLog;
#[cfg(feature = "kafka")]
use eventlog::kafka::KafkaLog;
use eventlog::{EventLog, Subscription};
use tokio::sync::watch;

use super::embedded;
use crate::config::{Settings, kept};

/// An open log.
pub enum Log {
    /// Files in the data directory.
    Embedded(Arc<EmbeddedLog>),
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Arc<KafkaLog>),
}

impl Log {
    /// Opens it; an embedded one is made where there is none.
    ///
    /// # Errors
    /// What is wrong with it, and what to try.
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        match &settings.log {
            kept::Log::Embedded { retain_bytes } => {
                Ok(Self::Embedded(Arc::new(embedded::log(settings, *retain_bytes).await?)))
            }
            #[cfg(feature = "kafka")]
            kept::Log::Kafka(options, _) => Ok(Self::Kafka(Arc::new(KafkaLog::open(options.as_ref().clone()).await?))),
        }
    }

    /// Nobody else can have begun it.
    pub fn is_this_process_alone(&self) -> bool {
        match self {
            Self::Embedded(_) => true,
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => false,
        }
    }

    /// As the services know it.
    pub fn shared(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Embedded(log) => log.clone(),
            #[cfg(feature = "kafka")]
            Self::Kafka(log) => log.clone(),
        }
    }

    /// A reader for each partition, by number: for the one who folds.
    ///
    /// # Errors
    /// When the log can no longer be used.
    pub fn readers(&self) -> Result<Vec<Box<dyn Subscription>>, eventlog::Error> {
        match self {
            Self::Embedded(log) => (0..log.partitions()).map(|partition| log.subscribe_to(&[partition])).collect(),
            #[cfg(feature = "kafka")]
            Self::Kafka(log) => log.join(),
        }
    }

    /// Why it can promise nothing any more, once that is so.
    pub fn poisoned(&self) -> Option<watch::Receiver<Option<String>>> {
        match self {
            Self::Embedded(log) => Some(log.poisoned()),
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => None,
        }
    }

    /// Ends it; what was answered is durable before.
    ///
    /// # Errors
    /// When the end could not be written.
    pub async fn close(&self) -> Result<(), eventlog::Error> {
        match self {
            Self::Embedded(log) => log.close().await,
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => Ok(()),
        }
    }
}
