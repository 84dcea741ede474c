//! Looks at the topic before anything is appended or read, and explains.
//!
//! Always true here: nothing is altered; every fault found is told at once, each with what to do.

use std::collections::HashMap;

use rdkafka::admin::{AdminOptions, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::util::Timeout;

use super::Options;
use super::setup::admin;
use crate::Error;

/// Fails with all that does not fit.
pub(super) async fn check(options: &Options) -> Result<(), Error> {
    let shape = shape(options).await?;
    let found = configured(options).await?;
    let faults = faults(options, &shape, &found);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::Setting(format!(
        "topic {} of {} does not fit:\n  - {}",
        options.topic,
        options.brokers,
        faults.join("\n  - ")
    )))
}

/// What the brokers say of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    partitions: usize,
    /// Replicas of the partition that has fewest.
    replicas: usize,
}

/// Whether there is a topic of this name.
pub(super) async fn exists(options: &Options) -> Result<bool, Error> {
    Ok(look(options).await?.is_some_and(|shape| shape.partitions > 0))
}

async fn shape(options: &Options) -> Result<Shape, Error> {
    look(options).await?.filter(|shape| shape.partitions > 0).ok_or_else(|| {
        Error::Setting(format!(
            "there is no topic {} at {}; make it with `flagstream setup`, or look at `[log] topic`",
            options.topic, options.brokers
        ))
    })
}

/// `None` = there is none.
async fn look(options: &Options) -> Result<Option<Shape>, Error> {
    let client = admin(options)?;
    let (topic, within) = (options.topic.clone(), Timeout::After(options.answer_within));
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = client.inner().fetch_metadata(Some(&topic), within)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let shape = found.filter(|found| found.error().is_none()).map(|found| Shape {
            partitions: found.partitions().len(),
            replicas: found.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or(0),
        });
        Ok::<_, KafkaError>(shape)
    });
    let away = |what: &dyn std::fmt::Display| {
        let (brokers, within) = (&options.brokers, options.answer_within);
        Error::Away(format!("no broker at {brokers} answers within {within:?} ({what}); is `[log] brokers` right?"))
    };
    asked.await.map_err(|error| away(&error))?.map_err(|error| away(&error))
}

async fn configured(options: &Options) -> Result<HashMap<String, String>, Error> {
    let client = admin(options)?;
    let patience = AdminOptions::new().request_timeout(Some(options.answer_within));
    let described = client.describe_configs([&ResourceSpecifier::Topic(&options.topic)], &patience).await;
    let away = |what: String| Error::Away(format!("settings of topic {}: {what}", options.topic));
    match described.map_err(|error| away(error.to_string()))?.into_iter().next() {
        Some(Ok(found)) => Ok(found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()),
        Some(Err(
            code @ (RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed),
        )) => Err(Error::Setting(format!(
            "the settings of topic {} may not be looked at ({code}); allow DescribeConfigs on it",
            options.topic
        ))),
        Some(Err(code)) => Err(away(code.to_string())),
        None => Err(away("nothing was said".into())),
    }
}

fn faults(options: &Options, shape: &Shape, found: &HashMap<String, String>) -> Vec<String> {
    let mut faults = Vec::new();
    if shape.partitions != options.partitions as usize {
        faults.push(format!(
            "it has {} partitions, the generation {}: records would count elsewhere; set `[log] partitions`, or begin a new \
             topic and generation",
            shape.partitions, options.partitions
        ));
    }
    let mut must = |name: &str, wanted: &str, fits: &dyn Fn(&str) -> bool, why: &str| {
        let value = found.get(name).map_or("not told", String::as_str);
        if !fits(value) {
            faults.push(format!("{name} is {value}, not {wanted}: {why}"));
        }
    };
    must(
        "message.timestamp.type",
        "LogAppendTime",
        &|v| v == "LogAppendTime",
        "time in the log is the brokers', not ours",
    );
    must("cleanup.policy", "delete", &|v| v == "delete", "compaction drops records that were never counted");
    let reason = "a replica that lags could lead, and acknowledged records be gone";
    must("unclean.leader.election.enable", "false", &|v| v == "false", reason);
    let at_least = |least: u64| move |value: &str| value.parse::<u64>().is_ok_and(|value| value >= least);
    if shape.replicas > 1 {
        must("min.insync.replicas", "2 or more", &at_least(2), "an acknowledged record would be on one disk alone");
    }
    let keeps = |value: &str| value == "-1" || at_least(options.retention_min_ms)(value);
    let least = format!("-1 or at least {}", options.retention_min_ms);
    must("retention.ms", &least, &keeps, "records that are late, or were not counted for a while, would be gone");
    must("retention.bytes", "-1", &|v| v == "-1", "how long records are kept would depend on the traffic");
    must("max.message.bytes", "at least 1000000", &at_least(1_000_000), "the largest record would be refused");
    faults
}

#[cfg(test)]
mod tests {
    use super::super::setup;
    use super::*;

    fn found(options: &Options, replication: u32) -> HashMap<String, String> {
        setup::settings(options, replication).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn what_setup_makes_fits_and_each_setting_matters() {
        let options = Options::new("b:1", "t", 4);
        for (replication, settings) in [(1, 5), (3, 6)] {
            let shape = Shape { partitions: 4, replicas: replication as usize };
            let found = found(&options, replication);
            assert_eq!(faults(&options, &shape, &found), [""; 0]);
            let told = found.keys().filter(|name| {
                let mut other = found.clone();
                other.insert((*name).clone(), "0".into());
                !faults(&options, &shape, &other).is_empty()
            });
            assert_eq!(told.count(), settings + 1, "replication {replication}");
            assert_eq!(faults(&options, &Shape { partitions: 5, ..shape }, &found).len(), 1);
        }
    }

    #[test]
    fn a_fault_says_what_to_do() {
        let options = Options::new("b:1", "t", 4);
        let mut found = found(&options, 3);
        found.insert("min.insync.replicas".into(), "1".into());
        let told = faults(&options, &Shape { partitions: 4, replicas: 3 }, &found);
        assert_eq!(
            told,
            ["min.insync.replicas is 1, not 2 or more: an acknowledged record would be on one disk alone"]
        );
    }
}
