//! What the verdicts of all moments come to.
//!
//! Always true here: moments come from the newest to the oldest and are told from the oldest to the newest; a flag that
//! was called on several days is one flag.

use std::collections::BTreeMap;

use super::{DAY_MS, Past, Revival, revival};
use crate::stale::{Advice, BlockerCode, Flag, ReasonCode, Variation, Verdict};

/// What the rule would have said, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// From the oldest to the newest.
    pub(crate) days: Vec<Day>,
    /// Flags called stale on any of the days, by key.
    pub(crate) called: Vec<Called>,
    /// Of these, came alive again after a call.
    pub(crate) revived: usize,
    /// Of these, first called at least `within_days` ago: what becomes of them within so many days is known.
    pub(crate) watched: usize,
    /// Of the watched, came alive again within so many days of a call.
    pub(crate) revived_within: usize,
}

/// A moment's verdicts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Day {
    /// Days since 1970.
    pub(crate) day: u32,
    /// Flags that existed, as far as is known.
    pub(crate) flags: usize,
    pub(crate) stale: usize,
    /// Of the stale flags: a flag may have several.
    pub(crate) by_reason: BTreeMap<ReasonCode, usize>,
    /// Of the stale flags.
    pub(crate) by_advice: BTreeMap<Option<Advice>, usize>,
    /// Flags that too little was heard of to call them anything.
    pub(crate) low_coverage: usize,
    /// Of the stale flags.
    pub(crate) revived_within: usize,
    pub(crate) revived_later: usize,
}

/// A flag called stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) key: String,
    /// On how many of the days.
    pub(crate) days: usize,
    pub(crate) last_day: u32,
    /// The first call that was contradicted, else the first.
    pub(crate) call: Call,
    first_day: u32,
    within: bool,
}

/// A verdict that a flag is stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) day: u32,
    pub(crate) reasons: Vec<ReasonCode>,
    pub(crate) advice: Option<Advice>,
    pub(crate) forward: Option<Variation>,
    pub(crate) revival: Option<Revival>,
}

pub(super) struct Tally {
    now_day: u32,
    within_days: u32,
    days: Vec<Day>,
    called: BTreeMap<String, Called>,
}

impl Tally {
    pub(super) fn new(now_day: u32, within_days: u32) -> Self {
        Self { now_day, within_days, days: Vec::new(), called: BTreeMap::new() }
    }

    /// Counts the verdicts of a moment that is older than all before.
    pub(super) fn moment(&mut self, day: u32, past: &Past, verdicts: &[Verdict]) {
        let mut told = Day { day, ..Day::default() };
        for ((flag, histories), verdict) in past.fleet.flags.iter().zip(&past.histories).zip(verdicts) {
            told.flags += usize::from(existed(flag, day));
            let low = verdict.blockers.iter().any(|blocker| blocker.code == BlockerCode::LowCoverage);
            told.low_coverage += usize::from(low && existed(flag, day));
            if !verdict.stale {
                continue;
            }
            let call = Call {
                day,
                reasons: verdict.reasons.iter().map(|reason| reason.code).collect(),
                advice: verdict.advice,
                forward: verdict.forward_variation.clone(),
                revival: revival::of(verdict, histories, day),
            };
            told.stale += 1;
            for code in &call.reasons {
                *told.by_reason.entry(*code).or_default() += 1;
            }
            *told.by_advice.entry(call.advice).or_default() += 1;
            match &call.revival {
                Some(revival) if revival.day - day < self.within_days => told.revived_within += 1,
                Some(_) => told.revived_later += 1,
                None => {}
            }
            self.call(&verdict.key, call);
        }
        self.days.push(told);
    }

    /// Older than all calls of the flag before.
    fn call(&mut self, key: &str, call: Call) {
        let within = call.revival.as_ref().is_some_and(|revival| revival.day - call.day < self.within_days);
        match self.called.get_mut(key) {
            None => {
                let (first_day, last_day) = (call.day, call.day);
                let called = Called { key: key.to_owned(), days: 1, last_day, call, first_day, within };
                self.called.insert(key.to_owned(), called);
            }
            Some(held) => {
                held.days += 1;
                held.first_day = call.day;
                held.within |= within;
                if call.revival.is_some() || held.call.revival.is_none() {
                    held.call = call;
                }
            }
        }
    }

    pub(super) fn end(mut self) -> Outcome {
        self.days.reverse();
        let called: Vec<Called> = self.called.into_values().collect();
        let is_watched = |called: &&Called| called.first_day + self.within_days <= self.now_day;
        Outcome {
            days: self.days,
            revived: called.iter().filter(|called| called.call.revival.is_some()).count(),
            watched: called.iter().filter(is_watched).count(),
            revived_within: called.iter().filter(is_watched).filter(|called| called.within).count(),
            called,
        }
    }
}

/// A row before, or created before: nothing else tells.
fn existed(flag: &Flag, day: u32) -> bool {
    let was_created = flag.metadata.created_at_ms.is_some_and(|ms| ms < i64::from(day) * DAY_MS);
    was_created || flag.environments.values().any(|seen| !seen.rows.is_empty())
}
