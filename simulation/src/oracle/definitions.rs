//! Which definitions a partition has, and whether it has all that partition 0 has.
//!
//! Always true here: a definition is known by its name as it is written; whoever says to have version v has had, of
//! every definition of partition 0 up to v, that version or a later one of the same name.

use bytes::Bytes;
use schemas::id::Environment;

use super::Oracle;

/// What a definition is called: whose it is, of which kind, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionName {
    /// Whose it is; the key of the environment is empty where it is of a whole project.
    pub environment: Environment,
    /// Its kind.
    pub kind: u8,
    /// Its key.
    pub key: Bytes,
}

/// The definitions of a partition, in order of offset: offset, version, name.
#[derive(Debug, Default)]
pub(super) struct Definitions(Vec<(u64, u64, DefinitionName)>);

impl Definitions {
    pub(super) fn push(&mut self, offset: u64, version: u64, name: DefinitionName) {
        self.0.push((offset, version, name));
    }

    pub(super) fn below(&self, position: u64) -> impl Iterator<Item = (u64, &DefinitionName)> {
        let below = self.0.iter().take_while(move |(offset, ..)| *offset < position);
        below.map(|(_, version, name)| (*version, name))
    }
}

/// Whether a partition, below `position`, has every definition that partition 0 has up to `version`: that version of
/// it, or a later one of the same name. `oracles` are those of all partitions; with the greatest position and version
/// it tells whether every definition is everywhere.
///
/// # Errors
/// Which version of which definition the partition lacks.
pub fn complete(oracles: &[Oracle], partition: usize, position: u64, version: u64) -> Result<(), String> {
    let Some((first, oracle)) = oracles.first().zip(oracles.get(partition)) else {
        return Err(format!("no oracle of partition {partition} among {}", oracles.len()));
    };
    if partition == 0 {
        return Ok(());
    }
    for (of_first, name) in first.definitions_below(u64::MAX).filter(|(of_first, _)| *of_first <= version) {
        let has = oracle.definitions_below(position).any(|(held, same)| held >= of_first && same == name);
        if !has {
            return Err(format!(
                "partition {partition} stands at {position} and says to have definitions up to {version}, but lacks \
                 version {of_first} of {name:?}"
            ));
        }
    }
    Ok(())
}
