//! What all clients of librdkafka have in common.

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::Options;
use crate::Error;

/// Tells what librdkafka says, in our own log.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tells;

impl ClientContext for Tells {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        told(level, fac, log_message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // To have read all there is comes to the reader too, and is no trouble.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            trouble(&error, reason);
        }
    }
}

impl ConsumerContext for Tells {}

/// A line of librdkafka's log.
pub(super) fn told(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, line, "kafka client");
        }
        RDKafkaLogLevel::Warning => tracing::info!(facility, line, "kafka client"),
        _ => tracing::debug!(facility, line, "kafka client"),
    }
}

/// A trouble that librdkafka goes on by itself from: a connection that broke, a broker that is away.
pub(super) fn trouble(error: &KafkaError, reason: &str) {
    tracing::warn!(%error, reason, "kafka is in trouble; it is tried again");
}

/// A configuration with the brokers and what the options add.
pub(super) fn config(options: &Options) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in &options.extra {
        config.set(name, value);
    }
    config.set("bootstrap.servers", &options.brokers);
    config.set("client.id", "flagstream");
    // A broker that comes back is found soon.
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
    config
}

/// A client that cannot be made: some setting is wrong, since nothing was sent anywhere yet.
pub(super) fn cannot_make(error: &KafkaError) -> Error {
    Error::Setting(format!("cannot begin to talk to Kafka: {error}; look at the settings of `[log]`"))
}
