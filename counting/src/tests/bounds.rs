//! What a worker holds is bounded, to the record: how much waits, and how much is folded that is not yet durable.

use super::dice::Dice;
use super::payloads::{make_log, small_generation};
use super::quiet_wanted_panics;
use crate::worker::{Action, Assigned, Input, LogRange, Mode, Settings, Worker};
use schemas::log::Logged;

const RECORDS: usize = 30;

fn begun(change: impl Fn(&mut Settings)) -> (Worker, Vec<Logged>) {
    quiet_wanted_panics();
    let mut settings = Settings::new(small_generation(), 0, Mode::Apart);
    change(&mut settings);
    let mut worker = Worker::new(settings).unwrap();
    let log = LogRange { from: 0, to: 0 };
    let assigned = Assigned { checkpoint: None, state: None, log, before_checkpoint: None };
    worker.handle(Input::Assigned(Box::new(assigned)));
    (worker, make_log(&mut Dice::new(7), &small_generation(), RECORDS).log)
}

#[test]
fn a_batch_is_wanted_while_fewer_records_wait_than_may() {
    for (waiting, wanted) in [(4, true), (5, false), (6, false)] {
        let (mut worker, log) = begun(|settings| settings.waiting_records_max = 5);
        let actions = worker.handle(Input::Batch(log[..waiting].to_vec()));
        assert!(matches!(actions[..], [Action::Load(_)]), "none is folded before its cells are there: {actions:?}");
        assert_eq!(worker.wants_batch(), wanted, "{waiting} records wait");
    }
}

/// The store takes the first write and never says so.
#[test]
fn while_a_flush_is_under_way_folding_waits_where_too_many_cells_are_dirty() {
    const DIRTY_MAX: usize = 4;
    let (mut worker, log) = begun(|settings| settings.dirty_cells_max = DIRTY_MAX);
    let mut actions = worker.handle(Input::Batch(log));
    let mut writes = 0;
    while let Some(action) = actions.pop() {
        match action {
            Action::Load(keys) => actions.extend(worker.handle(Input::Loaded(vec![None; keys.len()]))),
            Action::Write(_) => {
                writes += 1;
                actions.extend(worker.handle(Input::Tick));
            }
            _ => {}
        }
    }
    let before = worker.progress();
    for _ in 0..RECORDS {
        worker.handle(Input::Tick);
    }
    let progress = worker.progress();
    assert_eq!((writes, progress.durable), (1, 0));
    assert_eq!(progress, before, "nothing goes on until the store answers");
    assert!(progress.cells.1 >= DIRTY_MAX, "{progress:?}");
    assert!((progress.folded as usize) < RECORDS, "{progress:?}");
}

/// To the cell: a flush begins with the record that makes as many dirty as may be, and has nothing of the next one.
#[test]
fn the_last_cell_that_may_be_dirty_begins_a_flush() {
    let flushed = |most: usize, records: usize| {
        let (mut worker, log) = begun(|settings| settings.dirty_cells_max = most);
        let mut actions = worker.handle(Input::Batch(log[..records].to_vec()));
        let mut written = None;
        while let Some(action) = actions.pop() {
            match action {
                Action::Load(keys) => actions.extend(worker.handle(Input::Loaded(vec![None; keys.len()]))),
                Action::Write(cells) if written.is_none() => written = Some(cells.len()),
                _ => {}
            }
        }
        (written, worker.progress().cells.1)
    };
    let mut met = 0;
    for records in 1..RECORDS {
        let (_, dirty) = flushed(usize::MAX, records);
        let (_, before) = flushed(usize::MAX, records - 1);
        if dirty > before {
            assert_eq!(flushed(dirty, RECORDS).0, Some(dirty), "after {records} records");
            met += 1;
        }
    }
    assert!(met > 3, "{met} records made more cells dirty");
}
