//! The stages of a migration from the old path to the new one, and how an environment moves through them.
//!
//! Always true here: no clock and no I/O. A move is one step, or goes to `off`; it is made at once, but for the further
//! steps of a longer move, which wait [`DWELL_MS`] each, so that neighbouring processes overlap in what they write. A
//! step forward may be held back, a step back never. While the flag cannot be read nothing moves.

use std::fmt;

/// How long a longer move stays at each stage on its way, in milliseconds.
pub const DWELL_MS: i64 = 2_000;

/// A stage of an environment's migration, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// The old path alone is written, and is in charge.
    Off = 0,
    /// Both are written; the old path is in charge. Also named `dualwrite`.
    Shadow = 1,
    /// Both are written; the new path is in charge. Also named `rampdown`.
    Live = 2,
    /// The new path alone is written, and is in charge.
    Complete = 3,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 4] = [Self::Off, Self::Shadow, Self::Live, Self::Complete];

    /// The stage's own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Complete => "complete",
        }
    }

    /// The stage with this name, either of them; `None` = there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "shadow" | "dualwrite" => Some(Self::Shadow),
            "live" | "rampdown" => Some(Self::Live),
            "complete" => Some(Self::Complete),
            _ => None,
        }
    }

    /// The old path is written.
    #[must_use]
    pub fn writes_old(self) -> bool {
        self != Self::Complete
    }

    /// The new path is written.
    #[must_use]
    pub fn writes_new(self) -> bool {
        self != Self::Off
    }

    /// Reads are answered from the old path.
    #[must_use]
    pub fn old_in_charge(self) -> bool {
        matches!(self, Self::Off | Self::Shadow)
    }

    /// The sender's answer waits for the old path.
    #[must_use]
    pub fn waits_for_old(self) -> bool {
        matches!(self, Self::Off | Self::Shadow)
    }

    /// The next stage on the way to `asked`; `None` = it is there.
    fn towards(self, asked: Self) -> Option<Self> {
        let (here, there) = (self as usize, asked as usize);
        match asked {
            _ if here == there => None,
            Self::Off => Some(Self::Off),
            _ if here < there => Some(Self::ALL[here + 1]),
            _ => Some(Self::ALL[here - 1]),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the flag says of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The stage asked for.
    pub stage: Stage,
    /// Steps forward are not to be held back.
    pub forced: bool,
}

/// An environment's stage as it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// The stage in force.
    pub stage: Stage,
    /// Unix milliseconds since when.
    pub since_ms: i64,
    /// The stage that the flag asked for then.
    pub asked: Stage,
}

/// A change of stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The stage before; `None` = none was ever in force.
    pub from: Option<Stage>,
    /// The stage from now on.
    pub to: Stage,
    /// The stage that the flag asks for.
    pub asked: Stage,
}

/// An environment's stage, and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    stage: Stage,
    since_ms: i64,
    /// `None` = the flag was never read.
    asked: Option<Stage>,
    /// Nothing was kept and nothing was asked yet: what the flag says first is in force at once.
    is_fresh: bool,
    /// A longer move passes here.
    is_passing: bool,
    held_back: Option<String>,
}

impl Stages {
    /// Begins with what was kept, else with `off`. `now_ms` is Unix time, here and below.
    #[must_use]
    pub fn new(kept: Option<Past>, now_ms: i64) -> Self {
        Self {
            stage: kept.map_or(Stage::Off, |kept| kept.stage),
            since_ms: kept.map_or(now_ms, |kept| kept.since_ms),
            asked: kept.map(|kept| kept.asked),
            is_fresh: kept.is_none(),
            is_passing: kept.is_some_and(|kept| kept.asked != kept.stage),
            held_back: None,
        }
    }

    /// Looks at what the flag says (`None` = it cannot be read) and moves by one step at most. `may_advance` is asked
    /// before a step forward, with the stages before and after it; an error is why it is held back.
    pub fn look(
        &mut self,
        ask: Option<&Ask>,
        now_ms: i64,
        may_advance: impl FnOnce(Stage, Stage) -> Result<(), String>,
    ) -> Option<Change> {
        // A clock that was set back begins the dwell anew.
        self.since_ms = self.since_ms.min(now_ms);
        self.held_back = None;
        let is_first = std::mem::replace(&mut self.is_fresh, false);
        let ask = ask?;
        self.asked = Some(ask.stage);
        if is_first {
            return Some(self.change(ask.stage, now_ms, true));
        }
        let Some(next) = self.stage.towards(ask.stage) else {
            self.is_passing = false;
            return None;
        };
        if next > self.stage && !ask.forced {
            self.held_back = may_advance(self.stage, next).err();
        }
        let waits = next != Stage::Off && self.dwell_left_ms(now_ms) > 0;
        (self.held_back.is_none() && !waits).then(|| self.change(next, now_ms, false))
    }

    fn change(&mut self, to: Stage, now_ms: i64, is_first: bool) -> Change {
        let from = (!is_first).then_some(self.stage);
        let asked = self.asked.unwrap_or(to);
        (self.stage, self.since_ms, self.is_passing) = (to, now_ms, to != asked);
        Change { from, to, asked }
    }

    /// The stage in force.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Unix milliseconds since when it is in force.
    #[must_use]
    pub fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// What the flag asked for when it could last be read; `None` = it never could.
    #[must_use]
    pub fn asked(&self) -> Option<Stage> {
        self.asked
    }

    /// Why the last look did not step forward.
    #[must_use]
    pub fn held_back(&self) -> Option<&str> {
        self.held_back.as_deref()
    }

    /// Milliseconds for which a longer move stays at this stage yet; 0 = none passes here, or it may go on.
    #[must_use]
    pub fn dwell_left_ms(&self, now_ms: i64) -> i64 {
        if self.is_passing { (self.since_ms.saturating_add(DWELL_MS) - now_ms).clamp(0, DWELL_MS) } else { 0 }
    }

    /// What is to be kept; `None` = the flag was never read.
    #[must_use]
    pub fn past(&self) -> Option<Past> {
        self.asked.map(|asked| Past { stage: self.stage, since_ms: self.since_ms, asked })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(stage: Stage) -> Ask {
        Ask { stage, forced: false }
    }

    fn free(_: Stage, _: Stage) -> Result<(), String> {
        Ok(())
    }

    fn started(stage: Stage) -> Stages {
        Stages::new(Some(Past { stage, since_ms: 0, asked: stage }), 0)
    }

    /// Where a machine stands after each look, `step_ms` apart.
    fn walk(mut stages: Stages, asked: Stage, step_ms: i64, looks: i64) -> Vec<Stage> {
        let look = |n| {
            stages.look(Some(&ask(asked)), n * step_ms, free);
            stages.stage()
        };
        (0..looks).map(look).collect()
    }

    #[test]
    fn names_are_read_back_and_the_other_names_too() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_name(stage.name()), Some(stage));
        }
        let others = ["dualwrite", "rampdown", "on", "Off", ""].map(Stage::from_name);
        assert_eq!(others, [Some(Stage::Shadow), Some(Stage::Live), None, None, None]);
    }

    #[test]
    fn one_step_and_off_are_at_once_and_longer_moves_walk() {
        use Stage::{Complete, Live, Off, Shadow};
        assert_eq!(walk(started(Off), Shadow, 100, 1), [Shadow]);
        assert_eq!(walk(started(Complete), Off, 100, 1), [Off]);
        assert_eq!(walk(started(Off), Complete, 1_000, 6), [Shadow, Shadow, Live, Live, Complete, Complete]);
        assert_eq!(walk(started(Complete), Shadow, 1_000, 3), [Live, Live, Shadow]);
    }

    #[test]
    fn what_the_flag_says_first_is_in_force_at_once_and_only_then() {
        let mut fresh = Stages::new(None, 0);
        assert_eq!((fresh.stage(), fresh.past()), (Stage::Off, None));
        let first = fresh.look(Some(&ask(Stage::Complete)), 0, |_, _| Err("no".into()));
        assert_eq!(first, Some(Change { from: None, to: Stage::Complete, asked: Stage::Complete }));
        let mut late = Stages::new(None, 0);
        assert_eq!(late.look(None, 0, free), None);
        late.look(Some(&ask(Stage::Complete)), 1, free);
        assert_eq!(late.stage(), Stage::Shadow, "payloads may have been written in `off` since");
    }

    #[test]
    fn a_walk_goes_on_after_a_restart_and_waits_as_before() {
        let mut stages = started(Stage::Off);
        stages.look(Some(&ask(Stage::Complete)), 1_000, free);
        let mut again = Stages::new(stages.past(), 1_500);
        assert_eq!((again.stage(), again.dwell_left_ms(1_500)), (Stage::Shadow, 1_500));
        assert_eq!(again.look(None, 9_000, free), None, "a flag that cannot be read moves nothing");
        assert_eq!(again.look(Some(&ask(Stage::Complete)), 2_999, free), None);
        assert_eq!(again.look(Some(&ask(Stage::Complete)), 3_000, free).map(|c| c.to), Some(Stage::Live));
    }

    #[test]
    fn a_clock_set_back_delays_by_one_dwell() {
        let mut stages = started(Stage::Off);
        stages.look(Some(&ask(Stage::Live)), 1_000_000, free);
        assert_eq!(stages.look(Some(&ask(Stage::Live)), 5_000, free), None);
        assert_eq!(stages.look(Some(&ask(Stage::Live)), 7_000, free).map(|c| c.to), Some(Stage::Live));
    }

    #[test]
    fn why_it_is_held_back_is_told_until_it_is_not() {
        let mut stages = started(Stage::Shadow);
        let no = |from: Stage, to: Stage| Err(format!("no way from {from} to {to}"));
        assert_eq!(stages.look(Some(&ask(Stage::Live)), 1, no), None);
        assert_eq!(stages.held_back(), Some("no way from shadow to live"));
        let forced = Ask { stage: Stage::Live, forced: true };
        assert_eq!(stages.look(Some(&forced), 2, no).map(|c| c.to), Some(Stage::Live));
        assert_eq!(stages.held_back(), None);
        assert_eq!(stages.look(Some(&ask(Stage::Shadow)), 3, no).map(|c| c.to), Some(Stage::Shadow));
    }

    /// One look: what the flag says, milliseconds since the look before, whether steps forward are held back.
    fn look() -> impl Strategy<Value = (Option<Ask>, i64, bool)> {
        let asked = (0_usize..4, any::<bool>()).prop_map(|(at, forced)| Ask { stage: Stage::ALL[at], forced });
        (proptest::option::weighted(0.8, asked), 0_i64..3_000, any::<bool>())
    }

    proptest! {
        #[test]
        fn every_move_keeps_the_rules(
            start in 0_usize..4,
            looks in proptest::collection::vec(look(), 1..40),
            last in 0_usize..4,
        ) {
            let mut stages = started(Stage::ALL[start]);
            let (mut now_ms, mut passing_since) = (0, None::<i64>);
            for (ask, wait_ms, holds) in looks {
                now_ms += wait_ms;
                let before = stages.stage();
                let change = stages.look(ask.as_ref(), now_ms, |_, _| if holds { Err("held".into()) } else { Ok(()) });
                let after = stages.stage();
                prop_assert_eq!(change.map(|c| (c.from, c.to)), (before != after).then_some((Some(before), after)));
                let Some(ask) = ask else {
                    prop_assert_eq!(before, after);
                    continue;
                };
                let distance = (before as i8 - after as i8).abs();
                prop_assert!(distance <= 1 || after == Stage::Off);
                prop_assert!(!(after > before && holds && !ask.forced));
                // At once, unless a longer move passes here or the step is held back.
                let held = holds && !ask.forced && ask.stage > before;
                let dwells = ask.stage != Stage::Off && passing_since.is_some_and(|since| now_ms - since < DWELL_MS);
                prop_assert_eq!(before == after, ask.stage == before || held || dwells);
                if before != after {
                    passing_since = (after != ask.stage).then_some(now_ms);
                } else if after == ask.stage {
                    passing_since = None;
                }
            }
            // Asked for long enough, every stage is reached, and stays.
            for _ in 0..4 {
                now_ms += DWELL_MS;
                stages.look(Some(&ask(Stage::ALL[last])), now_ms, free);
            }
            prop_assert_eq!(stages.stage(), Stage::ALL[last]);
        }
    }
}
