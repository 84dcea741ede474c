//! The flags and custom event keys seen of each environment: the first ones have cells of their own, the rest share
//! one; and which of those flags a mobile or client-side SDK has asked for.
//!
//! Always true here: a name once in stays for the generation, and so does its mark; no more than the limit come in; the
//! maps are looked into and never walked.

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

/// A name that a record brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NameSeen<'a> {
    pub(crate) kind: NameKind,
    pub(crate) name: &'a [u8],
    /// It is a flag, and a mobile or client-side SDK asked for it.
    pub(crate) client_side: bool,
}

/// Names seen of one environment.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    flags: HashSet<Bytes>,
    events: HashSet<Bytes>,
    /// Some of `flags`.
    client_side: HashSet<Bytes>,
}

impl Seen {
    pub(crate) fn of(&self, kind: NameKind) -> &HashSet<Bytes> {
        match kind {
            NameKind::Flag => &self.flags,
            NameKind::Event => &self.events,
        }
    }

    /// The flags that a mobile or client-side SDK has asked for.
    pub(crate) fn client_side(&self) -> &HashSet<Bytes> {
        &self.client_side
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

    /// Adds a name or its mark; answers whether either is new. What is kept is a copy, so that it does not hold a
    /// record's bytes.
    pub(crate) fn add(
        &mut self,
        environment: &Environment,
        NameSeen { kind, name, client_side }: NameSeen<'_>,
    ) -> bool {
        if !self.environments.contains_key(environment) {
            self.environments.insert(copy_environment(environment), Seen::default());
        }
        let Some(seen) = self.environments.get_mut(environment) else { return false };
        let names = match kind {
            NameKind::Flag => &mut seen.flags,
            NameKind::Event => &mut seen.events,
        };
        let is_new = !names.contains(name) && names.insert(Bytes::copy_from_slice(name));
        let is_marked = !client_side || seen.client_side.contains(name);
        is_new | (!is_marked && seen.client_side.insert(Bytes::copy_from_slice(name)))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Names {
    /// The rows of all names, in no order.
    pub(super) fn rows(&self) -> Vec<(Bytes, Bytes)> {
        let mut all = Vec::new();
        for (environment, seen) in &self.environments {
            for kind in [NameKind::Flag, NameKind::Event] {
                let row = |name: &Bytes| {
                    let client_side = kind == NameKind::Flag && seen.client_side.contains(name);
                    super::rows::name(environment, NameSeen { kind, name, client_side })
                };
                all.extend(seen.of(kind).iter().map(row));
            }
        }
        all
    }
}

/// An environment whose keys hold no record's bytes.
pub(crate) fn copy_environment(environment: &Environment) -> Environment {
    Environment { project: Bytes::copy_from_slice(&environment.project), key: Bytes::copy_from_slice(&environment.key) }
}
