//! What the old path keeps elsewhere: its counters and its queue.

use anyhow::Context;

use crate::config::Settings;
use crate::config::gate::{Counters, Gate, Jobs};
use crate::output::line;

/// Makes them, where a gate is configured.
///
/// # Errors
/// What could not be made.
pub async fn set_up(settings: &Settings) -> anyhow::Result<()> {
    let Some(gate) = &settings.gate else { return Ok(()) };
    for (what, made) in made(gate).await.context("the old path")? {
        line(&match made.as_slice() {
            [] => format!("the old path's {what} exists"),
            made => format!("made the old path's {what} {}", made.join(", ")),
        })?;
    }
    Ok(())
}

async fn made(gate: &Gate) -> anyhow::Result<Vec<(&'static str, Vec<String>)>> {
    let mut made = Vec::new();
    match &gate.counters {
        Counters::Embedded => {}
        Counters::DynamoDb(options) => {
            made.push(("table", oldpath::store::dynamodb::set_up(options).await?.into_iter().collect()));
        }
    }
    match &gate.jobs {
        Jobs::Embedded { .. } => {}
        Jobs::Sqs(options) => made.push(("queue", oldpath::jobs::sqs::set_up(options).await?)),
    }
    Ok(made)
}

/// Prints the commands that do the same, and the permissions.
///
/// # Errors
/// When nothing can be printed.
pub fn plan(settings: &Settings) -> anyhow::Result<()> {
    let Some(gate) = &settings.gate else { return Ok(()) };
    let (mut commands, mut policies): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    match &gate.counters {
        Counters::Embedded => {}
        Counters::DynamoDb(options) => {
            commands.extend(oldpath::store::dynamodb::plan(options));
            policies.push(oldpath::store::dynamodb::policy(options));
        }
    }
    match &gate.jobs {
        Jobs::Embedded { .. } => {}
        Jobs::Sqs(options) => {
            commands.extend(oldpath::jobs::sqs::plan(options));
            policies.push(oldpath::jobs::sqs::policy(options));
        }
    }
    line("# The old path's table and queues:")?;
    for command in commands {
        line(&command)?;
    }
    line("# What the AWS role of ingest, worker and serve must be allowed:")?;
    for policy in policies {
        line(&policy)?;
    }
    Ok(())
}
