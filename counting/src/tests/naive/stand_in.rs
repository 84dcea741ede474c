//! Stand-in experiments, said once more: all rows of a subject are kept, and what it says of each day is worked out
//! anew.

use std::collections::BTreeMap;

use schemas::id::Environment;
use schemas::record::{ContextRow, PayloadView, StoredVariation};
use schemas::wire::record::Definition;

const DAY: i64 = 86_400_000;

/// What changes of the cells of experiments, by key and day: a text and a number.
pub(super) type Differences = BTreeMap<(Vec<u8>, i64), BTreeMap<String, i128>>;

#[derive(Debug, Default)]
pub(super) struct StandIns {
    /// Newest definition by environment and key.
    definitions: BTreeMap<(Environment, Vec<u8>), (u64, String)>,
    /// By environment, experiment, kind and key.
    subjects: BTreeMap<(Environment, [Vec<u8>; 3]), Subject>,
}

#[derive(Debug, Default, Clone)]
struct Subject {
    exposures: Vec<(u32, i64)>,
    conversions: Vec<(i64, i128)>,
    expires: i64,
}

impl Subject {
    fn says(&self, day: i64) -> BTreeMap<String, i128> {
        let end = (day + 1) * DAY;
        let met: Vec<_> = self.exposures.iter().filter(|(_, time)| *time < end).collect();
        let Some((variation, _)) = met.first() else { return BTreeMap::new() };
        if met.iter().any(|(other, _)| other != variation) {
            return [("multiple".to_owned(), 1)].into();
        }
        let first = met.iter().map(|(_, time)| *time).min().unwrap();
        let counting = self.conversions.iter().filter(|(time, _)| first <= *time && *time < end);
        let sum: i128 = counting.map(|(_, amount)| amount).sum();
        [("n", 1), ("sum", sum), ("square", sum * sum)].map(|(what, n)| (format!("{what} of {variation}"), n)).into()
    }
}

impl StandIns {
    pub(super) fn define(&mut self, environment: &Environment, definition: &Definition, version: u64) {
        let held = self.definitions.entry((environment.clone(), definition.key.to_vec())).or_default();
        if definition.kind == 200 && version > held.0 {
            *held = (version, String::from_utf8(definition.body.to_vec()).unwrap());
        }
    }

    /// What a payload changes, the log's time being `now` and the horizon `lateness` before it.
    pub(super) fn payload(
        &mut self,
        environment: &Environment,
        view: &PayloadView,
        now: i64,
        lateness: i64,
    ) -> Differences {
        let mut all = Differences::new();
        for ((of, experiment), (_, body)) in self.definitions.clone() {
            let words: Vec<&str> = body.split(' ').collect();
            let &[flag, kind, event, factor, start, end] = words.as_slice() else { continue };
            if of != *environment {
                continue;
            }
            let [factor, start, end] = [factor, start, end].map(|number| number.parse::<i64>().unwrap());
            let subject_of = |mut contexts: Vec<ContextRow<'_>>| {
                contexts.retain(|context| context.kind == kind && context.key.is_some());
                contexts.first().map(|context| context.key.unwrap().to_vec())
            };
            let mut rows = Vec::new();
            for row in view.exposures().filter(|row| row.flag == flag) {
                if let StoredVariation::Index(variation) = row.variation {
                    let subject = subject_of(view.exposure_contexts(&row).collect());
                    rows.push((subject, row.time_ms, Some(variation), 0));
                }
            }
            for row in view.conversions().filter(|row| row.kind == 1 && row.key == event) {
                let amount = i128::from(row.value.unwrap_or(1_000_000)) * i128::from(factor) * i128::from(row.sampling);
                rows.push((subject_of(view.conversion_contexts(&row).collect()), row.time_ms, None, amount));
            }
            for (subject, time, variation, amount) in rows {
                let Some(subject) = subject.filter(|_| start <= time && time < end) else { continue };
                if time <= now - lateness {
                    let cell = all.entry((experiment.clone(), time.div_euclid(DAY))).or_default();
                    *cell.entry("late".to_owned()).or_default() += 1;
                    continue;
                }
                let key = (environment.clone(), [experiment.clone(), kind.into(), subject]);
                let kept = self.subjects.entry(key).or_default();
                if kept.expires <= now {
                    *kept = Subject::default();
                }
                let before = kept.clone();
                kept.expires = kept.expires.max(end + lateness);
                match variation {
                    Some(variation) => kept.exposures.push((variation, time)),
                    None => kept.conversions.push((time, amount)),
                }
                book(&mut all, &experiment, &before, kept);
            }
        }
        all
    }
}

/// On every day that any of this could be about: what is said of it less what is said of the day before, now and
/// before.
fn book(all: &mut Differences, experiment: &[u8], before: &Subject, now: &Subject) {
    let times = now.exposures.iter().map(|(_, time)| *time).chain(now.conversions.iter().map(|(time, _)| *time));
    let days: Vec<i64> = times.map(|time| time.div_euclid(DAY)).collect();
    for day in *days.iter().min().unwrap()..=*days.iter().max().unwrap() {
        let signs = [(now, day, 1), (now, day - 1, -1), (before, day, -1), (before, day - 1, 1)];
        for (subject, day_said, sign) in signs {
            for (what, number) in subject.says(day_said) {
                let cell = all.entry((experiment.to_vec(), day)).or_default();
                *cell.entry(what).or_default() += sign * number;
            }
        }
    }
}
