//! Cases about what is kept apart and what may not change.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use schemas::cell::{CellAddress, CellKey, CellKind, CellName, CellRange};

use super::{Outcome, cell, checkpoint, environment, same, told, write};
use crate::{CellWrite, Checkpoint, Owner, Store};

/// Keys that would be one if parts were joined, cut or escaped carelessly.
fn alike() -> Vec<CellKey> {
    let parts = ["a", "aa", "a/a", "/", "a\u{1}", "\u{1}a", "a:a", "a#", "\u{2}\u{1}a", "%2F", "é", "e\u{301}"];
    let mut keys = Vec::new();
    for (generation, partition) in [(1, 0), (0, 1), (1, 1), (256, 1), (1, 256), (u32::MAX, u32::MAX)] {
        for kind in CellKind::ALL {
            for (at, project) in parts.iter().enumerate() {
                let environment = environment(project, parts[(at + 5) % parts.len()]);
                let mut names = vec![CellName::None, CellName::Other];
                names
                    .extend(parts.iter().step_by(3).map(|name| CellName::Key(Bytes::copy_from_slice(name.as_bytes()))));
                let windows: &[u32] = if kind.sorts_by_name() { &[0] } else { &[0, 0x6161_6161] };
                for (name, window) in names.iter().flat_map(|name| windows.iter().map(move |window| (name, window))) {
                    let (environment, name) = (environment.clone(), name.clone());
                    keys.push(CellKey { generation, partition, kind, environment, name, window: *window });
                }
            }
        }
    }
    keys
}

pub(super) async fn never_mix(store: Arc<dyn Store>) -> Outcome {
    let keys = alike();
    let value = |at: usize| cell(1, &format!("cell {at}"));
    for chunk in 0..keys.len().div_ceil(500) {
        let at = chunk * 500..keys.len().min(chunk * 500 + 500);
        let writes: Vec<CellWrite> = at.map(|at| write(&keys[at], value(at))).collect();
        told(store.write(writes).await)?;
    }
    let held = told(store.load(keys.clone()).await)?;
    for (at, held) in held.into_iter().enumerate() {
        same(&format!("cell at {:?}", keys[at]), held, Some(value(at)))?;
    }
    let mut rows: HashMap<Vec<u8>, usize> = HashMap::new();
    keys.iter().for_each(|key| *rows.entry(key.address().row).or_default() += 1);
    for (row, count) in rows {
        let page = told(store.range(CellRange { row: row.clone(), from: Vec::new(), to: None }, 1_000).await)?;
        let (mut in_row, mut last) = (0, None);
        for (key, _) in &page.cells {
            let CellAddress { row: of, sort } = key.address();
            same("row of a cell in a range", of, row.clone())?;
            same("whether sort keys rise", last.as_ref() < Some(&sort), true)?;
            last = Some(sort);
            in_row += 1;
        }
        same("cells in a row", in_row, count)?;
    }
    Ok(())
}

pub(super) async fn checkpoint_never_falls(store: Arc<dyn Store>) -> Outcome {
    same("checkpoint before any", told(store.checkpoint(1, 0).await)?, None)?;
    for (new, written, after) in [(0, true, 0), (5, true, 5), (5, true, 5), (4, false, 5), (0, false, 5), (6, true, 6)]
    {
        let answer = told(store.write_checkpoint(1, 0, checkpoint(new)).await)?;
        same(&format!("answer to a checkpoint at {new}"), answer, written)?;
        same(&format!("checkpoint after {new}"), told(store.checkpoint(1, 0).await)?, Some(checkpoint(after)))?;
    }
    let whole =
        Checkpoint { position: 9, definition_version: u64::MAX >> 1, fingerprint: u32::MAX, log_time_ms: i64::MIN };
    told(store.write_checkpoint(1, 0, whole).await)?;
    same("every field of a checkpoint", told(store.checkpoint(1, 0).await)?, Some(whole))
}

pub(super) async fn checkpoints_apart(store: Arc<dyn Store>) -> Outcome {
    let of = [(1, 0), (0, 1), (1, 1), (2, 0), (256, 0), (0, 256), (1, 65_536), (u32::MAX, 0), (0, u32::MAX)];
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        told(store.write_checkpoint(generation, partition, checkpoint(100 - at as u64)).await)?;
    }
    for (at, (generation, partition)) in of.into_iter().enumerate() {
        let found = told(store.checkpoint(generation, partition).await)?;
        same(&format!("checkpoint of {generation}, {partition}"), found, Some(checkpoint(100 - at as u64)))?;
    }
    Ok(())
}

pub(super) async fn newest_owner(store: Arc<dyn Store>) -> Outcome {
    let owner = |name: &str, told_ms| Owner { name: name.to_owned(), told_ms, ..Owner::default() };
    same("owners before any", told(store.owners(1, 2).await)?, vec![None, None])?;
    let whole = Owner {
        name: "host:1".to_owned(),
        since_ms: i64::MAX,
        told_ms: 5,
        flushed_ms: 3,
        refused: u64::MAX >> 1,
        dedupe_age_ms: Some(7),
    };
    told(store.tell_owner(1, 1, whole.clone()).await)?;
    same("owners", told(store.owners(1, 2).await)?, vec![None, Some(whole.clone())])?;
    told(store.tell_owner(1, 1, owner("older", 4)).await)?;
    same("owners after an older word", told(store.owners(1, 2).await)?, vec![None, Some(whole)])?;
    told(store.tell_owner(1, 1, owner("newer", 6)).await)?;
    same("owners after a newer word", told(store.owners(1, 2).await)?, vec![None, Some(owner("newer", 6))])?;
    same("owners of another generation", told(store.owners(2, 2).await)?, vec![None, None])
}

pub(super) async fn generation_immutable(store: Arc<dyn Store>) -> Outcome {
    let (first, second) = (Bytes::from_static(b"first row"), Bytes::from_static(b"second row"));
    same("row before any", told(store.generation(1).await)?, None)?;
    same("answer to the first", told(store.create_generation(1, first.clone()).await)?, first.clone())?;
    same("answer to the second", told(store.create_generation(1, second.clone()).await)?, first.clone())?;
    same("answer to the first again", told(store.create_generation(1, first.clone()).await)?, first.clone())?;
    same("row", told(store.generation(1).await)?, Some(first))?;
    same("row of another generation", told(store.generation(2).await)?, None)?;
    same("answer for another", told(store.create_generation(2, second.clone()).await)?, second)
}
