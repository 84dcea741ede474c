//! Cases about the condition under which a cell is written.

use std::sync::Arc;

use bytes::Bytes;

use super::{Outcome, answered, cell, holds, same, told, usage, write};
use crate::{Store, StoredCell, WriteAnswer};

pub(super) async fn put_by_h(store: Arc<dyn Store>) -> Outcome {
    // (h in the store, h written, does the answer say stored, h in the store afterwards)
    let table = [
        (None, 0, true, 0),
        (None, 5, true, 5),
        (Some(4), 5, true, 5),
        (Some(0), 1, true, 1),
        (Some(0), 0, true, 0),
        (Some(5), 5, true, 5),
        (Some(6), 5, false, 6),
        (Some(1), 0, false, 1),
        (Some(256), 255, false, 256),
        (Some(255), 256, true, 256),
        (Some(1 << 40), 1, false, 1 << 40),
    ];
    for (row, (there, new, stored, after)) in table.into_iter().enumerate() {
        let key = usage(&format!("flag-{row}"), 1);
        if let Some(there) = there {
            told(store.write(vec![write(&key, cell(there, &format!("value at {there}")))]).await)?;
        }
        let answers = told(store.write(vec![write(&key, cell(new, &format!("value at {new}")))]).await)?;
        let held = cell(after, &format!("value at {after}"));
        let should = if stored { WriteAnswer::Stored } else { WriteAnswer::Refused(held.clone()) };
        answered(&*store, &format!("answer, row {row}"), answers, vec![should])?;
        holds(&*store, &format!("held after, row {row}"), &key, held).await?;
    }
    Ok(())
}

pub(super) async fn adopt_together(store: Arc<dyn Store>) -> Outcome {
    let key = usage("flag", 1);
    told(store.write(vec![write(&key, cell(9, "nine"))]).await)?;
    let answers = told(store.write(vec![write(&key, cell(3, "three"))]).await)?;
    answered(&*store, "answer", answers, vec![WriteAnswer::Refused(cell(9, "nine"))])?;
    holds(&*store, "held", &key, cell(9, "nine")).await?;
    // Who adopts both goes on from there and is not refused again.
    let answers = told(store.write(vec![write(&key, cell(10, "nine and one"))]).await)?;
    same("answer after adopting", answers, vec![WriteAnswer::Stored])?;
    holds(&*store, "held after adopting", &key, cell(10, "nine and one")).await
}

pub(super) async fn each_alone(store: Arc<dyn Store>) -> Outcome {
    let keys = [usage("a", 1), usage("b", 1), usage("c", 1), usage("d", 1)];
    told(store.write(vec![write(&keys[1], cell(8, "ahead")), write(&keys[2], cell(4, "the same"))]).await)?;
    let writes = keys.iter().map(|key| write(key, cell(4, "new"))).collect();
    let answers = told(store.write(writes).await)?;
    let stored = || WriteAnswer::Stored;
    let should = vec![stored(), WriteAnswer::Refused(cell(8, "ahead")), stored(), stored()];
    answered(&*store, "answers", answers, should)?;
    let held = ["new", "ahead", "the same", "new"].iter().zip([4, 8, 4, 4]).map(|(value, h)| Some(cell(h, value)));
    same("held", told(store.load(keys.to_vec()).await)?, held.collect())
}

pub(super) async fn twice_in_one_write(store: Arc<dyn Store>) -> Outcome {
    let key = usage("flag", 1);
    let answers = told(store.write(vec![write(&key, cell(2, "two")), write(&key, cell(1, "one"))]).await)?;
    answered(&*store, "answers", answers, vec![WriteAnswer::Stored, WriteAnswer::Refused(cell(2, "two"))])?;
    holds(&*store, "held", &key, cell(2, "two")).await
}

pub(super) async fn zombies(store: Arc<dyn Store>) -> Outcome {
    let key = usage("flag", 1);
    let folded = |h: u64| cell(h, &format!("the fold up to {h}"));
    let fold = |h: u64| write(&key, folded(h));
    // The owner is at 10; a zombie that lags writes what it has, again and again.
    told(store.write(vec![fold(10)]).await)?;
    for h in [3, 9, 3] {
        let answers = told(store.write(vec![fold(h)]).await)?;
        answered(&*store, "answer to the one that lags", answers, vec![WriteAnswer::Refused(folded(10))])?;
        holds(&*store, "held after the one that lags", &key, folded(10)).await?;
    }
    // One that runs ahead on the same log writes the bytes that the owner will write.
    same("answer to the one ahead", told(store.write(vec![fold(14)]).await)?, vec![WriteAnswer::Stored])?;
    let answers = told(store.write(vec![fold(12)]).await)?;
    answered(&*store, "answer to the owner", answers, vec![WriteAnswer::Refused(folded(14))])?;
    holds(&*store, "held after the owner", &key, folded(14)).await?;
    same("answer to the owner", told(store.write(vec![fold(14)]).await)?, vec![WriteAnswer::Stored])?;
    holds(&*store, "held", &key, folded(14)).await
}

pub(super) async fn sizes(store: Arc<dyn Store>) -> Outcome {
    let sizes = [0, 1, 4_095, 4_096, schemas::cell::CELL_BYTES_MAX];
    let cells: Vec<StoredCell> = sizes
        .iter()
        .map(|size| StoredCell { h: 1, value: (0..*size).map(|at| (at * 31 % 251) as u8).collect::<Bytes>() })
        .collect();
    let keys: Vec<_> = sizes.iter().map(|size| usage(&format!("flag of {size}"), 1)).collect();
    let writes = keys.iter().zip(&cells).map(|(key, cell)| write(key, cell.clone())).collect();
    told(store.write(writes).await)?;
    let held = told(store.load(keys).await)?;
    for (held, cell) in held.into_iter().zip(cells) {
        same(&format!("whether {} bytes came back", cell.value.len()), held == Some(cell.clone()), true)?;
    }
    Ok(())
}

pub(super) async fn highest_h(store: Arc<dyn Store>) -> Outcome {
    // Kafka's offsets, and the numbers of the stores to come, end at 2^63 - 1.
    let top = i64::MAX as u64;
    let key = usage("flag", 1);
    told(store.write(vec![write(&key, cell(top, "last"))]).await)?;
    let answers = told(store.write(vec![write(&key, cell(top - 1, "last but one"))]).await)?;
    answered(&*store, "answer", answers, vec![WriteAnswer::Refused(cell(top, "last"))])?;
    holds(&*store, "held", &key, cell(top, "last")).await
}
