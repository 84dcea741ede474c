//! Traffic: clients that do what server SDKs do, and the truth of what they sent.
//!
//! Always true here: a payload that has no 2xx is sent once more after a second, with its id, as SDKs do; what an SDK
//! would give up then is sent again later until it is accepted, so that what was sent is known exactly; a payload
//! belongs to the part in which it was made, and no part begins before all of the one before it is accepted.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::http::{Asked, Connection};
use super::payload::{Maker, Payload};
use super::script::Part;
use super::truth::Truth;
use crate::services::backend::now_ms;

/// A client sends off its events so often.
const FLUSH_EVERY: Duration = Duration::from_millis(300);
/// Payloads of a client that wait for an answer at a time; beyond that it makes none.
const WAITING_MAX: usize = 5;
/// SDKs wait so long for an answer,
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// and so long before they send a payload again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What an SDK would give up is sent again after this.
const LATER: Duration = Duration::from_secs(8);
/// So long all payloads may take until they are accepted, when no more are made and the store is well.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
/// Answers of this time tell how long answers take now.
const RECENT: Duration = Duration::from_secs(10);
const SDKS: [&str; 2] = ["NodeJSClient/9.13.7", "PythonClient/9.18.2"];

/// What was sent, and how it went.
#[derive(Debug, Default)]
pub struct Sent {
    /// What payloads hold, each once.
    pub truth: Truth,
    /// Payloads that were made.
    pub payloads: u64,
    /// Payloads with a 2xx that reached the client.
    pub accepted: u64,
    /// Attempts that were not a payload's first.
    pub again: u64,
    /// Answers that got lost on their way.
    pub answers_lost: u64,
    /// How the last attempt without a 2xx ended.
    last_failure: Option<String>,
    /// When recent answers came, and how long they took.
    recent: VecDeque<(Instant, Duration)>,
}

impl Sent {
    /// How long one of a hundred recent answers takes at least; `None` = there was none.
    pub fn p99(&self) -> Option<Duration> {
        let mut took: Vec<Duration> = self.recent.iter().map(|(_, took)| *took).collect();
        took.sort();
        took.get((took.len() * 99).div_ceil(100).checked_sub(1)?).copied()
    }

    fn answered(&mut self, took: Duration) {
        let now = Instant::now();
        self.recent.push_back((now, took));
        while self.recent.front().is_some_and(|(at, _)| now - *at > RECENT) {
            self.recent.pop_front();
        }
    }
}

/// All clients.
pub struct Traffic {
    shared: Arc<Shared>,
    /// Each payload holds it until it is accepted; who has it alone knows that none is under way.
    part: Arc<RwLock<Part>>,
    _clients: JoinSet<()>,
}

/// What holds the traffic still.
pub struct Still(OwnedRwLockWriteGuard<Part>);

impl Still {
    /// Lets it go on, in this part.
    pub fn go_on(mut self, part: Part) {
        *self.0 = part;
    }
}

struct Shared {
    address: SocketAddr,
    key: String,
    sent: Mutex<Sent>,
}

impl Shared {
    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Traffic {
    /// Starts so many clients against a server; they end when this is dropped.
    pub fn start(address: SocketAddr, key: &str, clients: u64, seed: u64) -> Self {
        let shared = Arc::new(Shared { address, key: key.to_owned(), sent: Mutex::default() });
        let part = Arc::new(RwLock::new(Part::OldOnly));
        let mut all = JoinSet::new();
        for number in 0..clients {
            let client = Client {
                shared: Arc::clone(&shared),
                sdk: SDKS[usize::from(number % 2 == 1)],
                idle: Arc::default(),
                places: Arc::new(Semaphore::new(WAITING_MAX)),
            };
            // Not all in one moment.
            let first = FLUSH_EVERY.mul_f64(number as f64 / clients as f64);
            all.spawn(client.run(Maker::new(seed, number), Arc::clone(&part), first));
        }
        Self { shared, part, _clients: all }
    }

    /// Stops making payloads, and waits until each is accepted.
    ///
    /// # Errors
    /// When they are not, in good time.
    pub async fn hold(&self) -> anyhow::Result<Still> {
        match timeout(DRAINED_WITHIN, Arc::clone(&self.part).write_owned()).await {
            Ok(alone) => Ok(Still(alone)),
            Err(_) => {
                let sent = self.sent();
                let (left, why) = (sent.payloads - sent.accepted, sent.last_failure.as_deref().unwrap_or("no answer"));
                bail!("{left} payloads were not accepted within {DRAINED_WITHIN:?}; the last attempt: {why}")
            }
        }
    }

    /// What was sent up to now.
    pub fn sent(&self) -> MutexGuard<'_, Sent> {
        self.shared.sent()
    }
}

#[derive(Clone)]
struct Client {
    shared: Arc<Shared>,
    sdk: &'static str,
    /// Connections that nobody uses now.
    idle: Arc<Mutex<Vec<Connection>>>,
    /// Places for payloads that wait for an answer.
    places: Arc<Semaphore>,
}

impl Client {
    async fn run(self, mut maker: Maker, part: Arc<RwLock<Part>>, first: Duration) {
        let mut flushes = interval_at(Instant::now() + first, FLUSH_EVERY);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = JoinSet::new();
        loop {
            flushes.tick().await;
            while under_way.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return };
            let part = Arc::clone(&part).read_owned().await;
            let payload = maker.make(now_ms());
            {
                let mut sent = self.shared.sent();
                sent.payloads += 1;
                sent.truth.add(*part, &payload.contents);
            }
            let client = self.clone();
            under_way.spawn(async move {
                client.deliver(payload, part).await;
                drop(place);
            });
        }
    }

    /// Sends a payload until it is accepted.
    async fn deliver(&self, payload: Payload, _part: OwnedRwLockReadGuard<Part>) {
        let mut pause = AGAIN_AFTER;
        let mut loses_answer = payload.loses_answer;
        while let Err(why) = self.attempt(&payload, loses_answer).await {
            {
                let mut sent = self.shared.sent();
                sent.last_failure = Some(why);
                sent.again += 1;
            }
            sleep(pause).await;
            (pause, loses_answer) = (LATER, false);
        }
        self.shared.sent().accepted += 1;
    }

    /// One attempt; an error says how it ended without a 2xx.
    async fn attempt(&self, payload: &Payload, loses_answer: bool) -> Result<(), String> {
        let asked = self.request(payload)?;
        let begun = Instant::now();
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut connection = kept.unwrap_or_else(|| Connection::new(self.shared.address));
        if loses_answer {
            let lost = timeout(ANSWER_WITHIN, connection.lose_answer(asked)).await;
            let is_lost = matches!(lost, Ok(Ok(())));
            self.shared.sent().answers_lost += u64::from(is_lost);
            return Err("the answer got lost".to_owned());
        }
        let answer = timeout(ANSWER_WITHIN, connection.answer(asked)).await;
        let (status, body) =
            answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| format!("{error:#}"))?;
        idle().push(connection);
        self.shared.sent().answered(begun.elapsed());
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
    }

    fn request(&self, payload: &Payload) -> Result<Asked, String> {
        let Shared { address, key, .. } = &*self.shared;
        let request = Request::post("/bulk")
            .header(HOST, address.to_string())
            .header(USER_AGENT, self.sdk)
            .header(AUTHORIZATION, key)
            .header(CONTENT_TYPE, "application/json")
            .header("x-launchdarkly-event-schema", "4")
            .header("x-launchdarkly-payload-id", &payload.id)
            .header("x-launchdarkly-tags", "application-id/shop application-version/1.4.0");
        request.body(Full::new(payload.body.clone())).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_recent_answers_the_slowest_of_a_hundred_is_told() {
        let mut sent = Sent::default();
        assert_eq!(sent.p99(), None);
        sent.answered(Duration::from_secs(60));
        tokio::time::advance(RECENT + Duration::from_millis(1)).await;
        (1..=100).for_each(|ms| sent.answered(Duration::from_millis(ms)));
        assert_eq!(sent.p99(), Some(Duration::from_millis(99)), "the old one is no longer recent");
    }
}
