use std::collections::BTreeSet;

use bytes::Bytes;
use counting::cells::{Cell, Change, EventChange};
use schemas::cell::{CellKind, CellName};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::stored::StateChanges;

use super::*;

fn key(name: &'static str) -> CellKey {
    let environment = Environment { project: "p".into(), key: "dev".into() };
    CellKey {
        generation: 1,
        partition: 0,
        kind: CellKind::Events,
        environment,
        name: CellName::Key(name.into()),
        window: 1,
    }
}

fn cell(h: u64, value: &'static str) -> StoredCell {
    StoredCell { h, value: value.into() }
}

fn write(name: &'static str, h: u64, value: &'static str) -> CellWrite {
    CellWrite { key: key(name), cell: cell(h, value) }
}

fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: 0 }
}

fn calm() -> Chance {
    let mut chance = Chance::new(1);
    chance.be_calm();
    chance
}

/// A cell as each consistent reader gets it.
fn views(stores: &Stores, name: &'static str) -> Vec<Option<StoredCell>> {
    let mut views = Vec::new();
    stores.every_view(|view| views.push(view.cell(&key(name)).cloned()));
    views
}

fn checkpoints(stores: &Stores) -> Vec<Option<u64>> {
    let mut views = Vec::new();
    stores.every_view(|view| views.push(view.checkpoint(1, 0).map(|checkpoint| checkpoint.position)));
    views
}

/// A write at chosen servers.
fn place(stores: &mut Stores, servers: u8, write: CellWrite) -> Option<StoredCell> {
    let timestamp = stores.timestamp(StoreBreak::Unconditional, write.cell.h);
    let number = stores.cells.number(&write.key);
    stores.put_cell(number, servers, Sent { timestamp, value: write.cell })
}

fn flush(cells: Vec<CellWrite>, position: u64) -> Flush {
    Flush { generation: 1, partition: 0, cells, checkpoint: checkpoint(position), state: StateChanges::default() }
}

#[test]
fn a_lower_h_changes_nothing_and_a_higher_one_is_told_once() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, None), calm());
        stores.write(&[write("a", 5, "five")], &mut chance).unwrap();
        let first = News::Cell { key: key("a"), cell: cell(5, "five"), before: None };
        assert_eq!(stores.news(), [first], "{model:?}");
        let answers = stores.write(&[write("a", 3, "three"), write("a", 5, "five")], &mut chance).unwrap();
        let refused = match model {
            Model::Conditional => WriteAnswer::Refused(cell(5, "five")),
            Model::LastWriteWins => WriteAnswer::Stored,
        };
        assert_eq!(answers, [refused, WriteAnswer::Stored], "{model:?}");
        assert_eq!(stores.news(), [], "{model:?}");
        stores.write(&[write("a", 7, "seven")], &mut chance).unwrap();
        assert_eq!(stores.news(), [News::Cell { key: key("a"), cell: cell(7, "seven"), before: Some(5) }]);
        assert_eq!(stores.load(&[key("b"), key("a")], &mut chance).unwrap(), [None, Some(cell(7, "seven"))]);
        assert!(views(&stores, "a").iter().all(|view| *view == Some(cell(7, "seven"))), "{model:?}");
    }
}

/// The server keeps what it has, so nobody would see it; but one of the two is wrong.
#[test]
fn other_bytes_under_the_same_h_are_news() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, None), calm());
        stores.write(&[write("a", 5, "right")], &mut chance).unwrap();
        stores.news();
        stores.write(&[write("a", 5, "other")], &mut chance).unwrap();
        assert_eq!(stores.news(), [News::Cell { key: key("a"), cell: cell(5, "other"), before: Some(5) }]);
        assert_eq!(views(&stores, "a")[0], Some(cell(5, "right")), "{model:?}");
    }
}

#[test]
fn a_checkpoint_never_falls() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, None), calm());
        let mut write = |position| stores.write_checkpoint(1, 0, checkpoint(position), &mut chance).unwrap();
        let wrote = [write(4), write(4), write(3), write(6)];
        // Where the last write wins, nobody says that another is ahead.
        assert_eq!(wrote, [true, true, model == Model::LastWriteWins, true]);
        assert_eq!(stores.checkpoint(1, 0, &mut chance).unwrap(), Some(checkpoint(6)));
        assert_eq!(stores.checkpoint(1, 1, &mut chance).unwrap(), None);
        let befores: Vec<_> = stores.news().into_iter().map(|news| matches!(news, News::Checkpoint { .. })).collect();
        assert_eq!(befores, [true, true], "4 and 6, once each, in {model:?}");
    }
}

#[test]
fn an_unacknowledged_write_is_seen_by_some_readers_only() {
    let mut stores = Stores::new(Model::LastWriteWins, None);
    place(&mut stores, 0b111, write("a", 3, "three"));
    place(&mut stores, 0b001, write("a", 5, "five"));
    let (three, five) = (Some(cell(3, "three")), Some(cell(5, "five")));
    assert_eq!(views(&stores, "a"), [five.clone(), five.clone(), three.clone()]);
    let mut chance = calm();
    let mut seen = [false; 2];
    for _ in 0..50 {
        let loaded = stores.load(&[key("a")], &mut chance).unwrap().remove(0);
        seen[usize::from(loaded == five)] = true;
        assert!(loaded == five || loaded == three);
    }
    assert_eq!(seen, [true; 2], "the pair is chosen by chance, and a read mends nothing");
    // The hint arrives after a newer write and does not undo it.
    place(&mut stores, 0b110, write("a", 6, "six"));
    place(&mut stores, 0b110, write("a", 5, "five"));
    assert_eq!(views(&stores, "a"), vec![Some(cell(6, "six")); 3]);
}

#[test]
fn what_was_not_answered_is_anywhere_and_a_retry_mends_it() {
    for &model in Model::ALL {
        let (mut partial, mut unheard) = (0, 0);
        for seed in 0..2_000 {
            let (mut stores, mut chance) = (Stores::new(model, None), Chance::new(seed));
            let batch = [write("a", 5, "five"), write("b", 5, "five"), write("c", 5, "five")];
            let answered = stores.write(&batch, &mut chance).is_ok();
            let whole = ["a", "b", "c"].iter().all(|name| views(&stores, name).iter().all(Option::is_some));
            assert!(whole || !answered, "every reader finds what was answered: seed {seed}, {model:?}");
            unheard += usize::from(whole && !answered);
            partial += usize::from(!whole && ["a", "b", "c"].iter().any(|name| views(&stores, name)[0].is_some()));
            chance.be_calm();
            assert_eq!(stores.write(&batch, &mut chance), Ok(vec![WriteAnswer::Stored; 3]), "seed {seed}");
            let whole = ["a", "b", "c"].iter().all(|name| views(&stores, name).iter().all(Option::is_some));
            assert!(whole, "seed {seed}, {model:?}");
        }
        assert!(partial > 20, "half of a batch came through {partial} times in {model:?}");
        assert!(unheard > 20, "all of it came through unheard {unheard} times in {model:?}");
    }
}

#[test]
fn each_fault_is_thrown_where_it_can_happen() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, None), Chance::new(7));
        for h in 0..2_000 {
            let _ = stores.write(&[write("a", h, "x"), write("b", h, "x")], &mut chance);
            let _ = stores.load(&[key("a")], &mut chance);
            stores.read_stale(&key("a"), &mut chance);
        }
        let replicated = [Fault::PartialQuorum, Fault::ReplicaMissed];
        for fault in [Fault::WriteLost, Fault::WriteUnanswered, Fault::LoadFailed, Fault::StaleRead] {
            assert!(chance.tally.of(fault) > 20, "{fault:?} in {model:?}");
        }
        let happened = replicated.map(|fault| chance.tally.of(fault) > 20);
        assert_eq!(happened, [model == Model::LastWriteWins; 2], "{model:?}");
    }
}

#[test]
fn a_lost_write_may_arrive_later_and_undoes_nothing() {
    for &model in Model::ALL {
        let mut arrived = 0;
        for seed in 0..2_000 {
            let (mut stores, mut chance) = (Stores::new(model, None), Chance::new(seed));
            stores.write_half(&[write("a", 5, "five")], &mut chance);
            let before = views(&stores, "a");
            stores.everything_arrives();
            arrived += usize::from(views(&stores, "a") != before);
            place(&mut stores, model.servers(), write("b", 9, "nine"));
            stores.write_half(&[write("b", 5, "five")], &mut chance);
            stores.everything_arrives();
            assert!(views(&stores, "b").iter().all(|view| *view == Some(cell(9, "nine"))), "seed {seed}, {model:?}");
        }
        assert!(arrived > 50, "{arrived} in {model:?}");
    }
}

#[test]
fn half_a_batch_is_left_by_a_process_that_dies() {
    for &model in Model::ALL {
        let mut chance = calm();
        let mut counts = [0; 4];
        for _ in 0..300 {
            let mut stores = Stores::new(model, None);
            stores.write_half(&[write("a", 1, "x"), write("b", 1, "x"), write("c", 1, "x")], &mut chance);
            let there = ["a", "b", "c"].iter().filter(|name| views(&stores, name).iter().any(Option::is_some));
            counts[there.count()] += 1;
        }
        let all = if model == Model::Conditional { &counts[..] } else { &counts[1..] };
        assert!(all.iter().all(|count| *count > 5), "{counts:?} in {model:?}");
    }
}

#[test]
fn together_is_all_or_nothing() {
    let mut stores = Stores::new(Model::Conditional, None);
    assert_eq!(stores.commit(&flush(vec![write("a", 5, "five"), write("b", 4, "four")], 6)), Committed::Durable);
    assert_eq!(stores.news().len(), 3);
    // One cell is behind the store, one the same, one ahead: none is written.
    let behind = flush(vec![write("a", 4, "four"), write("b", 4, "four"), write("c", 4, "four")], 6);
    let refused = Committed::Refused { cells: vec![(0, cell(5, "five"))], checkpoint: None };
    assert_eq!(stores.commit(&behind), refused);
    let lower = flush(vec![write("c", 4, "four")], 5);
    assert_eq!(stores.commit(&lower), Committed::Refused { cells: Vec::new(), checkpoint: Some(checkpoint(6)) });
    assert_eq!((views(&stores, "c"), stores.news()), (vec![None], Vec::new()));
    assert_eq!(stores.commit(&flush(vec![write("b", 4, "four"), write("c", 7, "seven")], 8)), Committed::Durable);
    assert_eq!((views(&stores, "c"), checkpoints(&stores)), (vec![Some(cell(7, "seven"))], vec![Some(8)]));
}

#[test]
fn the_first_row_of_a_generation_stays() {
    let mut stores = Stores::new(Model::Conditional, None);
    assert_eq!(stores.generation(1), None);
    let rows = [Bytes::from_static(b"first"), Bytes::from_static(b"second")];
    let found: Vec<Bytes> = rows.into_iter().map(|row| stores.create_generation(1, row)).collect();
    assert_eq!(found, ["first", "first"]);
}

#[test]
fn without_a_condition_the_last_to_come_wins() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, Some(StoreBreak::Unconditional)), calm());
        for h in [5, 3] {
            assert_eq!(stores.write(&[write("a", h, "x")], &mut chance), Ok(vec![WriteAnswer::Stored]), "{model:?}");
            stores.write_checkpoint(1, 0, checkpoint(h), &mut chance).unwrap();
        }
        assert_eq!(views(&stores, "a")[0], Some(cell(3, "x")), "{model:?}");
        assert_eq!(checkpoints(&stores)[0], Some(5), "checkpoints keep their condition in {model:?}");
        let fell = News::Cell { key: key("a"), cell: cell(3, "x"), before: Some(5) };
        assert!(stores.news().contains(&fell), "{model:?}");
    }
    let mut stores = Stores::new(Model::Conditional, Some(StoreBreak::Unconditional));
    stores.commit(&flush(vec![write("a", 5, "x")], 6));
    assert_eq!(stores.commit(&flush(vec![write("a", 3, "x")], 6)), Committed::Durable);
    assert_eq!(views(&stores, "a"), [Some(cell(3, "x"))]);
}

#[test]
fn a_checkpoint_without_a_condition_falls() {
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, Some(StoreBreak::CheckpointUnconditional)), calm());
        for position in [5, 3] {
            stores.write(&[write("a", position, "x")], &mut chance).unwrap();
            assert_eq!(stores.write_checkpoint(1, 0, checkpoint(position), &mut chance), Ok(true), "{model:?}");
        }
        assert_eq!(checkpoints(&stores)[0], Some(3), "{model:?}");
        assert_eq!(views(&stores, "a")[0], Some(cell(5, "x")), "cells keep their condition in {model:?}");
    }
}

#[test]
fn adding_counts_twice_what_is_written_twice() {
    let mut events = Cell::empty(CellKind::Events);
    let change = Change::Event(EventChange { sampling: 1, value: None, gated: false });
    events.apply(&change, &FoldLimits::default());
    let mut twice = events.clone();
    twice.merge(&events);
    assert_ne!(twice, events, "the change counts");
    let value = |cell: &Cell| Bytes::from(cell.encode());
    for &model in Model::ALL {
        let (mut stores, mut chance) = (Stores::new(model, Some(StoreBreak::Add)), calm());
        for h in [5, 3] {
            let write = CellWrite { key: key("a"), cell: StoredCell { h, value: value(&events) } };
            assert_eq!(stores.write(&[write], &mut chance), Ok(vec![WriteAnswer::Stored]), "{model:?}");
        }
        let sum = Some(StoredCell { h: 5, value: value(&twice) });
        assert!(views(&stores, "a").iter().all(|view| *view == sum), "{model:?}");
    }
}

/// A reader that does not ask for consistency may get anything that a server once had, and nothing else.
#[test]
fn a_stale_reader_sees_what_was_there() {
    for &model in Model::ALL {
        let mut stores = Stores::new(model, None);
        place(&mut stores, model.servers(), write("a", 3, "three"));
        place(&mut stores, 0b001, write("a", 5, "five"));
        place(&mut stores, 0b001, write("a", 7, "seven"));
        let mut chance = Chance::new(2);
        let read = |_| stores.read_stale(&key("a"), &mut chance).map(|cell| cell.h);
        let found: BTreeSet<Option<u64>> = (0..500).map(read).collect();
        let expected = match model {
            Model::Conditional => vec![None, Some(3), Some(5), Some(7)],
            Model::LastWriteWins => vec![Some(3), Some(7)],
        };
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{model:?}");
    }
}

/// A consistent load never gives what an answered write has replaced; the broken one does.
#[test]
fn only_a_broken_restore_is_stale() {
    for &model in Model::ALL {
        for (broken, wanted) in [(None, false), (Some(StoreBreak::EventuallyConsistentRestore), true)] {
            let (mut stores, mut chance) = (Stores::new(model, broken), Chance::new(3));
            let mut stale = [false; 2];
            let mut answered = [0; 2];
            for h in 1..2_000 {
                if stores.write(&[write("a", h, "x")], &mut chance).is_ok() {
                    answered[0] = h;
                }
                if stores.write_checkpoint(1, 0, checkpoint(h), &mut chance).is_ok() {
                    answered[1] = h;
                }
                if let Ok(cells) = stores.load(&[key("a")], &mut chance) {
                    stale[0] |= cells[0].as_ref().map_or(0, |cell| cell.h) < answered[0];
                }
                if let Ok(found) = stores.checkpoint(1, 0, &mut chance) {
                    stale[1] |= found.map_or(0, |found| found.position) < answered[1];
                }
            }
            assert_eq!(stale, [wanted; 2], "{broken:?} in {model:?}");
        }
    }
}
