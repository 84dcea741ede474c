//! The old path's queue in SQS, for several processes.
//!
//! Always true here: what a queue promises is SQS's own doing: visibility by the time that each receive asks for, dead
//! letters by the queue's redrive policy; AWS's library makes one attempt a call, so that every attempt is ours.
//!
//! Where to go next: `setup` makes and checks the queue and the one for its dead letters.

mod setup;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use futures_util::future::BoxFuture;

pub use self::setup::{plan, policy, set_up};
use super::{BATCH_MAX, Delivery, Held, Job, Jobs, Receipt, VISIBILITY};
use crate::aws::{self, error, write_error};
use crate::{Error, WriteError};

/// SQS's own limit for a receive that waits.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Where the queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which server.
    pub place: aws::Place,
    /// The queue's name: `flagstream-jobs`. The one for dead letters has `-dead` behind it.
    pub queue: String,
    /// How long a job that was taken stays out of sight; whole seconds, at least one, are told to SQS. 30 s.
    pub visibility: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { place: aws::Place::default(), queue: "flagstream-jobs".into(), visibility: VISIBILITY }
    }
}

/// A queue in SQS; clones share their connections.
#[derive(Debug, Clone)]
pub struct SqsJobs {
    client: Client,
    queue: String,
    dead: String,
    visibility: Duration,
}

impl SqsJobs {
    /// Connects, and checks that the queue is there and sends what it gives up to its dead letters.
    ///
    /// # Errors
    /// [`Error::Setting`] that says what is missing or differs, or that the credentials are refused, and what to do;
    /// [`Error::Unavailable`] when nobody answers.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let client = Client::new(&aws::settings(&options.place).await);
        let (queue, dead) = setup::check(&client, options).await?;
        let visibility = Duration::from_secs(options.visibility.as_secs().max(1));
        Ok(Self { client, queue, dead, visibility })
    }

    /// The same queue, looked for elsewhere.
    #[cfg(feature = "testing")]
    #[must_use]
    pub async fn elsewhere(&self, place: &aws::Place) -> Self {
        Self { client: Client::new(&aws::settings(place).await), ..self.clone() }
    }

    async fn send_batch(&self, jobs: Vec<Job>) -> Result<Batch, WriteError> {
        let mut ask = self.client.send_message_batch().queue_url(&self.queue);
        for (place, job) in jobs.iter().enumerate() {
            let entry = SendMessageBatchRequestEntry::builder().id(place.to_string()).message_body(job.to_json());
            ask = ask.entries(entry.build().map_err(|error| WriteError::Refused(error.to_string()))?);
        }
        let sent = ask.send().await.map_err(|error| write_error("SendMessageBatch", &error))?;
        Ok(Batch { done: sent.successful.into_iter().map(|entry| entry.id).collect(), failed: sent.failed })
    }

    async fn delete_batch(&self, receipts: Vec<Receipt>) -> Result<Batch, WriteError> {
        let mut ask = self.client.delete_message_batch().queue_url(&self.queue);
        for (place, receipt) in receipts.into_iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(place.to_string()).receipt_handle(receipt.0);
            ask = ask.entries(entry.build().map_err(|error| WriteError::Refused(error.to_string()))?);
        }
        let deleted = ask.send().await.map_err(|error| write_error("DeleteMessageBatch", &error))?;
        Ok(Batch { done: deleted.successful.into_iter().map(|entry| entry.id).collect(), failed: deleted.failed })
    }

    async fn take(&self, wait: Duration) -> Result<Vec<Delivery>, Error> {
        let seconds = |time: Duration| i32::try_from(time.as_secs()).unwrap_or(i32::MAX);
        let ask = self
            .client
            .receive_message()
            .queue_url(&self.queue)
            .max_number_of_messages(BATCH_MAX as i32)
            .wait_time_seconds(seconds(wait.min(WAIT_MAX)))
            .visibility_timeout(seconds(self.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let patience = aws_sdk_sqs::config::timeout::TimeoutConfig::builder()
            .operation_timeout(wait.min(WAIT_MAX) + Duration::from_secs(5))
            .build();
        let config = aws_sdk_sqs::config::Builder::new().timeout_config(patience);
        let got = ask.customize().config_override(config).send().await;
        let got = got.map_err(|got| error("ReceiveMessage", &got))?;
        Ok(got.messages.unwrap_or_default().into_iter().filter_map(delivery).collect())
    }

    /// About how many messages a queue has: in sight, and taken.
    async fn count(&self, queue: &str) -> Result<(u64, u64), Error> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let ask = self.client.get_queue_attributes().queue_url(queue);
        let got = ask.set_attribute_names(Some(names.to_vec())).send().await;
        let attributes = got.map_err(|got| error("GetQueueAttributes", &got))?.attributes.unwrap_or_default();
        let [in_sight, taken] = names.map(|name| number(&attributes, &name));
        Ok((in_sight, taken))
    }
}

impl Jobs for SqsJobs {
    fn send(&self, jobs: Vec<Job>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        Box::pin(async move {
            let many = jobs.len();
            each(many, self.send_batch(jobs).await)
        })
    }

    fn receive(&self, wait: Duration) -> BoxFuture<'_, Result<Vec<Delivery>, Error>> {
        Box::pin(self.take(wait))
    }

    fn delete(&self, receipts: Vec<Receipt>) -> BoxFuture<'_, Vec<Result<(), WriteError>>> {
        Box::pin(async move {
            let many = receipts.len();
            each(many, self.delete_batch(receipts).await)
        })
    }

    fn visibility(&self) -> Duration {
        self.visibility
    }

    fn held(&self) -> BoxFuture<'_, Result<Held, Error>> {
        Box::pin(async move {
            let ((waiting, taken), (dead, dead_taken)) =
                (self.count(&self.queue).await?, self.count(&self.dead).await?);
            Ok(Held { waiting, taken, dead: dead + dead_taken })
        })
    }
}

/// What SQS says of a batch, by entry: those done by their ids, which are their places.
struct Batch {
    done: Vec<String>,
    failed: Vec<BatchResultErrorEntry>,
}

/// An answer for each of a batch: that of the whole, or that of its own entry. Of one that SQS says nothing of, nobody
/// knows.
fn each(many: usize, answered: Result<Batch, WriteError>) -> Vec<Result<(), WriteError>> {
    let batch = match answered {
        Ok(batch) => batch,
        Err(error) => return vec![Err(error); many],
    };
    let mut answers = vec![Err(WriteError::Unknown("the answer does not name this entry".to_owned())); many];
    for id in batch.done {
        if let Some(answer) = id.parse().ok().and_then(|place: usize| answers.get_mut(place)) {
            *answer = Ok(());
        }
    }
    for entry in batch.failed {
        let what = format!("{}: {}", entry.code(), entry.message().unwrap_or("no words"));
        let Some(answer) = entry.id().parse().ok().and_then(|place: usize| answers.get_mut(place)) else { continue };
        // Where it is not the sender's fault, the server had it in hand.
        *answer = Err(if entry.sender_fault() { WriteError::Refused(what) } else { WriteError::Unknown(what) });
    }
    answers
}

/// A message that cannot be deleted is none.
fn delivery(message: Message) -> Option<Delivery> {
    let counts = message.attributes.unwrap_or_default();
    let deliveries = counts.get(&MessageSystemAttributeName::ApproximateReceiveCount);
    let deliveries = deliveries.and_then(|deliveries| deliveries.parse().ok()).unwrap_or(1);
    let job = Job::from_json(&message.body.unwrap_or_default());
    Some(Delivery { job, deliveries, receipt: Receipt(message.receipt_handle?) })
}

fn number(attributes: &HashMap<QueueAttributeName, String>, name: &QueueAttributeName) -> u64 {
    attributes.get(name).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_an_answer_is_not_taken_for_done() {
        let failed = BatchResultErrorEntry::builder().id("1").sender_fault(true).code("c").build().unwrap();
        let answers = each(3, Ok(Batch { done: vec!["0".to_owned()], failed: vec![failed] }));
        assert_eq!(answers[0], Ok(()));
        assert!(matches!(answers[1], Err(WriteError::Refused(_))), "{answers:?}");
        assert!(matches!(answers[2], Err(WriteError::Unknown(_))), "{answers:?}");
    }
}
