//! Which partition a payload's parts belong to. Fixed for a generation, with golden values below.
//!
//! Always true here: the choice depends on nothing but the names given and P. It is xxh3-64 (seed 0) over the parts,
//! each written with its length first, modulo P; so it can be computed in any language.

use xxhash_rust::xxh3::xxh3_64;

use crate::id::{Environment, push_part};

/// Name of the hash function as the generation row keeps it.
pub const HASH_NAME: &str = "xxh3-64/length-prefixed";

/// The home partition of an environment: usage, last seen, custom-event totals and books lie here.
#[must_use]
pub fn home(environment: &Environment, partitions: u32) -> u32 {
    let mut bytes = Vec::with_capacity(64);
    push_environment(&mut bytes, environment);
    choose(&bytes, partitions)
}

/// The partition of a subject: one context kind and key of an environment.
#[must_use]
pub fn subject(environment: &Environment, kind: &str, key: &str, partitions: u32) -> u32 {
    let mut bytes = Vec::with_capacity(128);
    push_environment(&mut bytes, environment);
    push_part(&mut bytes, kind.as_bytes());
    push_part(&mut bytes, key.as_bytes());
    choose(&bytes, partitions)
}

fn push_environment(bytes: &mut Vec<u8>, environment: &Environment) {
    push_part(bytes, &environment.project);
    push_part(bytes, &environment.key);
}

fn choose(bytes: &[u8], partitions: u32) -> u32 {
    let remainder = xxh3_64(bytes) % u64::from(partitions.max(1));
    u32::try_from(remainder).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_values_never_change() {
        let environment = Environment::new("default", "development").unwrap();
        let homes: Vec<u32> = [1, 4, 8, 1000].iter().map(|&p| home(&environment, p)).collect();
        let subjects: Vec<u32> =
            ["alice", "bob", "ключ"].iter().map(|key| subject(&environment, "user", key, 1000)).collect();
        assert_eq!((homes, subjects), (vec![0, 3, 3, 955], vec![924, 785, 69]));
    }

    #[test]
    fn parts_are_never_joined() {
        let left = Environment::new("a", "bc").unwrap();
        let right = Environment::new("ab", "c").unwrap();
        assert_ne!(home(&left, u32::MAX), home(&right, u32::MAX));
    }
}
