//! Whom nobody knows and what nobody takes: keys, paths.
//!
//! Always true here: of a key no more is kept than its last four characters, of a path no more than the words of SDKs'
//! paths (the rest may be a key, or a person); a list is bounded and holds what came last.

use std::collections::VecDeque;

use schemas::event::Credential;
use schemas::id::cut_name;

/// Strangers remembered, of each sort.
pub(super) const STRANGERS_MAX: usize = 20;
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
/// Somebody whom nobody knows, or something that nobody takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// What kind of key; `None` for paths.
    pub kind: Option<Credential>,
    /// The key's last four characters, or method and path.
    pub shown: String,
    /// Who said to be asking, as its user agent has it; empty = not told.
    pub agent: String,
    /// How often it came while it was remembered.
    pub times: u64,
    /// When it last came, Unix milliseconds.
    pub last_ms: i64,
}

/// The last that came, each once.
#[derive(Debug, Default)]
pub(super) struct Strangers(VecDeque<Stranger>);

impl Strangers {
    /// The newest last.
    pub(super) fn all(&self) -> Vec<Stranger> {
        self.0.iter().cloned().collect()
    }

    /// Whether it was not remembered.
    pub(super) fn saw(&mut self, kind: Option<Credential>, shown: &str, agent: &str, now_ms: i64) -> bool {
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
pub(super) fn last_four(credential: &[u8]) -> String {
    if credential.len() < 8 {
        return String::new();
    }
    let tail = String::from_utf8_lossy(&credential[credential.len().saturating_sub(16)..]);
    let characters: Vec<char> = tail.chars().collect();
    characters[characters.len().saturating_sub(4)..].iter().collect()
}

/// Method and path, as far as they may be shown.
pub(super) fn shown_request(method: &str, path: &str) -> String {
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
    fn of_a_key_four_characters_are_left() {
        assert_eq!(last_four(b"sdk-12345678-abcd"), "abcd");
        assert_eq!(last_four(b"sdk-123"), "");
        assert_eq!(last_four("ключключ".as_bytes()), "ключ");
        assert_eq!(last_four(b"12345678\xff\xfe"), "78\u{fffd}\u{fffd}");
    }

    #[test]
    fn of_a_path_only_words_of_sdks_are_left() {
        let shown = |path| shown_request("POST", path);
        assert_eq!(shown("/meval/eyJrZXkiOiJib2IifQ=="), "POST /meval/…");
        assert_eq!(shown("/sdk/evalx/5f01/contexts/eyJrZXkiOiJib2IifQ"), "POST /sdk/evalx/…/contexts/…");
        assert_eq!(shown("/bulk/sdk-12345678-abcd"), "POST /bulk/…");
        assert_eq!(shown("/proxied//bulk"), "POST /…/bulk");
        assert_eq!((shown("/"), shown("/a/a/a/a/a/a/a/a/a")), ("POST /".into(), "POST /a/a/a/a/a/a/a/a/".into()));
    }
}
