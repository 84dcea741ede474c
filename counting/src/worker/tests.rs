//! The worker: where it begins, why it stops, the order of a flush, and what it does when things fail.

use bytes::Bytes;
use schemas::cell::CellKind;
use schemas::log::Logged;
use schemas::record;
use schemas::stored::{Checkpoint, SavedState, StateChanges, WriteAnswer};

use super::*;
use crate::tests::dice::Dice;
use crate::tests::payloads::{Made, make_log, small_generation};
use crate::tests::quiet_wanted_panics;

fn made() -> Made {
    quiet_wanted_panics();
    make_log(&mut Dice::new(7), &small_generation(), 30)
}

fn settings(mode: Mode) -> Settings {
    Settings::new(small_generation(), 0, mode)
}

fn assigned(checkpoint: Option<Checkpoint>, state: Option<SavedState>, from: u64, to: u64) -> Assigned {
    Assigned { checkpoint, state, log: LogRange { from, to }, before_checkpoint: None }
}

fn checkpoint(position: u64, fingerprint: u32) -> Option<Checkpoint> {
    Some(Checkpoint { position, definition_version: 0, fingerprint, log_time_ms: 0 })
}

fn saved(position: u64) -> Option<SavedState> {
    let mut state = State::empty(10);
    for offset in 0..position {
        state.pass(offset, None, None);
    }
    let StateChanges { put, position, .. } = state.changes();
    Some(SavedState { position, rows: put })
}

fn begin(worker: &mut Worker, assigned: Assigned) -> Action {
    let mut actions = worker.handle(Input::Assigned(Box::new(assigned)));
    assert_eq!(actions.len(), 1);
    actions.remove(0)
}

fn running(mode: Mode) -> Worker {
    let mut worker = Worker::new(settings(mode)).unwrap();
    assert_eq!(begin(&mut worker, assigned(None, None, 0, 0)), Action::Begin { position: 0 });
    worker
}

/// Gives records, all cells new; answers all that is not a load.
fn fold(worker: &mut Worker, batch: &[Logged]) -> Vec<Action> {
    let mut all = Vec::new();
    let mut actions = worker.handle(Input::Batch(batch.to_vec()));
    while let Some(action) = actions.pop() {
        match action {
            Action::Load(keys) => actions.extend(worker.handle(Input::Loaded(vec![None; keys.len()]))),
            other => all.push(other),
        }
    }
    all
}

fn only<T>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn reading_begins_at_the_state_or_not_at_all() {
    let log = made().log;
    let before = |offset: usize| Some(log[offset].clone());
    let fingerprint = log[8].fingerprint();
    let begins = |position| Ok(Action::Begin { position });
    let cases = [
        ("nothing yet", assigned(None, None, 0, 0), begins(0)),
        ("a log that has begun", assigned(None, None, 0, 30), begins(0)),
        ("state below the checkpoint", assigned(checkpoint(9, 1), saved(5), 3, 30), begins(5)),
        ("state at the checkpoint", assigned(checkpoint(9, 1), saved(9), 9, 9), begins(9)),
        ("no state, whole log", assigned(checkpoint(9, 1), None, 0, 30), begins(0)),
        ("no state, log cut", assigned(checkpoint(9, 1), None, 3, 30), Err("3 records are lost")),
        ("nothing at all, log cut", assigned(None, None, 3, 30), Err("3 records are lost")),
        ("state, log cut above it", assigned(checkpoint(9, 1), saved(4), 8, 30), Err("4 records are lost")),
        ("state ahead", assigned(checkpoint(9, 1), saved(10), 0, 30), Err("stands at 10")),
        ("state, no checkpoint", assigned(None, saved(1), 0, 30), Err("stands at 1")),
        ("log ends early", assigned(checkpoint(9, 1), saved(5), 0, 8), Err("the log ends at 8")),
        (
            "the record before fits",
            Assigned { before_checkpoint: before(8), ..assigned(checkpoint(9, fingerprint), saved(9), 0, 30) },
            begins(9),
        ),
        (
            "another record before",
            Assigned { before_checkpoint: before(8), ..assigned(checkpoint(9, fingerprint ^ 1), saved(9), 0, 30) },
            Err("another log"),
        ),
    ];
    for (what, assigned, expected) in cases {
        let mut worker = Worker::new(settings(Mode::Apart)).unwrap();
        match (begin(&mut worker, assigned), expected) {
            (Action::Stop(stop), Err(words)) => assert!(stop.to_string().contains(words), "{what}: {stop}"),
            (action, expected) => assert_eq!(Ok(action), expected, "{what}"),
        }
    }
}

#[test]
fn settings_that_cannot_keep_the_promises_are_refused() {
    let mut large = settings(Mode::Apart);
    large.generation.fold.usage_pairs_max = 1_000;
    assert!(matches!(Worker::new(large), Err(SettingsError::Limits(limits)) if limits.kind == CellKind::Usage));
    let mut longest = settings(Mode::Apart);
    longest.generation.dedupe_records = crate::state::RECORDS_MAX;
    assert!(Worker::new(longest).is_ok());
    let mut long = settings(Mode::Apart);
    long.generation.dedupe_records = 1 << 40;
    assert!(matches!(Worker::new(long), Err(SettingsError::Dedupe(_))));
}

#[test]
fn apart_cells_come_before_the_checkpoint_and_that_before_the_state_of_its_position() {
    let log = made().log;
    let mut worker = running(Mode::Apart);
    fold(&mut worker, &log[..10]);
    let Action::Write(cells) = only(worker.handle(Input::Tick)) else { panic!("cells first") };
    assert!(worker.handle(Input::Tick).is_empty(), "one flush at a time");
    for early in [Input::CheckpointWrote(true), Input::StateSaved, Input::Committed(Committed::Durable)] {
        assert!(worker.handle(early).is_empty(), "what answers another step is passed over");
    }
    fold(&mut worker, &log[10..20]);
    let written = only(worker.handle(Input::Wrote(vec![WriteAnswer::Stored; cells.len()])));
    let Action::WriteCheckpoint(checkpoint) = written else { panic!("then the checkpoint: {written:?}") };
    assert_eq!((checkpoint.position, checkpoint.fingerprint), (10, log[9].fingerprint()));
    let Action::SaveState(changes) = only(worker.handle(Input::CheckpointWrote(true))) else {
        panic!("then the state")
    };
    assert_eq!(changes.position, 10, "while folding has gone on to {}", worker.progress().folded);
    let loaded = State::load(&SavedState { position: 10, rows: changes.put }, 8).unwrap();
    assert_eq!(loaded.log_time_ms(), checkpoint.log_time_ms);
    assert!(worker.handle(Input::StateSaved).is_empty());
    let progress = worker.progress();
    assert_eq!((progress.saved, progress.durable, progress.folded), (10, 10, 20));
    assert!(!worker.is_at_rest());
}

#[test]
fn a_failed_step_is_taken_again_as_it_was() {
    let log = made().log;
    let mut worker = running(Mode::Apart);
    let failed = |work, retry| Input::Failed { work, reason: "store is asleep".into(), retry };
    let load = worker.handle(Input::Batch(log[..10].to_vec()));
    let Some(Action::Load(keys)) = load.first().cloned() else { panic!("{load:?}") };
    assert_eq!(worker.handle(failed(Work::Load, true)), load);
    let mut actions = worker.handle(Input::Loaded(vec![None; keys.len()]));
    actions.extend(worker.handle(Input::Tick));
    let first = actions.pop().unwrap();
    fold(&mut worker, &log[10..20]);
    assert_eq!(worker.handle(failed(Work::Flush, true)), [first]);
    let stop = only(worker.handle(failed(Work::Flush, false)));
    assert!(matches!(&stop, Action::Stop(stop) if stop.to_string().contains("store is asleep")), "{stop:?}");
    assert!(worker.handle(Input::Tick).is_empty() && !worker.wants_batch());
}

#[test]
fn together_a_refused_flush_is_written_without_what_the_store_has() {
    let log = made().log;
    let mut worker = running(Mode::Together);
    fold(&mut worker, &log[..10]);
    let Action::Commit(flush) = only(worker.handle(Input::Tick)) else { panic!("one commit") };
    let theirs = StoredCell { h: 25, value: flush.cells[1].cell.value.clone() };
    let refused = Committed::Refused { cells: vec![(1, theirs)], checkpoint: None };
    let Action::Commit(rest) = only(worker.handle(Input::Committed(refused))) else { panic!("once more") };
    let mut expected = flush.clone();
    let ahead = expected.cells.remove(1);
    assert_eq!(rest, expected);
    assert_eq!(worker.cells.get(&ahead.key).unwrap().1, Some(25), "value and h are adopted together");
    assert!(worker.handle(Input::Committed(Committed::Durable)).is_empty());
    assert!(worker.is_at_rest());

    fold(&mut worker, &log[10..12]);
    worker.handle(Input::Tick);
    let refused = Committed::Refused { cells: vec![], checkpoint: checkpoint(40, 0) };
    let stop = only(worker.handle(Input::Committed(refused)));
    assert_eq!(stop, Action::Stop(Stop::StoreAhead { ours: 12, theirs: 40 }));
}

#[test]
fn what_waits_and_what_is_dirty_is_bounded() {
    let log = made().log;
    let mut small = settings(Mode::Apart);
    (small.waiting_records_max, small.dirty_cells_max, small.cells_max) = (5, 2, 3);
    let mut worker = Worker::new(small).unwrap();
    begin(&mut worker, assigned(None, None, 0, 0));
    let Action::Load(_) = only(worker.handle(Input::Batch(log[..10].to_vec()))) else { panic!("a load") };
    assert!(!worker.wants_batch(), "ten records wait");
    let keys = worker.loading.clone().unwrap();
    let actions = worker.handle(Input::Loaded(vec![None; keys.len()]));
    let writes = actions.iter().filter(|action| matches!(action, Action::Write(_))).count();
    assert_eq!(writes, 1, "many dirty cells begin a flush that was not due: {actions:?}");
    assert!(worker.progress().folded < 10, "and folding waits for it");
    for _ in 0..200 {
        let input = match &worker.flush {
            _ if worker.loading.is_some() => Input::Loaded(vec![None; worker.loading.as_ref().unwrap().len()]),
            Some(under_way) => under_way.answer(),
            None => Input::Tick,
        };
        worker.handle(input);
    }
    assert!(worker.is_at_rest() && worker.progress().folded == 10);
}

#[test]
fn a_snapshot_is_of_the_saved_state_and_waits_for_a_flush() {
    let log = made().log;
    let mut worker = running(Mode::Together);
    assert!(worker.handle(Input::SnapshotDue).is_empty(), "the empty state at offset 0 is the first snapshot");
    fold(&mut worker, &log[..6]);
    worker.handle(Input::Tick);
    assert!(worker.handle(Input::SnapshotDue).is_empty());
    let after = worker.handle(Input::Committed(Committed::Durable));
    assert_eq!(after, [Action::Snapshot { position: 6 }]);
}

#[test]
fn where_the_last_write_wins_a_loaded_cell_above_the_checkpoint_is_written_again() {
    let log = made().log;
    for (last_write_wins, expected) in [(false, 0), (true, 1)] {
        let mut settings = settings(Mode::Apart);
        settings.last_write_wins = last_write_wins;
        let mut worker = Worker::new(settings).unwrap();
        begin(&mut worker, assigned(checkpoint(1, log[0].fingerprint()), saved(1), 0, 30));
        let Action::Load(keys) = only(worker.handle(Input::Batch(log[1..3].to_vec()))) else { panic!("a load") };
        let mut cells = vec![None; keys.len()];
        let books = keys.iter().position(|key| key.kind == CellKind::Books).unwrap();
        cells[books] = Some(StoredCell { h: 29, value: Bytes::new() });
        worker.handle(Input::Loaded(cells));
        let dirty = worker.cells.begin_flush();
        assert_eq!(dirty.iter().filter(|write| write.key == keys[books]).count(), expected);
    }
}

/// A worker that breaks a rule, with what it holds of the first records: all cells as the store has them, h far ahead.
fn far_ahead(rule: crate::Break) -> (Worker, Vec<Action>) {
    let log = made().log;
    let mut settings = settings(Mode::Apart).breaking(rule);
    settings.last_write_wins = true;
    let mut worker = Worker::new(settings).unwrap();
    begin(&mut worker, assigned(checkpoint(1, log[0].fingerprint()), saved(1), 0, 30));
    let Action::Load(keys) = only(worker.handle(Input::Batch(log[1..3].to_vec()))) else { panic!("a load") };
    let ahead = StoredCell { h: 29, value: Bytes::new() };
    worker.handle(Input::Loaded(vec![Some(ahead); keys.len()]));
    let actions = worker.handle(Input::Tick);
    (worker, actions)
}

/// The rules that only the simulation notices: that each switch breaks what it says, and nothing more can be shown
/// here.
#[test]
fn switches_of_the_simulation_break_what_they_say() {
    use crate::Break::{
        AddInsteadOfPut, BeyondEndUnchecked, DefinitionByArrival, LogRowUnchecked, NoFingerprint, OverrunUnchecked,
        ReflushBelowCheckpointOnly, StateAheadUnchecked, TrustUnacknowledged,
    };
    for (rule, dirty) in [(TrustUnacknowledged, false), (ReflushBelowCheckpointOnly, true)] {
        let (mut worker, actions) = far_ahead(rule);
        assert!(matches!(actions[..], [Action::WriteCheckpoint(_)]), "{rule:?} writes no cell: {actions:?}");
        assert_eq!(!worker.cells.begin_flush().is_empty(), dirty, "{rule:?}");
    }
    let (worker, actions) = far_ahead(AddInsteadOfPut);
    let Action::Write(cells) = &actions[0] else { panic!("{actions:?}") };
    for write in cells {
        let added = matches!(write.key.kind, CellKind::Books | CellKind::Events);
        assert_eq!(write.cell.h < 29, added, "what was loaded is there, but where the store adds: {write:?}");
    }
    assert!(cells.iter().any(|write| write.cell.h < 29) && cells.iter().any(|write| write.cell.h == 29), "{cells:?}");
    for write in cells.iter().filter(|write| write.cell.h < 29) {
        assert_eq!(*worker.cells.get(&write.key).unwrap().0, crate::cells::Cell::empty(write.key.kind));
    }

    let log = made().log;
    // Each of the two stands alone: what the one lets pass, the other does not.
    let other = Assigned { before_checkpoint: Some(log[8].clone()), ..assigned(checkpoint(9, 1), saved(9), 0, 20) };
    let short = assigned(checkpoint(9, 1), saved(9), 0, 8);
    for (rule, passes_other) in [(NoFingerprint, true), (BeyondEndUnchecked, false)] {
        let begin = |assigned: &Assigned| {
            begin(&mut Worker::new(settings(Mode::Apart).breaking(rule)).unwrap(), assigned.clone())
        };
        let at_nine = |assigned| begin(assigned) == Action::Begin { position: 9 };
        assert_eq!((at_nine(&other), at_nine(&short)), (passes_other, !passes_other), "{rule:?}");
    }

    // So do these two; and both may be broken at once.
    let cut = assigned(None, None, 3, 20);
    let ahead = assigned(checkpoint(7, log[6].fingerprint()), saved(9), 0, 20);
    for (rules, begins_cut, begins_ahead) in [
        (&[][..], false, false),
        (&[OverrunUnchecked][..], true, false),
        (&[StateAheadUnchecked][..], false, true),
        (&[OverrunUnchecked, StateAheadUnchecked][..], true, true),
    ] {
        let broken = || rules.iter().fold(settings(Mode::Apart), |settings, rule| settings.breaking(*rule));
        let begins = |assigned: &Assigned, position| {
            begin(&mut Worker::new(broken()).unwrap(), assigned.clone()) == Action::Begin { position }
        };
        assert_eq!((begins(&cut, 0), begins(&ahead, 9)), (begins_cut, begins_ahead), "{rules:?}");
    }

    let mut generation = small_generation();
    generation.fold.flags_max = 2;
    let mut worker = Worker::new(Settings::new(generation, 0, Mode::Apart).breaking(LogRowUnchecked)).unwrap();
    begin(&mut worker, assigned(None, None, 0, 0));
    fold(&mut worker, &log[..1]);
    assert_eq!(worker.progress().folded, 1);

    for (rule, version) in [(None, 7), (Some(DefinitionByArrival), 3)] {
        let breakage = crate::breakage::Breakage { which: rule, ..Default::default() };
        let environment = schemas::id::Environment::new("p", "e").unwrap();
        let key = crate::state::DefinitionKey { environment, kind: 1, key: Bytes::from_static(b"x") };
        let mut state = State::empty(8);
        for version in [7, 3] {
            let seen = crate::state::DefinitionSeen { key: key.clone(), version, body: &Bytes::new(), in_force: true };
            state.define(seen, &breakage);
        }
        assert_eq!((state.definition(&key).unwrap().version, state.definition_version()), (version, 7));
    }
}

#[test]
fn what_is_in_memory_is_ahead_of_what_is_saved() {
    let log = made().log;
    let mut worker = running(Mode::Apart);
    fold(&mut worker, &log[..10]);
    let rows = worker.state_in_memory();
    assert_eq!((rows.position, worker.progress().saved), (10, 0));
    let loaded = State::load(&rows, small_generation().dedupe_records).unwrap();
    assert_eq!(loaded.in_memory(), rows);
    assert_eq!(loaded.log_time_ms(), worker.progress().log_time_ms);
}

/// Says so by the record itself, wherever it lies.
#[test]
fn records_that_panic_can_be_told_by_what_they_are() {
    quiet_wanted_panics();
    let log = made().log;
    let letters = |settings: Settings| {
        let mut worker = Worker::new(settings).unwrap();
        begin(&mut worker, assigned(None, None, 0, 0));
        let actions = fold(&mut worker, &log[..20]);
        assert_eq!(worker.progress().folded, 20);
        actions.into_iter().filter(|action| matches!(action, Action::DeadLetter(_))).collect::<Vec<_>>()
    };
    let odd: Vec<u64> = (0..20).filter(|offset| offset % 2 == 1).collect();
    let told_by_offset = letters(settings(Mode::Apart).panicking_at(odd));
    assert_eq!(letters(settings(Mode::Apart).panicking_on(|logged| logged.offset % 2 == 1)), told_by_offset);
    assert!(told_by_offset.len() > letters(settings(Mode::Apart)).len() + 3);
}

#[test]
fn a_flush_before_the_first_record_keeps_the_fingerprint_of_the_checkpoint() {
    let log = made().log;
    let mut settings = settings(Mode::Apart);
    (settings.last_write_wins, settings.dirty_cells_max) = (true, 1);
    let mut worker = Worker::new(settings).unwrap();
    begin(&mut worker, assigned(checkpoint(1, 77), saved(1), 0, 30));
    let Action::Load(keys) = only(worker.handle(Input::Batch(log[1..3].to_vec()))) else { panic!("a load") };
    let ahead = StoredCell { h: 29, value: Bytes::new() };
    let actions = worker.handle(Input::Loaded(vec![Some(ahead); keys.len()]));
    let Some(Action::Write(cells)) = actions.first() else { panic!("dirty cells begin a flush: {actions:?}") };
    let next = worker.handle(Input::Wrote(vec![WriteAnswer::Stored; cells.len()]));
    let Some(Action::WriteCheckpoint(checkpoint)) = next.first() else { panic!("then the checkpoint: {next:?}") };
    assert_eq!((checkpoint.position, checkpoint.fingerprint), (1, 77));
}

#[test]
fn a_log_of_another_generation_and_a_broken_cell_stop_with_words() {
    let mut other = small_generation();
    other.partitions = 9;
    let append = record::generation_record(&other, 0, 0);
    let first = Logged { offset: 0, append_ms: 0, header: append.header, body: append.body };
    let stop = only(fold(&mut running(Mode::Apart), &[first]));
    assert!(matches!(&stop, Action::Stop(stop) if stop.to_string().contains("partitions = 9")), "{stop:?}");

    let mut worker = running(Mode::Apart);
    let Action::Load(keys) = only(worker.handle(Input::Batch(made().log[..10].to_vec()))) else { panic!("a load") };
    let broken = StoredCell { h: 1, value: Bytes::from_static(b"\xff") };
    let stop = only(worker.handle(Input::Loaded(vec![Some(broken); keys.len()])));
    assert!(matches!(stop, Action::Stop(Stop::Cell { .. })), "{stop:?}");
}

#[test]
fn after_revoked_nothing_comes_out() {
    let log = made().log;
    let mut worker = running(Mode::Apart);
    fold(&mut worker, &log[..10]);
    worker.handle(Input::Tick);
    assert!(worker.handle(Input::Revoked).is_empty());
    for input in [Input::Tick, Input::Batch(log), Input::StateSaved, Input::CheckpointWrote(true)] {
        assert!(worker.handle(input).is_empty());
    }
}
