//! Cells in memory: which of them are let go, and that their weight is never lost.

use super::*;
use crate::cells::DefinitionChange;
use crate::tests::dice::Dice;

fn key(number: usize) -> CellKey {
    let environment = Environment::new("p", "dev").unwrap();
    let name = CellName::Key(Bytes::from(number.to_string()));
    CellKey { generation: 1, partition: 0, kind: CellKind::Definition, environment, name, window: 0 }
}

/// A cell of about this many bytes, as a store has it.
fn stored(h: u64, bytes: usize) -> StoredCell {
    let mut cell = Cell::empty(CellKind::Definition);
    let body = Bytes::from(vec![b'7'; bytes]);
    let change = Change::Definition(DefinitionChange { version: h + 1, body: &body });
    cell.apply(&change, &FoldLimits::default());
    StoredCell { h, value: cell.encode().into() }
}

fn change(cells: &mut Cells, offset: u64, number: usize, body: &Bytes) {
    let slot = cells.find(&CellRef::of(&key(number))).unwrap();
    let change = Change::Definition(DefinitionChange { version: offset + 1, body });
    cells.commit(offset, &[(slot, change)], &FoldLimits::default(), false);
}

fn held(cells: &Cells, numbers: std::ops::Range<usize>) -> Vec<usize> {
    numbers.filter(|number| cells.get(&key(*number)).is_some()).collect()
}

#[test]
fn clean_cells_are_let_go_by_number_and_by_bytes_the_least_recently_touched_first() {
    let filled = || {
        let mut cells = Cells::default();
        (0..8).for_each(|n| cells.insert(key(n), Some(stored(100 - n as u64, 1_000)), u64::MAX).unwrap());
        cells
    };
    let one = bytes_in_memory(stored(1, 1_000).value.len());
    let cases = [
        ("room for all", 8, 8 * one, vec![0, 1, 2, 3, 4, 5, 6, 7]),
        ("one too many, and a quarter", 7, 8 * one, vec![0, 1, 2, 3, 4, 5]),
        ("one too heavy, and a quarter", 8, 7 * one, vec![0, 1, 2, 3, 4]),
        ("no bytes at all", 8, 0, vec![]),
    ];
    for (what, cells_max, bytes_max, expected) in cases {
        let mut cells = filled();
        cells.evict(cells_max, bytes_max);
        assert_eq!(held(&cells, 0..8), expected, "{what}");
        assert_eq!((cells.len(), cells.is_empty()), (expected.len(), expected.is_empty()), "{what}");
    }
}

#[test]
fn dirty_cells_and_those_on_their_way_stay_and_weigh_nothing_until_they_are_stored() {
    let (mut cells, body) = (Cells::default(), Bytes::from(vec![b'7'; 2_000]));
    (0..3).for_each(|n| cells.insert(key(n), None, u64::MAX).unwrap());
    (0..2).for_each(|n| change(&mut cells, 5, n, &body));
    let writes = cells.begin_flush();
    change(&mut cells, 6, 1, &body);
    cells.evict(0, 0);
    assert_eq!((held(&cells, 0..3), cells.clean_bytes), (vec![0, 1], 0), "one on its way, one dirty on its way");
    writes.iter().for_each(|write| cells.stored(&write.key));
    assert_eq!(cells.clean_bytes, bytes_in_memory(writes[0].cell.value.len()));
    cells.evict(0, 0);
    assert_eq!((held(&cells, 0..3), cells.clean_bytes), (vec![1], 0), "the dirty one");
}

#[test]
fn the_weight_of_clean_cells_is_always_their_sum() {
    let bodies = (Bytes::from_static(b"1"), Bytes::from(vec![b'7'; 3_000]));
    for seed in 0..crate::tests::seeds(300) {
        let (mut cells, mut dice, mut writes) = (Cells::default(), Dice::new(seed), Vec::new());
        for offset in 1..80 {
            let number = dice.below(6);
            match dice.below(6) {
                0 if writes.is_empty() => writes = cells.begin_flush(),
                1 | 2 => {
                    for write in writes.drain(..) {
                        if dice.percent(70) {
                            cells.stored(&write.key);
                        } else {
                            let theirs = stored(offset + dice.below(3) as u64, 10 * dice.below(90));
                            cells.refused(&write.key, &theirs, false).unwrap();
                        }
                    }
                }
                3 => cells.evict(dice.below(8), dice.below(9_000)),
                _ => {
                    let old = dice.percent(50).then(|| stored(0, 10 * dice.below(90)));
                    cells.insert(key(number), old, dice.pick(&[0, u64::MAX])).unwrap();
                    change(&mut cells, offset, number, if dice.percent(50) { &bodies.0 } else { &bodies.1 });
                }
            }
            let clean = cells.slots.iter().flatten().filter(|held| held.is_clean());
            assert_eq!(cells.clean_bytes, clean.map(|held| held.bytes).sum::<usize>(), "seed {seed}");
        }
    }
}
