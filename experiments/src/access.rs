//! Who may read what: read keys open one environment, admin keys open all.
//!
//! Always true here: keys are kept as SHA-256 only and compared in constant time, against every hash there is; whoever
//! may not read an environment gets the answer that an environment which does not exist would get; no read or admin key
//! at all means that everything is open (the binary allows that on loopback only, and [`crate::request`] checks that
//! the request names a loopback host, so that no web site can reach in by a name of its own).

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::id::Environment;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::refusal::Refusal;

/// SHA-256 of a key.
pub type KeyHash = [u8; 32];

/// Name of the page's cookie.
pub(crate) const COOKIE: &str = "flagstream_key";
/// Longest key that is looked at, in bytes.
const KEY_BYTES_MAX: usize = 1024;
/// Environments named to whoever asks for one that is not there, where everything is open.
const SHOWN_MAX: usize = 10;

/// What is kept of a key.
#[must_use]
pub fn hash_key(key: &str) -> KeyHash {
    Sha256::digest(key.as_bytes()).into()
}

/// An environment and the keys that open its reads.
#[derive(Debug, Clone)]
pub struct EnvironmentAccess {
    /// The environment.
    pub environment: Environment,
    /// Hashes of its read keys.
    pub read_keys: Vec<KeyHash>,
}

/// All environments that are configured, in that order, and who may read them.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The environments.
    pub environments: Vec<EnvironmentAccess>,
    /// Hashes of the keys that open all.
    pub admin_keys: Vec<KeyHash>,
}

/// What one request may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Everything.
    All,
    /// These environments, in order of configuration; at least one.
    Some(Vec<Environment>),
}

impl Access {
    /// Whether there is no key at all, so that nobody needs one.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.admin_keys.is_empty() && self.environments.iter().all(|e| e.read_keys.is_empty())
    }

    /// What this key opens; `None` = nothing.
    pub(crate) fn grant(&self, key: Option<&str>) -> Option<Grant> {
        if self.is_open() {
            return Some(Grant::All);
        }
        let hash = hash_key(key.filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX)?);
        let among = |keys: &[KeyHash]| {
            keys.iter().fold(subtle::Choice::from(0), |found, known| found | known.ct_eq(&hash)).into()
        };
        let admin: bool = among(&self.admin_keys);
        let opened: Vec<Environment> =
            self.environments.iter().filter(|e| among(&e.read_keys)).map(|e| e.environment.clone()).collect();
        match (admin, opened.is_empty()) {
            (true, _) => Some(Grant::All),
            (false, false) => Some(Grant::Some(opened)),
            (false, true) => None,
        }
    }

    /// The environments that a grant shows, in order of configuration.
    pub(crate) fn visible(&self, grant: &Grant) -> Vec<Environment> {
        match grant {
            Grant::All => self.environments.iter().map(|e| e.environment.clone()).collect(),
            Grant::Some(opened) => opened.clone(),
        }
    }

    /// The environment of this name, if the grant shows it.
    pub(crate) fn find(&self, grant: &Grant, project: &str, key: &str) -> Result<Environment, Refusal> {
        let named = |e: &Environment| e.project == project.as_bytes() && e.key == key.as_bytes();
        self.visible(grant).into_iter().find(named).ok_or_else(|| {
            let name = format!("{}/{}", project.escape_debug(), key.escape_debug());
            if !self.is_open() {
                return Refusal::not_found(format!(
                    "no environment `{name}` that this key may read; environments are configured"
                ));
            }
            let shown: Vec<String> =
                self.environments.iter().take(SHOWN_MAX).map(|e| e.environment.to_string()).collect();
            let more = if self.environments.len() > SHOWN_MAX { ", …" } else { "" };
            Refusal::not_found(format!("no environment `{name}`; configured: {}{more}", shown.join(", ")))
        })
    }
}

/// The key that a request brings: `Authorization: KEY`, `Authorization: Bearer KEY`, or the page's cookie.
pub(crate) fn credential(headers: &HeaderMap) -> Option<String> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (None, _) => cookie(headers, COOKIE),
        (Some(_), Some(_)) => None,
        (Some(value), None) => {
            let value = value.to_str().ok()?.trim();
            let key = match value.split_once(' ') {
                Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
                _ => value,
            };
            Some(key.to_owned())
        }
    }
}

/// The text in a cookie of ours.
pub(crate) fn cookie(headers: &HeaderMap, ours: &str) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == ours)?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(value).ok()?).ok()
}

/// A text as the value of a cookie of ours.
pub(crate) fn cookie_value(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The `Set-Cookie` that keeps a key in the browser until it is closed; `None` takes it away again.
pub(crate) fn set_cookie(key: Option<&str>, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    match key {
        Some(key) => {
            let value = cookie_value(key);
            format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}")
        }
        None => format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict{secure}"),
    }
}
