//! Fields become rows: what each kind of element means.
//!
//! Always true here: an element that is pushed has passed every rule of its kind. What counts as an evaluation is
//! decided in one place, [`push_feature`]: counters of summaries always count; a feature event counts only in an
//! unsummarized payload, and a debug event never. A feature event that counts nowhere may yet be a sight of its flag
//! ([`super::sights`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use schemas::event::{
    Conversion, ConversionKind, Count, Element, ElementKind, Evaluation, Payload, Reason, VALUE_BYTES_MAX, Variation,
};
use schemas::fixed::Micros;
use schemas::id::KEY_BYTES_MAX;
use schemas::rejection::Rejection;

use super::context::{Keys, checked};
use super::element::{Because, Raw};
use super::{Mode, migration};
use crate::json::{Field, Number, Str, is_broken};
use crate::limits::Limits;

/// Rows as they grow.
pub(super) struct Rows<'l, 'a> {
    pub(super) payload: Payload<'a>,
    /// Of feature events that do not count: each a counter of 0.
    pub(super) sights: Vec<Count<'a>>,
    /// Sorted, so that the outcome does not depend on a hash.
    pub(super) contexts_seen: BTreeMap<Cow<'a, str>, u64>,
    pub(super) mode: Mode,
    pub(super) limits: &'l Limits,
}

/// How many rows there were before an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    counts: usize,
    sights: usize,
    evaluations: usize,
    conversions: usize,
    context_keys: usize,
}

impl Rows<'_, '_> {
    pub(super) fn mark(&self) -> Mark {
        Mark {
            counts: self.payload.counts.len(),
            sights: self.sights.len(),
            evaluations: self.payload.evaluations.len(),
            conversions: self.payload.conversions.len(),
            context_keys: self.payload.context_keys.len(),
        }
    }

    /// Takes back what was pushed since.
    pub(super) fn take_back(&mut self, mark: Mark) {
        self.payload.counts.truncate(mark.counts);
        self.sights.truncate(mark.sights);
        self.payload.evaluations.truncate(mark.evaluations);
        self.payload.conversions.truncate(mark.conversions);
        self.payload.context_keys.truncate(mark.context_keys);
    }

    pub(super) fn refuse(&mut self, reason: Rejection) {
        self.payload.rejections.add(reason, 1);
    }

    /// The number that the next element gets, if it is kept.
    pub(super) fn next_element(&self) -> u32 {
        u32::try_from(self.payload.elements.len()).unwrap_or(u32::MAX)
    }

    fn push_element(&mut self, kind: ElementKind, time_ms: Option<i64>) {
        self.payload.elements.push(Element { kind, time_ms });
    }
}

/// Pushes an element and its rows.
///
/// # Errors
/// Why the element is refused; the caller takes back what was pushed for it.
pub(super) fn push_rows<'a>(rows: &mut Rows<'_, 'a>, raw: &Raw<'a>) -> Result<(), Rejection> {
    let kind = match &*raw.kind.required()?.name() {
        "summary" => return push_summary(rows, raw),
        "feature" => ElementKind::Feature,
        "debug" => ElementKind::Debug,
        "identify" => ElementKind::Identify,
        "index" => ElementKind::Index,
        "custom" => ElementKind::Custom,
        "migration_op" => ElementKind::MigrationOp,
        "click" => ElementKind::Click,
        "pageview" => ElementKind::Pageview,
        "click_pageview" => ElementKind::ClickPageview,
        "alias" => ElementKind::Alias,
        _ => return Err(Rejection::UnknownKind),
    };
    let time_ms = raw.creation_date.optional()?.map(Number::millis);
    match kind {
        ElementKind::Feature => push_feature(rows, raw)?,
        ElementKind::Identify | ElementKind::Index => push_context_seen(rows, raw)?,
        ElementKind::Alias => push_alias(rows, raw)?,
        ElementKind::Custom => push_conversion(rows, raw, ConversionKind::Custom)?,
        ElementKind::Click => push_conversion(rows, raw, ConversionKind::Click)?,
        ElementKind::Pageview => push_conversion(rows, raw, ConversionKind::Pageview)?,
        ElementKind::MigrationOp => {
            let row = migration::row(raw, rows.next_element(), rows.limits)?;
            rows.payload.migrations.push(row);
        }
        // Debug events are for people who watch; a page view that belongs to a click goal is no conversion of that
        // goal.
        ElementKind::Debug | ElementKind::ClickPageview | ElementKind::Summary => drop(key(raw)?),
    }
    rows.push_element(kind, time_ms);
    Ok(())
}

/// A summary is kept if anything in it is good, or if it is empty; what is bad in it is numbered either way.
fn push_summary(rows: &mut Rows<'_, '_>, raw: &Raw<'_>) -> Result<(), Rejection> {
    let start_ms = raw.start_date.optional()?.map(Number::millis);
    let end_ms = raw.end_date.optional()?.map(Number::millis);
    let tally = raw.features.required()?;
    rows.payload.rejections.merge(&tally.rejections);
    if tally.entries == 0 || tally.good > 0 {
        // A start after the end means that the clock was set in between: of receipt, then.
        let time_ms = end_ms.filter(|end| start_ms.is_none_or(|start| start <= *end));
        rows.push_element(ElementKind::Summary, time_ms);
    }
    Ok(())
}

fn push_feature<'a>(rows: &mut Rows<'_, 'a>, raw: &Raw<'a>) -> Result<(), Rejection> {
    let flag = key(raw)?;
    let variation = variation(raw.served.variation)?;
    let version = version(raw.served.version)?;
    let because = raw.served.reason.optional()?;
    let reason = because.map_or(Ok(Reason::None), reason)?;
    let in_experiment = is_in_experiment(raw, because, reason, rows.mode)?;
    let sampling = sampling(raw.sampling_ratio, rows.limits)?;
    let excluded = raw.exclude_from_summaries.optional()?.unwrap_or(false);
    let contexts = push_contexts(rows, raw)?;
    let element = rows.next_element();
    let counts = rows.mode.unsummarized && !excluded;
    let kept_in = if counts { &mut rows.payload.counts } else { &mut rows.sights };
    kept_in.push(Count {
        element,
        flag: flag.clone(),
        variation: variation.clone(),
        version,
        value: kept_value(raw.served.value),
        count: if counts { sampling } else { 0 },
        // A flag that was not found has neither variation nor version.
        error: reason.is_error() || (variation == Variation::Default && version.is_none()),
        estimated: counts && sampling > 1,
    });
    rows.payload.evaluations.push(Evaluation { element, flag, variation, version, reason, in_experiment, contexts });
    Ok(())
}

/// Whether an evaluation is an exposure. SDKs of schema 4 say so (`inExperiment`) and their word is all that counts:
/// there `trackEvents` with a reason may as well be a flag whose events somebody wants to see, and a unit that is
/// wrongly exposed spoils an experiment, while one that is missed only makes it longer. Before schema 4, an SDK that
/// says nothing of experiments may be too old to know the word: a tracked rule or fallthrough was the experiment.
fn is_in_experiment(
    raw: &Raw<'_>,
    because: Option<Because<'_>>,
    reason: Reason,
    mode: Mode,
) -> Result<bool, Rejection> {
    let tracked = raw.track_events.optional()?.unwrap_or(false);
    let told = because.map_or(Ok(None), |because| because.in_experiment.optional())?;
    let legacy = mode.schema < 4 && tracked && matches!(reason, Reason::RuleMatch | Reason::Fallthrough);
    Ok(told.unwrap_or(legacy))
}

fn push_conversion<'a>(rows: &mut Rows<'_, 'a>, raw: &Raw<'a>, kind: ConversionKind) -> Result<(), Rejection> {
    let key = key(raw)?;
    let sampling = sampling(raw.sampling_ratio, rows.limits)?;
    let contexts = push_contexts(rows, raw)?;
    let value = match raw.metric_value.optional()? {
        Some(text) if kind == ConversionKind::Custom => {
            let value = Micros::parse(text);
            if value.is_none() {
                rows.refuse(Rejection::MetricOutOfRange);
            }
            value
        }
        _ => None,
    };
    let element = rows.next_element();
    rows.payload.conversions.push(Conversion { element, kind, key, value, sampling, contexts });
    Ok(())
}

/// `identify` and `index`: the context is the event. An `identify` of an old SDK may name it by key alone.
fn push_context_seen<'a>(rows: &mut Rows<'_, 'a>, raw: &Raw<'a>) -> Result<(), Rejection> {
    let mut keys = push_contexts(rows, raw)?;
    if keys.is_empty() {
        Keys::new(&mut rows.payload.context_keys, rows.limits.context_kinds_max).push_user(raw.key)?;
        keys.end += 1;
    }
    // Only the kinds are counted; the keys are not kept.
    let kept = keys.start as usize;
    for context in rows.payload.context_keys.drain(kept..) {
        *rows.contexts_seen.entry(context.kind).or_default() += 1;
    }
    Ok(())
}

/// Two users of schema 3 said to be one; each was, or is, of kind `user`.
fn push_alias(rows: &mut Rows<'_, '_>, raw: &Raw<'_>) -> Result<(), Rejection> {
    key(raw)?;
    raw.context_kind.optional()?;
    raw.previous_context_kind.optional()?;
    *rows.contexts_seen.entry(Cow::Borrowed("user")).or_default() += 1;
    Ok(())
}

/// The keys of an event's context, from whichever field has them; none is no fault.
fn push_contexts<'a>(rows: &mut Rows<'_, 'a>, raw: &Raw<'a>) -> Result<Range<u32>, Rejection> {
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let start = number(rows.payload.context_keys.len());
    let mut keys = Keys::new(&mut rows.payload.context_keys, rows.limits.context_kinds_max);
    if let Some(context) = raw.context.as_ref().optional()? {
        keys.push_context(context)?;
    } else if let Some(text) = raw.context_keys.optional()? {
        keys.push_context_keys(text)?;
    } else if let Some(user) = raw.user.as_ref().optional()? {
        keys.push_user_object(user)?;
    } else if raw.user_key.optional()?.is_some() {
        keys.push_user(raw.user_key)?;
    }
    Ok(start..number(rows.payload.context_keys.len()))
}

fn key<'a>(raw: &Raw<'a>) -> Result<Cow<'a, str>, Rejection> {
    checked(raw.key.required()?.text(), KEY_BYTES_MAX)
}

/// What was served; without a variation it was the caller's own default.
pub(super) fn variation(field: Field<Number<'_>>) -> Result<Variation<'static>, Rejection> {
    let Some(number) = field.optional()? else { return Ok(Variation::Default) };
    let index = number.whole().and_then(|index| u32::try_from(index).ok());
    index.map(Variation::Index).ok_or(Rejection::MalformedEvent)
}

/// The flag's version, when told.
pub(super) fn version(field: Field<Number<'_>>) -> Result<Option<u64>, Rejection> {
    field.optional()?.map(|number| number.whole().ok_or(Rejection::MalformedEvent)).transpose()
}

/// How many events one stands for; 0 (an SDK that samples everything away, yet sent this one) is 1.
pub(super) fn sampling(field: Field<Number<'_>>, limits: &Limits) -> Result<u64, Rejection> {
    let Some(number) = field.optional()? else { return Ok(1) };
    let ratio = number.whole().filter(|ratio| *ratio <= limits.count_max);
    ratio.map(|ratio| ratio.max(1)).ok_or(Rejection::CountOutOfRange)
}

/// The value as JSON text, unless it is long or no text.
pub(super) fn kept_value(field: Field<&str>) -> Option<&str> {
    field.told().filter(|text| text.len() <= VALUE_BYTES_MAX && !is_broken(text))
}

fn reason(because: Because<'_>) -> Result<Reason, Rejection> {
    let Some(kind) = because.kind.optional()? else { return Ok(Reason::None) };
    Ok(match &*kind.name() {
        "OFF" => Reason::Off,
        "FALLTHROUGH" => Reason::Fallthrough,
        "TARGET_MATCH" => Reason::TargetMatch,
        "RULE_MATCH" => Reason::RuleMatch,
        "PREREQUISITE_FAILED" => Reason::PrerequisiteFailed,
        "ERROR" => error(because.error_kind.optional()?),
        _ => Reason::Other,
    })
}

fn error(kind: Option<Str<'_>>) -> Reason {
    match kind.map(Str::name).as_deref() {
        Some("FLAG_NOT_FOUND") => Reason::FlagNotFound,
        Some("WRONG_TYPE") => Reason::WrongType,
        Some("MALFORMED_FLAG") => Reason::MalformedFlag,
        Some("USER_NOT_SPECIFIED") => Reason::UserNotSpecified,
        Some("CLIENT_NOT_READY") => Reason::ClientNotReady,
        Some("EXCEPTION") => Reason::Exception,
        _ => Reason::OtherError,
    }
}
