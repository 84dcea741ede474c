//! The oracle against logs worked out by hand, a rule each; and against the product's worker, on logs of seeds.

mod logs;
mod rules;
mod stand_in;

use std::collections::BTreeMap;

use counting::worker::{Action, Assigned, Committed, Input, LogRange, Mode, Settings, Worker};
use schemas::cell::{CellKey, CellKind};
use schemas::generation::Generation;
use schemas::log::Logged;
use schemas::stored::StoredCell;

use super::Oracle;
use crate::chance::Chance;

type Store = BTreeMap<CellKey, StoredCell>;

/// The cells of a partition after each batch of a worker that folds the log in such batches, each followed by a flush.
fn folded(generation: &Generation, partition: u32, batches: &[&[Logged]]) -> Vec<Store> {
    let records = batches.iter().copied().flatten();
    let panics_at = records.filter(|logged| crate::panics(logged)).map(|logged| logged.offset).collect();
    let settings = Settings::new(generation.clone(), partition, Mode::Together).panicking_at(panics_at);
    let mut worker = Worker::new(settings).unwrap();
    let mut store = Store::new();
    let log = LogRange { from: 0, to: 0 };
    let assigned = Assigned { checkpoint: None, state: None, log, before_checkpoint: None };
    give(&mut worker, &mut store, Input::Assigned(Box::new(assigned)));
    let mut after = Vec::new();
    for batch in batches {
        give(&mut worker, &mut store, Input::Batch(batch.to_vec()));
        give(&mut worker, &mut store, Input::Tick);
        after.push(store.clone());
    }
    after
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

fn quiet_wanted_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let wanted = panic.payload().downcast_ref::<String>().is_some_and(|text| text.starts_with("a test wants"));
            if !wanted {
                told(panic);
            }
        }));
    });
}

#[test]
fn the_oracle_and_the_worker_agree_on_logs_of_seeds() {
    quiet_wanted_panics();
    let mut seen: BTreeMap<CellKind, usize> = BTreeMap::new();
    let (mut poisoned, mut reads) = (0, super::Reads::default());
    for seed in 0..300 {
        let chance = &mut Chance::new(seed);
        let mut generation = logs::small(1 + chance.below(3) as u32, chance.pick(&[6, 8, 1_000]));
        generation.clock.lateness_ms = chance.pick(&[2, 6, 72]) * 3_600_000;
        generation.fold.flags_max = chance.pick(&[3, 3, 5, 6, 10]);
        let logs = logs::random(chance, &generation, 40);
        for (partition, log) in (0..).zip(&logs.partitions) {
            let mut oracle = Oracle::new(&generation, partition);
            let batches: Vec<&[Logged]> = log.chunks(1 + chance.below(9)).collect();
            let mut position = 0;
            for (batch, store) in batches.iter().zip(folded(&generation, partition, &batches)) {
                batch.iter().for_each(|logged| oracle.push(logged));
                position += batch.len() as u64;
                assert!(oracle.keys(position).eq(store.keys()), "seed {seed}: other cells at {position}");
                for (key, stored) in &store {
                    oracle.check(key, stored, position).unwrap_or_else(|what| panic!("{what}\nseed {seed}"));
                    *seen.entry(key.kind).or_default() += 1;
                }
            }
            poisoned += oracle.poisoned().len();
            let of_log = oracle.reads();
            reads.bulk += of_log.bulk;
            reads.too_few += of_log.too_few;
            reads.unequal += of_log.unequal;
            reads.others += of_log.others;
        }
    }
    println!("cells held against the oracle: {seen:?}; poisoned records: {poisoned}");
    println!("{reads:?}");
    assert!([reads.bulk, reads.too_few, reads.unequal, reads.others].iter().all(|number| *number > 50), "{reads:?}");
    // All but cells of experiments: none is defined here, their stand-in is.
    let kinds = CellKind::ALL.len() - 1;
    assert!(seen.len() == kinds && seen.values().all(|number| *number > 3_000) && poisoned > 200);
}
