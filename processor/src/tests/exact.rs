//! Without crashes: records go in, and the cells are what the oracle says, under either keeping, whatever the store's
//! answers were.

use std::collections::BTreeSet;
use std::sync::Arc;

use eventlog::EventLog;
use eventlog::embedded::{EmbeddedLog, Options as LogOptions};
use eventlog::files::Directory;
use eventlog::files::forgetful::{Dice, seeds};
use schemas::log::Append;
use stores::embedded::{Embedded, Options};
use stores::memory::Fault;

use super::bench::{Shared, compare, quiet_wanted_panics, read_all, readers_of, settings, settled, stop};
use super::oracle::Said;
use super::payloads::{HOUR, START, Sent, beginnings, generation, payload};
use super::seeds::{each_seed, none_wrong};
use crate::{Keeping, Processor};

/// So few that the end of the dedupe window is met.
pub(super) const DEDUPE_RECORDS: u64 = 12;

/// New payloads, re-sends of earlier ones, and now and then a part of one whose other parts never came.
pub(super) fn traffic(dice: &mut Dice, partitions: u32, sent: &mut Vec<Sent>) -> Vec<Append> {
    let received_ms = START + dice.below(3 * HOUR as u64) as i64;
    let is_again = !sent.is_empty() && dice.below(3) == 0;
    let now = if is_again {
        let back = dice.below(sent.len().min(9) as u64) as usize;
        sent[sent.len() - 1 - back].clone()
    } else {
        let new = payload(dice, sent.len() as u64);
        sent.push(new.clone());
        new
    };
    let mut records = now.records(partitions, received_ms, 3 * HOUR);
    if dice.below(10) == 0 {
        records.remove(dice.below(records.len() as u64) as usize);
    }
    records
}

/// Faults at some of the store's next calls.
pub(super) fn trouble(dice: &mut Dice, shared: &Shared) {
    let faults = [Fault::Before, Fault::Midway, Fault::After];
    shared.store.fail_call(1 + dice.below(6), faults[dice.below(3) as usize]);
}

async fn apart(seed: u64, partitions: u32) -> Result<Said, String> {
    let mut dice = Dice::new(seed);
    let mut shared = Shared::new(generation(partitions, DEDUPE_RECORDS));
    shared.log.set_read_records(1 + dice.below(8) as usize);
    shared.append(beginnings(&shared.generation)).await;
    let node = shared.start("a");
    shared.give_all(&node);
    let mut sent = Vec::new();
    for step in 0..40 {
        let records = traffic(&mut dice, partitions, &mut sent);
        shared.append(records).await;
        if dice.below(8) == 0 {
            trouble(&mut dice, &shared);
        }
        if step % 8 == 0 {
            settled(&node.processor, &shared.log).await?;
        }
    }
    settled(&node.processor, &shared.log).await?;
    let said = shared.compare(&[]).await.map_err(|what| format!("{what}\n{partitions} partitions"))?;
    stop(node).await.map_err(|error| error.to_string())?;
    Ok(said)
}

/// What must be met in some seed, so that the test tests something.
const WORDS: [&str; 9] =
    ["duplicate", "late", "counted", "without id", "clamped", "event buy", "last sight", "p/dev", "p/prod"];

#[tokio::test]
async fn cells_apart_from_state_are_what_the_log_says_through_faults_of_the_store() {
    quiet_wanted_panics();
    let words_of_a_seed = |seed| async move {
        let mut words = BTreeSet::<&str>::new();
        for partitions in [1, 4] {
            let facts = apart(seed, partitions).await?.facts;
            words.extend(WORDS.iter().filter(|word| facts.keys().any(|fact| fact.contains(**word))));
        }
        Ok(words)
    };
    let words: BTreeSet<_> = none_wrong(each_seed(seeds(16), words_of_a_seed).await).into_iter().flatten().collect();
    let unmet: Vec<_> = WORDS.iter().filter(|word| !words.contains(*word)).collect();
    assert!(unmet.is_empty(), "no seed has {unmet:?}");
}

/// The real files of both.
async fn together(seed: u64, partitions: u32) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let generation = generation(partitions, DEDUPE_RECORDS);
    let files = Arc::new(Directory::open(folder.path().join("log")).unwrap());
    let mut options = LogOptions::new(partitions, 1, Arc::new(|| START));
    (options.segment_bytes, options.read_records_max) = (1 << 20, 1 + dice.below(8) as usize);
    let (log, _) = EmbeddedLog::open(files, options).unwrap();
    let log = Arc::new(log);
    log.append(beginnings(&generation)).await.unwrap();
    let store = Arc::new(Embedded::open(&folder.path().join("store"), &Options::default()).unwrap());
    let mut sent = Vec::new();
    for _life in 0..3 {
        let (settings, keeping) = (settings(&generation, folder.path()), Keeping::Together(Arc::clone(&store)));
        let processor = Processor::start(settings, log.clone(), readers_of(&log).unwrap(), keeping).unwrap();
        for _ in 0..15 {
            log.append(traffic(&mut dice, partitions, &mut sent)).await.unwrap();
        }
        if dice.below(2) == 0 {
            settled(&processor, &*log).await?;
        }
        // Whatever is folded is durable when it has stopped.
        let folded: Vec<u64> = (0..partitions)
            .filter_map(|partition| Some(processor.health().partition(partition)?.progress?.folded))
            .collect();
        processor.stop().await.unwrap();
        for (partition, folded) in (0..).zip(folded) {
            let saved = processor.health().partition(partition).unwrap().progress.unwrap().saved;
            if saved < folded {
                return Err(format!("partition {partition} of {partitions} stopped at {saved}, {folded} was folded"));
            }
        }
    }
    let (settings, keeping) = (settings(&generation, folder.path()), Keeping::Together(Arc::clone(&store)));
    let processor = Processor::start(settings, log.clone(), readers_of(&log).unwrap(), keeping).unwrap();
    settled(&processor, &*log).await?;
    processor.stop().await.map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    for partition in 0..partitions {
        records.push(read_all(&log, partition).await);
    }
    compare(&records, &*store, &generation, &[]).await.map(drop)
}

#[tokio::test]
async fn cells_together_with_state_are_what_the_log_says() {
    for partitions in [1, 4] {
        none_wrong(each_seed(seeds(8), |seed| together(seed, partitions)).await);
    }
}
