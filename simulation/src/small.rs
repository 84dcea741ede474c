//! Small worlds, walked whole: two workers fold a log that touches three cells, and die at every action, one after
//! another and in every pair.
//!
//! Always true here: nothing is thrown; the workers take turns by a fixed script, so a crash is told by its number (which
//! action, how far it got). Every stored pair is held against the oracle after every step.

use std::collections::BTreeSet;
use std::sync::Arc;

use counting::worker::{Input, Mode, Settings};
use schemas::event::{Count, Element, ElementKind, Payload, PayloadId, Variation};
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::record::{self, Stamp};
use schemas::rejection::Rejections;
use schemas::split::split;

use crate::chance::Chance;
use crate::disks::{Disks, Objects};
use crate::log::Log;
use crate::oracle::Oracle;
use crate::process::{Death, NotBegun, Post, Seat, Site};
use crate::stores::{Model, News, Stores};
use crate::trace::Trace;

const START_MS: i64 = 19_000 * 86_400_000;
/// Turns within which two workers come to rest, crashes included.
const TURNS_MAX: usize = 400;
const DEATHS: [Death; 3] = [Death::Before, Death::Midway, Death::After];

/// What came of the small worlds.
#[derive(Debug, Default)]
pub struct Small {
    /// Actions at which a worker may die.
    pub points: usize,
    /// Worlds with one crash.
    pub singles: usize,
    /// Worlds with two.
    pub pairs: usize,
    /// What was wrong.
    pub wrong: Vec<String>,
}

/// A crash: at which action of the world, and how far that got.
type Crash = (usize, Death);

/// Every single crash and every pair, under both store models and as one transaction.
#[must_use]
pub fn run_all() -> Small {
    let mut small = Small::default();
    let kinds =
        [(Model::Conditional, Mode::Apart), (Model::LastWriteWins, Mode::Apart), (Model::Conditional, Mode::Together)];
    for (model, mode) in kinds {
        let run = |crashes: &[Crash]| Script::new(model, mode, None).run(crashes);
        let points = match run(&[]) {
            Ok(points) => points,
            Err(what) => {
                small.wrong.push(format!("{} {mode:?}, no crash: {what}", model.name()));
                continue;
            }
        };
        small.points += points;
        let mut note = |crashes: &[Crash], result: Result<usize, String>| match result {
            Ok(points) => points,
            Err(what) => {
                small.wrong.push(format!("{} {mode:?}, crashes {crashes:?}: {what}", model.name()));
                0
            }
        };
        let singles = (0..points).flat_map(|at| DEATHS.map(|death| (at, death)));
        for first in singles {
            // After a crash there is more to do, so the second may come later than any action before.
            let after = note(&[first], run(&[first]));
            small.singles += 1;
            for second in (first.0 + 1..after).flat_map(|at| DEATHS.map(|death| (at, death))) {
                note(&[first, second], run(&[first, second]));
                small.pairs += 1;
            }
        }
    }
    small
}

/// Two workers and their script.
struct Script {
    site: Site,
    generation: Generation,
    mode: Mode,
    model: Model,
    broken: Option<counting::Break>,
    seats: Vec<Option<Seat>>,
    oracle: Oracle,
    chance: Chance,
    actions: usize,
}

impl Script {
    fn new(model: Model, mode: Mode, broken: Option<counting::Break>) -> Self {
        let mut generation = Generation::new(1, "t", 1, counting::FOLD_VERSION);
        generation.dedupe_records = 3;
        let mut chance = Chance::new(0);
        chance.be_calm();
        let mut log = Log::new(&generation, START_MS);
        fill(&mut log, &mut chance);
        let mut oracle = Oracle::new(&generation, 0);
        log.all(0).iter().for_each(|logged| oracle.push(logged));
        let stores = Stores::new(model, None);
        let site = Site {
            log,
            stores,
            disks: Disks::default(),
            objects: Objects::default(),
            letters: Vec::new(),
            broken: None,
        };
        let seats = if mode == Mode::Together { vec![None] } else { vec![None, None] };
        Self { site, generation, mode, model, broken, seats, oracle, chance, actions: 0 }
    }

    /// Runs to the end; answers how many actions there were.
    fn run(mut self, crashes: &[Crash]) -> Result<usize, String> {
        for turn in 0..TURNS_MAX {
            let node = turn % self.seats.len();
            self.turn(node, crashes)?;
            self.look()?;
            if self.seats.iter().all(|seat| seat.as_ref().is_some_and(|seat| self.is_done(seat))) {
                return self.at_the_end().map(|()| self.actions);
            }
        }
        Err("the workers never come to rest".to_owned())
    }

    fn is_done(&self, seat: &Seat) -> bool {
        seat.pending.is_empty() && seat.next == self.site.log.range(0).to && seat.worker.is_at_rest()
    }

    fn turn(&mut self, node: usize, crashes: &[Crash]) -> Result<(), String> {
        let post = Post { node, partition: 0 };
        let Some(mut seat) = self.seats[node].take() else { return self.begin(post) };
        if let Some(action) = seat.take(true) {
            let number = self.actions;
            self.actions += 1;
            if let Some((_, death)) = crashes.iter().find(|(at, _)| *at == number) {
                self.site.die_at(post, &mut seat, action, *death, &mut self.chance);
                return Ok(());
            }
            let answer = self.site.carry_out(post, &mut seat, action, &mut self.chance, &mut Trace::default());
            answer.map_or(Ok(()), |input| give(&mut seat, input))?;
        } else if seat.next < self.site.log.range(0).to && seat.worker.wants_batch() {
            let batch = self.site.log.read(0, seat.next, 2);
            seat.next = batch.last().map_or(seat.next, |last| last.offset + 1);
            give(&mut seat, Input::Batch(batch))?;
            // A flush after every batch: the more actions, the more places to die.
            give(&mut seat, Input::Tick)?;
        } else {
            give(&mut seat, Input::Tick)?;
        }
        self.seats[node] = Some(seat);
        Ok(())
    }

    fn begin(&mut self, post: Post) -> Result<(), String> {
        let mut settings = Settings::new(self.generation.clone(), 0, self.mode);
        settings.last_write_wins = self.model == Model::LastWriteWins;
        settings.wall_ms = Arc::default();
        if let Some(rule) = self.broken {
            settings = settings.breaking(rule);
        }
        match self.site.begin(post, settings, &mut self.chance, &mut Trace::default()) {
            Ok(seat) => self.seats[post.node] = Some(seat),
            Err(NotBegun::Stopped(stop)) => return Err(format!("the worker stopped: {stop}")),
            Err(other) => return Err(format!("the worker did not begin: {other:?}")),
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        for news in self.site.stores.news() {
            match news {
                News::Cell { key, cell, before } if before.is_none_or(|before| before <= cell.h) => {
                    self.oracle.check(&key, &cell, 0)?;
                }
                News::Checkpoint { checkpoint, before, .. }
                    if before.is_none_or(|before| before <= checkpoint.position) => {}
                fell => return Err(format!("h or a checkpoint fell: {fell:?}")),
            }
        }
        let oracle = &self.oracle;
        let mut found = Ok(());
        self.site.stores.every_view(|view| {
            let position = view.checkpoint(1, 0).map_or(0, |checkpoint| checkpoint.position);
            for key in oracle.keys(position) {
                let checked = match view.cell(key) {
                    Some(cell) => oracle.check(key, cell, position),
                    None => Err(format!("{key:?} is missing under checkpoint {position}")),
                };
                if found.is_ok() {
                    found = checked;
                }
            }
        });
        found
    }

    fn at_the_end(&mut self) -> Result<(), String> {
        let (end, mut positions) = (self.oracle.position(), BTreeSet::new());
        self.site.stores.every_view(|view| {
            positions.extend(view.checkpoint(1, 0).map(|checkpoint| checkpoint.position));
        });
        if positions == BTreeSet::from([end]) { Ok(()) } else { Err(format!("checkpoints end at {positions:?}")) }
    }
}

fn give(seat: &mut Seat, input: Input) -> Result<(), String> {
    seat.give(input).map_err(|stop| format!("the worker stopped: {stop}"))
}

/// Payloads of one flag: usage, last seen and books, three cells; one of them sent again.
fn fill(log: &mut Log, chance: &mut Chance) {
    let environment = Environment { project: "p".into(), key: "dev".into() };
    for (number, id) in (0..).zip(["a", "b", "a", "c", "b"]) {
        let now_ms = START_MS + 1_000 * number;
        let payload = Payload {
            id: Some(PayloadId::Sent(id.as_bytes().to_vec())),
            elements: vec![Element { kind: ElementKind::Summary, time_ms: Some(now_ms) }],
            counts: vec![Count {
                element: 0,
                flag: "f".into(),
                variation: Variation::Index(0),
                version: None,
                value: None,
                count: 1,
                error: false,
                estimated: false,
            }],
            ..Payload::default()
        };
        let cut = split(&environment, &payload, 1);
        let judged = ingest::judge::judge(&payload.elements, now_ms, &schemas::generation::ClockLimits::default());
        let stamp = Stamp { environment: &environment, received_ms: now_ms, carried: &Rejections::default() };
        for append in record::encode(&payload, &cut, &judged, &stamp) {
            log.append(&append, now_ms, chance);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule that is broken without any dice is noticed by some crash of the script.
    #[test]
    fn a_broken_rule_is_noticed() {
        for rule in
            [counting::Break::CheckpointBeforeCells, counting::Break::IgnoreH, counting::Break::DedupeNotInState]
        {
            let run = |crashes: &[Crash]| Script::new(Model::Conditional, Mode::Apart, Some(rule)).run(crashes);
            let noticed = (0..60).flat_map(|at| DEATHS.map(|death| (at, death))).any(|crash| run(&[crash]).is_err());
            assert!(noticed, "{rule:?}");
        }
    }

    #[test]
    fn the_script_touches_three_cells() {
        let script = Script::new(Model::Conditional, Mode::Apart, None);
        assert_eq!(script.oracle.keys(u64::MAX).count(), 3);
    }
}
