//! One flag laid out for the rule: its places (a flag in an environment), which of them decide, and its age.
//!
//! Always true here: every environment of the fleet is a place, those without rows too; the words *intentional*,
//! *served* and *within* are defined in this file and nowhere else.

use std::collections::BTreeMap;

use super::app_versions::AppVersions;
use super::dead::{self, Settled};
use super::fleet::{Environment, Flag, FlagEnvironment, Fleet, Row, Variation};
use super::settings::{Settings, Thresholds};
use super::verdict::{Dead, EnvironmentVerdict, LAST_SERVED_MAX, LastServed, Requester, Status};
use super::{coverage, status};

/// The environments that the fleet or a flag names, and which of them decide.
#[derive(Debug)]
pub(super) struct Known<'a> {
    environments: BTreeMap<&'a str, Environment>,
}

impl<'a> Known<'a> {
    /// "Only critical environments decide; if none is marked, all are critical."
    pub(super) fn of(fleet: &'a Fleet) -> Self {
        let named = fleet.flags.iter().flat_map(|flag| flag.environments.keys());
        let mut environments: BTreeMap<&str, Environment> =
            named.map(|name| (name.as_str(), Environment::default())).collect();
        environments.extend(fleet.environments.iter().map(|(name, environment)| (name.as_str(), *environment)));
        if !environments.values().any(|environment| environment.critical) {
            environments.values_mut().for_each(|environment| environment.critical = true);
        }
        Self { environments }
    }
}

/// A flag, ready to be judged.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) as_of_ms: i64,
    pub(super) settings: &'a Settings,
    pub(super) hidden_deciding: usize,
    pub(super) flag: &'a Flag,
    pub(super) places: Vec<Place<'a>>,
    pub(super) versions: &'a AppVersions<'a>,
    /// Its creation, else its first row.
    pub(super) born_ms: Option<i64>,
}

/// A flag in an environment.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) environment: Environment,
    pub(super) thresholds: Thresholds,
    pub(super) seen: Option<&'a FlagEnvironment>,
    pub(super) status: Status,
    pub(super) dead: Option<Dead>,
    as_of_ms: i64,
}

impl<'a> Case<'a> {
    pub(super) fn of(fleet: &'a Fleet, known: &Known<'a>, versions: &'a AppVersions<'a>, flag: &'a Flag) -> Self {
        let rows = flag.environments.values().flat_map(|seen| &seen.rows);
        let born_ms = flag.metadata.created_at_ms.or_else(|| rows.map(|row| row.first_ms).min());
        let age_ms = age_ms(fleet.as_of_ms, born_ms);
        let place = |(name, environment): (&&'a str, &Environment)| {
            let of_type = || fleet.hours_by_type.get(*name)?.get(&flag.metadata.flag_type?).copied();
            let mut place = Place {
                name,
                environment: Environment { hours: of_type().or(environment.hours), ..*environment },
                thresholds: fleet.settings.thresholds(Some(name), flag.metadata.flag_type),
                seen: flag.environments.get(*name),
                status: Status::Unknown,
                dead: None,
                as_of_ms: fleet.as_of_ms,
            };
            place.status = status::status(&place, age_ms);
            place.dead = dead::dead(&place);
            place
        };
        let places = known.environments.iter().map(place).collect();
        let (as_of_ms, settings, hidden_deciding) = (fleet.as_of_ms, &fleet.settings, fleet.hidden_deciding);
        Self { as_of_ms, settings, hidden_deciding, flag, places, versions, born_ms }
    }

    /// "Age = as-of − `createdAt`, without it since the first row in any environment, without any row 0."
    pub(super) fn age_ms(&self) -> i64 {
        age_ms(self.as_of_ms, self.born_ms)
    }

    /// The places that decide.
    pub(super) fn critical(&self) -> impl Iterator<Item = &Place<'a>> {
        self.places.iter().filter(|place| place.environment.critical)
    }

    /// Rows in any environment, bulk reads too.
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Row> {
        self.places.iter().flat_map(Place::rows)
    }

    /// Intentional rows within W in critical environments, each with its place.
    pub(super) fn critical_intentional(&self) -> impl Iterator<Item = (&Place<'a>, &'a Row)> {
        self.critical().flat_map(|place| place.intentional_within_stale().map(move |row| (place, row)))
    }

    /// The critical places that are settled.
    pub(super) fn settled(&self) -> impl Iterator<Item = Settled<'_, 'a>> {
        self.critical().filter_map(Place::settled)
    }

    /// W of the flag as a whole: the greatest of its critical environments, days.
    pub(super) fn stale_days(&self) -> u32 {
        let greatest = self.critical().map(|place| place.thresholds.stale_days).max();
        greatest.unwrap_or_else(|| self.settings.thresholds(None, self.flag.metadata.flag_type).stale_days)
    }

    /// The last intentional request in any environment.
    pub(super) fn last_requested(&self) -> Option<(i64, Requester)> {
        self.places.iter().filter_map(Place::last_requested).max_by_key(|(last_ms, _)| *last_ms)
    }
}

fn age_ms(as_of_ms: i64, born_ms: Option<i64>) -> i64 {
    born_ms.map_or(0, |born_ms| as_of_ms.saturating_sub(born_ms))
}

impl<'a> Place<'a> {
    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.seen.into_iter().flat_map(|seen| &seen.rows)
    }

    /// "*Intentional* = not a bulk read."
    pub(super) fn intentional(&self) -> impl Iterator<Item = &'a Row> + use<'a> {
        self.rows().filter(|row| !row.bulk)
    }

    /// "*Within d* = `last` > as-of − d."
    pub(super) fn is_within(&self, row: &Row, d_ms: i64) -> bool {
        row.last_ms > self.as_of_ms.saturating_sub(d_ms)
    }

    /// Intentional rows within W.
    pub(super) fn intentional_within_stale(&self) -> impl Iterator<Item = &'a Row> {
        self.intentional().filter(|row| self.is_within(row, self.thresholds.stale_ms()))
    }

    /// "*Served* = intentional, neither error nor default."
    pub(super) fn served_within(&self, d_ms: i64) -> impl Iterator<Item = &'a Row> {
        self.intentional().filter(move |row| !row.error && !row.default && self.is_within(row, d_ms))
    }

    /// The variation of the rows served within d, if it is exactly one. A row that does not tell its variation may be
    /// any, so with it there is none.
    pub(super) fn only_variation(&self, d_ms: i64) -> Option<&'a Variation> {
        let mut served = self.served_within(d_ms).map(|row| row.variation.as_ref());
        let first = served.next()??;
        served.all(|variation| variation == Some(first)).then_some(first)
    }

    /// "The version is older than d": what is not known is not held against the flag.
    pub(super) fn version_is_older(&self, d_ms: i64) -> bool {
        self.version_since_ms().is_none_or(|since_ms| self.as_of_ms.saturating_sub(since_ms) > d_ms)
    }

    pub(super) fn version_since_ms(&self) -> Option<i64> {
        self.seen.and_then(|seen| seen.version_since_ms)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.dead == Some(Dead::Quiet)
    }

    fn settled(&self) -> Option<Settled<'_, 'a>> {
        match &self.dead {
            Some(Dead::Settled { variation, since_ms }) => {
                Some(Settled { place: self, variation, since_ms: *since_ms })
            }
            Some(Dead::Quiet) | None => None,
        }
    }

    fn last_requested(&self) -> Option<(i64, Requester)> {
        let row = self.intentional().max_by_key(|row| row.last_ms)?;
        let by = Requester {
            environment: self.name.to_owned(),
            variation: row.variation.clone(),
            application: row.application.clone(),
            application_version: row.application_version.clone(),
            sdk: row.sdk.clone(),
        };
        Some((row.last_ms, by))
    }

    /// What is shown of it.
    pub(super) fn verdict(&self) -> EnvironmentVerdict {
        let last = self.last_requested();
        EnvironmentVerdict {
            name: self.name.to_owned(),
            critical: self.environment.critical,
            status: self.status,
            dead: self.dead.clone(),
            thresholds: self.thresholds,
            hours: self.environment.hours,
            coverage_ppm: coverage::ppm(self.environment.hours),
            version: self.seen.and_then(|seen| seen.version),
            version_since_ms: self.version_since_ms(),
            served_within_inactive: self.variations(self.thresholds.inactive_ms()),
            served_within_stale: self.variations(self.thresholds.stale_ms()),
            last_served: self.last_served(),
            last_bulk_ms: self.rows().filter(|row| row.bulk).map(|row| row.last_ms).max(),
            last_requested_ms: last.as_ref().map(|(ms, _)| *ms),
            last_requested_by: last.map(|(_, by)| by),
        }
    }

    /// Of a quiet place; of sights at the same time that by name first, then the lower variation.
    fn last_served(&self) -> Vec<LastServed> {
        let mut last: BTreeMap<&Variation, (i64, bool)> = BTreeMap::new();
        for row in self.rows().filter(|row| self.is_quiet() && !row.error && !row.default) {
            let Some(variation) = &row.variation else { continue };
            let held = last.entry(variation).or_insert((row.last_ms, row.bulk));
            let is_newer = (row.last_ms, !row.bulk) > (held.0, !held.1);
            *held = if is_newer { (row.last_ms, row.bulk) } else { *held };
        }
        let value = |variation: &Variation| {
            let told = self.seen?.values.iter().find(|told| told.variation == *variation)?;
            Some(told.value.clone())
        };
        let mut served: Vec<LastServed> = last
            .into_iter()
            .map(|(variation, (last_ms, bulk))| LastServed {
                variation: variation.clone(),
                value: value(variation),
                last_ms,
                bulk,
            })
            .collect();
        served.sort_by_key(|served| (std::cmp::Reverse(served.last_ms), served.bulk));
        served.truncate(LAST_SERVED_MAX);
        served
    }

    fn variations(&self, d_ms: i64) -> Vec<Variation> {
        let mut served: Vec<_> = self.served_within(d_ms).filter_map(|row| row.variation.as_ref()).collect();
        served.sort_unstable();
        served.dedup();
        served.into_iter().cloned().collect()
    }
}
