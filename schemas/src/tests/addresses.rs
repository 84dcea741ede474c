//! Cell addresses and composite keys: there and back, in order, and no two keys share one.

use bytes::Bytes;
use proptest::prelude::*;

use crate::cell::{CellAddress, CellKey, CellKind, CellName, CellRange};
use crate::id::{Environment, KEY_BYTES_MAX, push_part, take_part};

/// Bytes that look like separators, lengths and name marks come often, so that keys nearly collide.
fn keys() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        prop::collection::vec(prop::sample::select(b"\0\x01\x02/:.|a\xff".to_vec()), 1..5).prop_map(Bytes::from),
        prop::collection::vec(any::<u8>(), 1..=KEY_BYTES_MAX).prop_map(Bytes::from),
    ]
}

fn names() -> impl Strategy<Value = CellName> {
    prop_oneof![4 => keys().prop_map(CellName::Key), 1 => Just(CellName::None), 1 => Just(CellName::Other)]
}

fn cells() -> impl Strategy<Value = CellKey> {
    let kinds = prop::sample::select(CellKind::ALL.to_vec());
    (0..3_u32, 0..3_u32, kinds, keys(), keys(), names(), prop_oneof![0..3_u32, any::<u32>()]).prop_map(
        |(generation, partition, kind, project, key, name, window)| {
            let window = if kind.sorts_by_name() { 0 } else { window };
            CellKey { generation, partition, kind, environment: Environment { project, key }, name, window }
        },
    )
}

fn within(range: &CellRange, address: &CellAddress) -> bool {
    range.row == address.row && range.from <= address.sort && range.to.as_ref().is_none_or(|to| address.sort < *to)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_address_leads_back_to_its_key(cell in cells()) {
        let CellAddress { row, sort } = cell.address();
        prop_assert_eq!(CellKey::from_address(&row, &sort), Some(cell));
    }

    #[test]
    fn no_two_keys_share_an_address(left in cells(), right in cells()) {
        prop_assert_eq!(left == right, left.address() == right.address());
    }

    /// What leads to a key is that key's only address; all else is no address, and nothing panics.
    #[test]
    fn other_bytes_are_no_address(cell in cells(), extra in prop::collection::vec(any::<u8>(), 0..6), cut in 0..9_usize) {
        let CellAddress { row, sort } = cell.address();
        let longer = [row.clone(), extra].concat();
        for (row, sort) in [(&row[..], &sort[sort.len().min(cut)..]), (&row[row.len().min(cut)..], &sort), (&longer, &sort)] {
            if let Some(key) = CellKey::from_address(row, sort) {
                let back = key.address();
                prop_assert_eq!((&back.row[..], &back.sort[..]), (row, sort));
            }
        }
    }

    #[test]
    fn windows_of_a_name_are_one_range_in_order(
        kind in prop::sample::select(vec![CellKind::Usage, CellKind::Events, CellKind::OldPath, CellKind::Migration]),
        cell in cells(), from: u32, to: u32, other in cells(),
    ) {
        let cell = CellKey { kind, ..cell };
        let first = CellKey { window: from, ..cell.clone() };
        let range = CellRange::windows(&first, to);
        prop_assert_eq!(within(&range, &cell.address()), (from..to).contains(&cell.window));
        let last = CellKey { window: to, ..cell.clone() };
        prop_assert_eq!(first.address().sort.cmp(&last.address().sort), from.cmp(&to));
        let same_name = CellKey { window: other.window, ..cell } == other;
        prop_assert!(!within(&range, &other.address()) || same_name, "the range of one name holds another's cell");
    }

    /// A walk over the names of events: all lie in one row, and seeking a name's last window passes its windows alone.
    #[test]
    fn names_of_events_can_be_walked(
        kind in prop::sample::select(CellKind::ALL.into_iter().filter(|kind| kind.sorts_by_both()).collect::<Vec<_>>()),
        cell in cells(), other in cells(), window in 0..u32::MAX,
    ) {
        let cell = CellKey { kind, window, ..cell };
        let other = CellKey { kind, environment: cell.environment.clone(), ..other };
        let other = CellKey { generation: cell.generation, partition: cell.partition, ..other };
        let all = CellRange::names(cell.generation, cell.partition, cell.kind, &cell.environment);
        prop_assert!(within(&all, &cell.address()) && within(&all, &other.address()));
        let past = all.seek(&CellKey { window: u32::MAX, ..cell.clone() });
        prop_assert!(!within(&past, &cell.address()), "a seek that passes a name stays at it");
        if other.name != cell.name {
            let ahead = other.address().sort > cell.address().sort;
            prop_assert_eq!(within(&past, &other.address()), ahead, "a seek passes other names too");
        }
    }

    #[test]
    fn names_of_an_environment_are_one_range_in_order(cell in cells(), other in cells(), from in names()) {
        let cell = CellKey { kind: CellKind::LastSeen, window: 0, ..cell };
        let all = CellRange::names(cell.generation, cell.partition, cell.kind, &cell.environment);
        prop_assert!(within(&all, &cell.address()));
        let mine = CellKey { name: other.name.clone(), ..cell.clone() } == other;
        prop_assert_eq!(within(&all, &other.address()), mine);
        let start = CellKey { name: from.clone(), ..cell.clone() };
        prop_assert_eq!(within(&all.names_from(&from), &cell.address()), start.address().sort <= cell.address().sort);
        if let (CellName::Key(a), CellName::Key(b)) = (&cell.name, &from) {
            prop_assert_eq!(cell.address().sort.cmp(&start.address().sort), a.cmp(b));
        }
    }

    #[test]
    fn parts_are_taken_as_they_were_pushed(parts in prop::collection::vec(keys(), 0..6), rest in prop::collection::vec(any::<u8>(), 0..1)) {
        let mut joined = Vec::new();
        parts.iter().for_each(|part| push_part(&mut joined, part));
        joined.extend(&rest);
        let mut bytes = &joined[..];
        for part in &parts {
            prop_assert_eq!(take_part(&mut bytes), Some(&part[..]));
        }
        prop_assert_eq!(bytes, &rest[..]);
        prop_assert_eq!(take_part(&mut bytes), None);
        prop_assert_eq!(bytes, &rest[..], "a part that ends early must take nothing");
    }

    #[test]
    fn no_two_lists_of_parts_give_the_same_bytes(
        left in prop::collection::vec(keys(), 0..5),
        right in prop::collection::vec(keys(), 0..5),
    ) {
        let joined = |parts: &[Bytes]| {
            let mut out = Vec::new();
            parts.iter().for_each(|part| push_part(&mut out, part));
            out
        };
        prop_assert_eq!(left == right, joined(&left) == joined(&right));
    }
}
