//! What is kept of a unit: its first exposure to each variation, events that may still count or not, and totals.
//!
//! Always true here: an event waits while a first exposure may still come that decides about it, which must lie above
//! the horizon; then it is part of a total, or gone ([`Subject::sift`]), and that changes nothing of what the unit
//! says. Days before the horizon's are final: they are one total. So what is kept of a unit is bounded.

mod stored;

use std::collections::BTreeMap;

use schemas::experiment::{Metric, Multiple};

use super::plan::{Counts, Plan};
use super::value::{Total, Value};
use super::{DAY_MS, day_of, end_of};

/// Events of one unit that may wait.
pub(crate) const PENDING_MAX: usize = 1_000;

/// A unit of an experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The earliest exposure to each variation that it has met, in order of variation.
    first: Vec<First>,
    /// Days before this one are final.
    from_day: u32,
    /// What counts of the days before `from_day`, by metric.
    settled: BTreeMap<u8, Total>,
    /// What counts for good of later days, by day and metric.
    days: BTreeMap<(u32, u8), Total>,
    /// Events that may still count or not, in order.
    pending: Vec<Pending>,
}

/// The earliest exposure to a variation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    /// The variation's place in the definition.
    arm: u8,
    time_ms: i64,
    /// How many metrics the definition had when it came: the unit is one of these alone.
    metrics: u8,
    /// Of each dimension the value's place.
    values: Vec<u8>,
}

/// An event of a unit; what it counts for was decided when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) time_ms: i64,
    pub(crate) counts: Counts,
    /// Millionths.
    pub(crate) value: Option<i64>,
    /// How many events it stands for.
    pub(crate) sampling: u64,
}

/// What a unit says at the end of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Says {
    /// It has met several variations.
    pub(crate) multiple: bool,
    /// The values that its first exposure had of each dimension.
    pub(crate) values: Vec<u8>,
    /// The variation in which it counts, and its value of each metric that it is a unit of.
    pub(crate) counts: Option<(u8, Vec<(u8, Value)>)>,
}

/// What a unit says, from the first day on that is not final.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// At that day's beginning.
    pub(crate) before: Says,
    /// At the end of each day on which it may say something else than on the one before.
    pub(crate) days: BTreeMap<u32, Says>,
}

/// Whether an event counts for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Whatever may come.
    Counts,
    /// A first exposure may still come that decides it.
    Open,
    /// Whatever may come, it does not.
    Never,
}

impl Subject {
    /// It has met a variation, with these values of the dimensions.
    pub(crate) fn expose(&mut self, plan: &Plan, arm: u8, time_ms: i64, values: Vec<u8>) {
        let metrics = u8::try_from(plan.experiment.metrics.len()).unwrap_or(u8::MAX);
        let place = self.first.partition_point(|first| first.arm < arm);
        match self.first.get_mut(place).filter(|first| first.arm == arm) {
            None => self.first.insert(place, First { arm, time_ms, metrics, values }),
            Some(first) if time_ms < first.time_ms => *first = First { arm, time_ms, metrics, values },
            Some(first) if time_ms == first.time_ms => {
                first.values.iter_mut().zip(values).for_each(|(own, other)| *own = other.min(*own));
            }
            Some(_) => {}
        }
    }

    /// Whether there is room for another event, once those that need not wait are out of the way. What it says of each
    /// day stays as it is.
    pub(crate) fn has_room(&mut self, plan: &Plan, horizon_ms: i64) -> bool {
        if self.pending.len() >= PENDING_MAX {
            self.decide(plan, horizon_ms);
        }
        self.pending.len() < PENDING_MAX
    }

    /// It has converted.
    pub(crate) fn convert(&mut self, event: Pending) {
        let place = self.pending.partition_point(|held| held.order() <= event.order());
        self.pending.insert(place, event);
    }

    /// Nothing at or below the horizon comes any more: what that decides is decided, and days before it are final.
    pub(crate) fn sift(&mut self, plan: &Plan, horizon_ms: i64) {
        let from_day = if horizon_ms < 0 { 0 } else { day_of(horizon_ms) };
        if self.is_out_for_good(plan, from_day.max(self.from_day)) {
            (self.settled, self.days, self.pending) = Default::default();
        }
        self.decide(plan, horizon_ms);
        self.settle(from_day);
    }

    fn decide(&mut self, plan: &Plan, horizon_ms: i64) {
        let first_ms = self.earliest().map(|first| first.time_ms);
        let mut pending = std::mem::take(&mut self.pending);
        pending.retain_mut(|event| {
            for (place, metric) in (0_u8..).zip(&plan.experiment.metrics) {
                let (over, under) = event.counts.of(place);
                if !over && !under {
                    continue;
                }
                match judge(metric, event.time_ms, first_ms, horizon_ms) {
                    Judged::Open => continue,
                    Judged::Never => {}
                    Judged::Counts => {
                        let total = self.days.entry((day_of(event.time_ms), place)).or_default();
                        total.add(&Total::of(metric, event, over, under));
                    }
                }
                event.counts.clear(place);
            }
            event.counts != Counts::default()
        });
        self.pending = pending;
    }

    /// Days before this one are one total from now on.
    fn settle(&mut self, from_day: u32) {
        if from_day <= self.from_day {
            return;
        }
        self.from_day = from_day;
        let later = self.days.split_off(&(from_day, 0));
        for ((_, metric), total) in std::mem::replace(&mut self.days, later) {
            self.settled.entry(metric).or_default().add(&total);
        }
    }

    /// The last day whose events it waits for in vain, where it has met no variation: once the horizon is past that day,
    /// it is as if it had never been.
    pub(crate) fn waits_until(&self) -> Option<u32> {
        let last = self.pending.iter().map(|event| day_of(event.time_ms)).max();
        self.first.is_empty().then(|| last.unwrap_or(0))
    }

    /// Whether it had met several variations before this day, and counts in none for ever.
    fn is_out_for_good(&self, plan: &Plan, day: u32) -> bool {
        let start_ms = i64::from(day) * DAY_MS;
        let met = self.first.iter().filter(|first| first.time_ms < start_ms).count();
        plan.experiment.multiple == Multiple::Exclude && met > 1
    }

    /// The first exposure of all; at equal times that to the lower variation.
    fn earliest(&self) -> Option<&First> {
        self.first.iter().min_by_key(|first| first.time_ms)
    }

    /// What it says of each day that is not final.
    pub(crate) fn says(&self, plan: &Plan) -> Story {
        let exposed = self.first.iter().map(|first| day_of(first.time_ms));
        let pending = self.pending.iter().map(|event| day_of(event.time_ms));
        let days = self.days.keys().map(|(day, _)| *day).chain(exposed).chain(pending);
        let days = days.filter(|day| *day >= self.from_day).map(|day| (day, self.says_at(plan, end_of(day))));
        let days = days.collect();
        Story { before: self.says_at(plan, i64::from(self.from_day) * DAY_MS), days }
    }

    /// What it says of all that happened before `end_ms`, the end of a day.
    fn says_at(&self, plan: &Plan, end_ms: i64) -> Says {
        let met = self.first.iter().filter(|first| first.time_ms < end_ms).count();
        let Some(earliest) = self.earliest().filter(|_| met > 0) else { return Says::default() };
        let multiple = met > 1;
        let out = multiple && plan.experiment.multiple == Multiple::Exclude;
        let counts = (!out).then(|| (earliest.arm, self.values(plan, earliest, end_ms)));
        Says { multiple, values: earliest.values.clone(), counts }
    }

    fn values(&self, plan: &Plan, earliest: &First, end_ms: i64) -> Vec<(u8, Value)> {
        let metrics = || (0..earliest.metrics).zip(&plan.experiment.metrics);
        let mut totals: BTreeMap<u8, Total> = self.settled.clone();
        for ((day, metric), total) in &self.days {
            if end_of(*day) <= end_ms {
                totals.entry(*metric).or_default().add(total);
            }
        }
        for event in self.pending.iter().filter(|event| event.time_ms < end_ms) {
            for (place, metric) in metrics() {
                let (over, under) = event.counts.of(place);
                if (over || under) && counts_after(metric, event.time_ms, earliest.time_ms) {
                    totals.entry(place).or_default().add(&Total::of(metric, event, over, under));
                }
            }
        }
        let value = |(place, metric): (u8, &Metric)| {
            let total = totals.get(&place).copied().unwrap_or_default();
            Some((place, total.value(metric)?))
        };
        metrics().filter_map(value).collect()
    }
}

/// Whether an event at `time_ms` counts for a metric of a unit that was first exposed at `first_ms`.
fn counts_after(metric: &Metric, time_ms: i64, first_ms: i64) -> bool {
    let since = time_ms.saturating_sub(metric.delay_ms);
    first_ms <= since && metric.window_ms.is_none_or(|window| since < first_ms.saturating_add(window))
}

/// The same, and whether it can change: the first exposure may still become one above the horizon, and none other.
fn judge(metric: &Metric, time_ms: i64, first_ms: Option<i64>, horizon_ms: i64) -> Judged {
    // The latest first exposure after which the event counts.
    let since = time_ms.saturating_sub(metric.delay_ms);
    let Some(first_ms) = first_ms.filter(|first_ms| *first_ms <= since) else {
        return if since <= horizon_ms { Judged::Never } else { Judged::Open };
    };
    let least_ms = first_ms.min(horizon_ms.saturating_add(1));
    match metric.window_ms {
        None => Judged::Counts,
        Some(window) if since >= first_ms.saturating_add(window) => Judged::Never,
        Some(window) if since < least_ms.saturating_add(window) => Judged::Counts,
        Some(_) => Judged::Open,
    }
}

impl Counts {
    /// Whether the metric at this place is among them, as what is counted and as what is divided by.
    fn of(self, place: u8) -> (bool, bool) {
        let bit = 1_u32.checked_shl(place.into()).unwrap_or(0);
        (self.over & bit != 0, self.under & bit != 0)
    }

    fn clear(&mut self, place: u8) {
        let bit = 1_u32.checked_shl(place.into()).unwrap_or(0);
        (self.over, self.under) = (self.over & !bit, self.under & !bit);
    }
}

impl Pending {
    fn order(&self) -> (i64, u32, u32, Option<i64>, u64) {
        (self.time_ms, self.counts.over, self.counts.under, self.value, self.sampling)
    }
}
