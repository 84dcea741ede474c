//! Old path and new one, all stages of the gate forward and back under load, ingest and worker killed in each; flips.

use super::{Apart, Trial, on};
use anyhow::Result;
use std::path::Path;

/// The environment that goes to stage off, where the log gets nothing: the ledger is not of it.
const OTHER: &str = "default/other";
/// The old path writes each row by itself, and the local server is slow.
const LOAD: [&str; 4] = ["--rate", "8", "--clients", "8"];

/// Tries it; true when the new path's numbers hold, and every difference of the paths is explained.
pub(super) fn all_stages(arguments: &Apart, command: &Path) -> Result<bool> {
    on(&["kafka", "dynamodb", "sqs"], |addresses| {
        let mut trial = Trial::new("all stages of the gate, on kafka, dynamodb and sqs", command, addresses)?;
        trial.log("FLAGSTREAM_TEST_KAFKA")?.store("--dynamodb", "FLAGSTREAM_TEST_DYNAMODB")?;
        trial.store("--sqs", "FLAGSTREAM_TEST_SQS")?;
        let (flips, seconds) = (arguments.flips.to_string(), arguments.flip_seconds.to_string());
        trial.add(&["--kills", "0", "--pauses", "0", "--seed", &arguments.seed.to_string()]).add(&LOAD);
        trial.add(&["--flips", &flips, "--flip-seconds", &seconds]).without(OTHER);
        trial.run()
    })
}
