//! A store that throttles and a store that is gone, under load: ingest must not notice, and what waited must be counted
//! soon and exactly.

use super::{Apart, Trial, on};
use anyhow::Result;
use std::path::Path;

/// Tries both, one after the other; true when everything held.
pub(super) fn in_trouble(arguments: &Apart, command: &Path) -> Result<bool> {
    on(&["kafka", "dynamodb"], |addresses| {
        let mut trial = Trial::new("DynamoDB throttles, then is gone", command, addresses)?;
        trial.log("FLAGSTREAM_TEST_KAFKA")?.store("--dynamodb", "FLAGSTREAM_TEST_DYNAMODB")?;
        trial.add(&["--kills", "0", "--pauses", "0", "--seed", &arguments.seed.to_string()]);
        let (throttled, gone) = (arguments.throttled_seconds.to_string(), arguments.gone_seconds.to_string());
        trial.add(&["--throttled-seconds", &throttled, "--gone-seconds", &gone]);
        trial.run()
    })
}
