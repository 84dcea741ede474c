//! Where flag keys stand in source trees: whole words alone, by file and line, and the names that React's `useFlags()`
//! makes of them.
//!
//! Always true here: what `.gitignore` leaves out and hidden files are not looked at; binary files, files over 4 MiB
//! and files that cannot be read are named and told, so nobody takes them for looked at. Where it is not clear whether
//! a key is meant, it counts: a number too low is a reason to remove a flag that is still asked for.

mod camel_case;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use anyhow::{Context, ensure};
use ignore::WalkBuilder;

use self::camel_case::camel_case;

/// Longest file that is looked at, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// A NUL within so many bytes makes a file binary.
const BINARY_WITHIN: usize = 8 * 1024;

/// A line that a flag stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Below its directory; where several are looked at, with that directory as it was given.
    pub file: PathBuf,
    /// From 1.
    pub line: u64,
    /// The name of `useFlags()`, where that stands there and the key itself does not.
    pub camel_case: Option<String>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Each line once, by key; every key is here.
    pub places: BTreeMap<String, Vec<Place>>,
    /// Files looked at.
    pub files: u64,
    /// Binary files passed over.
    pub binary: Vec<PathBuf>,
    /// Files over 4 MiB passed over.
    pub large: Vec<PathBuf>,
    /// Files and folders that could not be read, and why.
    pub unreadable: Vec<String>,
    /// Directories that have no file to look at.
    pub empty: Vec<PathBuf>,
}

/// Looks for the keys below all `directories` together; a file that is below two of them counts once.
///
/// # Errors
/// When one of the directories is none, or the keys are too many to look for.
pub fn scan(directories: &[PathBuf], keys: &[String]) -> anyhow::Result<Found> {
    let finder = Finder::of(keys)?;
    let mut found = Found { places: keys.iter().map(|key| (key.clone(), Vec::new())).collect(), ..Found::default() };
    let mut before = BTreeSet::new();
    for directory in directories {
        ensure!(directory.is_dir(), "{} is no directory", directory.display());
        let whole = directory.canonicalize().with_context(|| format!("cannot read {}", directory.display()))?;
        let named = if directories.len() > 1 { directory.as_path() } else { Path::new("") };
        walk(&whole, named, &finder, &mut before, &mut found);
        if !before.iter().any(|file: &PathBuf| file.starts_with(&whole)) {
            found.empty.push(directory.clone());
        }
    }
    Ok(found)
}

/// `before` = the files that were looked at or passed over in this scan.
fn walk(directory: &Path, named: &Path, finder: &Finder<'_>, before: &mut BTreeSet<PathBuf>, found: &mut Found) {
    let mut walk = WalkBuilder::new(directory);
    // A tree without a `.git` (an export, a container's copy) has its `.gitignore` all the same.
    walk.require_git(false).sort_by_file_path(Ord::cmp);
    for entry in walk.build() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                found.unreadable.push(error.to_string());
                continue;
            }
        };
        if !entry.file_type().is_some_and(|kind| kind.is_file()) || !before.insert(entry.path().to_owned()) {
            continue;
        }
        let file = named.join(entry.path().strip_prefix(directory).unwrap_or(entry.path()));
        if entry.metadata().is_ok_and(|metadata| metadata.len() > FILE_BYTES_MAX) {
            found.large.push(file);
            continue;
        }
        match std::fs::read(entry.path()) {
            Ok(bytes) => match text(&bytes) {
                Some(text) => {
                    found.files += 1;
                    finder.look(&file, &text, found);
                }
                None => found.binary.push(file),
            },
            Err(error) => found.unreadable.push(format!("{}: {error}", file.display())),
        }
    }
}

/// What is to be read in a file: as it is, or from UTF-16 where its first two bytes say so; `None` = binary.
fn text(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return is_text(bytes).then_some(Cow::Borrowed(bytes)),
    };
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).ok().map(String::into_bytes).filter(|text| is_text(text)).map(Cow::Owned)
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().take(BINARY_WITHIN).any(|byte| *byte == 0)
}

/// What is looked for: each key, and its name in camel case.
struct Finder<'a> {
    automaton: AhoCorasick,
    /// The key of each pattern, and its name where that is the pattern.
    patterns: Vec<(&'a String, Option<String>)>,
}

impl<'a> Finder<'a> {
    fn of(keys: &'a [String]) -> anyhow::Result<Finder<'a>> {
        let names = keys.iter().filter_map(|key| Some((key, Some(camel_case(key)?))));
        let patterns: Vec<_> = keys.iter().map(|key| (key, None)).chain(names).collect();
        let words = patterns.iter().map(|(key, name)| name.as_ref().unwrap_or(key));
        let automaton = AhoCorasick::new(words).context("too many flag keys to look for at once")?;
        Ok(Finder { automaton, patterns })
    }

    fn look(&self, file: &Path, bytes: &[u8], found: &mut Found) {
        let (mut line, mut counted_to) = (1, 0);
        for (start, pattern) in self.longest(bytes) {
            line += bytes.get(counted_to..start).map_or(0, |part| part.iter().filter(|b| **b == b'\n').count() as u64);
            counted_to = start;
            let Some((key, name)) = self.patterns.get(pattern) else { continue };
            let Some(places) = found.places.get_mut(*key) else { continue };
            match places.last_mut() {
                // Twice on a line is one place to go to; the key says more than its name.
                Some(last) if last.file == file && last.line == line => {
                    if name.is_none() {
                        last.camel_case = None;
                    }
                }
                _ => places.push(Place { file: file.to_owned(), line, camel_case: name.clone() }),
            }
        }
    }

    /// Start and pattern of each hit, starts rising. A hit within a longer one is the longer one's (`checkout` in
    /// `checkout-v2`, where that is a key too); hits that are alike or overlap in part all count.
    fn longest(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let is_inside = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| is_of_a_word(*byte));
        let mut hits: Vec<_> = self
            .automaton
            .find_overlapping_iter(bytes)
            .filter(|hit| !is_inside(hit.start().checked_sub(1)) && !is_inside(Some(hit.end())))
            .map(|hit| (hit.start(), Reverse(hit.end()), hit.pattern().as_usize()))
            .collect();
        hits.sort_unstable();
        let (mut kept, mut reach) = ((0, 0), 0);
        hits.retain(|(start, Reverse(end), _)| {
            let is_kept = kept == (*start, *end) || *end > reach;
            if is_kept {
                (kept, reach) = ((*start, *end), *end);
            }
            is_kept
        });
        hits.into_iter().map(|(start, _, pattern)| (start, pattern)).collect()
    }
}

/// `.` and `-` are none: `flags.checkout` asks for `checkout`, and `checkout-` + version may.
fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
