//! Small worlds, walked: two workers (one, where state and cells are one store) fold a short log and die at every
//! action, one after another and in pairs. A write of up to [`CHOICES_MAX`] cells that is cut off leaves every choice
//! of them behind, on all replicas or on one of them alone; the second crash of a pair loses no disk, and reaches all
//! replicas or none.
//!
//! Always true here: nothing is thrown; the workers take turns by a fixed script, so a crash is told by its number
//! (which action, how far it got, what became of the disk). Every stored pair is held against the oracle after every
//! step, and at the end all that is there, byte by byte, against an undisturbed fold.

mod content;
mod scripts;

use std::collections::BTreeSet;
use std::sync::Arc;

use counting::worker::{Action, Input, Mode, Settings};
use schemas::generation::Generation;

use crate::chance::Chance;
use crate::disks::{Disks, Objects};
use crate::log::Log;
use crate::mutants::Mutant;
use crate::oracle::Oracle;
use crate::process::{Death, NotBegun, Post, Seat, Site};
use crate::run::remember_where_it_panics;
use crate::stores::{Model, News, Stores};
use crate::trace::Trace;
use content::Content;
pub use scripts::Plot;

const START_MS: i64 = 19_000 * 86_400_000;
/// Turns within which two workers come to rest, crashes included.
const TURNS_MAX: usize = 400;
/// Of a write of more cells than this, not every choice is walked, but each cell alone and each left out.
const CHOICES_MAX: u32 = 4;

/// What came of the small worlds.
#[derive(Debug, Default)]
pub struct Small {
    /// Actions at which a worker may die.
    pub points: usize,
    /// Worlds with one crash, no two of them alike.
    pub singles: usize,
    /// Worlds with two.
    pub pairs: usize,
    /// What was wrong.
    pub wrong: Vec<String>,
}

/// A crash: at which action of the world, how far that got, and whether the disk went with the process.
type Crash = (usize, Death, bool);

/// The kind of a small world.
#[derive(Debug, Clone, Copy)]
struct Kind {
    model: Model,
    mode: Mode,
    plot: Plot,
}

/// Every single crash, and pairs where asked for, under both store models and as one transaction.
#[must_use]
pub fn run_all(pairs: bool) -> Small {
    remember_where_it_panics();
    let mut small = Small::default();
    let kinds =
        [(Model::Conditional, Mode::Apart), (Model::LastWriteWins, Mode::Apart), (Model::Conditional, Mode::Together)];
    for plot in Plot::ALL {
        match Content::undisturbed(*plot) {
            Ok(right) => {
                kinds.iter().for_each(|(model, mode)| {
                    small.walk(Kind { model: *model, mode: *mode, plot: *plot }, pairs, &right)
                });
            }
            Err(what) => small.wrong.push(format!("{plot:?}, undisturbed: {what}")),
        }
    }
    small
}

/// Runs a script without any crash, with a mistake in worker, store or driver switched on.
///
/// # Errors
/// What was wrong, in words.
pub fn run_one(plot: Plot, mutant: Option<&'static Mutant>) -> Result<(), String> {
    remember_where_it_panics();
    let kind = Kind { model: Model::Conditional, mode: Mode::Apart, plot };
    Script::new(kind, mutant).run(&[], &Content::undisturbed(plot)?).map(|_| ())
}

impl Small {
    fn walk(&mut self, kind: Kind, pairs: bool, right: &Content) {
        let points = self.run(kind, &[], right);
        self.points += points.len();
        for first in (0..points.len()).flat_map(|at| kind.crashes(at, points[at])) {
            // After a crash there is more to do, so the second may come later than any action before.
            let after = self.run(kind, &[first], right);
            self.singles += 1;
            if !pairs {
                continue;
            }
            for second in (first.0 + 1..after.len()).flat_map(|at| kind.crashes(at, after[at])) {
                // What is torn twice is torn over cells both times, and over replicas the first time alone.
                let over_replicas = matches!(second.1, Death::Partly { servers, .. } if servers != kind.servers()[0]);
                if !over_replicas && !second.2 {
                    self.run(kind, &[first, second], right);
                    self.pairs += 1;
                }
            }
        }
    }

    /// Runs one; answers how many cells each of its actions writes, as [`Script::actions`] has it.
    fn run(&mut self, kind: Kind, crashes: &[Crash], right: &Content) -> Vec<Option<u32>> {
        Script::new(kind, None).run(crashes, right).unwrap_or_else(|what| {
            self.wrong.push(format!("{kind:?}, crashes {crashes:?}: {what}"));
            Vec::new()
        })
    }
}

impl Kind {
    /// The crashes at an action that writes so many cells; at a read, which leaves nothing behind, one before it.
    fn crashes(self, at: usize, cells: Option<u32>) -> impl Iterator<Item = Crash> {
        let loses = self.loses_disks();
        let of_an_action = cells.map(|cells| [Death::After].into_iter().chain(self.cut_off(cells)));
        let deaths = [Death::Before].into_iter().chain(of_an_action.into_iter().flatten());
        deaths.flat_map(move |death| [false, true].map(|lost| (at, death, lost))).filter(move |crash| loses || !crash.2)
    }

    /// Whether disks are lost, and snapshots taken against that.
    fn loses_disks(self) -> bool {
        self.plot != Plot::Usage && self.mode == Mode::Apart
    }

    /// To which servers a write may come, as bits: first all.
    fn servers(self) -> &'static [u8] {
        if self.model == Model::LastWriteWins { &[0b111, 0b001, 0b010, 0b100] } else { &[0b1] }
    }

    /// What a write of so many cells may leave behind when it is cut off.
    fn cut_off(self, cells: u32) -> Vec<Death> {
        let all = (1_u32 << cells) - 1;
        let is_walked = |which: u32| {
            let chosen = which.count_ones();
            cells <= CHOICES_MAX || chosen == 1 || chosen + 1 >= cells
        };
        let servers = self.servers();
        let every = (1..=all).filter(|which| is_walked(*which));
        let every = every.flat_map(|cells| servers.iter().map(move |servers| (cells, *servers)));
        // All of them everywhere is no part.
        every
            .filter(|part| *part != (all, servers[0]))
            .map(|(cells, servers)| Death::Partly { cells, servers })
            .collect()
    }
}

/// Two workers and their script.
struct Script {
    site: Site,
    generation: Generation,
    kind: Kind,
    mutant: Option<&'static Mutant>,
    seats: Vec<Option<Seat>>,
    oracle: Oracle,
    chance: Chance,
    /// How many cells each action so far was to write; `None` = it was a read of a worker that begins.
    actions: Vec<Option<u32>>,
    letters: BTreeSet<u64>,
}

impl Script {
    fn new(kind: Kind, mutant: Option<&'static Mutant>) -> Self {
        let mut generation = Generation::new(1, "t", 1, counting::FOLD_VERSION);
        generation.dedupe_records = 3;
        let mut chance = Chance::new(0);
        chance.be_calm();
        let mut log = Log::new(&generation, START_MS);
        kind.plot.fill(&mut log, START_MS, &mut chance);
        let mut oracle = Oracle::new(&generation, 0);
        log.all(0).iter().for_each(|logged| oracle.push(logged));
        let site = Site {
            log,
            stores: Stores::new(kind.model, mutant.and_then(Mutant::store)),
            disks: Disks::default(),
            objects: Objects::default(),
            letters: Vec::new(),
            broken: mutant.and_then(Mutant::driver),
        };
        let seats = if kind.mode == Mode::Together { vec![None] } else { vec![None, None] };
        Self { site, generation, kind, mutant, seats, oracle, chance, actions: Vec::new(), letters: BTreeSet::new() }
    }

    /// Runs to the end, where all that is left must be this; answers how many cells each action was to write, as in
    /// [`Self::actions`].
    fn run(mut self, crashes: &[Crash], right: &Content) -> Result<Vec<Option<u32>>, String> {
        let end = self.site.log.range(0).to;
        for turn in 0..TURNS_MAX {
            let node = turn % self.seats.len();
            self.turn(node, crashes)?;
            self.look()?;
            if self.seats.iter().all(|seat| seat.as_ref().is_some_and(|seat| seat.is_done(end))) {
                return self.at_the_end(right).map(|()| self.actions);
            }
        }
        Err("the workers never come to rest".to_owned())
    }

    fn turn(&mut self, node: usize, crashes: &[Crash]) -> Result<(), String> {
        let post = Post { node, partition: 0 };
        let Some(mut seat) = self.seats[node].take() else { return self.sit(post) };
        if seat.is_beginning() {
            if let Some((_, lost)) = self.crash(None, crashes) {
                self.end(post, lost);
                return Ok(());
            }
            let begun = self.site.begin_on(post, &mut seat, &mut self.chance, &mut Trace::default());
            begun.map_err(not_begun)?;
        } else if let Some(answer) = seat.hear(true) {
            give(&mut seat, answer)?;
        } else if let Some(action) = seat.take(true) {
            let cells = if let Action::Write(cells) = &action { cells.len() as u32 } else { 0 };
            if let Some((death, lost)) = self.crash(Some(cells), crashes) {
                self.site.die_at(post, &mut seat, action, death, &mut self.chance);
                self.end(post, lost);
                return Ok(());
            }
            self.site.carry_out(post, &mut seat, action, &mut self.chance);
        } else if seat.next < self.site.log.range(0).to && seat.worker.wants_batch() {
            let batch = self.site.log.read(0, seat.next, 2);
            seat.next = batch.last().map_or(seat.next, |last| last.offset + 1);
            give(&mut seat, Input::Batch(batch))?;
            // A flush after every batch: the more actions, the more places to die.
            give(&mut seat, Input::Tick)?;
            if self.kind.loses_disks() {
                give(&mut seat, Input::SnapshotDue)?;
            }
        } else {
            give(&mut seat, Input::Tick)?;
        }
        self.seats[node] = Some(seat);
        Ok(())
    }

    /// The next action, or read of a beginning, has its number now; the crash that is to be there.
    fn crash(&mut self, cells: Option<u32>, crashes: &[Crash]) -> Option<(Death, bool)> {
        let number = self.actions.len();
        self.actions.push(cells);
        crashes.iter().find(|(at, ..)| *at == number).map(|(_, death, lost)| (*death, *lost))
    }

    fn end(&mut self, post: Post, loses_disk: bool) {
        if loses_disk {
            self.site.disks.lose(post.node, post.partition);
        }
    }

    fn sit(&mut self, post: Post) -> Result<(), String> {
        let mut settings = Settings::new(self.generation.clone(), 0, self.kind.mode).panicking_on(crate::panics);
        settings.last_write_wins = self.kind.model == Model::LastWriteWins;
        settings.wall_ms = Arc::default();
        if let Some(mutant) = self.mutant {
            settings = mutant.breaking(settings);
        }
        self.seats[post.node] = Some(self.site.sit(settings).map_err(not_begun)?);
        Ok(())
    }

    fn look(&mut self) -> Result<(), String> {
        self.letters.extend(self.site.letters.drain(..).map(|(_, letter)| letter.offset));
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

    fn at_the_end(&self, right: &Content) -> Result<(), String> {
        if self.letters != *self.oracle.poisoned() {
            return Err(format!("dead letters of {:?}, poison at {:?}", self.letters, self.oracle.poisoned()));
        }
        let mut differs = None;
        self.site.stores.every_view(|view| {
            for node in 0..self.seats.len() {
                let left = Content::left(&self.site, view, Post { node, partition: 0 });
                differs = differs.take().or_else(|| left.differs(right));
            }
        });
        differs.map_or(Ok(()), Err)
    }
}

fn not_begun(why: NotBegun) -> String {
    match why {
        NotBegun::Stopped(stop) => format!("the worker stopped: {stop}"),
        NotBegun::Refused(why) => format!("the worker did not begin: {why}"),
    }
}

fn give(seat: &mut Seat, input: Input) -> Result<(), String> {
    seat.give(input).map_err(|stop| format!("the worker stopped: {stop}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Kind = Kind { model: Model::Conditional, mode: Mode::Apart, plot: Plot::Usage };

    /// A rule that is broken without any dice is noticed by some crash of a script.
    #[test]
    fn a_broken_rule_is_noticed() {
        remember_where_it_panics();
        for (name, plot) in [
            ("checkpoint before flush", Plot::Usage),
            ("checkpoint without an h per cell", Plot::Usage),
            ("dedupe set not in the state", Plot::Usage),
            ("state durable before the cells", Plot::Usage),
            ("old contribution under a newer definition", Plot::Experiment),
        ] {
            let (kind, mutant) = (Kind { plot, ..USAGE }, Mutant::named(name));
            assert!(mutant.is_some(), "no mutant {name:?}");
            let right = Content::undisturbed(plot).unwrap();
            let run = |crashes: &[Crash]| Script::new(kind, mutant).run(crashes, &right);
            let points = run(&[]).unwrap_or_else(|_| vec![Some(3); 40]);
            let noticed = run(&[]).is_err()
                || (0..points.len()).flat_map(|at| kind.crashes(at, points[at])).any(|crash| run(&[crash]).is_err());
            assert!(noticed, "{name}");
        }
    }

    /// Told apart by the number that it is for: units that saw several variations.
    #[test]
    fn the_script_of_an_expiry_is_noticed_by_its_number_alone() {
        assert_eq!(run_one(Plot::Expiry, None), Ok(()));
        let what = run_one(Plot::Expiry, Mutant::named("expiry of a subject off by one")).unwrap_err();
        assert!(what.contains("kind: StandIn") && what.contains("multiple 0: found 1, expected nothing"), "{what}");
        assert_eq!(run_one(Plot::Expiry, Mutant::named("lateness horizon off by one")), Ok(()));
    }

    #[test]
    fn the_scripts_touch_few_cells_and_a_subject() {
        let cells =
            |plot| Script::new(Kind { plot, ..USAGE }, None).oracle.keys(u64::MAX).map(|key| key.kind).collect();
        let usage: Vec<_> = cells(Plot::Usage);
        assert_eq!(usage.len(), 3, "{usage:?}");
        let experiment: Vec<_> = cells(Plot::Experiment);
        assert!(experiment.contains(&schemas::cell::CellKind::StandIn), "{experiment:?}");
    }

    #[test]
    fn a_write_is_cut_off_in_every_way() {
        assert_eq!(USAGE.cut_off(0), []);
        assert_eq!(USAGE.cut_off(1), []);
        assert_eq!(USAGE.cut_off(3).len(), 6);
        let replicas = Kind { model: Model::LastWriteWins, ..USAGE };
        assert_eq!(replicas.cut_off(0), []);
        assert_eq!(replicas.cut_off(1).len(), 3);
        assert_eq!(replicas.cut_off(3).len(), 6 * 4 + 3);
        assert_eq!(USAGE.cut_off(6).len(), 12, "each alone and each left out");
    }
}
