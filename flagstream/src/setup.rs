//! `flagstream setup`: makes what several processes share, or says how an administrator may.
//!
//! Always true here: what exists is never altered; run twice, the second time finds everything made.

#[cfg(all(feature = "dynamodb", feature = "sqs"))]
mod old_path;

use anyhow::Context;

use crate::cli::Setup;
use crate::config::{Settings, kept};
use crate::output::line;
use crate::services::backend::log::Log;
use crate::services::backend::{agree, store::Store};

/// Makes topic, keyspace and tables, the generation's row and first records.
///
/// # Errors
/// What could not be made, and who may make it how.
pub fn run(command: &Setup) -> anyhow::Result<()> {
    let configured = &command.configured;
    let settings = Settings::read(configured.config.as_deref(), None, configured.data.as_deref())?;
    if is_embedded(&settings) {
        return line("Nothing to set up: the embedded log and store are made by `flagstream up`.");
    }
    if command.plan {
        return plan(&settings);
    }
    crate::logging::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(set_up(&settings))
}

fn is_embedded(settings: &Settings) -> bool {
    matches!(settings.log, kept::Log::Embedded { .. }) && matches!(settings.store, kept::Store::Embedded)
}

async fn set_up(settings: &Settings) -> anyhow::Result<()> {
    #[cfg(feature = "kafka")]
    if let kept::Log::Kafka(options, replication) = &settings.log {
        line(&match eventlog::kafka::set_up(options, *replication).await? {
            eventlog::kafka::Planned::Made => format!("made topic {}, {replication} copies", options.topic),
            eventlog::kafka::Planned::Exists => format!("topic {} exists", options.topic),
        })?;
    }
    #[cfg(feature = "dynamodb")]
    if let kept::Store::DynamoDb(options) = &settings.store {
        let made = stores::dynamodb::set_up(options).await?;
        line(&match made.as_slice() {
            [] => format!("tables {}… exist", options.prefix),
            made => format!("made tables {}", made.join(", ")),
        })?;
    }
    #[cfg(feature = "cassandra")]
    if let kept::Store::Cassandra(options) = &settings.store {
        let made = stores::cassandra::set_up(options).await?;
        line(&match made.as_slice() {
            [] => format!("keyspace {} and its tables exist", options.keyspace),
            made => format!("made {}", made.join(", ")),
        })?;
    }
    #[cfg(feature = "objects")]
    if let kept::Snapshots::Bucket(options) = &settings.snapshots {
        stores::snapshots::bucket::open(options).await?;
        line(&format!("bucket {} can be listed", options.bucket))?;
    }
    #[cfg(all(feature = "dynamodb", feature = "sqs"))]
    old_path::set_up(settings).await?;
    let (number, partitions) = (settings.generation.number, settings.generation.partitions);
    if matches!(settings.log, kept::Log::Embedded { .. }) {
        return line("`flagstream up` begins the embedded log.");
    }
    let (log, store) = (Log::open(settings).await?, Store::open(settings).await?);
    let begun = agree::begin(&settings.generation, &*log.shared(), &*store.shared()).await?;
    line(&format!("generation {number}: began {begun} of {partitions} partitions; the others had begun"))?;
    line("Ready: start `flagstream ingest`, `process` and `serve` with the same configuration.")
}

/// Commands and permissions, one a line, comments between.
fn plan(settings: &Settings) -> anyhow::Result<()> {
    #[cfg(feature = "kafka")]
    if let kept::Log::Kafka(options, replication) = &settings.log {
        line("# The topic:")?;
        line(&eventlog::kafka::plan(options, *replication))?;
        line("# What our Kafka user must be allowed:")?;
        for permission in eventlog::kafka::permissions(options) {
            line(&permission)?;
        }
    }
    #[cfg(feature = "dynamodb")]
    if let kept::Store::DynamoDb(options) = &settings.store {
        line("# The tables:")?;
        for command in stores::dynamodb::plan(options) {
            line(&command)?;
        }
        line("# What our AWS role must be allowed:")?;
        line(&stores::dynamodb::policy(options))?;
    }
    #[cfg(feature = "cassandra")]
    if let kept::Store::Cassandra(options) = &settings.store {
        line("# Keyspace and tables, in CQL (the data centre as `nodetool status` names it):")?;
        for statement in stores::cassandra::plan(options) {
            line(&statement)?;
        }
        line("# What our Cassandra user must be allowed (a user of `serve` alone: no MODIFY):")?;
        for grant in stores::cassandra::permissions(options) {
            line(&grant)?;
        }
    }
    #[cfg(feature = "objects")]
    if let kept::Snapshots::Bucket(options) = &settings.snapshots {
        line("# The bucket of snapshots, and a rule that lets go what an upload left that was cut short:")?;
        for command in stores::snapshots::bucket::plan(options) {
            line(&command)?;
        }
        line("# What the AWS role of processors must be allowed:")?;
        line(&stores::snapshots::bucket::policy(options))?;
    }
    #[cfg(all(feature = "dynamodb", feature = "sqs"))]
    old_path::plan(settings)?;
    line("# Then, for the generation's row and first records (once, with those permissions):")?;
    line(&format!("flagstream setup   # generation {}", settings.generation.number))
}
