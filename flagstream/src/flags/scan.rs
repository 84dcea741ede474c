//! Where flag keys stand in a source tree: whole words alone, by file and line.
//!
//! Always true here: what `.gitignore` leaves out and hidden files are not looked at; binary files, files over 4 MiB and
//! files that cannot be read are counted and told, so nobody takes them for looked at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use anyhow::Context;
use ignore::WalkBuilder;

/// Longest file that is looked at, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// A NUL within so many bytes makes a file binary.
const BINARY_WITHIN: usize = 8 * 1024;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// File and line (from 1) of each place, each line once, by key; every key is here.
    pub places: BTreeMap<String, Vec<(PathBuf, u64)>>,
    /// Files looked at.
    pub files: u64,
    /// Binary files passed over.
    pub binary: u64,
    /// Files over 4 MiB passed over.
    pub large: u64,
    /// Files and folders that could not be read.
    pub unreadable: u64,
}

/// Looks for the keys below `directory`.
///
/// # Errors
/// When the directory is none, or the keys are too many to look for.
pub fn scan(directory: &Path, keys: &[String]) -> anyhow::Result<Found> {
    anyhow::ensure!(directory.is_dir(), "{} is no directory", directory.display());
    let finder = AhoCorasick::new(keys).context("too many flag keys to look for at once")?;
    let mut found = Found { places: keys.iter().map(|key| (key.clone(), Vec::new())).collect(), ..Found::default() };
    let mut walk = WalkBuilder::new(directory);
    // A tree without a `.git` (an export, a container's copy) has its `.gitignore` all the same.
    walk.require_git(false).sort_by_file_path(Ord::cmp);
    for entry in walk.build() {
        let Ok(entry) = entry else {
            found.unreadable += 1;
            continue;
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        if entry.metadata().is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX) {
            found.large += 1;
            continue;
        }
        match std::fs::read(entry.path()) {
            Ok(bytes) if bytes.iter().take(BINARY_WITHIN).any(|byte| *byte == 0) => found.binary += 1,
            Ok(bytes) => {
                found.files += 1;
                let path = entry.path().strip_prefix(directory).unwrap_or(entry.path());
                look(&finder, keys, path, &bytes, &mut found);
            }
            Err(_) => found.unreadable += 1,
        }
    }
    Ok(found)
}

fn look(finder: &AhoCorasick, keys: &[String], path: &Path, bytes: &[u8], found: &mut Found) {
    let (mut line, mut counted_to) = (1, 0);
    // Overlapping, since one key may stand within another; ends rise, so lines are counted once.
    for found_at in finder.find_overlapping_iter(bytes) {
        let before = found_at.start().checked_sub(1).and_then(|at| bytes.get(at));
        if before.is_some_and(|byte| is_of_a_word(*byte)) || bytes.get(found_at.end()).is_some_and(|b| is_of_a_word(*b))
        {
            continue;
        }
        line += bytes.get(counted_to..found_at.end()).map_or(0, |part| part.iter().filter(|b| **b == b'\n').count());
        counted_to = found_at.end();
        let Some(places) = keys.get(found_at.pattern().as_usize()).and_then(|key| found.places.get_mut(key)) else {
            continue;
        };
        // Twice on a line is one place to go to.
        if places.last().is_none_or(|(before, at)| before != path || *at != line as u64) {
            places.push((path.to_owned(), line as u64));
        }
    }
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_are_found_and_what_is_passed_over_is_counted() {
        let tree = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(tree.path().join(name), bytes).unwrap();
        write(
            "a.js",
            b"checkout checkout\nif (on('checkout') || on(\"checkout-v2\"))\n\ncheckouts my_checkout x.checkout\n",
        );
        write(".gitignore", b"out.js\n");
        write("out.js", b"checkout");
        write("picture", b"\0checkout");
        write("large.js", &vec![b' '; (4 << 20) + 1]);
        let keys = ["checkout", "checkout-v2", "never"].map(ToOwned::to_owned);
        let found = scan(tree.path(), &keys).unwrap();
        let at = |line| (PathBuf::from("a.js"), line);
        assert_eq!(found.places["checkout"], [at(1), at(2)]);
        assert_eq!(found.places["checkout-v2"], [at(2)]);
        assert_eq!(found.places["never"], []);
        assert_eq!((found.files, found.binary, found.large, found.unreadable), (1, 1, 1, 0));
        assert!(scan(&tree.path().join("a.js"), &keys).is_err());
    }
}
