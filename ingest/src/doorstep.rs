//! What people should see at the door: first payloads, unknown keys, wrong paths, requests for flags, rejections.
//!
//! Always true here: every list is bounded and holds what came last; of a key that nobody knows no more is kept than its
//! last four characters, of a path no more than the words of SDKs' paths (the rest may be a key, or a person); what was seen again is counted and is no news. Strangers make at most one piece of news a second.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemas::event::Credential;
use schemas::id::{Environment, cut_name};
use schemas::rejection::{Rejection, Rejections};
use serde::Serialize;
use tokio::sync::watch;

/// Strangers remembered, of each sort.
const STRANGERS_MAX: usize = 20;
/// News remembered.
const NEWS_MAX: usize = 100;
/// Segments of a path that are shown.
const SEGMENTS_MAX: usize = 8;
/// The words of SDKs' paths. Whatever else stands in one may be a secret: `/bulk/<key>`, `/meval/<a user, in base64>`.
const PATH_WORDS: [&str; 30] = [
    "a",
    "all",
    "api",
    "bulk",
    "client",
    "clientstream",
    "context",
    "contexts",
    "delta",
    "diagnostic",
    "environment-document",
    "eval",
    "evalx",
    "events",
    "features",
    "flags",
    "frontend",
    "goals",
    "latest-all",
    "meval",
    "mobile",
    "mping",
    "msdk",
    "ping",
    "proxy",
    "sdk",
    "streaming",
    "user",
    "users",
    "v1",
];
/// Strangers make news at most this often, in milliseconds.
const STRANGERS_PACE_MS: i64 = 1_000;

/// Something to tell, worded for people by its [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The first payload of an environment since the start.
    FirstPayload {
        /// Whose.
        environment: Environment,
        /// Name and version of the SDK; empty = not told.
        sdk: String,
        /// Different flags in it.
        flags: usize,
    },
    /// A key that no environment has.
    UnknownKey {
        /// Which keys the path takes.
        kind: Credential,
        /// Its last four characters; empty = it was too short to show any, or none was sent.
        last_four: String,
    },
    /// A path that takes no events.
    WrongPath {
        /// Method and path.
        request: String,
    },
    /// An SDK asked for flags.
    FlagDelivery {
        /// Method and path.
        request: String,
    },
    /// The first rejection for a reason in an environment.
    Rejected {
        /// Whose.
        environment: Environment,
        /// Why.
        reason: Rejection,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstPayload { environment, sdk, flags } => {
                let sdk = if sdk.is_empty() { "an SDK that does not tell its name" } else { sdk };
                let sdk = sdk.escape_debug();
                let plural = if *flags == 1 { "" } else { "s" };
                write!(f, "first payload: {sdk}, {flags} flag{plural} ({environment})")
            }
            Self::UnknownKey { kind, last_four } if last_four.is_empty() => {
                write!(f, "no or unknown {}; add the key to the configuration", kind_name(*kind))
            }
            Self::UnknownKey { kind, last_four } => {
                let (kind, key) = (kind_name(*kind), last_four.escape_debug());
                write!(f, "unknown {kind} …{key}; add it to the configuration, then restart the app that sent it")
            }
            Self::WrongPath { request } => {
                write!(f, "no events are taken at {}; set the SDK's events address to the root", request.escape_debug())
            }
            Self::FlagDelivery { request } => {
                write!(f, "an SDK asks for flags at {}; set its events address alone", request.escape_debug())
            }
            Self::Rejected { environment, reason } => {
                write!(f, "first rejection: {} ({environment}); see its books", reason.code())
            }
        }
    }
}

fn kind_name(kind: Credential) -> &'static str {
    match kind {
        Credential::Server => "server key",
        Credential::Mobile => "mobile key",
        Credential::ClientSide => "client-side id",
    }
}

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

/// Somebody whom nobody knows, or something that nobody takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stranger {
    /// What kind of key; empty for paths.
    pub kind: &'static str,
    /// The key's last four characters, or method and path.
    pub shown: String,
    /// Who said to be asking, as its user agent has it; empty = not told.
    pub agent: String,
    /// How often it came while it was remembered.
    pub times: u64,
    /// When it last came, Unix milliseconds.
    pub last_ms: i64,
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
}

#[derive(Debug, Default)]
struct State {
    first_payloads: Vec<FirstPayload>,
    unknown_keys: Strangers,
    wrong_paths: Strangers,
    flag_delivery: Strangers,
    rejections: HashMap<Environment, Rejections>,
    news: VecDeque<News>,
    /// News that were ever made.
    news_made: u64,
    strangers_told_ms: Option<i64>,
}

/// What was seen at the door. Only refusals, and an environment's first payload, take its lock.
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
            unknown_keys: state.unknown_keys.0.iter().cloned().collect(),
            wrong_paths: state.wrong_paths.0.iter().cloned().collect(),
            flag_delivery: state.flag_delivery.0.iter().cloned().collect(),
            rejections: state.rejections.clone(),
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
        let fresh = state.unknown_keys.saw(kind_name(kind), &last_four, agent, now_ms);
        self.tell_of_stranger(&mut state, fresh, now_ms, News::UnknownKey { kind, last_four });
    }

    pub(crate) fn wrong_path(&self, method: &str, path: &str, agent: &str, now_ms: i64) {
        let request = shown_request(method, path);
        let mut state = self.lock();
        let fresh = state.wrong_paths.saw("", &request, agent, now_ms);
        self.tell_of_stranger(&mut state, fresh, now_ms, News::WrongPath { request });
    }

    pub(crate) fn flag_delivery(&self, method: &str, path: &str, agent: &str, now_ms: i64) {
        let request = shown_request(method, path);
        let mut state = self.lock();
        let fresh = state.flag_delivery.saw("", &request, agent, now_ms);
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

/// The last that came, each once.
#[derive(Debug, Default)]
struct Strangers(VecDeque<Stranger>);

impl Strangers {
    /// Whether it was not remembered.
    fn saw(&mut self, kind: &'static str, shown: &str, agent: &str, now_ms: i64) -> bool {
        let place = self.0.iter().position(|stranger| stranger.kind == kind && stranger.shown == shown);
        let known = place.and_then(|place| self.0.remove(place));
        let fresh = known.is_none();
        let times = known.map_or(0, |stranger: Stranger| stranger.times) + 1;
        let (shown, agent) = (shown.to_owned(), cut_name(agent).to_owned());
        let stranger = Stranger { kind, shown, agent, times, last_ms: now_ms };
        if self.0.len() == STRANGERS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(stranger);
        fresh
    }
}

/// The last four characters; none of a credential so short that four would give it away.
fn last_four(credential: &[u8]) -> String {
    if credential.len() < 8 {
        return String::new();
    }
    let tail = String::from_utf8_lossy(&credential[credential.len().saturating_sub(16)..]);
    let characters: Vec<char> = tail.chars().collect();
    characters[characters.len().saturating_sub(4)..].iter().collect()
}

fn shown_request(method: &str, path: &str) -> String {
    let mut shown = format!("{} ", &method[..method.floor_char_boundary(16)]);
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for segment in segments.by_ref().take(SEGMENTS_MAX) {
        let is_known = PATH_WORDS.contains(&segment);
        shown.extend(["/", if is_known { segment } else { "…" }]);
    }
    if segments.next().is_some() || path == "/" {
        shown.push('/');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_four_characters_are_kept() {
        assert_eq!(last_four(b"sdk-12345678-abcd"), "abcd");
        assert_eq!(last_four(b"sdk-123"), "");
        assert_eq!(last_four("ключключ".as_bytes()), "ключ");
        assert_eq!(last_four(b"12345678\xff\xfe"), "78\u{fffd}\u{fffd}");
        let doorstep = Doorstep::default();
        doorstep.unknown_key(Credential::Server, b"sdk-12345678-abcd", "", 1);
        let all = format!("{doorstep:?} {:?} {}", doorstep.view(), doorstep.news_since(0).0[0]);
        assert!(all.contains("abcd") && !all.contains("8-abcd"), "{all}");
    }

    #[test]
    fn of_a_path_only_words_of_sdks_are_kept() {
        let shown = |path| shown_request("POST", path);
        assert_eq!(shown("/meval/eyJrZXkiOiJib2IifQ=="), "POST /meval/…");
        assert_eq!(shown("/sdk/evalx/5f01/contexts/eyJrZXkiOiJib2IifQ"), "POST /sdk/evalx/…/contexts/…");
        assert_eq!(shown("/bulk/sdk-12345678-abcd"), "POST /bulk/…");
        assert_eq!(shown("/proxied//bulk"), "POST /…/bulk");
        assert_eq!((shown("/"), shown("/a/a/a/a/a/a/a/a/a")), ("POST /".into(), "POST /a/a/a/a/a/a/a/a/".into()));
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
