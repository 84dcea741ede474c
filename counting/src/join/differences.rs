//! What a change of a unit does to the cells of its experiment.
//!
//! Always true here: a unit is taken out as it was and put in as it is; what both say is in no cell's difference.

use std::collections::BTreeMap;

use super::Plan;
use super::plan::OTHER;
use super::subject::{Says, Subject};
use crate::cells::{ExperimentNumbers, Slice};

/// Changes of an experiment's cells, by units and day.
#[derive(Debug, Default)]
pub(crate) struct Differences(BTreeMap<(Slice, u32), ExperimentNumbers>);

impl Differences {
    /// All units on a day: for what is counted of rows, not of units.
    pub(crate) fn day(&mut self, day: u32) -> &mut ExperimentNumbers {
        self.0.entry((Slice::All, day)).or_default()
    }

    /// A unit is put in (`times` 1) or taken out (-1).
    pub(crate) fn book(&mut self, plan: &Plan, subject: &Subject, times: i64) {
        let (mut before, days) = subject.says(plan);
        for (day, says) in days {
            if says != before {
                self.say(plan, day, &says, times);
                self.say(plan, day, &before, -times);
                before = says;
            }
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
                arm.metrics.entry(*metric).or_default().add_unit(value.y, value.d, times);
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
