//! Partitions move between two real processes, with notice and behind their backs, while the store fails: whoever wrote
//! what in the end, the cells are what the log says.

use std::time::Duration;

use eventlog::files::forgetful::{Dice, seeds};
use stores::embedded::Options;
use stores::state::LocalState;
use tokio::time::sleep;

use super::bench::{Node, Shared, quiet_wanted_panics, settled, stop, until};
use super::exact::{DEDUPE_RECORDS, traffic, trouble};
use super::payloads::{beginnings, generation};
use super::seeds::{each_seed, none_wrong};
use crate::SnapshotEvery;

/// Moves a partition: told, behind the owner's back, given again to who has it, or nobody's for now.
fn change_hands(dice: &mut Dice, shared: &Shared, nodes: &[Node; 2]) {
    let partition = dice.below(u64::from(shared.generation.partitions)) as u32;
    let to = nodes[dice.below(2) as usize].reader(partition);
    match dice.below(5) {
        0..=1 => shared.log.assign(partition, to),
        2..=3 => shared.log.assign_behind_back(partition, to),
        _ => shared.log.revoke(partition),
    }
}

async fn one_seed(seed: u64, partitions: u32) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let mut shared = Shared::new(generation(partitions, DEDUPE_RECORDS));
    shared.log.set_read_records(1 + dice.below(6) as usize);
    shared.snapshot_every = SnapshotEvery { time: Duration::from_secs(3_600), records: 5 };
    shared.append(beginnings(&shared.generation)).await;
    let mut nodes = [shared.start("a"), shared.start("b")];
    shared.give_all(&nodes[0]);
    let mut sent = Vec::new();
    for _ in 0..60 {
        let records = traffic(&mut dice, partitions, &mut sent);
        shared.append(records).await;
        match dice.below(6) {
            0..=1 => change_hands(&mut dice, &shared, &nodes),
            2 => trouble(&mut dice, &shared),
            3 => sleep(Duration::from_millis(dice.below(8))).await,
            4 if dice.below(4) == 0 => {
                // A process ends and comes back, with its state or on a new disk.
                let which = dice.below(2) as usize;
                let [a, b] = nodes;
                let (gone, other) = if which == 0 { (a, b) } else { (b, a) };
                drop(gone);
                let name = ["a", "b"][which];
                let name = if dice.below(3) == 0 { format!("{name}{}", sent.len()) } else { name.to_owned() };
                // Its tasks end in their own time, and a call that is at the disk holds the file until it is back.
                let state = shared.path(&name).join("state");
                until("its state's file is free", || LocalState::open(&state, &Options::default()).is_ok()).await;
                let back = shared.start(&name);
                nodes = if which == 0 { [back, other] } else { [other, back] };
            }
            _ => {}
        }
    }
    // Both lose everything and one gets it, so that a zombie ends too.
    for partition in 0..partitions {
        for node in &nodes {
            shared.log.assign(partition, node.reader(partition));
        }
    }
    settled(&nodes[1].processor, &shared.log).await?;
    shared.compare(&[]).await?;
    for partition in 0..partitions {
        // First: the next snapshot may come about at any moment, and the release after it.
        let released = shared.log.released(partition);
        let newest = shared.snapshots().newest(1, partition).await.unwrap();
        let position = newest.state.map_or(0, |state| state.position);
        if released > position {
            return Err(format!("partition {partition} of {partitions} released {released} of {position}"));
        }
    }
    for node in nodes {
        stop(node).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn cells_are_exact_whoever_has_the_partitions() {
    quiet_wanted_panics();
    none_wrong(each_seed(seeds(24), |seed| one_seed(seed, 1 + 3 * (seed % 2) as u32)).await);
}

#[tokio::test]
async fn a_partition_that_comes_back_has_a_worker_again() {
    let mut shared = Shared::new(generation(1, DEDUPE_RECORDS));
    shared.append(beginnings(&shared.generation)).await;
    let (mut dice, mut sent) = (Dice::new(1), Vec::new());
    let node = shared.start("a");
    for _ in 0..4 {
        let records = traffic(&mut dice, 1, &mut sent);
        shared.append(records).await;
        settled(&node.processor, &shared.log).await.unwrap();
        shared.log.revoke(0);
        let health = node.processor.health();
        until("it hears that the partition is gone", || health.ready().is_err()).await;
        let records = traffic(&mut dice, 1, &mut sent);
        shared.append(records).await;
        shared.give_all(&node);
        settled(&node.processor, &shared.log).await.unwrap();
        // Given again to who has it: told Revoked, then Assigned.
        shared.give_all(&node);
        settled(&node.processor, &shared.log).await.unwrap();
    }
    shared.compare(&[]).await.unwrap();
    stop(node).await.unwrap();
}
