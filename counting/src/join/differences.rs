//! What a change of a unit does to the cells of its experiment.
//!
//! Always true here: a unit is taken out as it was and put in as it is; a day that says the same in both is not touched.

use std::collections::{BTreeMap, BTreeSet};

use super::Plan;
use super::plan::OTHER;
use super::subject::{Says, Story};
use crate::cells::{ExperimentNumbers, Slice};

/// Changes of an experiment's cells, by units and day.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<(Slice, u32), ExperimentNumbers>);

impl Differences {
    /// All units on a day: for what is counted of rows, not of units.
    pub(crate) fn day(&mut self, day: u32) -> &mut ExperimentNumbers {
        self.0.entry((Slice::All, day)).or_default()
    }

    /// A unit that told one story tells another from now on.
    pub(crate) fn book(&mut self, plan: &Plan, old: &Story, new: &Story) {
        let days: BTreeSet<u32> = old.days.keys().chain(new.days.keys()).copied().collect();
        let (mut old_before, mut new_before) = (&old.before, &new.before);
        for day in days {
            let old_says = old.days.get(&day).unwrap_or(old_before);
            let new_says = new.days.get(&day).unwrap_or(new_before);
            if (old_before, old_says) != (new_before, new_says) {
                let parts = [(new_says, 1), (new_before, -1), (old_says, -1), (old_before, 1)];
                parts.into_iter().for_each(|(says, times)| self.say(plan, day, says, times));
            }
            (old_before, new_before) = (old_says, new_says);
        }
    }

    fn say(&mut self, plan: &Plan, day: u32, says: &Says, times: i64) {
        let slice = |(dimension, value): (u8, &u8)| match *value {
            OTHER => Slice::Other(dimension),
            value => Slice::Value(dimension, value),
        };
        let slices = (0_u8..).zip(&says.values).map(slice);
        for slice in std::iter::once(Slice::All).chain(slices) {
            let numbers = self.0.entry((slice, day)).or_default();
            numbers.multiple = numbers.multiple.wrapping_add(if says.multiple { times } else { 0 });
            let Some((arm, values)) = &says.counts else { continue };
            let arm = numbers.arm(*arm);
            arm.units = arm.units.wrapping_add(times);
            for (metric, value) in values {
                debug_assert!(plan.metric(*metric).is_some());
                arm.metrics.entry(*metric).or_default().add_unit(value.y, value.d, times > 0);
            }
        }
    }

    /// The changes that are any, in order.
    pub(crate) fn into_changes(self) -> impl Iterator<Item = ((Slice, u32), ExperimentNumbers)> {
        self.0.into_iter().filter_map(|(place, numbers)| {
            let mut pruned = ExperimentNumbers::default();
            pruned.add(&numbers).then_some((place, pruned)).filter(|(_, numbers)| !numbers.is_nothing())
        })
    }
}
