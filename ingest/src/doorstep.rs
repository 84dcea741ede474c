//! What people should see at the door: first payloads, unknown keys, wrong paths, requests for flags, rejections.
//!
//! Always true here: every list is bounded and holds what came last; what was seen again is counted and is no news.
//! Strangers make at most one piece of news a second. What is kept of a stranger: [`strangers`]; how it is told:
//! [`news`].

pub mod news;
mod strangers;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemas::event::Credential;
use schemas::id::Environment;
use schemas::rejection::Rejections;
use tokio::sync::watch;

pub use self::news::News;
pub use self::strangers::Stranger;
use self::strangers::{Strangers, last_four, shown_request};

/// News remembered.
const NEWS_MAX: usize = 100;
/// Strangers make news at most this often, in milliseconds.
const STRANGERS_PACE_MS: i64 = 1_000;

/// The first payload of an environment since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstPayload {
    /// Whose.
    pub environment: Environment,
    /// Name and version of the SDK; empty = not told.
    pub sdk: String,
    /// Different flags in it.
    pub flags: usize,
    /// When it was answered, Unix milliseconds.
    pub time_ms: i64,
}

/// All that was seen, the newest last in each list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// First payloads, in order.
    pub first_payloads: Vec<FirstPayload>,
    /// Keys that no environment has.
    pub unknown_keys: Vec<Stranger>,
    /// Paths that take no events.
    pub wrong_paths: Vec<Stranger>,
    /// Requests for flags.
    pub flag_delivery: Vec<Stranger>,
    /// Rejections by environment since the start.
    pub rejections: HashMap<Environment, Rejections>,
    /// Payloads of removed keys, answered kindly and discarded, by environment since the start.
    pub discarded: HashMap<Environment, u64>,
}

#[derive(Debug, Default)]
struct State {
    first_payloads: Vec<FirstPayload>,
    unknown_keys: Strangers,
    wrong_paths: Strangers,
    flag_delivery: Strangers,
    rejections: HashMap<Environment, Rejections>,
    discarded: HashMap<Environment, u64>,
    news: VecDeque<News>,
    /// News that were ever made.
    news_made: u64,
    strangers_told_ms: Option<i64>,
}

/// What was seen at the door. Only refusals, discarded payloads and an environment's first one take its lock.
#[derive(Debug)]
pub struct Doorstep {
    state: Mutex<State>,
    made: watch::Sender<u64>,
}

impl Default for Doorstep {
    fn default() -> Self {
        Self { state: Mutex::default(), made: watch::channel(0).0 }
    }
}

impl Doorstep {
    /// A channel that changes with every piece of news; its value is for [`Doorstep::news_since`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.made.subscribe()
    }

    /// News after the first `number` (0 = all that are remembered), oldest first, and the number for the next question.
    #[must_use]
    pub fn news_since(&self, number: u64) -> (Vec<News>, u64) {
        let state = self.lock();
        let fresh = usize::try_from(state.news_made.saturating_sub(number)).unwrap_or(usize::MAX);
        let from = state.news.len().saturating_sub(fresh);
        (state.news.range(from..).cloned().collect(), state.news_made)
    }

    /// All that was seen.
    #[must_use]
    pub fn view(&self) -> View {
        let state = self.lock();
        View {
            first_payloads: state.first_payloads.clone(),
            unknown_keys: state.unknown_keys.all(),
            wrong_paths: state.wrong_paths.all(),
            flag_delivery: state.flag_delivery.all(),
            rejections: state.rejections.clone(),
            discarded: state.discarded.clone(),
        }
    }

    /// Only environments that have keys come here, so the list is bounded.
    pub(crate) fn first_payload(&self, environment: &Environment, sdk: String, flags: usize, time_ms: i64) {
        let mut state = self.lock();
        if state.first_payloads.iter().any(|first| first.environment == *environment) {
            return;
        }
        let environment = environment.clone();
        let first = FirstPayload { environment: environment.clone(), sdk: sdk.clone(), flags, time_ms };
        state.first_payloads.push(first);
        self.tell(&mut state, News::FirstPayload { environment, sdk, flags });
    }

    pub(crate) fn unknown_key(&self, kind: Credential, credential: &[u8], agent: &str, now_ms: i64) {
        let last_four = last_four(credential);
        let mut state = self.lock();
        let fresh = state.unknown_keys.saw(Some(kind), &last_four, agent, now_ms);
        self.tell_of_stranger(&mut state, fresh, now_ms, News::UnknownKey { kind, last_four });
    }

    pub(crate) fn wrong_path(&self, method: &str, path: &str, agent: &str, now_ms: i64) {
        let request = shown_request(method, path);
        let mut state = self.lock();
        let fresh = state.wrong_paths.saw(None, &request, agent, now_ms);
        self.tell_of_stranger(&mut state, fresh, now_ms, News::WrongPath { request });
    }

    pub(crate) fn flag_delivery(&self, method: &str, path: &str, agent: &str, now_ms: i64) {
        let request = shown_request(method, path);
        let mut state = self.lock();
        let fresh = state.flag_delivery.saw(None, &request, agent, now_ms);
        self.tell_of_stranger(&mut state, fresh, now_ms, News::FlagDelivery { request });
    }

    pub(crate) fn rejected(&self, environment: &Environment, numbers: &Rejections) {
        if numbers.is_empty() {
            return;
        }
        let mut state = self.lock();
        let held = state.rejections.entry(environment.clone()).or_default();
        let before = *held;
        held.merge(numbers);
        for (reason, _) in numbers.iter().filter(|(reason, _)| before.of(*reason) == 0) {
            self.tell(&mut state, News::Rejected { environment: environment.clone(), reason });
        }
    }

    /// A payload of a removed key was thrown away. It is news at 1, 10, 100, …, for its sender hears nothing of it.
    pub(crate) fn discarded(&self, environment: &Environment) {
        let mut state = self.lock();
        let payloads = state.discarded.entry(environment.clone()).or_default();
        *payloads += 1;
        let payloads = *payloads;
        if 10_u64.pow(payloads.ilog10()) == payloads {
            self.tell(&mut state, News::Discarded { environment: environment.clone(), payloads });
        }
    }

    fn tell_of_stranger(&self, state: &mut State, fresh: bool, now_ms: i64, news: News) {
        let told = |last: i64| (last..last.saturating_add(STRANGERS_PACE_MS)).contains(&now_ms);
        if fresh && !state.strangers_told_ms.is_some_and(told) {
            state.strangers_told_ms = Some(now_ms);
            self.tell(state, news);
        }
    }

    fn tell(&self, state: &mut State, news: News) {
        if state.news.len() == NEWS_MAX {
            state.news.pop_front();
        }
        state.news.push_back(news);
        state.news_made += 1;
        self.made.send_replace(state.news_made);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use schemas::rejection::Rejection;

    use super::strangers::STRANGERS_MAX;
    use super::*;

    #[test]
    fn of_a_key_four_characters_are_kept() {
        let doorstep = Doorstep::default();
        doorstep.unknown_key(Credential::Server, b"sdk-12345678-abcd", "", 1);
        let all = format!("{doorstep:?} {:?} {}", doorstep.view(), doorstep.news_since(0).0[0]);
        assert!(all.contains("abcd") && !all.contains("8-abcd"), "{all}");
    }

    #[test]
    fn of_a_path_only_words_of_sdks_are_kept() {
        let doorstep = Doorstep::default();
        doorstep.wrong_path("POST", "/bulk/secret", "", 1);
        doorstep.flag_delivery("GET", "/meval/secret", "", 5_000);
        let all = format!("{doorstep:?} {:?}", doorstep.view());
        assert!(all.contains("/meval/…") && !all.contains("secret"), "{all}");
    }

    #[test]
    fn lists_are_bounded_and_hold_the_last() {
        let doorstep = Doorstep::default();
        for number in 0..1_000_i64 {
            doorstep.unknown_key(Credential::Mobile, format!("mob-00000000-{number:04}").as_bytes(), "", number * 10);
            let method = format!("POST{number}");
            doorstep.wrong_path(&method, &"/environment-document".repeat(5_000), &"y".repeat(999), number * 10);
            doorstep.flag_delivery("GET", "/sdk/latest-all", "", number * 10);
        }
        let view = doorstep.view();
        assert_eq!((view.unknown_keys.len(), view.wrong_paths.len()), (STRANGERS_MAX, STRANGERS_MAX));
        assert_eq!(view.unknown_keys.last().unwrap().shown, "0999");
        assert!(view.wrong_paths.iter().all(|path| path.shown.len() < 200 && path.agent.len() == 64));
        assert_eq!(view.flag_delivery.len(), 1);
        assert_eq!(view.flag_delivery[0].times, 1_000);
        let (news, made) = doorstep.news_since(0);
        assert!(made <= 11, "ten seconds of strangers made {made} pieces of news");
        assert_eq!(doorstep.news_since(made - 1), (news[news.len() - 1..].to_vec(), made));
    }

    #[test]
    fn discarded_payloads_are_told_of_ever_more_seldom_and_all_counted() {
        let doorstep = Doorstep::default();
        let environment = Environment::new("default", "production").unwrap();
        for _ in 0..120 {
            doorstep.discarded(&environment);
        }
        assert_eq!(doorstep.view().discarded[&environment], 120);
        let lines: Vec<String> = doorstep.news_since(0).0.iter().map(ToString::to_string).collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("1 payload of a removed key was discarded (default/production)"), "{lines:?}");
        assert!(lines[2].starts_with("100 payloads of a removed key were discarded"), "{lines:?}");
    }

    #[test]
    fn what_is_known_already_is_no_news() {
        let doorstep = Doorstep::default();
        let watch = doorstep.watch();
        let environment = Environment::new("default", "production").unwrap();
        let mut numbers = Rejections::default();
        numbers.add(Rejection::UnknownKind, 2);
        for _ in 0..3 {
            doorstep.first_payload(&environment, "NodeJSClient/9.13.7".into(), 3, 7);
            doorstep.rejected(&environment, &numbers);
        }
        assert_eq!(doorstep.view().first_payloads.len(), 1);
        let (news, made) = doorstep.news_since(0);
        let lines: Vec<String> = news.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "first payload: NodeJSClient/9.13.7, 3 flags (default/production)",
                "first rejection: unknown_kind (default/production); see its books",
            ]
        );
        assert_eq!((made, *watch.borrow()), (2, 2));
        assert_eq!(doorstep.view().rejections[&environment].of(Rejection::UnknownKind), 6);
    }
}
