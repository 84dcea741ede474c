//! Makes the topic.
//!
//! Always true here: a topic that exists is never altered; what it must be like stands in one list, by which it is
//! made, checked and told to an administrator.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::{Options, checks, client};
use crate::Error;

/// What was found or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// The topic was made.
    Made,
    /// There was one.
    Exists,
}

/// Settings of the topic: name, value.
pub(super) fn settings(options: &Options, replication: u32) -> Vec<(&'static str, String)> {
    let in_sync = if replication > 1 { 2 } else { 1 };
    vec![
        ("message.timestamp.type", "LogAppendTime".into()),
        ("cleanup.policy", "delete".into()),
        ("unclean.leader.election.enable", "false".into()),
        ("min.insync.replicas", in_sync.to_string()),
        ("retention.ms", options.retention_min_ms.to_string()),
        ("retention.bytes", "-1".into()),
        ("max.message.bytes", "1048588".into()),
    ]
}

/// The command with which an administrator makes the topic.
#[must_use]
pub fn plan(options: &Options, replication: u32) -> String {
    let mut command = format!(
        "kafka-topics.sh --bootstrap-server {} --create --if-not-exists --topic {} --partitions {} --replication-factor {}",
        options.brokers, options.topic, options.partitions, replication
    );
    for (name, value) in settings(options, replication) {
        command.push_str(&format!(" --config {name}={value}"));
    }
    command
}

/// The commands with which an administrator allows our user what it does, and nothing else. `User:flagstream` is to be
/// put right by hand.
#[must_use]
pub fn permissions(options: &Options) -> Vec<String> {
    let allow = |what: &str, operations: &[&str]| {
        let operations: Vec<String> = operations.iter().map(|operation| format!("--operation {operation}")).collect();
        format!(
            "kafka-acls.sh --bootstrap-server {} --add --allow-principal User:flagstream {} {what}",
            options.brokers,
            operations.join(" ")
        )
    };
    vec![
        allow(&format!("--topic {}", options.topic), &["Describe", "DescribeConfigs", "Read", "Write"]),
        allow(&format!("--group {} --resource-pattern-type prefixed", options.group), &["Read"]),
        allow("--cluster", &["IdempotentWrite"]),
    ]
}

/// Makes the topic where there is none.
///
/// # Errors
/// [`Error::Away`] when no broker answers in time; [`Error::Setting`] with what Kafka refused.
pub async fn set_up(options: &Options, replication: u32) -> Result<Planned, Error> {
    // Who may not make topics may still run this when there is one.
    if checks::exists(options).await? {
        return Ok(Planned::Exists);
    }
    let admin = admin(options)?;
    let settings = settings(options, replication);
    let partitions = i32::try_from(options.partitions).unwrap_or(i32::MAX);
    let replicas = i32::try_from(replication).unwrap_or(i32::MAX);
    let mut topic = NewTopic::new(&options.topic, partitions, TopicReplication::Fixed(replicas));
    for (name, value) in &settings {
        topic = topic.set(name, value);
    }
    let patience =
        AdminOptions::new().operation_timeout(Some(options.answer_within)).request_timeout(Some(options.answer_within));
    let made = admin.create_topics([&topic], &patience).await;
    let made = made.map_err(|error| Error::Away(format!("topic {}: {error}", options.topic)))?;
    match made.into_iter().next() {
        Some(Ok(_)) => Ok(Planned::Made),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(Planned::Exists),
        Some(Err((topic, code))) => Err(Error::Setting(format!(
            "Kafka does not make topic {topic}: {code}; an administrator may: {}",
            plan(options, replication)
        ))),
        None => Err(Error::Away(format!("Kafka says nothing of topic {}", options.topic))),
    }
}

pub(super) fn admin(options: &Options) -> Result<AdminClient<client::Tells>, Error> {
    client::config(options).create_with_context(client::Tells).map_err(|error| client::cannot_make(&error))
}
