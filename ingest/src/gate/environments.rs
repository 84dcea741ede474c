//! Every environment's stage, in force and asked for, with what led to it.
//!
//! Always true here: whoever knows an environment holds the same cell as the gate, so a stage is read without a lock; a
//! cell changes only by a move of [`Stages`], and each move is in the history before it is in the cell.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use schemas::id::Environment;

use super::kept::{HISTORY_MAX, Kept, Moved};
use super::stages::{Ask, Stage, Stages};

/// The stage in force, where it is read for each payload.
#[derive(Debug, Clone)]
pub(crate) struct Cell(Arc<AtomicU8>);

impl Cell {
    fn new(stage: Stage) -> Self {
        Self(Arc::new(AtomicU8::new(stage as u8)))
    }

    pub(crate) fn stage(&self) -> Stage {
        Stage::ALL[usize::from(self.0.load(Ordering::Acquire))]
    }

    fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }
}

/// What is known of an environment's stage, for people and for whoever answers reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentState {
    /// Which one.
    pub environment: Environment,
    /// The stage in force.
    pub stage: Stage,
    /// Unix milliseconds since when.
    pub since_ms: i64,
    /// What the flag asked for when it could last be read; `None` = it never could.
    pub asked: Option<Stage>,
    /// Milliseconds for which a longer move stays at this stage yet; 0 = it may go on, or nothing moves.
    pub dwell_left_ms: i64,
    /// Why the step forward that the flag asks for is not made.
    pub held_back: Option<String>,
    /// Why the flag says nothing now; the stage holds meanwhile.
    pub flag_error: Option<String>,
    /// The newest changes, oldest first.
    pub history: Vec<Moved>,
}

/// What came of a look.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) cell: Cell,
    pub(super) moved: Option<Moved>,
    /// Why a step forward is not made, when that is news.
    pub(super) held_back: Option<String>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Environments {
    rows: BTreeMap<Environment, Row>,
    /// Something is to be kept that is not yet.
    is_changed: bool,
}

#[derive(Debug)]
struct Row {
    stages: Stages,
    cell: Cell,
    error: Option<String>,
    history: VecDeque<Moved>,
    /// Payloads or the key table asked for it in this process.
    is_met: bool,
}

impl Environments {
    /// Begins with what was kept.
    pub(super) fn new(kept: Vec<Kept>, now_ms: i64) -> Self {
        let row = |kept: Kept| {
            let stages = Stages::new(Some(kept.past), now_ms);
            let cell = Cell::new(stages.stage());
            (kept.environment, Row { stages, cell, error: None, history: kept.history, is_met: false })
        };
        Self { rows: kept.into_iter().map(row).collect(), is_changed: false }
    }

    /// Tells what the flag says of an environment, and moves it by one step at most.
    pub(super) fn look(
        &mut self,
        environment: &Environment,
        said: Result<(Ask, String), String>,
        now_ms: i64,
        may_advance: impl FnOnce(Stage, Stage) -> Result<(), String>,
    ) -> Looked {
        let row = self.rows.entry(environment.clone()).or_insert_with(|| {
            let stages = Stages::new(None, now_ms);
            let cell = Cell::new(stages.stage());
            Row { stages, cell, error: None, history: VecDeque::new(), is_met: true }
        });
        row.is_met = true;
        let (ask, how) = match said {
            Ok((ask, how)) => (Some(ask), how),
            Err(error) => {
                row.error = Some(error);
                row.stages.look(None, now_ms, may_advance);
                return Looked { cell: row.cell.clone(), moved: None, held_back: None };
            }
        };
        row.error = None;
        let (asked_before, was_held_back) = (row.stages.asked(), row.stages.held_back().is_some());
        let change = row.stages.look(ask.as_ref(), now_ms, may_advance);
        self.is_changed |= row.stages.asked() != asked_before;
        let moved = change.map(|change| {
            let cause = if change.to == change.asked { how } else { format!("{how}; on the way") };
            let moved = Moved { at_ms: now_ms, from: change.from, to: change.to, cause };
            if row.history.len() >= HISTORY_MAX {
                row.history.pop_front();
            }
            row.history.push_back(moved.clone());
            row.cell.set(change.to);
            self.is_changed = true;
            moved
        });
        let held_back = row.stages.held_back().filter(|_| !was_held_back).map(str::to_owned);
        Looked { cell: row.cell.clone(), moved, held_back }
    }

    /// The cell of an environment that was met, or whose stage was kept.
    pub(super) fn cell(&self, environment: &Environment) -> Option<&Cell> {
        self.rows.get(environment).map(|row| &row.cell)
    }

    /// Those that were met in this process.
    pub(super) fn met(&self) -> Vec<Environment> {
        self.rows.iter().filter(|(_, row)| row.is_met).map(|(environment, _)| environment.clone()).collect()
    }

    /// What is to be kept, when that changed since the last call.
    pub(super) fn take_changed(&mut self) -> Option<Vec<Kept>> {
        if !std::mem::take(&mut self.is_changed) {
            return None;
        }
        let kept = |(environment, row): (&Environment, &Row)| {
            let (environment, history) = (environment.clone(), row.history.clone());
            Some(Kept { environment, past: row.stages.past()?, history })
        };
        Some(self.rows.iter().filter_map(kept).collect())
    }

    /// What was taken could not be kept: it is to be taken again.
    pub(super) fn not_kept(&mut self) {
        self.is_changed = true;
    }

    /// Why the flag says nothing now, each cause once.
    pub(super) fn errors(&self) -> BTreeSet<String> {
        self.rows.values().filter_map(|row| row.error.clone()).collect()
    }

    /// All that is known, in order of environment.
    pub(super) fn state(&self, now_ms: i64) -> Vec<EnvironmentState> {
        let state = |(environment, row): (&Environment, &Row)| EnvironmentState {
            environment: environment.clone(),
            stage: row.stages.stage(),
            since_ms: row.stages.since_ms(),
            asked: row.stages.asked(),
            dwell_left_ms: row.stages.dwell_left_ms(now_ms),
            held_back: row.stages.held_back().map(str::to_owned),
            flag_error: row.error.clone(),
            history: row.history.iter().cloned().collect(),
        };
        self.rows.iter().map(state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::new("p", "e").unwrap()
    }

    fn says(stage: Stage) -> Result<(Ask, String), String> {
        Ok((Ask { stage, forced: false }, format!("flag says {stage}")))
    }

    fn look(all: &mut Environments, said: Result<(Ask, String), String>, now_ms: i64) -> Stage {
        all.look(&environment(), said, now_ms, |_, _| Ok(())).cell.stage()
    }

    #[test]
    fn what_is_kept_holds_while_the_flag_cannot_be_read() {
        let mut all = Environments::default();
        assert_eq!(look(&mut all, Err("gone".into()), 0), Stage::Off);
        assert_eq!(all.take_changed(), None, "`off` that nobody asked for is not kept");
        look(&mut all, says(Stage::Shadow), 1);
        let kept = all.take_changed().unwrap();
        assert_eq!(all.take_changed(), None);
        let mut again = Environments::new(kept, 9);
        assert_eq!(again.cell(&environment()).unwrap().stage(), Stage::Shadow);
        assert_eq!(look(&mut again, Err("gone".into()), 10), Stage::Shadow);
        let state = again.state(10).remove(0);
        assert_eq!((state.flag_error.as_deref(), state.asked, state.since_ms), (Some("gone"), Some(Stage::Shadow), 1));
        again.not_kept();
        assert!(again.take_changed().is_some());
    }

    #[test]
    fn changes_are_told_with_time_and_cause_and_only_the_newest_are_kept() {
        let mut all = Environments::default();
        for n in 0..50 {
            look(&mut all, says(if n % 2 == 0 { Stage::Shadow } else { Stage::Off }), n);
        }
        let history = all.state(50).remove(0).history;
        let ends = [&history[0], &history[HISTORY_MAX - 1]].map(|m| (m.at_ms, m.from, m.to, m.cause.as_str()));
        let (off, shadow) = (Stage::Off, Stage::Shadow);
        assert_eq!(ends, [(30, Some(off), shadow, "flag says shadow"), (49, Some(shadow), off, "flag says off")]);
        let walk = look(&mut all, says(Stage::Complete), 60);
        let last = all.state(60).remove(0);
        assert_eq!((walk, last.dwell_left_ms), (Stage::Shadow, 2_000));
        assert_eq!(last.history.last().unwrap().cause, "flag says complete; on the way");
    }

    #[test]
    fn why_it_is_held_back_is_news_once() {
        let mut all = Environments::default();
        let mut look = |stage, now_ms| {
            let looked = all.look(&environment(), says(stage), now_ms, |_, _| Err("3 unexplained".into()));
            looked.held_back.is_some()
        };
        let (off, shadow) = (Stage::Off, Stage::Shadow);
        assert_eq!([off, shadow, shadow, off, shadow].map(|stage| look(stage, 0)), [false, true, false, false, true]);
    }

    #[test]
    fn whoever_knew_the_environment_sees_the_change() {
        let mut all = Environments::default();
        let cell = all.look(&environment(), says(Stage::Live), 0, |_, _| Ok(())).cell;
        look(&mut all, says(Stage::Off), 1);
        assert_eq!(cell.stage(), Stage::Off);
    }
}
