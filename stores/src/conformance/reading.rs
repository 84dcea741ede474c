//! Cases about loading cells and reading ranges of them.

use std::sync::Arc;

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName, CellRange};

use super::{Outcome, cell, environment, key, same, told, usage, write};
use crate::Store;

pub(super) async fn load_order(store: Arc<dyn Store>) -> Outcome {
    same("nothing asked", told(store.load(Vec::new()).await)?, Vec::new())?;
    same("nothing written", told(store.write(Vec::new()).await)?, Vec::new())?;
    let writes = [("b", 2), ("a", 1), ("c", 3)].map(|(flag, h)| write(&usage(flag, 1), cell(h, flag)));
    told(store.write(writes.to_vec()).await)?;
    let asked = vec![usage("c", 1), usage("none", 1), usage("a", 1), usage("c", 2), usage("b", 1), usage("c", 1)];
    let should = vec![Some(cell(3, "c")), None, Some(cell(1, "a")), None, Some(cell(2, "b")), Some(cell(3, "c"))];
    same("loaded", told(store.load(asked).await)?, should)
}

pub(super) async fn windows(store: Arc<dyn Store>) -> Outcome {
    let hours = [0, 1, 2, 255, 256, 257, 65_536, u32::MAX];
    let mut writes = Vec::new();
    for flag in ["fla", "flag", "flag2"] {
        writes.extend(hours.iter().map(|hour| write(&usage(flag, *hour), cell(1, flag))));
    }
    told(store.write(writes).await)?;
    for (from, to) in [(0, u32::MAX), (1, 3), (2, 2), (3, 255), (255, 257), (256, 65_537), (70_000, 80_000)] {
        let range = CellRange::windows(&usage("flag", from), to);
        let page = told(store.range(range, 100).await)?;
        let found: Vec<_> = page.cells.iter().map(|(key, cell)| (key.clone(), cell.value.clone())).collect();
        let should = hours.iter().filter(|hour| (from..to).contains(hour));
        let should = should.map(|hour| (usage("flag", *hour), Bytes::from_static(b"flag"))).collect();
        same(&format!("hours from {from} to {to}"), found, should)?;
        same("next", page.next, None)?;
    }
    Ok(())
}

pub(super) async fn names(store: Arc<dyn Store>) -> Outcome {
    let seen = |name: &str| key(CellKind::LastSeen, CellName::Key(Bytes::copy_from_slice(name.as_bytes())), 0);
    // In order of their bytes, the `other` row last.
    let mut all: Vec<CellKey> = ["\u{1}", "a", "a/b", "ab", "b", "\u{10ffff}"].map(seen).to_vec();
    all.push(key(CellKind::LastSeen, CellName::Other, 0));
    let mut writes: Vec<_> = all.iter().rev().map(|key| write(key, cell(1, "seen"))).collect();
    let elsewhere = CellKey { environment: environment("p", "e2"), ..seen("a") };
    writes.extend([write(&usage("a", 1), cell(1, "used")), write(&elsewhere, cell(1, "elsewhere"))]);
    told(store.write(writes).await)?;
    let range = CellRange::names(1, 0, CellKind::LastSeen, &environment("p", "e"));
    let page = told(store.range(range.clone(), 100).await)?;
    same("names", page.cells.into_iter().map(|(key, _)| key).collect(), all.clone())?;
    let from = range.names_from(&CellName::Key(Bytes::from_static(b"ab")));
    let page = told(store.range(from, 100).await)?;
    same("names from `ab`", page.cells.into_iter().map(|(key, _)| key).collect(), all[3..].to_vec())
}

pub(super) async fn pages(store: Arc<dyn Store>) -> Outcome {
    let all: Vec<_> = (0..25).map(|hour| (usage("flag", hour * 100), cell(u64::from(hour), "value"))).collect();
    told(store.write(all.iter().map(|(key, cell)| write(key, cell.clone())).collect()).await)?;
    for limit in [1, 7, 24, 25, 26] {
        let mut range = CellRange::windows(&usage("flag", 0), u32::MAX);
        let (mut found, mut count) = (Vec::new(), 0);
        loop {
            let page = told(store.range(range.clone(), limit).await)?;
            count += 1;
            same(&format!("whether a page has more than {limit}"), page.cells.len() > limit, false)?;
            found.extend(page.cells);
            match page.next {
                Some(next) => range.from = next,
                None => break,
            }
            same("whether there is an end to pages", count > all.len(), false)?;
        }
        same(&format!("pages of {limit} together"), found, all.clone())?;
    }
    // A back end may page shorter than asked, never without getting on.
    let page = told(store.range(CellRange::windows(&usage("flag", 0), u32::MAX), 0).await)?;
    same("whether a limit of 0 gets on", page.cells.is_empty(), false)
}
