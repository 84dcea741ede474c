//! Usage cells added up: by flag, by what was asked for, along time.
//!
//! Always true here: whole numbers only; the groups of a flag come in one fixed order; what lies outside the interval by
//! a minute is not in it (by an hour, where only hours are kept: see [`Grouping::unit_ms`]).

use std::collections::{BTreeMap, HashMap};

use counting::cells::{LastSeen, Usage, UsageCount, UsageRow};
use schemas::cell::{CellKind, CellName};
use schemas::event::Reason;

use crate::cells::{self, Served};
use crate::interval::{HOUR_MS, Interval, MINUTE_MS, Step, hour_ms};
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
    /// Some of it was sampled by the SDK.
    pub(crate) estimated: bool,
    /// Count by start of the bucket; only buckets in which there was any.
    pub(crate) series: BTreeMap<i64, u64>,
}

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
                groups.entry(group).or_default().add(count, span.step.bucket(hour_ms(hour)));
            }
        } else if self.by_hour() {
            for row in usage.rows() {
                let tally = groups.entry(self.of_row(&row)).or_default();
                tally.add(row.count, span.step.bucket(hour_ms(hour)));
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
                    mine.add(count.count, span.step.bucket(ms));
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
    fn add(&mut self, count: u64, bucket: Option<i64>) {
        self.count = self.count.saturating_add(count);
        if let Some(bucket) = bucket {
            let slot = self.series.entry(bucket).or_default();
            *slot = slot.saturating_add(count);
        }
    }

    fn merge(&mut self, other: Self) {
        self.estimated |= other.estimated;
        self.count = self.count.saturating_add(other.count);
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

    /// First and last hour in which this group was seen, since 1970.
    pub(crate) fn seen(&self, group: &Group) -> Option<(u32, u32)> {
        if group.version.is_some() || group.reason.is_some() {
            return None;
        }
        let is = |wanted: &String, has: &[u8]| wanted.as_bytes() == has;
        let rows = self.seen.rows().filter(|row| {
            row.other == group.other
                && group.served.as_ref().is_none_or(|served| *served == Served::from(row.variation))
                && group.application.as_ref().is_none_or(|wanted| is(wanted, row.application))
                && group.sdk.as_ref().is_none_or(|(name, version)| is(name, row.sdk) && is(version, row.sdk_version))
        });
        rows.map(|row| (row.first, row.last)).reduce(|(f, l), (first, last)| (f.min(first), l.max(last)))
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
        // A flag seen at no time of the interval has no cells in it.
        let (Some(first), Some(last)) = (flag.seen.first(), flag.seen.last()) else { continue };
        let within = hours.start.max(first)..hours.end.min(last.saturating_add(1));
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
                    Ok(())
                })
                .await?;
        }
    }
    Ok(flags)
}

/// The last minute in which each variation was served in an hour: (flag, hour, variation) → Unix milliseconds. Last seen
/// is kept to the hour; the minute is in that hour's usage cell.
pub(crate) async fn last_minutes(
    reader: &Reader<'_>,
    hours: &[(CellName, u32)],
) -> Result<HashMap<(CellName, u32, Served), i64>, Refusal> {
    let mut last = HashMap::new();
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
