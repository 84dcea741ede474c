//! A log cut anywhere gives the same bytes: batches, flushes, restarts and re-deliveries leave no trace in any cell.

use std::collections::BTreeMap;

use schemas::cell::CellKey;
use schemas::log::Logged;
use schemas::stored::StoredCell;

use super::dice::Dice;
use super::naive::{Counts, Naive, told};
use super::payloads::{Made, make_log, small_generation};
use super::{quiet_wanted_panics, seeds};
use crate::cells::Cell;
use crate::held::Cells;
use crate::state::State;
use crate::worker::{Action, Assigned, Committed, Input, LogRange, Mode, Settings, Worker};

type Store = BTreeMap<CellKey, StoredCell>;

fn made(seed: u64) -> Made {
    quiet_wanted_panics();
    make_log(&mut Dice::new(seed), &small_generation(), 40)
}

fn worker(made: &Made) -> Worker {
    let settings = Settings::new(small_generation(), 0, Mode::Together).panicking_at(made.panics_at.clone());
    Worker::new(settings).unwrap()
}

/// Gives an input and carries out at once whatever comes out of it.
fn give(worker: &mut Worker, store: &mut Store, input: Input) {
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        for action in worker.handle(input) {
            match action {
                Action::Load(keys) => {
                    inputs.push(Input::Loaded(keys.iter().map(|key| store.get(key).cloned()).collect()));
                }
                Action::Commit(flush) => {
                    store.extend(flush.cells.into_iter().map(|write| (write.key, write.cell)));
                    inputs.push(Input::Committed(Committed::Durable));
                }
                Action::Begin { .. } | Action::DeadLetter(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn begin(worker: &mut Worker, store: &mut Store) {
    let log = LogRange { from: 0, to: 0 };
    let assigned = Assigned { checkpoint: None, state: None, log, before_checkpoint: None };
    give(worker, store, Input::Assigned(Box::new(assigned)));
}

/// The whole log as one batch, and one flush.
fn straight(made: &Made) -> Store {
    let (mut worker, mut store) = (worker(made), Store::new());
    begin(&mut worker, &mut store);
    give(&mut worker, &mut store, Input::Batch(made.log.clone()));
    give(&mut worker, &mut store, Input::Tick);
    store
}

#[test]
fn a_log_cut_anywhere_gives_the_same_bytes() {
    for seed in 0..seeds(300) {
        let made = made(seed);
        let dice = &mut Dice::new(seed + 1_000_000);
        let (mut worker, mut store) = (worker(&made), Store::new());
        begin(&mut worker, &mut store);
        let mut at = 0;
        while at < made.log.len() {
            let to = (at + 1 + dice.below(7)).min(made.log.len());
            let again = dice.below(at + 1);
            give(&mut worker, &mut store, Input::Batch(made.log[again..to].to_vec()));
            at = to;
            if dice.percent(30) {
                give(&mut worker, &mut store, Input::Tick);
            }
        }
        give(&mut worker, &mut store, Input::Tick);
        assert!(store == straight(&made), "seed {seed}");
    }
}

/// The naive fold of a log, under a budget of texts.
fn naive(made: &Made, texts_bytes_max: u32) -> Counts {
    let mut generation = small_generation();
    generation.fold.texts_bytes_max = texts_bytes_max;
    Naive::new(&generation, &made.panics_at).folded(&made.log).counts
}

#[test]
fn the_naive_fold_agrees_also_where_the_budget_of_texts_decides() {
    let (all, mut decided, mut reads) = (seeds(100), 0, (0, 0));
    let budget = small_generation().fold.texts_bytes_max;
    for seed in 0..all {
        let made = made(seed);
        let expected = naive(&made, budget);
        let store = straight(&made);
        assert!(store.keys().eq(expected.keys()), "seed {seed}");
        for (key, stored) in &store {
            let facts = told(&Cell::decode(key.kind, &stored.value).unwrap());
            assert_eq!(facts, *expected[key], "{key:?}, seed {seed}");
        }
        decided += u64::from(expected != naive(&made, 10_000));
        let (bulk, others) = Naive::new(&small_generation(), &made.panics_at).folded(&made.log).reads;
        reads = (reads.0 + bulk, reads.1 + others);
    }
    println!("{} bulk reads, {} that are none though enough flags are known", reads.0, reads.1);
    assert!(reads.0 > all / 5 && reads.1 > all / 5, "{reads:?} reads of flags in {all} seeds");
    assert!(decided > all / 2, "the budget decides in {decided} of {all} seeds");
}

#[test]
fn the_same_log_again_changes_nothing() {
    for seed in 0..seeds(100) {
        let made = made(seed);
        let mut store = straight(&made);
        let before = store.clone();
        // Without its state the worker begins at offset 0, and every cell has what it is told.
        let mut worker = worker(&made);
        begin(&mut worker, &mut store);
        give(&mut worker, &mut store, Input::Batch(made.log.clone()));
        assert_eq!(worker.progress().cells.1, 0, "seed {seed}: nothing is dirty");
        give(&mut worker, &mut store, Input::Tick);
        assert!(store == before, "seed {seed}");
    }
}

/// Commits are applied to cells and states of another log, in any order and twice: nothing panics, whatever comes of
/// it.
#[test]
fn applying_a_commit_is_total() {
    let generation = small_generation();
    for seed in 0..seeds(200) {
        let (made, dice) = (made(seed), &mut Dice::new(seed));
        let rules = crate::fold::Rules::new(generation.clone(), 0);
        let (mut state, mut cells) = (State::empty(1 + dice.below(9) as u64), Cells::default());
        for _ in 0..60 {
            let logged = Logged { offset: dice.pick(&[0, 1, 7, 900, u64::MAX]), ..dice.pick(&made.log) };
            let prepared = rules.decode(vec![logged]);
            let mut again = true;
            while std::mem::take(&mut again) {
                match rules.step(&state, &cells, &prepared.records[0]) {
                    crate::fold::Stepped::Missing(keys) => {
                        keys.into_iter().for_each(|key| cells.insert(key, None, 3).unwrap());
                        again = true;
                    }
                    crate::fold::Stepped::Commit(commit) => {
                        if dice.percent(20) {
                            // Gone between step and commit: no cell is there, and nothing may come of that but less.
                            cells = Cells::default();
                        }
                        commit.apply(&mut state, &mut cells, &generation.fold);
                    }
                    crate::fold::Stepped::Halt(_) => {}
                }
            }
            if dice.percent(10) {
                cells.begin_flush();
                state.changes();
            }
        }
    }
}
