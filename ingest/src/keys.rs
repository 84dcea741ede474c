//! The key table: whose a credential is.
//!
//! Always true here: only SHA-256 hashes are kept, never a key; a look-up costs one hash and one map access, whatever
//! the answer; a table is immutable and swapped whole, so a request sees one table; a key that a swap takes away is
//! revoked with a grace, never forgotten at once, because a 401 silences its SDK for life.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use schemas::event::Credential;
use schemas::id::Environment;
use sha2::{Digest, Sha256};

/// Keys of an environment as configured: each the key itself or `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone)]
pub struct EnvironmentKeys {
    /// Whose they are.
    pub environment: Environment,
    /// Keys of server SDKs.
    pub server_keys: Vec<String>,
    /// Keys of mobile SDKs.
    pub mobile_keys: Vec<String>,
    /// Client-side ids.
    pub client_side_ids: Vec<String>,
}

/// A key that the table cannot take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyTableError {
    /// `sha256:` is not followed by 64 hexadecimal digits.
    #[error("environment {0} has a key that begins with sha256: but is not followed by 64 hexadecimal digits")]
    BadHash(String),
    /// Nothing in it.
    #[error("environment {0} has an empty key")]
    Empty(String),
    /// Two environments have the same key, so nobody could say whose a payload is.
    #[error("environments {0} and {1} have a key in common; give each its own")]
    Shared(String, String),
}

/// An environment that has keys.
#[derive(Debug)]
pub struct Owner {
    /// Which one.
    pub environment: Environment,
    /// Its first payload was noticed; see [`crate::doorstep`].
    pub(crate) greeted: AtomicBool,
    /// Its stage, once the gate was asked for it.
    #[cfg(feature = "gate")]
    pub(crate) stage: std::sync::OnceLock<crate::gate::Cell>,
}

impl Owner {
    fn new(environment: Environment) -> Arc<Self> {
        Arc::new(Self {
            environment,
            greeted: AtomicBool::new(false),
            #[cfg(feature = "gate")]
            stage: std::sync::OnceLock::new(),
        })
    }
}

type Hash = [u8; 32];

#[derive(Debug, Clone)]
struct Entry {
    owner: Arc<Owner>,
    /// Unix milliseconds up to which a revoked key is discarded kindly; `None` = the key is valid.
    revoked_until_ms: Option<i64>,
}

/// A key as it may be kept over a restart: by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Whose it is or was.
    pub environment: Environment,
    /// What SDKs send it as.
    pub kind: Credential,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Unix milliseconds up to which a revoked key is discarded kindly; `None` = the key is valid.
    pub revoked_until_ms: Option<i64>,
}

/// All keys at one time.
#[derive(Debug, Default)]
pub struct KeyTable {
    entries: HashMap<(u8, Hash), Entry>,
}

/// Whose a credential is.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This environment's.
    Known(Arc<Owner>),
    /// It was this environment's and is in its grace: answer 202 and discard.
    Revoked(Arc<Owner>),
    /// The table says that there is no such key.
    Unknown,
    /// There is no table yet.
    CannotAsk,
}

impl KeyTable {
    /// A table of these keys.
    ///
    /// # Errors
    /// [`KeyTableError`] names the environment whose key cannot be taken.
    pub fn new(environments: &[EnvironmentKeys]) -> Result<Self, KeyTableError> {
        let mut table = Self::default();
        for keys in environments {
            let owner = Owner::new(keys.environment.clone());
            let kinds = [
                (Credential::Server, &keys.server_keys),
                (Credential::Mobile, &keys.mobile_keys),
                (Credential::ClientSide, &keys.client_side_ids),
            ];
            for (kind, keys) in kinds {
                for key in keys {
                    table.add(kind, key, &owner)?;
                }
            }
        }
        Ok(table)
    }

    fn add(&mut self, kind: Credential, key: &str, owner: &Arc<Owner>) -> Result<(), KeyTableError> {
        let hash = match key.strip_prefix("sha256:") {
            _ if key.trim().is_empty() => return Err(KeyTableError::Empty(owner.environment.to_string())),
            Some(digits) => read_hash(digits).ok_or_else(|| KeyTableError::BadHash(owner.environment.to_string()))?,
            None => hash_of(key.as_bytes()),
        };
        let entry = Entry { owner: Arc::clone(owner), revoked_until_ms: None };
        match self.entries.insert((kind as u8, hash), entry) {
            Some(other) if other.owner.environment != owner.environment => {
                Err(KeyTableError::Shared(other.owner.environment.to_string(), owner.environment.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// The table of an earlier run.
    #[must_use]
    pub fn of_remembered(remembered: &[Remembered]) -> Self {
        let mut owners: HashMap<&Environment, Arc<Owner>> = HashMap::new();
        let mut table = Self::default();
        for Remembered { environment, kind, hash, revoked_until_ms } in remembered {
            let owner = owners.entry(environment).or_insert_with(|| Owner::new(environment.clone()));
            let entry = Entry { owner: Arc::clone(owner), revoked_until_ms: *revoked_until_ms };
            table.entries.insert((*kind as u8, *hash), entry);
        }
        table
    }

    /// What the next run is to know of this one's keys, in a fixed order.
    #[must_use]
    pub fn remembered(&self) -> Vec<Remembered> {
        let kinds = [Credential::Server, Credential::Mobile, Credential::ClientSide];
        let remember = |((number, hash), entry): (&(u8, Hash), &Entry)| {
            let kind = kinds.into_iter().find(|kind| *kind as u8 == *number)?;
            let environment = entry.owner.environment.clone();
            Some(Remembered { environment, kind, hash: *hash, revoked_until_ms: entry.revoked_until_ms })
        };
        let mut remembered: Vec<_> = self.entries.iter().filter_map(remember).collect();
        remembered.sort_by_key(|key| (key.kind as u8, key.hash));
        remembered
    }

    /// The environments that have a valid key; some of them more than once.
    #[cfg(feature = "gate")]
    fn environments(&self) -> Vec<Environment> {
        let valid = self.entries.values().filter(|entry| entry.revoked_until_ms.is_none());
        valid.map(|entry| entry.owner.environment.clone()).collect()
    }

    fn find(&self, kind: Credential, credential: &[u8], now_ms: i64) -> Answer {
        match self.entries.get(&(kind as u8, hash_of(credential))) {
            None => Answer::Unknown,
            Some(Entry { owner, revoked_until_ms: None }) => Answer::Known(Arc::clone(owner)),
            Some(Entry { owner, revoked_until_ms: Some(until_ms) }) if now_ms < *until_ms => {
                Answer::Revoked(Arc::clone(owner))
            }
            Some(_) => Answer::Unknown,
        }
    }

    /// With what an older table had and this one has not, as revoked.
    #[must_use]
    pub fn after(mut self, older: &Self, now_ms: i64, grace_seconds: u64) -> Self {
        let grace_ms = i64::try_from(grace_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        for (key, entry) in &older.entries {
            let until_ms = entry.revoked_until_ms.unwrap_or(now_ms.saturating_add(grace_ms));
            if until_ms > now_ms && !self.entries.contains_key(key) {
                self.entries.insert(*key, Entry { owner: Arc::clone(&entry.owner), revoked_until_ms: Some(until_ms) });
            }
        }
        self
    }
}

/// The table in force, swapped without a restart.
#[derive(Debug, Default)]
pub struct Keys {
    table: RwLock<Option<Arc<KeyTable>>>,
}

impl Keys {
    /// No table yet: every question is [`Answer::CannotAsk`] until the first [`Keys::swap`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts another table in force. Keys that only the one before had are revoked, with `grace_seconds` from `now_ms`
    /// on; a key revoked earlier keeps its end; a key that comes back is valid at once. Gives the table as it is now in
    /// force.
    pub fn swap(&self, table: KeyTable, now_ms: i64, grace_seconds: u64) -> Arc<KeyTable> {
        let mut held = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let table = match held.as_deref() {
            Some(older) => table.after(older, now_ms, grace_seconds),
            None => table,
        };
        Arc::clone(held.insert(Arc::new(table)))
    }

    /// The environments that have a valid key; some of them more than once.
    #[cfg(feature = "gate")]
    pub(crate) fn environments(&self) -> Vec<Environment> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        table.map_or(vec![], |table| table.environments())
    }

    /// Whose this credential of this kind is.
    #[must_use]
    pub fn find(&self, kind: Credential, credential: &[u8], now_ms: i64) -> Answer {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner).clone();
        table.map_or(Answer::CannotAsk, |table| table.find(kind, credential, now_ms))
    }
}

fn hash_of(credential: &[u8]) -> Hash {
    Sha256::digest(credential).into()
}

fn read_hash(digits: &str) -> Option<Hash> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = Hash::default();
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(environment: &str, server: &[&str], client_side: &[&str]) -> EnvironmentKeys {
        let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        EnvironmentKeys {
            environment: Environment::new("p", environment).unwrap(),
            server_keys: list(server),
            mobile_keys: vec![],
            client_side_ids: list(client_side),
        }
    }

    fn said(answer: &Answer) -> String {
        match answer {
            Answer::Known(owner) => format!("known {}", owner.environment),
            Answer::Revoked(owner) => format!("revoked {}", owner.environment),
            Answer::Unknown => "unknown".into(),
            Answer::CannotAsk => "cannot ask".into(),
        }
    }

    #[test]
    fn keys_are_known_by_kind_and_hash() {
        // SHA-256 of "abc".
        let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let table =
            KeyTable::new(&[keys("e", &["sdk-1", hash], &["id-1"]), keys("f", &["sdk-2"], &["sdk-1"])]).unwrap();
        let find = |kind, key: &[u8]| said(&table.find(kind, key, 0));
        assert_eq!(find(Credential::Server, b"sdk-1"), "known p/e");
        assert_eq!(find(Credential::Server, b"abc"), "known p/e");
        assert_eq!(find(Credential::Server, b"sdk-2"), "known p/f");
        assert_eq!(find(Credential::ClientSide, b"sdk-1"), "known p/f");
        assert_eq!(find(Credential::Mobile, b"sdk-1"), "unknown");
        assert_eq!(find(Credential::Server, hash.as_bytes()), "unknown", "the hash itself opens nothing");
        assert!(!format!("{table:?}").contains("sdk-1"), "a key is kept in the clear");
    }

    #[test]
    fn what_cannot_be_taken_is_refused() {
        let refused = |all: &[EnvironmentKeys]| KeyTable::new(all).unwrap_err();
        assert_eq!(refused(&[keys("e", &["sha256:12"], &[])]), KeyTableError::BadHash("p/e".into()));
        assert_eq!(refused(&[keys("e", &[" "], &[])]), KeyTableError::Empty("p/e".into()));
        let shared = [keys("e", &["k"], &[]), keys("f", &["k"], &[])];
        assert_eq!(refused(&shared), KeyTableError::Shared("p/e".into(), "p/f".into()));
        KeyTable::new(&[keys("e", &["k", "k"], &["k"])]).unwrap();
    }

    #[test]
    fn a_key_taken_away_has_its_grace_and_may_come_back() {
        let all = Keys::new();
        let find = |now_ms| said(&all.find(Credential::Server, b"old", now_ms));
        let table = |server: &[&str]| KeyTable::new(&[keys("e", server, &[])]).unwrap();
        assert_eq!(find(0), "cannot ask");
        all.swap(table(&["old"]), 0, 10);
        assert_eq!(find(5_000), "known p/e");
        all.swap(table(&["new"]), 5_000, 10);
        assert_eq!(find(14_999), "revoked p/e");
        assert_eq!(find(15_000), "unknown");
        all.swap(table(&["new", "newer"]), 8_000, 10);
        assert_eq!(find(15_000), "unknown", "a further swap must not lengthen the grace");
        assert_eq!(find(14_999), "revoked p/e", "a further swap must not shorten the grace");
        all.swap(table(&["old"]), 9_000, 10);
        assert_eq!(find(99_000), "known p/e");
    }

    #[test]
    fn a_grace_goes_on_and_may_begin_over_a_restart() {
        let table = |server: &[&str]| KeyTable::new(&[keys("e", server, &["id"])]).unwrap();
        let before = table(&["kept", "going"]).after(&table(&["gone"]), 1_000, 10).remembered();
        assert_eq!(before.iter().map(|key| key.revoked_until_ms).filter(Option::is_some).count(), 1);
        let after = table(&["kept"]).after(&KeyTable::of_remembered(&before), 4_000, 10);
        let find = |key: &[u8], now_ms| said(&after.find(Credential::Server, key, now_ms));
        assert_eq!(find(b"kept", 5_000), "known p/e");
        assert_eq!((find(b"gone", 10_999), find(b"gone", 11_000)), ("revoked p/e".into(), "unknown".into()));
        assert_eq!((find(b"going", 13_999), find(b"going", 14_000)), ("revoked p/e".into(), "unknown".into()));
        assert_eq!(said(&after.find(Credential::ClientSide, b"id", 5_000)), "known p/e");
        assert_eq!(said(&after.find(Credential::Mobile, b"gone", 5_000)), "unknown");
    }
}
