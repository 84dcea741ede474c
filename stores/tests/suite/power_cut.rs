//! The power is cut at every place of a life of the embedded store: what was answered is there whole, what was not is
//! there whole or not at all.

use stores::embedded::{Embedded, Flushed, Options};
use stores::{Break, Error};

use crate::disk::{Dice, Disk};
use crate::world::{Content, ReadError};

const PARTITIONS: usize = 2;
const FLUSHES: usize = 6;

/// A partition's contents after each flush, and the newest that was answered.
#[derive(Default)]
struct Ledger {
    after: Vec<Content>,
    answered: usize,
}

/// Flushes until the power goes or all is done. What is sure is noted in the ledgers.
async fn live(store: &Embedded, ledgers: &mut [Ledger], dice: &mut Dice) -> Result<(), String> {
    for flush in 0..FLUSHES {
        let partition = flush % PARTITIONS;
        let ledger = &mut ledgers[partition];
        let mut content = ledger.after.last().cloned().unwrap_or_default();
        let flush = content.flush(partition as u32, dice);
        ledger.after.push(content);
        match store.commit(flush).await {
            Ok(Flushed::Durable) => ledger.answered = ledger.after.len() - 1,
            Ok(Flushed::Refused(ahead)) => return Err(format!("refused: {ahead:?}")),
            Err(Error::Poisoned(_)) => break,
            Err(error) => return Err(format!("a power cut was told as {error:?}")),
        }
    }
    Ok(())
}

/// Compares what is there with what may be there, and goes on from it.
async fn check(store: &Embedded, ledgers: &mut [Ledger]) -> Result<(), String> {
    for (partition, ledger) in ledgers.iter_mut().enumerate() {
        let found = match Content::read(store, partition as u32).await {
            Ok(found) => found,
            Err(ReadError::Store(error)) => return Err(format!("partition {partition}: {error}")),
            Err(ReadError::Wrong(what)) => return Err(format!("partition {partition}: {what}")),
        };
        let may_be = &ledger.after[ledger.answered..];
        if !may_be.contains(&found) {
            let positions: Vec<u64> = may_be.iter().map(|content| content.position).collect();
            let cells: Vec<_> = found.cells.iter().map(|(flag, cell)| (flag, cell.h)).collect();
            return Err(format!(
                "partition {partition}: found position {}, h of cells {cells:?}, {} rows; may be at {positions:?}",
                found.position,
                found.rows.len()
            ));
        }
        *ledger = Ledger { after: vec![found], answered: 0 };
    }
    Ok(())
}

/// Two lives and two cuts, the second possibly while the store is being opened after the first.
async fn one_seed(seed: u64, options: &Options, operations: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let mut ledgers: Vec<Ledger> = (0..PARTITIONS).map(|_| Ledger::default()).collect();
    ledgers.iter_mut().for_each(|ledger| ledger.after.push(Content::default()));
    let mut disk = Disk::default();
    let mut store = Embedded::on(disk.clone(), options).map_err(|error| format!("first opening: {error}"))?;
    disk.cut_after(dice.below(operations));
    live(&store, &mut ledgers, &mut dice).await?;
    disk.cut_after(0);
    drop(store);

    disk = Disk::holding(disk.after_cut(&mut dice));
    disk.cut_after(dice.below(operations));
    if let Ok(reopened) = Embedded::on(disk.clone(), options) {
        match check(&reopened, &mut ledgers).await {
            Err(what) if !what.contains("power is off") => return Err(format!("after the first cut: {what}")),
            Err(_) => {}
            Ok(()) => live(&reopened, &mut ledgers, &mut dice).await?,
        }
        disk.cut_after(0);
        drop(reopened);
    }

    disk = Disk::holding(disk.after_cut(&mut dice));
    store = Embedded::on(disk, options).map_err(|error| format!("last opening: {error}"))?;
    check(&store, &mut ledgers).await.map_err(|what| format!("after the last cut: {what}"))
}

/// How many operations of the disk a life without a cut takes.
async fn operations_of_a_life(options: &Options) -> u64 {
    let disk = Disk::default();
    let store = Embedded::on(disk.clone(), options).unwrap();
    let before = disk.operations();
    let mut ledgers: Vec<Ledger> = (0..PARTITIONS).map(|_| Ledger::default()).collect();
    live(&store, &mut ledgers, &mut Dice(1)).await.unwrap();
    disk.operations() - before
}

/// How many seeds a test tries: `FLAGSTREAM_SEEDS` where it is set, else as many as are quick. `--nocapture` shows it.
fn seeds(quick: u64) -> u64 {
    let seeds = match std::env::var("FLAGSTREAM_SEEDS") {
        Ok(seeds) => seeds.parse().unwrap_or_else(|e| panic!("FLAGSTREAM_SEEDS = {seeds:?}: {e}; give a number")),
        Err(_) => quick,
    };
    println!("{}: {seeds} seeds", std::thread::current().name().unwrap_or("a test"));
    seeds
}

/// The first seed below `seeds` that finds something wrong.
async fn first_wrong(seeds: u64, options: &Options) -> Option<(u64, String)> {
    let operations = operations_of_a_life(options).await;
    for seed in 0..seeds {
        if let Err(what) = one_seed(seed, options, operations).await {
            return Some((seed, what));
        }
    }
    None
}

#[tokio::test]
async fn whole_or_not_at_all_after_a_cut() {
    assert_eq!(first_wrong(seeds(1_200), &Options::default()).await, None);
}

#[tokio::test]
async fn each_breakage_is_noticed() {
    let seeds = seeds(1_200);
    for rule in [Break::NoSync, Break::CheckpointApart, Break::StateApart] {
        let wrong = first_wrong(seeds, &Options::default().breaking(rule)).await;
        assert!(wrong.is_some(), "{rule:?} was not noticed");
    }
}
