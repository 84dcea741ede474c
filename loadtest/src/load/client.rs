//! One client: makes a payload when it is due, sends it, retries it once, and now and then sends an old one again.

use super::{ANSWER_TIMEOUT, Progress, RETRY_AFTER, Shared, now_ms};
use crate::dice::Dice;
use crate::http::Connection;
use crate::ledger::{Answered, Attempt, Ledger, Line, Meaning, Outcome};
use crate::payload::{Maker, payload_id};
use crate::request::{APPLICATIONS, SDKS, Sendable, Speaker};
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Acknowledged payloads that a client keeps, to send one of them again: some go back minutes, and restarts of the
/// server.
const KEPT_MAX: usize = 16;
/// Unsettled payloads that a client keeps, to settle them at the end.
const UNSETTLED_MAX: usize = 10_000;

/// Runs client `number` until it is stopped or silenced: the payloads that nothing settled.
pub(super) async fn run(shared: Arc<Shared>, number: u64) -> Result<Vec<Sendable>> {
    let plan = &shared.plan;
    // The contents come from a dice of their own, so that what is sent does not depend on how the server answers.
    let mut maker = Maker::new(plan.seed, plan.run, number);
    let mut dice = Dice::of_part(plan.seed ^ 0xc11e, number);
    let speaker = Speaker {
        address: plan.address,
        target: plan.target.clone(),
        sdk: SDKS[number as usize % SDKS.len()],
        application: APPLICATIONS[number as usize % APPLICATIONS.len()],
        instance: payload_id(plan.run, number, 0),
        chunked: number.is_multiple_of(2),
        gzip_share: plan.gzip_share,
    };
    let mut connection = Connection::new(plan.address);
    let (mut kept, mut unsettled) = (Vec::new(), Vec::new());
    for turn in 0.. {
        let Some(due) = begin(&shared, number, turn).await else { break };
        let mut sendable = speaker.request(maker.make(now_ms()), &mut dice)?;
        sendable.intended_ms = plan.rate.map(|_| now_ms() - i64::try_from(due.elapsed().as_millis()).unwrap_or(0));
        let outcome = deliver(&shared, &mut connection, &mut sendable, due).await?;
        match outcome.meaning() {
            Meaning::Acknowledged => {
                keep(&mut kept, sendable, &mut dice);
                if dice.happens(plan.duplicate_share) {
                    let at = dice.below(kept.len() as u64) as usize;
                    shared.progress.duplicates.fetch_add(1, Ordering::Relaxed);
                    attempt(&shared.ledger, &shared.progress, &mut connection, &mut kept[at]).await?;
                }
            }
            Meaning::Refused if !outcome.is_retryable() => {
                shared.progress.silenced.fetch_add(1, Ordering::Relaxed);
                break;
            }
            _ if unsettled.len() < UNSETTLED_MAX => unsettled.push(sendable),
            _ => {}
        }
    }
    Ok(unsettled)
}

/// Waits until the next payload is due: when it was due, or none if there is no next one.
async fn begin(shared: &Shared, number: u64, turn: u64) -> Option<Instant> {
    let plan = &shared.plan;
    let stopped = || shared.stop.load(Ordering::Relaxed);
    let mut due = Instant::now();
    if let Some(rate) = plan.rate {
        // Open loop: the schedule does not wait for answers; a client that is behind sends at once, and its latency
        // says so.
        due = shared.start + Duration::from_secs_f64((turn * plan.clients + number) as f64 / rate);
        while Instant::now() < due && !stopped() {
            tokio::time::sleep(due.saturating_duration_since(Instant::now()).min(Duration::from_millis(50))).await;
        }
    }
    if stopped() {
        return None;
    }
    let begun = shared.begun.fetch_add(1, Ordering::Relaxed);
    plan.payloads.is_none_or(|payloads| begun < payloads).then_some(due)
}

/// Sends a payload, and once more after a second if the SDK would.
async fn deliver(
    shared: &Shared,
    connection: &mut Connection,
    sendable: &mut Sendable,
    due: Instant,
) -> Result<Outcome> {
    let mut outcome = attempt(&shared.ledger, &shared.progress, connection, sendable).await?;
    if outcome.is_retryable() {
        tokio::time::sleep(RETRY_AFTER).await;
        outcome = attempt(&shared.ledger, &shared.progress, connection, sendable).await?;
    }
    if outcome.meaning() == Meaning::Acknowledged {
        shared.progress.took(due.elapsed());
    }
    Ok(outcome)
}

/// One attempt, between its two lines.
pub(crate) async fn attempt(
    ledger: &Ledger,
    progress: &Progress,
    connection: &mut Connection,
    sendable: &mut Sendable,
) -> Result<Outcome> {
    sendable.attempts += 1;
    let (payload, attempt) = (sendable.id.clone(), sendable.attempts);
    ledger.write(&Line::Send(Attempt {
        payload: payload.clone(),
        environment: sendable.environment.to_string(),
        attempt,
        at_ms: now_ms(),
        intended_ms: sendable.intended_ms.filter(|_| attempt == 1),
        contents: sendable.holds.clone(),
    }))?;
    let outcome = match tokio::time::timeout(ANSWER_TIMEOUT, connection.exchange(&sendable.bytes)).await {
        Ok(Ok(status)) => Outcome::Status(status),
        Ok(Err(failure)) => failure.outcome(),
        Err(_) => Outcome::TimedOut,
    };
    ledger.write(&Line::Answer(Answered { payload, attempt, at_ms: now_ms(), outcome }))?;
    progress.attempts.fetch_add(1, Ordering::Relaxed);
    let number = match outcome.meaning() {
        Meaning::Acknowledged => {
            progress.elements.fetch_add(sendable.elements, Ordering::Relaxed);
            progress.evaluations.fetch_add(sendable.evaluations, Ordering::Relaxed);
            &progress.acknowledged
        }
        Meaning::Refused if outcome == Outcome::NotConnected => &progress.not_connected,
        Meaning::Refused => &progress.refused,
        Meaning::Unknown => {
            progress.denied.fetch_add(u64::from(matches!(outcome, Outcome::Status(_))), Ordering::Relaxed);
            &progress.unknown
        }
    };
    number.fetch_add(1, Ordering::Relaxed);
    Ok(outcome)
}

/// Keeps an acknowledged payload, in place of another when there are enough.
fn keep(kept: &mut Vec<Sendable>, sendable: Sendable, dice: &mut Dice) {
    if kept.len() < KEPT_MAX {
        kept.push(sendable);
    } else {
        let at = dice.below(KEPT_MAX as u64) as usize;
        kept[at] = sendable;
    }
}
