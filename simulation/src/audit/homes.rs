//! Where an environment's books, usage, last-seen, events and SDK cells lie.
//!
//! Always true here: which partition is an environment's home is not asked of the product; only that it is one.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind};
use schemas::id::Environment;

/// Whether, in each generation, all home cells of each environment lie in one partition.
///
/// # Errors
/// Which environment has cells of which kinds in two partitions.
pub fn homes(cells: &[(CellKey, Bytes)]) -> Result<(), String> {
    let mut homes: BTreeMap<(u32, &Environment), &CellKey> = BTreeMap::new();
    let is_home = |kind: CellKind| !matches!(kind, CellKind::Definition | CellKind::StandIn);
    for (key, _) in cells.iter().filter(|(key, _)| is_home(key.kind)) {
        let first = homes.entry((key.generation, &key.environment)).or_insert(key);
        if first.partition != key.partition {
            return Err(format!("the home of an environment is one partition, but there are {first:?} and {key:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::cell::CellName;

    use super::*;

    fn cell(generation: u32, partition: u32, kind: CellKind, environment: &'static str) -> (CellKey, Bytes) {
        let environment = Environment::new("p", environment).unwrap();
        (CellKey { generation, partition, kind, environment, name: CellName::None, window: 7 }, Bytes::new())
    }

    #[test]
    fn every_home_cell_of_an_environment_is_in_its_one_partition() {
        let right = [
            cell(1, 0, CellKind::Books, "dev"),
            cell(1, 0, CellKind::Usage, "dev"),
            cell(1, 1, CellKind::Books, "prod"),
            cell(1, 1, CellKind::StandIn, "dev"),
            cell(2, 1, CellKind::Books, "dev"),
        ];
        assert_eq!(homes(&right), Ok(()));
        for kind in [CellKind::Usage, CellKind::LastSeen, CellKind::Events, CellKind::Books, CellKind::Sdks] {
            let wrong = [right.as_slice(), &[cell(1, 1, kind, "dev")]].concat();
            assert!(homes(&wrong).unwrap_err().contains("is one partition"), "{kind:?}");
        }
    }
}
