//! Usage cells added up: by flag, by what was asked for, along time.
//!
//! Always true here: whole numbers only; the groups of a flag come in one fixed order; what lies outside the interval
//! by a minute is not in it (by an hour, where only hours are kept: see [`Grouping::unit_ms`]).
//!
//! What cannot be known: which rows of an hour by application or SDK were sampled (all that may be are marked), whether
//! counts by reason were, and exact sights once a flag's last-seen rows are full ([`Sight::bound`]).

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use counting::cells::{COUNTER_MAX, LastSeen, LastSeenRow, Usage, UsageCount, UsageRow};
use schemas::cell::{CellKind, CellName};
use schemas::event::Reason;

use crate::cells::{self, Served};
use crate::interval::{HOUR_MS, Interval, MINUTE_MS, Step, hour_ms, hour_start};
use crate::reading::Reader;
use crate::refusal::Refusal;

/// Usage cells that one request may read.
const CELLS_MAX: usize = 500_000;

/// By what counts are told apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Grouping {
    pub(crate) variation: bool,
    pub(crate) version: bool,
    pub(crate) application: bool,
    pub(crate) sdk: bool,
    pub(crate) reason: bool,
}

/// What one count is of. Fields that were not asked for are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    /// The row that takes what is beyond the cell's limit: nothing else is known of it.
    pub(crate) other: bool,
    pub(crate) served: Option<Served>,
    /// `Some(None)` = the SDK told no version.
    pub(crate) version: Option<Option<u64>>,
    pub(crate) application: Option<String>,
    /// Name and version.
    pub(crate) sdk: Option<(String, String)>,
    pub(crate) reason: Option<Reason>,
}

/// Which part of time counts, and how it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) interval: Interval,
    pub(crate) step: Step,
}

/// A count and its course.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    /// Some of it was sampled by the SDK, or may have been (by application and SDK, see the module).
    pub(crate) estimated: bool,
    /// A counter in it has stopped: the count is a lower bound.
    pub(crate) saturated: bool,
    /// Start of the first and of the last minute (or hour, where only hours are kept) with counts, Unix milliseconds.
    pub(crate) within: Option<(i64, i64)>,
    /// Count by start of the bucket; only buckets in which there was any.
    pub(crate) series: BTreeMap<i64, u64>,
}

/// When a group was seen, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// First sight, to the hour.
    pub(crate) first_ms: i64,
    /// Last sight, to the minute where that is known.
    pub(crate) last_ms: i64,
    /// The flag's last-seen rows are full and later or earlier sights went to the row of all others: `first_ms` is then
    /// the latest that first sight can be, `last_ms` the earliest that last sight can be.
    pub(crate) bound: bool,
}

/// Last minutes of variations: (flag, hour, variation) → Unix milliseconds.
pub(crate) type LastMinutes = HashMap<(CellName, u32, Served), i64>;

/// A flag with what was counted of it.
#[derive(Debug, Clone)]
pub(crate) struct FlagTally {
    /// The flag; [`CellName::Other`] = all beyond the environment's limit of flags.
    pub(crate) name: CellName,
    pub(crate) seen: LastSeen,
    pub(crate) groups: BTreeMap<Group, Tally>,
}

impl Grouping {
    pub(crate) const BY_VARIATION: Self =
        Self { variation: true, version: false, application: false, sdk: false, reason: false };

    /// The finest that is kept: minutes, or hours by application, SDK and reason.
    pub(crate) fn unit_ms(self) -> i64 {
        if self.by_hour() { HOUR_MS } else { MINUTE_MS }
    }

    pub(crate) fn by_hour(self) -> bool {
        self.application || self.sdk || self.reason
    }

    /// Adds a flag's hour to its groups.
    pub(crate) fn add(self, groups: &mut BTreeMap<Group, Tally>, usage: &Usage, hour: u32, span: Span) {
        if self.reason {
            for (reason, count) in usage.reasons() {
                let group = Group { reason: Some(reason), ..Group::default() };
                groups.entry(group).or_default().add(count, hour_ms(hour), span.step);
            }
        } else if self.by_hour() {
            let sampled: Vec<UsageCount<'_>> = usage.counts().filter(|count| count.estimated).collect();
            for row in usage.rows() {
                let tally = groups.entry(self.of_row(&row)).or_default();
                tally.add(row.count, hour_ms(hour), span.step);
                // Sampling is kept by variation and version: any row that may hold such a count is marked.
                tally.estimated |= sampled.iter().any(|s| s.other || row.other || s.variation == row.variation);
            }
        } else {
            self.add_counts(groups, usage, hour_ms(hour), span);
        }
    }

    fn of_row(self, row: &UsageRow<'_>) -> Group {
        if row.other {
            return Group { other: true, ..Group::default() };
        }
        Group {
            served: self.variation.then(|| row.variation.into()),
            application: self.application.then(|| cells::text(row.application).into_owned()),
            sdk: self.sdk.then(|| (cells::text(row.sdk).into_owned(), cells::text(row.sdk_version).into_owned())),
            ..Group::default()
        }
    }

    fn of_count(self, count: &UsageCount<'_>) -> Group {
        if count.other {
            return Group { other: true, ..Group::default() };
        }
        Group {
            served: self.variation.then(|| count.variation.into()),
            version: self.version.then_some(count.version),
            ..Group::default()
        }
    }

    fn add_counts(self, groups: &mut BTreeMap<Group, Tally>, usage: &Usage, start_ms: i64, span: Span) {
        let mut counts = usage.counts().peekable();
        while let Some(first) = counts.next() {
            // The minutes of one pair stand together: look its group up once.
            let mut mine = Tally { estimated: first.estimated, ..Tally::default() };
            let mut next = Some(first);
            while let Some(count) = next {
                let ms = start_ms + i64::from(count.minute) * MINUTE_MS;
                if span.interval.contains(ms) && count.count > 0 {
                    mine.add(count.count, ms, span.step);
                }
                next = counts.next_if(|next| {
                    (next.other, next.variation, next.version) == (first.other, first.variation, first.version)
                });
            }
            if mine.count > 0 {
                groups.entry(self.of_count(&first)).or_default().merge(mine);
            }
        }
    }
}

impl Tally {
    /// Adds a counter's number at a minute or hour.
    pub(crate) fn add(&mut self, count: u64, at_ms: i64, step: Step) {
        self.saturated |= count >= COUNTER_MAX;
        self.add_count(count);
        if count > 0 {
            self.widen((at_ms, at_ms));
        }
        if let Some(bucket) = step.bucket(at_ms) {
            let slot = self.series.entry(bucket).or_default();
            *slot = slot.saturating_add(count);
        }
    }

    fn add_count(&mut self, count: u64) {
        let (sum, over) = self.count.overflowing_add(count);
        self.saturated |= over;
        self.count = if over { u64::MAX } else { sum };
    }

    fn widen(&mut self, (first, last): (i64, i64)) {
        self.within = Some(self.within.map_or((first, last), |(f, l)| (f.min(first), l.max(last))));
    }

    fn merge(&mut self, other: Self) {
        self.estimated |= other.estimated;
        self.saturated |= other.saturated;
        self.add_count(other.count);
        if let Some(within) = other.within {
            self.widen(within);
        }
        for (bucket, count) in other.series {
            let slot = self.series.entry(bucket).or_default();
            *slot = slot.saturating_add(count);
        }
    }
}

impl FlagTally {
    /// All of the flag.
    pub(crate) fn total(&self) -> u64 {
        self.groups.values().fold(0, |sum, tally| sum.saturating_add(tally.count))
    }

    /// Whether a counter of any group has stopped.
    pub(crate) fn saturated(&self) -> bool {
        self.groups.values().any(|tally| tally.saturated)
    }

    /// When this group was seen: by its last-seen rows, and by the counts read, which go on when the rows are full.
    /// `None` by version and reason, which last seen is not kept by.
    pub(crate) fn sight(&self, group: &Group, minutes: &LastMinutes) -> Option<Sight> {
        if group.version.is_some() || group.reason.is_some() {
            return None;
        }
        let kept = self.seen(group);
        let minute = kept.zip(group.served.clone()).and_then(|((_, last), served)| {
            minutes.get(&(self.name.clone(), last, served)).map(|ms| (hour_ms(last), *ms))
        });
        let kept_ms = kept.map(|(first, last)| (hour_ms(first), hour_ms(last)));
        let counted = self.groups.get(group).and_then(|tally| tally.within);
        let counted = counted.map(|(first, last)| (hour_start(first), last));
        let all = [kept_ms, minute, counted].into_iter().flatten();
        let (first_ms, last_ms) = all.reduce(|(f, l), (first, last)| (f.min(first), l.max(last)))?;
        // Sights of this group may stand in the row of all others.
        let other = self.seen.rows().find(|row| row.other);
        let bound = other
            .is_some_and(|row| group.other || hour_ms(row.first) < first_ms || hour_ms(row.last) > hour_start(last_ms));
        Some(Sight { first_ms, last_ms, bound })
    }

    /// First and last hour in which this group was seen, since 1970, as far as last seen has a row of it.
    pub(crate) fn seen(&self, group: &Group) -> Option<(u32, u32)> {
        if group.version.is_some() || group.reason.is_some() {
            return None;
        }
        self.rows(group).map(|row| (row.first, row.last)).reduce(|(f, l), (first, last)| (f.min(first), l.max(last)))
    }

    /// The last-seen rows of this group.
    pub(crate) fn rows(&self, group: &Group) -> impl Iterator<Item = LastSeenRow<'_>> {
        let is = |wanted: &String, has: &[u8]| wanted.as_bytes() == has;
        self.seen.rows().filter(move |row| {
            row.other == group.other
                && group.served.as_ref().is_none_or(|served| *served == Served::from(row.variation))
                && group.application.as_ref().is_none_or(|wanted| is(wanted, row.application))
                && group.sdk.as_ref().is_none_or(|(name, version)| is(name, row.sdk) && is(version, row.sdk_version))
        })
    }

    /// The newest value of a variation, as JSON text.
    pub(crate) fn value(&self, served: &Served) -> Option<String> {
        let value = self.seen.values().find(|value| Served::from(value.variation) == *served)?;
        Some(cells::text(value.value).into_owned())
    }
}

/// All flags ever seen, or one, with what was counted of them in the interval; in order of name.
pub(crate) async fn tallies(
    reader: &Reader<'_>,
    flag: Option<&CellName>,
    span: Span,
    grouping: Grouping,
) -> Result<Vec<FlagTally>, Refusal> {
    let mut flags = flags(reader, flag).await?;
    count_flags(reader, &mut flags, span, grouping).await?;
    Ok(flags)
}

/// One flag's counts told apart in several ways, its cells read once. What is kept by the hour is of whole hours.
pub(crate) async fn count_in_ways<const WAYS: usize>(
    reader: &Reader<'_>,
    flag: &FlagTally,
    span: Span,
    ways: [Grouping; WAYS],
) -> Result<[BTreeMap<Group, Tally>; WAYS], Refusal> {
    let mut groups = [(); WAYS].map(|()| BTreeMap::new());
    let hours = span.interval.hours();
    let (Some(first), Some(last)) = (flag.seen.first(), flag.seen.last()) else { return Ok(groups) };
    let within = hours.start.max(first)..hours.end.min(last.saturating_add(1));
    if !within.is_empty() {
        let take = |hour: u32, value: bytes::Bytes| {
            let usage = cells::usage(&value)?;
            for (way, groups) in ways.iter().zip(&mut groups) {
                way.add(groups, &usage, hour, span);
            }
            Ok(())
        };
        reader.windows(CellKind::Usage, &flag.name, within, take).await?;
    }
    groups.iter_mut().for_each(|groups| groups.retain(|_, tally: &mut Tally| tally.count > 0));
    Ok(groups)
}

/// Counts these flags.
pub(crate) async fn count_flags(
    reader: &Reader<'_>,
    flags: &mut [FlagTally],
    span: Span,
    grouping: Grouping,
) -> Result<(), Refusal> {
    let hours = span.interval.hours();
    let mut cells_read = 0;
    for flag in flags {
        // A flag seen at no time of the interval has no counts in it. Reasons come from other events, and may lie in
        // hours that have no counts: nothing tells when they begin or end.
        let within = match (flag.seen.first(), flag.seen.last()) {
            _ if grouping.reason => hours.clone(),
            (Some(first), Some(last)) => hours.start.max(first)..hours.end.min(last.saturating_add(1)),
            _ => continue,
        };
        if within.is_empty() {
            continue;
        }
        let groups = &mut flag.groups;
        cells_read += reader
            .windows(CellKind::Usage, &flag.name, within, |hour, value| {
                let usage = cells::usage(&value)?;
                grouping.add(groups, &usage, hour, span);
                Ok(())
            })
            .await?;
        if cells_read > CELLS_MAX {
            return Err(Refusal::too_much(format!(
                "this needs more than {CELLS_MAX} usage cells; take a shorter interval, or one flag with `flag`"
            )));
        }
        flag.groups.retain(|_, tally| tally.count > 0);
    }
    Ok(())
}

/// All flags ever seen, or one; nothing is counted of them yet.
pub(crate) async fn flags(reader: &Reader<'_>, flag: Option<&CellName>) -> Result<Vec<FlagTally>, Refusal> {
    let mut flags = Vec::new();
    match flag {
        Some(name) => {
            let found = reader.cells(CellKind::LastSeen, &[(name.clone(), 0)]).await?;
            if let Some(value) = found.into_iter().flatten().next() {
                let seen = cells::last_seen(&value)?;
                flags.push(FlagTally { name: name.clone(), seen, groups: BTreeMap::new() });
            }
        }
        None => {
            reader
                .names(CellKind::LastSeen, None, |name, value| {
                    let seen = cells::last_seen(&value)?;
                    flags.push(FlagTally { name, seen, groups: BTreeMap::new() });
                    Ok(ControlFlow::Continue(()))
                })
                .await?;
        }
    }
    Ok(flags)
}

/// The first `flags_max` flags behind `after` that are `wanted`, and whether there are more; nothing is counted of them
/// yet. No more is read than that takes.
pub(crate) async fn some_flags(
    reader: &Reader<'_>,
    after: Option<&CellName>,
    flags_max: usize,
    wanted: impl Fn(&CellName) -> bool,
) -> Result<(Vec<FlagTally>, bool), Refusal> {
    let mut flags = Vec::new();
    let mut more = false;
    reader
        .names(CellKind::LastSeen, after, |name, value| {
            if Some(&name) == after || !wanted(&name) {
                return Ok(ControlFlow::Continue(()));
            }
            if flags.len() == flags_max {
                more = true;
                return Ok(ControlFlow::Break(()));
            }
            let seen = cells::last_seen(&value)?;
            flags.push(FlagTally { name, seen, groups: BTreeMap::new() });
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok((flags, more))
}

/// The last minute in which each variation was served in an hour: (flag, hour, variation) → Unix milliseconds. Last
/// seen is kept to the hour; the minute is in that hour's usage cell.
pub(crate) async fn last_minutes(reader: &Reader<'_>, hours: &[(CellName, u32)]) -> Result<LastMinutes, Refusal> {
    let mut last = LastMinutes::new();
    let values = reader.cells(CellKind::Usage, hours).await?;
    for ((name, hour), value) in hours.iter().zip(values) {
        let Some(value) = value else { continue };
        for count in cells::usage(&value)?.counts().filter(|count| !count.other) {
            let ms = hour_ms(*hour) + i64::from(count.minute) * MINUTE_MS;
            let slot = last.entry((name.clone(), *hour, Served::from(count.variation))).or_insert(ms);
            *slot = ms.max(*slot);
        }
    }
    Ok(last)
}
