//! The flags and custom event keys seen of each environment: the first ones have cells of their own, the rest share one.
//!
//! Always true here: a name once in stays for the generation; no more than the limit come in; the maps are looked into and
//! never walked.

use bytes::Bytes;
use hashbrown::{HashMap, HashSet};
use schemas::id::Environment;

/// Which names are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// Flags.
    Flag,
    /// Keys of custom events.
    Event,
}

/// Names seen of one environment.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    flags: HashSet<Bytes>,
    events: HashSet<Bytes>,
}

impl Seen {
    pub(crate) fn of(&self, kind: NameKind) -> &HashSet<Bytes> {
        match kind {
            NameKind::Flag => &self.flags,
            NameKind::Event => &self.events,
        }
    }
}

/// Names seen of all environments.
#[derive(Debug, Default)]
pub(crate) struct Names {
    environments: HashMap<Environment, Seen>,
}

impl Names {
    pub(crate) fn environment(&self, environment: &Environment) -> Option<&Seen> {
        self.environments.get(environment)
    }

    /// Adds a name; answers whether it is new. What is kept is a copy, so that it does not hold a record's bytes.
    pub(crate) fn add(&mut self, environment: &Environment, kind: NameKind, name: &[u8]) -> bool {
        if !self.environments.contains_key(environment) {
            self.environments.insert(copy_environment(environment), Seen::default());
        }
        let Some(seen) = self.environments.get_mut(environment) else { return false };
        let names = match kind {
            NameKind::Flag => &mut seen.flags,
            NameKind::Event => &mut seen.events,
        };
        !names.contains(name) && names.insert(Bytes::copy_from_slice(name))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Names {
    /// The rows of all names, in no order.
    pub(super) fn rows(&self) -> Vec<(Bytes, Bytes)> {
        let mut all = Vec::new();
        for (environment, seen) in &self.environments {
            for kind in [NameKind::Flag, NameKind::Event] {
                all.extend(seen.of(kind).iter().map(|name| super::rows::name(environment, kind, name)));
            }
        }
        all
    }
}

/// An environment whose keys hold no record's bytes.
pub(crate) fn copy_environment(environment: &Environment) -> Environment {
    Environment { project: Bytes::copy_from_slice(&environment.project), key: Bytes::copy_from_slice(&environment.key) }
}
