//! Crash at every action, by seed: whatever happened, every cell is the exact fold of a prefix that reaches at least to
//! the checkpoint; and each rule, broken, is noticed.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use schemas::cell::CellKey;

use super::dice::Dice;
use super::naive::{Counts, Facts, Naive, told};
use super::payloads::{START, make_log, small_generation};
use super::world::World;
use super::{quiet_wanted_panics, seeds};
use crate::Break;
use crate::cells::Cell;
use crate::worker::{Mode, Settings};

/// How many logs are folded, unless the environment says otherwise.
const SEEDS: u64 = 600;

/// One seed: a log, workers that crash, and what must be true after every crash and at the end.
fn run(seed: u64, broken: Option<Break>) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let generation = small_generation();
    let records = 12 + dice.below(30);
    let made = make_log(&mut dice, &generation, records);
    let mode = if dice.percent(60) { Mode::Apart } else { Mode::Together };
    let mut settings = Settings::new(generation.clone(), 0, mode).panicking_at(made.panics_at.clone());
    settings.cells_max = 1 + dice.below(12);
    settings.clean_cells_bytes_max = 1_000 * dice.below(12);
    settings.dirty_cells_max = 2 + dice.below(30);
    settings.waiting_records_max = 1 + dice.below(12);
    settings.last_write_wins = dice.percent(20);
    // The worker catches up a month later.
    settings.wall_ms.store(START + 30 * 86_400_000, Ordering::Relaxed);
    settings.process_seed = seed;
    if let Some(rule) = broken {
        settings = settings.breaking(rule);
    }
    let mut naive = Naive::new(&generation, &made.panics_at);
    let prefixes = naive.prefixes(&made.log);
    let mut compared = Compared::new();
    let mut world = World::new(settings, made.log);
    let turns = 40 + dice.below(200);
    for _ in 0..turns {
        world.turn(&mut dice)?;
        if dice.percent(5) {
            compare(&world, &prefixes, &mut compared)?;
        }
    }
    compare(&world, &prefixes, &mut compared)?;
    world.settle(&mut dice)?;
    compare(&world, &prefixes, &mut compared)?;
    let end = world.checkpoint.map(|end| (end.position, end.log_time_ms, end.fingerprint));
    let expected = world.log.last().map(|last| (last.offset + 1, naive.log_time_ms, last.fingerprint()));
    if end != expected {
        return Err(format!("the checkpoint ends at {end:?}, not at {expected:?}"));
    }
    if world.dead_letters != naive.poisoned {
        return Err(format!("dead letters of {:?}, poison at {:?}", world.dead_letters, naive.poisoned));
    }
    Ok(())
}

/// What was found equal before: cells by their h and the facts that they had to tell.
type Compared = BTreeMap<CellKey, (u64, Option<Rc<Facts>>)>;

/// Every cell in the store equals the naive fold of the prefix that it reaches to, which is at least the checkpoint's.
fn compare(world: &World, prefixes: &[Counts], compared: &mut Compared) -> Result<(), String> {
    let checkpoint = world.checkpoint.map_or(0, |checkpoint| checkpoint.position) as usize;
    for (key, stored) in &world.store {
        let reach = checkpoint.max(stored.h as usize + 1);
        let expected = prefixes[reach].get(key);
        let before = compared.get(key);
        let same = |(h, facts): &(u64, Option<Rc<Facts>>)| {
            *h == stored.h && facts.as_ref().map(Rc::as_ptr) == expected.map(Rc::as_ptr)
        };
        if before.is_some_and(same) {
            continue;
        }
        let cell = Cell::decode(key.kind, &stored.value).map_err(|e| e.to_string())?;
        let facts = told(&cell);
        if Some(&facts) != expected.map(Rc::as_ref) {
            let h = stored.h;
            return Err(format!("{key:?} at h {h} under checkpoint {checkpoint}:\n{facts:#?}\n{expected:#?}"));
        }
        compared.insert(key.clone(), (stored.h, expected.cloned()));
    }
    match prefixes[checkpoint].keys().find(|key| !world.store.contains_key(key)) {
        Some(key) => Err(format!("{key:?} is missing under checkpoint {checkpoint}")),
        None => Ok(()),
    }
}

#[test]
fn every_crash_leaves_exact_cells() {
    quiet_wanted_panics();
    let seeds = seeds(SEEDS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |first: usize| (first as u64..seeds).step_by(threads);
    let broken = std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || share(first).find_map(|seed| run(seed, None).err().map(|what| (seed, what))))
            })
            .collect();
        shares.into_iter().filter_map(|share| share.join().expect("a seed panicked")).min()
    });
    if let Some((seed, what)) = broken {
        panic!("{what}\nseed {seed}");
    }
}

#[test]
fn every_broken_rule_is_noticed() {
    quiet_wanted_panics();
    let seeds = seeds(SEEDS);
    let shown_here = |rule: &&Break| !Break::SIMULATED.contains(*rule);
    for &rule in Break::ALL.iter().filter(shown_here) {
        let noticed = (0..seeds).find(|seed| run(*seed, Some(rule)).is_err());
        println!("{rule:?} is noticed at seed {noticed:?}");
        assert!(noticed.is_some(), "{rule:?} breaks nothing in {seeds} seeds");
    }
}
