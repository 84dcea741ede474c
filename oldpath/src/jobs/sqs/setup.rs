//! Makes and checks the queue and the one for its dead letters.
//!
//! Always true here: a queue that exists is never altered; what an administrator may run instead says the same.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::Options;
use crate::Error;
use crate::aws::{self, code, error};
use crate::jobs::DELIVERIES_MAX;

/// SQS keeps a message at most so long: 14 days, for dead letters and jobs alike.
const KEEP_SECONDS: &str = "1209600";

fn dead_name(options: &Options) -> String {
    format!("{}-dead", options.queue)
}

/// Makes the queues that are missing; answers their names.
///
/// # Errors
/// [`Error::Setting`] with what SQS refused; [`Error::Unavailable`] when nobody answers.
pub async fn set_up(options: &Options) -> Result<Vec<String>, Error> {
    let client = Client::new(&aws::settings(&options.place).await);
    let (name, dead_name) = (options.queue.clone(), dead_name(options));
    let mut made = Vec::new();
    let keep = (QueueAttributeName::MessageRetentionPeriod, KEEP_SECONDS.to_owned());
    let dead = match url(&client, &dead_name).await? {
        Some(url) => url,
        None => {
            made.push(dead_name.clone());
            create(&client, &dead_name, [keep.clone()]).await?
        }
    };
    if url(&client, &name).await?.is_none() {
        let redrive = redrive(&arn(&client, &dead).await?);
        create(&client, &name, [keep, (QueueAttributeName::RedrivePolicy, redrive)]).await?;
        made.push(name);
    }
    Ok(made)
}

/// The commands with which an administrator makes the queues.
#[must_use]
pub fn plan(options: &Options) -> Vec<String> {
    let place = options.place.as_option();
    let (name, dead) = (&options.queue, dead_name(options));
    let keep = format!("\"MessageRetentionPeriod\": \"{KEEP_SECONDS}\"");
    let redrive = redrive("ARN-OF-THE-DEAD-LETTERS").replace('"', "\\\"");
    vec![
        format!("aws sqs create-queue{place} --queue-name {dead} --attributes '{{{keep}}}'"),
        format!(
            "aws sqs create-queue{place} --queue-name {name} --attributes '{{{keep}, \"RedrivePolicy\": \"{redrive}\"}}'"
        ),
    ]
}

/// The policy that allows what writer and worker do, and nothing else.
#[must_use]
pub fn policy(options: &Options) -> String {
    let region = options.place.region.as_deref().unwrap_or("*");
    format!(
        "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": [\"sqs:SendMessage\", \
         \"sqs:ReceiveMessage\", \"sqs:DeleteMessage\", \"sqs:GetQueueUrl\", \"sqs:GetQueueAttributes\"], \
         \"Resource\": [\"arn:aws:sqs:{region}:*:{}\", \"arn:aws:sqs:{region}:*:{}\"]}}]}}",
        options.queue,
        dead_name(options)
    )
}

/// The addresses of the queue and of its dead letters, when they fit.
pub(super) async fn check(client: &Client, options: &Options) -> Result<(String, String), Error> {
    let (name, dead_name) = (&options.queue, dead_name(options));
    let missing = |name: &str| {
        Error::Setting(format!(
            "there is no queue {name}; make it with `flagstream setup`, or look at `[jobs] queue`, `region` and `endpoint`"
        ))
    };
    let queue = url(client, name).await?.ok_or_else(|| missing(name))?;
    let dead = url(client, &dead_name).await?.ok_or_else(|| missing(&dead_name))?;
    let policy = attribute(client, &queue, QueueAttributeName::RedrivePolicy).await?;
    let policy: serde_json::Value = serde_json::from_str(&policy.unwrap_or_default()).unwrap_or_default();
    // As a number or in words: SQS takes and gives both.
    let most = policy["maxReceiveCount"].as_u64();
    let most = most.or_else(|| policy["maxReceiveCount"].as_str()?.parse().ok());
    let to = policy["deadLetterTargetArn"].as_str().unwrap_or("nowhere");
    if most != Some(DELIVERIES_MAX.into()) || !to.ends_with(&format!(":{dead_name}")) {
        return Err(Error::Setting(format!(
            "queue {name} sends jobs to {to} after {most:?} deliveries, should be to {dead_name} after \
             {DELIVERIES_MAX}; set its redrive policy, or choose another `[jobs] queue`"
        )));
    }
    Ok((queue, dead))
}

fn redrive(arn: &str) -> String {
    format!("{{\"deadLetterTargetArn\": \"{arn}\", \"maxReceiveCount\": \"{DELIVERIES_MAX}\"}}")
}

async fn url(client: &Client, name: &str) -> Result<Option<String>, Error> {
    match client.get_queue_url().queue_name(name).send().await {
        Ok(found) => Ok(found.queue_url),
        Err(got) if matches!(code(&got), Some("QueueDoesNotExist" | "NonExistentQueue")) => Ok(None),
        Err(got) => Err(error(&format!("GetQueueUrl of {name}"), &got)),
    }
}

async fn create<const N: usize>(
    client: &Client,
    name: &str,
    attributes: [(QueueAttributeName, String); N],
) -> Result<String, Error> {
    let ask = client.create_queue().queue_name(name).set_attributes(Some(HashMap::from(attributes)));
    let made = ask.send().await.map_err(|got| error(&format!("CreateQueue of {name}"), &got))?;
    made.queue_url.ok_or_else(|| Error::Unavailable(format!("CreateQueue of {name} was answered without an address")))
}

async fn arn(client: &Client, queue: &str) -> Result<String, Error> {
    let found = attribute(client, queue, QueueAttributeName::QueueArn).await?;
    found.ok_or_else(|| Error::Unavailable(format!("queue {queue} does not tell its ARN")))
}

async fn attribute(client: &Client, queue: &str, name: QueueAttributeName) -> Result<Option<String>, Error> {
    let got = client.get_queue_attributes().queue_url(queue).attribute_names(name.clone()).send().await;
    let attributes = got.map_err(|got| error("GetQueueAttributes", &got))?.attributes;
    Ok(attributes.and_then(|mut attributes| attributes.remove(&name)))
}
