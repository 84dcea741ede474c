//! Two of three brokers gone: nothing can be kept by two, so nothing may be acknowledged, until one is back.

use super::{Apart, Trial, on};
use anyhow::Result;
use std::path::Path;

const SERVERS: &[&str] = &["kafka-cluster", "dynamodb"];
/// Those that are killed. The third stays, with all records, and must take none.
const KILLED: &str = "kafka-1 kafka-2";

/// Tries it; true when ingest denied all, took up its work again by itself, and every number holds.
pub(super) fn two_of_three(arguments: &Apart, command: &Path) -> Result<bool> {
    on(SERVERS, |addresses| {
        let mut trial = Trial::new("two of three brokers killed", command, addresses)?;
        trial.log("FLAGSTREAM_TEST_KAFKA_CLUSTER")?.store("--dynamodb", "FLAGSTREAM_TEST_DYNAMODB")?;
        trial.add(&["--replication", "3", "--kills", "0", "--pauses", "0"]);
        trial.add(&["--seed", &arguments.seed.to_string()]);
        trial.trouble(1, &format!("stop {KILLED} --kill"), &format!("start {KILLED}"))?;
        trial.add(&["--trouble-seconds", &arguments.brokers_seconds.to_string(), "--clients-meet", "denied"]);
        trial.run()
    })
}
