//! What a naive reader counts of a run's payloads: added up once, nothing clever.
//!
//! Always true here: a payload whose id was seen before is dropped before adding up. Numbers come from the rows; what rows
//! do not keep (the key of a debug event, of a page view of a click goal) is taken from the body, and only when the rows'
//! elements match the body's one to one.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schemas::event::{ConversionKind, ElementKind, Payload, Variation};
use schemas::rejection::Rejection;
use serde_json::Value;

use super::capture::{Captured, Run};
use crate::{Limits, Outcome, RouteMiss, answer, answer_miss, route};

/// Kinds of elements, as SDKs write them.
const KINDS: [&str; 11] = [
    "summary",
    "feature",
    "debug",
    "identify",
    "index",
    "custom",
    "migration_op",
    "click",
    "pageview",
    "click_pageview",
    "alias",
];

/// A run, added up.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// By flag key.
    pub flags: BTreeMap<String, Flag>,
    /// Events, events with a value, and sum in millionths, by key.
    pub custom: BTreeMap<String, (u64, u64, i128)>,
    /// Identify events.
    pub identify: u64,
    /// Alias events.
    pub alias: u64,
    /// Migration operations.
    pub migrations: Migrations,
    /// Distinct keys by kind of goal.
    pub goals: BTreeMap<String, BTreeSet<String>>,
    /// Any summary was seen.
    pub has_summaries: bool,
}

/// A flag, added up.
#[derive(Debug, Clone, Default)]
pub struct Flag {
    counts: BTreeMap<String, u64>,
    full: BTreeMap<String, u64>,
    /// Sights: full events that no counter of their payload speaks for.
    pub sights: u64,
    /// Events for a debugger.
    pub debug_events: u64,
    /// Exposures.
    pub in_experiment: u64,
}

/// Migration operations, added up.
#[derive(Debug, Clone, Default)]
pub struct Migrations {
    /// Reads.
    pub read: u64,
    /// Writes.
    pub write: u64,
    /// Both sides agreed.
    pub consistent: u64,
    /// They did not.
    pub inconsistent: u64,
    /// The new side failed.
    pub errors_new: u64,
}

impl Flag {
    /// Evaluations that are usage.
    #[must_use]
    pub fn usage(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Evaluations that are not: a flag that is excluded has full events and no counts.
    #[must_use]
    pub fn excluded(&self) -> u64 {
        if self.counts.is_empty() { self.feature_events() } else { 0 }
    }

    /// Full events.
    #[must_use]
    pub fn feature_events(&self) -> u64 {
        self.full.values().sum()
    }

    /// Evaluations by variation, excluded ones too.
    #[must_use]
    pub fn by_variation(&self) -> BTreeMap<String, u64> {
        if self.counts.is_empty() { self.full.clone() } else { self.counts.clone() }
    }
}

/// Replays a run through this package: every request is routed, opened, decoded and answered.
///
/// # Errors
/// The request that was not taken as the format says, or whose events were not all valid.
pub fn count(run: &Run) -> Result<Counted, String> {
    let mut counted = Counted::default();
    let mut seen = HashSet::new();
    let mut buffer = Vec::new();
    for captured in &run.requests {
        let wire = captured.wire_body();
        let place = |what: String| format!("{}/{}: {what}", run.name, captured.file);
        let headers = captured.header_slices();
        let request = captured.request(&headers, &wire);
        let route = match route(request.method, request.path) {
            Ok(route) => route,
            Err(RouteMiss::FlagDelivery) if answer_miss(RouteMiss::FlagDelivery, &headers).status == 404 => continue,
            Err(miss) => return Err(place(format!("{miss:?}"))),
        };
        if route.credential(&headers).is_none() {
            return Err(place("no credential".into()));
        }
        let plain = route.protocol.open(&route, &request, &Limits::default(), &mut buffer);
        let plain = plain.map_err(|refusal| place(refusal.message))?;
        let payload = route.protocol.decode(&route, &request, plain, &Limits::default());
        let payload = payload.map_err(|refusal| place(refusal.message))?;
        let status = answer(&route, Outcome::Accepted, &headers).status;
        if !(200..=204).contains(&status) {
            return Err(place(format!("answered {status}")));
        }
        // A kind that is not known here is no fault of the run, as long as the numbers agree.
        if payload.rejections.refused() > payload.rejections.of(Rejection::UnknownKind) {
            return Err(place(format!("rejected {:?}", payload.rejections.iter().collect::<Vec<_>>())));
        }
        if payload.id.as_ref().is_none_or(|id| seen.insert(id.clone())) {
            counted.add(&payload, captured).map_err(place)?;
        }
    }
    Ok(counted)
}

impl Counted {
    fn add(&mut self, payload: &Payload<'_>, captured: &Captured) -> Result<(), String> {
        for row in payload.counts.iter().filter(|row| row.count > 0) {
            *self.flag(&row.flag).counts.entry(name(&row.variation)).or_default() += row.count;
        }
        for row in payload.counts.iter().filter(|row| row.count == 0) {
            self.flag(&row.flag).sights += 1;
        }
        for row in &payload.evaluations {
            let flag = self.flag(&row.flag);
            *flag.full.entry(name(&row.variation)).or_default() += 1;
            flag.in_experiment += u64::from(row.in_experiment);
        }
        for row in payload.conversions.iter().filter(|row| row.kind == ConversionKind::Custom) {
            let (count, metric_count, sum) = self.custom.entry(row.key.to_string()).or_default();
            *count += 1;
            if let Some(value) = row.value {
                *metric_count += 1;
                *sum += i128::from(value.0);
            }
        }
        for row in &payload.migrations {
            let sum = &mut self.migrations;
            sum.read += u64::from(!row.write);
            sum.write += u64::from(row.write);
            sum.consistent += u64::from(row.consistent == Some(true));
            sum.inconsistent += u64::from(row.consistent == Some(false));
            sum.errors_new += u64::from(row.error.new);
        }
        self.add_elements(payload, captured)
    }

    fn add_elements(&mut self, payload: &Payload<'_>, captured: &Captured) -> Result<(), String> {
        let Some(Value::Array(mut events)) = captured.document() else { return Ok(()) };
        events.retain(|event| KINDS.contains(&event["kind"].as_str().unwrap_or_default()));
        if events.len() != payload.elements.len() {
            return Err(format!("{} events, {} elements", events.len(), payload.elements.len()));
        }
        for (event, element) in events.iter().zip(&payload.elements) {
            let key = event["key"].as_str().unwrap_or_default();
            let mut goal = |kind: &str| _ = self.goals.entry(kind.into()).or_default().insert(key.into());
            match element.kind {
                ElementKind::Summary => self.has_summaries = true,
                ElementKind::Debug => self.flag(key).debug_events += 1,
                ElementKind::Identify => self.identify += 1,
                ElementKind::Alias => self.alias += 1,
                ElementKind::Click => goal("click"),
                ElementKind::Pageview => goal("pageview"),
                ElementKind::ClickPageview => goal("click_pageview"),
                ElementKind::Feature | ElementKind::Index | ElementKind::Custom | ElementKind::MigrationOp => {}
            }
        }
        Ok(())
    }

    fn flag(&mut self, key: &str) -> &mut Flag {
        self.flags.entry(key.to_owned()).or_default()
    }
}

fn name(variation: &Variation<'_>) -> String {
    match variation {
        Variation::Default => "default".to_owned(),
        Variation::Index(index) => index.to_string(),
        Variation::Name(name) => name.to_string(),
    }
}
