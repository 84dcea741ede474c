//! A verdict as the answers have it: every number that the rule used, in camelCase.
//!
//! Always true here: shares are numbers from 0 to 1, times Unix milliseconds, codes as the rule spells them. Sights are
//! kept to the hour, and the rule takes each for the end of its hour, or for as-of where that is not over; told is the
//! hour's beginning, which does not move while nobody asks. Without an environment asked for, `status` is that of the
//! critical environment in which the flag is liveliest, and what was not heard counts as livelier than what is known to
//! be unused.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::cells::Served;
use crate::interval::hour_start;
use crate::stale::{
    CodePlace, CodeScan, Conditions, Dead, EnvironmentVerdict, Evidence, Figure, LastServed, Metadata, ReasonCode,
    Requester, Status, Variation, Verdict,
};

const WHOLE_PPM: f64 = 1_000_000.0;
/// Evidence that is a sight.
const SIGHTS: [&str; 3] = ["lastMs", "lastBulkMs", "lastIntentionalMs"];
/// From the least lively to the liveliest.
const LIVELINESS: [Status; 5] = [Status::Inactive, Status::New, Status::Launched, Status::Unknown, Status::Active];

/// A flag's verdict.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment: Option<String>,
    pub(super) status: &'static str,
    pub(super) stale: bool,
    pub(super) score: u8,
    pub(super) confidence: u8,
    pub(super) reasons: Vec<Reason>,
    pub(super) blockers: Vec<Blocker>,
    pub(super) conditions: ConditionsTold,
    pub(super) advice: Option<&'static str>,
    pub(super) forward_variation: Option<Served>,
    pub(super) forward_value: Option<Box<RawValue>>,
    /// Of a flag that nobody asks for where it matters: what was served last.
    last_served: Vec<LastServedTold>,
    pub(super) last_requested: Option<i64>,
    pub(super) last_requested_by: Option<By>,
    pub(super) coverage: f64,
    /// False = no hour was expected, and `coverage` is the whole because nothing could be missed.
    pub(super) coverage_measured: bool,
    pub(super) age_ms: i64,
    pub(super) as_of: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_references: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) code_places: Vec<CodePlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code_scan: Option<CodeScan>,
    pub(super) environments: Vec<Place>,
}

#[derive(Debug, Serialize)]
pub(super) struct Reason {
    pub(super) code: &'static str,
    deciding: bool,
    since: Option<i64>,
    evidence: BTreeMap<&'static str, FigureTold>,
}

#[derive(Debug, Serialize)]
pub(super) struct Blocker {
    pub(super) code: &'static str,
    evidence: BTreeMap<&'static str, FigureTold>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FigureTold {
    Number(i64),
    Names(Vec<String>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionsTold {
    temporary: bool,
    archived: bool,
    snoozed: bool,
    snoozed_until: Option<i64>,
    old_enough: bool,
    stale_days: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LastServedTold {
    environment: String,
    variation: Served,
    value: Option<Box<RawValue>>,
    last_seen: i64,
    /// That was a bulk read.
    bulk: bool,
}

/// Who asked last.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct By {
    pub(super) environment: String,
    variation: Option<Served>,
    pub(super) application: String,
    application_version: String,
    pub(super) sdk: String,
}

/// The flag in an environment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Place {
    key: String,
    critical: bool,
    status: &'static str,
    /// `quiet`, `settled` or null.
    dead: Option<&'static str>,
    settled_variation: Option<Served>,
    settled_since: Option<i64>,
    inactive_days: u32,
    stale_days: u32,
    coverage_min: f64,
    hours: Option<HoursTold>,
    coverage: f64,
    version: Option<u64>,
    version_since: Option<i64>,
    served_within_inactive: Vec<Served>,
    served_within_stale: Vec<Served>,
    last_bulk_read: Option<i64>,
    last_requested: Option<i64>,
    last_requested_by: Option<By>,
}

#[derive(Debug, Serialize)]
struct HoursTold {
    expected: u64,
    reported: u64,
}

impl Entry {
    /// The verdict, with status, coverage and last request of the environment asked for, and what people said of the
    /// flag that nothing is judged by.
    pub(super) fn of(verdict: &Verdict, said: Option<&Metadata>, environment: Option<&str>) -> Self {
        let here = environment.and_then(|name| place(verdict, name));
        let last = match here {
            Some(place) => (place.last_requested_ms, place.last_requested_by.as_ref()),
            None => (verdict.last_requested_ms, verdict.last_requested_by.as_ref()),
        };
        let reason = |reason: &crate::stale::Reason| Reason {
            code: reason.code.as_str(),
            deciding: reason.code.is_deciding(),
            since: since(reason),
            evidence: evidence(&reason.evidence),
        };
        let blocker = |blocker: &crate::stale::Blocker| Blocker {
            code: blocker.code.as_str(),
            evidence: evidence(&blocker.evidence),
        };
        Self {
            key: verdict.key.clone(),
            environment: environment.map(str::to_owned),
            status: status(verdict, environment).as_str(),
            stale: verdict.stale,
            score: verdict.score,
            confidence: verdict.confidence,
            reasons: verdict.reasons.iter().map(reason).collect(),
            blockers: verdict.blockers.iter().map(blocker).collect(),
            conditions: conditions(&verdict.conditions),
            advice: verdict.advice.map(crate::stale::Advice::as_str),
            forward_variation: verdict.forward_variation.as_ref().map(served),
            forward_value: verdict.forward_value.clone().and_then(|value| RawValue::from_string(value).ok()),
            last_requested: last.0.map(hour_start),
            last_requested_by: last.1.map(by),
            last_served: verdict.last_served().into_iter().map(last_served).collect(),
            coverage: share(here.map_or(verdict.coverage_ppm, |place| place.coverage_ppm)),
            coverage_measured: here.map_or(verdict.coverage_measured, EnvironmentVerdict::is_measured),
            age_ms: verdict.age_ms,
            as_of: verdict.as_of_ms,
            owner: said.and_then(|said| said.owner.clone()),
            code_references: said.and_then(|said| said.code_references),
            code_places: said.map(|said| said.code_places.clone()).unwrap_or_default(),
            code_scan: said.and_then(|said| said.code_scan.clone()),
            environments: verdict.environments.iter().map(place_told).collect(),
        }
    }
}

/// The verdict of the environment of this name.
pub(crate) fn place<'a>(verdict: &'a Verdict, environment: &str) -> Option<&'a EnvironmentVerdict> {
    verdict.environments.iter().find(|place| place.name == environment)
}

/// The status there, or, of no environment in particular, where it is liveliest.
pub(crate) fn status(verdict: &Verdict, environment: Option<&str>) -> Status {
    let liveliness = |status: &Status| LIVELINESS.iter().position(|known| known == status);
    let places = verdict.environments.iter().filter(|place| match environment {
        Some(name) => place.name == name,
        None => place.critical,
    });
    places.map(|place| place.status).max_by_key(liveliness).unwrap_or(Status::Unknown)
}

fn place_told(place: &EnvironmentVerdict) -> Place {
    let (dead, settled) = match &place.dead {
        None => (None, None),
        Some(Dead::Quiet) => (Some("quiet"), None),
        Some(Dead::Settled { variation, since_ms }) => (Some("settled"), Some((variation, *since_ms))),
    };
    Place {
        key: place.name.clone(),
        critical: place.critical,
        status: place.status.as_str(),
        dead,
        settled_variation: settled.map(|(variation, _)| served(variation)),
        settled_since: settled.map(|(_, since_ms)| hour_start(since_ms)),
        inactive_days: place.thresholds.inactive_days,
        stale_days: place.thresholds.stale_days,
        coverage_min: share(place.thresholds.coverage_min_ppm),
        hours: place.hours.map(|hours| HoursTold { expected: hours.expected, reported: hours.reported }),
        coverage: share(place.coverage_ppm),
        version: place.version,
        version_since: place.version_since_ms.map(hour_start),
        served_within_inactive: place.served_within_inactive.iter().map(served).collect(),
        served_within_stale: place.served_within_stale.iter().map(served).collect(),
        last_bulk_read: place.last_bulk_ms.map(hour_start),
        last_requested: place.last_requested_ms.map(hour_start),
        last_requested_by: place.last_requested_by.as_ref().map(by),
    }
}

fn conditions(conditions: &Conditions) -> ConditionsTold {
    let Conditions { temporary, archived, snoozed, snoozed_until_ms, old_enough, stale_days } = *conditions;
    ConditionsTold { temporary, archived, snoozed, snoozed_until: snoozed_until_ms, old_enough, stale_days }
}

/// What begins with the flag's creation is known to the millisecond, where people told that; all else is a sight.
fn since(reason: &crate::stale::Reason) -> Option<i64> {
    match reason.code {
        ReasonCode::NeverEvaluated | ReasonCode::PastLifetime => reason.since_ms,
        _ => reason.since_ms.map(hour_start),
    }
}

fn evidence(evidence: &Evidence) -> BTreeMap<&'static str, FigureTold> {
    let told = |name: &str, figure: &Figure| match figure {
        Figure::Number(ms) if SIGHTS.contains(&name) => FigureTold::Number(hour_start(*ms)),
        Figure::Number(number) => FigureTold::Number(*number),
        Figure::Names(names) => FigureTold::Names(names.clone()),
    };
    evidence.iter().map(|(name, figure)| (*name, told(name, figure))).collect()
}

fn last_served((environment, last): (&str, &LastServed)) -> LastServedTold {
    LastServedTold {
        environment: environment.to_owned(),
        variation: served(&last.variation),
        value: last.value.clone().and_then(|value| RawValue::from_string(value).ok()),
        last_seen: hour_start(last.last_ms),
        bulk: last.bulk,
    }
}

fn by(requester: &Requester) -> By {
    let Requester { environment, variation, application, application_version, sdk } = requester.clone();
    By { environment, variation: variation.as_ref().map(served), application, application_version, sdk }
}

pub(super) fn served(variation: &Variation) -> Served {
    match variation {
        Variation::Index(index) => Served::Index(*index),
        Variation::Name(name) => Served::Name(name.clone()),
    }
}

pub(super) fn share(ppm: u32) -> f64 {
    f64::from(ppm) / WHOLE_PPM
}
