//! Rows of a comparison: what both paths and the log say of a flag or event and an hour, brought together by variation.
//!
//! Always true here: each counter that was read is in exactly one row. The paths cut differently at their limits, so as
//! soon as either has numbers of a flag and hour that are beyond one, that flag and hour is compared as a whole; flags
//! beyond the environment's limit are compared together.

use std::collections::{BTreeMap, BTreeSet};

use schemas::old_path::Numbers;

use super::causes::{Judged, New, Old, agree, judge, way};
use crate::cells::Served;
use crate::other_path::Counts;

/// A flag or an event in a UTC hour; no key = all beyond the limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) counts: Counts,
    pub(crate) key: Option<String>,
    pub(crate) hour: u32,
}

/// Numbers by variation, and those beyond a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts<T> {
    pub(crate) by: BTreeMap<Served, T>,
    pub(crate) other: Option<T>,
}

/// Numbers that add up.
pub(crate) trait Sum: Default {
    fn add(&mut self, more: &Self);
}

pub(crate) type Of<T> = BTreeMap<Place, Parts<T>>;

/// All that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gathered {
    pub(crate) before: Of<Numbers>,
    pub(crate) old: Of<Old>,
    pub(crate) after: Of<Numbers>,
    pub(crate) new: Of<New>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// `None` = all together.
    pub(crate) served: Option<Served>,
    pub(crate) old: u64,
    pub(crate) new: u64,
    pub(crate) judged: Judged,
}

impl Gathered {
    /// Places where what this path counted and what the log tells of it do not agree: they were not read at one time.
    pub(crate) fn torn(&self) -> BTreeSet<Place> {
        let is_torn = |place: &&Place| {
            let (new, after) = (whole(self.new.get(place)), whole(self.after.get(place)));
            !agree(new, &after)
        };
        self.after.keys().chain(self.new.keys()).filter(is_torn).cloned().collect()
    }

    /// The rows, in order.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        self.join_those_beyond_the_limit();
        let places: BTreeSet<Place> = self.after.keys().chain(self.old.keys()).cloned().collect();
        places.into_iter().flat_map(|place| self.of(place)).collect()
    }

    /// A flag that this path took no more name for stands among all others here, and by its name in the other path.
    fn join_those_beyond_the_limit(&mut self) {
        let is_named = |place: &Place| self.after.contains_key(place) || self.new.contains_key(place);
        let beyond = |place: &Place| Place { key: None, ..place.clone() };
        let unknown: Vec<Place> = self
            .old
            .iter()
            .filter(|(place, parts)| {
                let held = whole(Some(*parts));
                held.number > held.off && !is_named(place) && is_named(&beyond(place))
            })
            .map(|(place, _)| place.clone())
            .collect();
        for place in unknown {
            let held = whole(self.old.remove(&place).as_ref());
            self.old.entry(beyond(&place)).or_default().other.get_or_insert_default().add(&held);
        }
    }

    fn of(&self, place: Place) -> Vec<Row> {
        let (before, old) = (self.before.get(&place), self.old.get(&place));
        let (after, new) = (self.after.get(&place), self.new.get(&place));
        let is_cut = place.key.is_none()
            || old.is_some_and(|parts| parts.other.is_some())
            || after.is_some_and(|parts| parts.other.is_some())
            || new.is_some_and(|parts| parts.other.is_some());
        if is_cut {
            return vec![row(place, None, whole(before), whole(old), whole(after), whole(new))];
        }
        let served: BTreeSet<&Served> = old
            .into_iter()
            .flat_map(|parts| parts.by.keys())
            .chain(after.into_iter().flat_map(|parts| parts.by.keys()))
            .chain(new.into_iter().flat_map(|parts| parts.by.keys()))
            .collect();
        let rows = served.into_iter().map(|served| {
            let numbers = (part(before, served), part(old, served), part(after, served), part(new, served));
            row(place.clone(), Some(served.clone()), numbers.0, numbers.1, numbers.2, numbers.3)
        });
        rows.collect()
    }
}

fn row(place: Place, served: Option<Served>, before: Numbers, old: Old, after: Numbers, new: New) -> Row {
    let judged = judge(way(place.counts), &before, old, &after, new);
    Row { place, served, old: old.number, new: new.count, judged }
}

fn whole<T: Sum>(parts: Option<&Parts<T>>) -> T {
    let mut sum = T::default();
    for part in parts.into_iter().flat_map(|parts| parts.by.values().chain(&parts.other)) {
        sum.add(part);
    }
    sum
}

fn part<T: Sum>(parts: Option<&Parts<T>>, served: &Served) -> T {
    let mut sum = T::default();
    if let Some(part) = parts.and_then(|parts| parts.by.get(served)) {
        sum.add(part);
    }
    sum
}

impl Sum for New {
    fn add(&mut self, more: &Self) {
        self.count = self.count.saturating_add(more.count);
        self.gated = self.gated.saturating_add(more.gated);
    }
}

impl Sum for Old {
    fn add(&mut self, more: &Self) {
        self.number = self.number.saturating_add(more.number);
        self.off = self.off.saturating_add(more.off);
    }
}

impl Sum for Numbers {
    fn add(&mut self, more: &Self) {
        let Self { counted, new_only, duplicate, late, fates } = self;
        let sums = [counted, new_only, duplicate, late].into_iter().chain(fates);
        for (sum, more) in sums.zip(more.each()) {
            *sum = sum.saturating_add(more);
        }
    }
}
