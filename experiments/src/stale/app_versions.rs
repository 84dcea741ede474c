//! Which version of an application is its newest, for reason `OLD_APP_VERSIONS_ONLY`.
//!
//! Always true here: a version's first sight is its earliest row of any flag in an environment, so that an old version
//! which is told a new variation stays old; an application or version that was not told is never old and makes none
//! old.

use std::collections::HashMap;

use super::fleet::{Fleet, Row};

/// First sights of applications' versions, by environment and application.
#[derive(Debug, Default)]
pub(super) struct AppVersions<'a> {
    applications: HashMap<(&'a str, &'a str), Application<'a>>,
}

#[derive(Debug, Default)]
struct Application<'a> {
    first_ms: HashMap<&'a str, i64>,
    /// By first sight, rising.
    sorted: Vec<Version<'a>>,
}

/// A version and its first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version<'a> {
    pub(super) first_ms: i64,
    pub(super) version: &'a str,
}

impl<'a> AppVersions<'a> {
    pub(super) fn of(fleet: &'a Fleet) -> Self {
        let mut applications: HashMap<(&str, &str), Application<'_>> = HashMap::new();
        for (name, seen) in fleet.flags.iter().flat_map(|flag| &flag.environments) {
            for row in seen.rows.iter().filter(|row| is_told(row)) {
                let application = applications.entry((name, &row.application)).or_default();
                let first_ms = application.first_ms.entry(&row.application_version).or_insert(row.first_ms);
                *first_ms = row.first_ms.min(*first_ms);
            }
        }
        for application in applications.values_mut() {
            let versions =
                application.first_ms.iter().map(|(version, first_ms)| Version { first_ms: *first_ms, version });
            application.sorted = versions.collect();
            application.sorted.sort_unstable();
        }
        Self { applications }
    }

    /// "Newest = latest `first` of any flag in that environment, that first ≥ S ago": the newest version first seen at
    /// `settled_ms` or before, if the row's own is not that, and the row's own. By the letter of the rule a version
    /// younger than that is not the newest either.
    pub(super) fn newest_other_than(&self, environment: &str, row: &Row, settled_ms: i64) -> Option<[Version<'a>; 2]> {
        let application = self.applications.get(&(environment, row.application.as_str()))?;
        let (version, first_ms) = application.first_ms.get_key_value(row.application_version.as_str())?;
        let own = Version { first_ms: *first_ms, version };
        let settled = application.sorted.partition_point(|version| version.first_ms <= settled_ms);
        let newest = application.sorted[..settled].last().filter(|newest| newest.first_ms != own.first_ms)?;
        Some([*newest, own])
    }
}

fn is_told(row: &Row) -> bool {
    !row.application.is_empty() && !row.application_version.is_empty()
}
