//! The name of a snapshot: whose it is, up to where, and a checksum of what is in it, so that two writers of different
//! contents never have one name.
//!
//! Always true here: names of a partition sort by position; a name that is read is written the same.

use std::fmt;

const ENDING: &str = ".v1.snapshot";

/// The name of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Number of the generation.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
    /// Position of the state: the offset of the next record.
    pub position: u64,
    /// CRC32C of what is in it; `None` in folders of before it was in the name.
    pub content: Option<u32>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:020}", prefix(self.generation, self.partition), self.position)?;
        if let Some(content) = self.content {
            write!(f, "-{content:08x}")?;
        }
        f.write_str(ENDING)
    }
}

impl Name {
    /// The name, if it is one of a snapshot of this partition.
    #[must_use]
    pub fn parse(name: &str, generation: u32, partition: u32) -> Option<Self> {
        let rest = name.strip_prefix(&prefix(generation, partition))?.strip_suffix(ENDING)?;
        let (position, content) = match rest.split_once('-') {
            Some((position, content)) => (position, Some(u32::from_str_radix(content, 16).ok()?)),
            None => (rest, None),
        };
        let parsed = Self { generation, partition, position: position.parse().ok()?, content };
        (parsed.to_string() == name).then_some(parsed)
    }
}

/// What names of a partition begin with.
pub(super) fn prefix(generation: u32, partition: u32) -> String {
    format!("g{generation}-p{partition}-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_no_other_is_one() {
        for content in [None, Some(0), Some(u32::MAX)] {
            let name = Name { generation: 3, partition: 11, position: 1 << 40, content };
            assert_eq!(Name::parse(&name.to_string(), 3, 11), Some(name));
            assert_eq!(Name::parse(&name.to_string(), 3, 1), None);
        }
        let name = "g1-p0-00000000000000000008-0000abcd.v1.snapshot";
        assert!(Name::parse(name, 1, 0).is_some());
        for wrong in ["lock", "unfinished", "8.v1.snapshot", "00000000000000000008-ABCD.v1.snapshot"] {
            assert_eq!(Name::parse(&format!("g1-p0-{wrong}"), 1, 0), None, "{wrong}");
        }
    }
}
