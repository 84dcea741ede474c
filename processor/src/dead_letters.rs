//! Dead letters: records that the fold could not take, kept with the reason and their raw bytes.
//!
//! Always true here: a dead letter is on the disk before the checkpoint passes its record; keeping one twice is keeping
//! it once (its name is its place in the log); beyond [`KEPT_MAX`] files only the books count them. One JSON file each:
//! `<generation>-<partition>-<offset>.json`, header and body in base64.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use counting::fold;
use schemas::record::Header;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::Error;
use crate::under_way::Failures;

/// How many dead letters are kept at the most.
pub const KEPT_MAX: usize = 1_000;

/// A dead letter as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Number of the generation.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
    /// The record's offset.
    pub offset: u64,
    /// Whose it is, `project/environment`; `None` = its header cannot be read.
    pub environment: Option<String>,
    /// When it was received, Unix milliseconds; 0 = its header cannot be read.
    pub received_ms: i64,
    /// What went wrong.
    pub reason: String,
    /// The record's header, base64.
    pub header: String,
    /// The record's body, base64.
    pub body: String,
}

impl DeadLetter {
    /// A dead letter as the fold handed it out.
    #[must_use]
    pub fn of(generation: u32, partition: u32, letter: &fold::DeadLetter) -> Self {
        let header = Header::decode(&letter.header).ok();
        Self {
            generation,
            partition,
            offset: letter.offset,
            environment: header.as_ref().map(|header| header.environment.to_string()),
            received_ms: header.map_or(0, |header| header.received_ms),
            reason: letter.reason.clone(),
            header: STANDARD.encode(&letter.header),
            body: STANDARD.encode(&letter.body),
        }
    }

    /// Bytes of header and body together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (self.header.len() + self.body.len()) / 4 * 3
    }

    fn name(&self) -> String {
        format!("{}-{}-{:020}.json", self.generation, self.partition, self.offset)
    }
}

/// The folder of dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    folder: PathBuf,
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk (now, or was before).
    Kept,
    /// The folder is full: the books count it, its bytes stay in the log alone.
    Full,
}

impl DeadLetters {
    /// Opens the folder, and makes it when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where they lie, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        self.folder.display().to_string()
    }

    /// Keeps a dead letter; it is durable when this returns. Blocks for the disk.
    ///
    /// # Errors
    /// When it could not be written; nothing half is left under its name.
    pub fn keep(&self, letter: &DeadLetter) -> std::io::Result<Kept> {
        let place = self.folder.join(letter.name());
        if place.exists() {
            // The process that put it there may have ended before its name was durable.
            File::open(&self.folder)?.sync_all()?;
            return Ok(Kept::Kept);
        }
        if self.names()?.len() >= KEPT_MAX {
            return Ok(Kept::Full);
        }
        let temporary = place.with_extension("part");
        let written = write_durably(&temporary, &serde_json::to_vec_pretty(letter)?);
        if let Err(error) = written.and_then(|()| fs::rename(&temporary, &place)) {
            // On a full disk the half of a letter would take the room that the rest of the process needs.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        File::open(&self.folder)?.sync_all()?;
        Ok(Kept::Kept)
    }

    /// The newest `limit` dead letters by partition and offset, and how many there are in all.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that is no dead letter is passed over.
    pub fn newest(&self, limit: usize) -> std::io::Result<(Vec<DeadLetter>, usize)> {
        self.newest_before(None, limit)
    }

    /// As [`DeadLetters::newest`], of those before this place in the log: generation, partition, offset. No other file
    /// is read.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that is no dead letter is passed over.
    pub fn newest_before(
        &self,
        place: Option<(u32, u32, u64)>,
        limit: usize,
    ) -> std::io::Result<(Vec<DeadLetter>, usize)> {
        let mut names = self.names()?;
        names.sort_by_cached_key(|name| place_in_log(name));
        let total = names.len();
        let end = place.map_or(total, |(generation, partition, offset)| {
            let place = [generation.into(), partition.into(), offset];
            names.partition_point(|name| place_in_log(name).as_slice() < place.as_slice())
        });
        let letters = names.iter().take(end).rev().filter_map(|name| {
            let text = fs::read(self.folder.join(name)).ok()?;
            // A letter under a name that is not its own would stand at a wrong place.
            serde_json::from_slice(&text).ok().filter(|letter: &DeadLetter| letter.name() == *name)
        });
        Ok((letters.take(limit).collect(), total))
    }

    fn names(&self) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            match entry?.file_name().into_string() {
                Ok(name) if name.ends_with(".json") => names.push(name),
                _ => {}
            }
        }
        Ok(names)
    }
}

fn write_durably(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(place)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Generation, partition and offset as a name has them; what is no such name sorts first.
fn place_in_log(name: &str) -> Vec<u64> {
    let numbers = name.trim_end_matches(".json").split('-').map(str::parse);
    numbers.collect::<Result<_, _>>().unwrap_or_default()
}

/// Keeps a dead letter; a full disk is waited for, since the flush behind the letter would meet it as well.
pub(crate) async fn keep_patiently(letters: DeadLetters, letter: DeadLetter) -> Result<(), Error> {
    let mut failures = Failures::default();
    let letter = Arc::new(letter);
    loop {
        let (folder, copy) = (letters.clone(), Arc::clone(&letter));
        let kept = tokio::task::spawn_blocking(move || folder.keep(&copy)).await;
        match kept.map_err(|error| Error::Panicked(error.to_string()))? {
            Ok(Kept::Kept) => return Ok(()),
            Ok(Kept::Full) => {
                let (partition, offset) = (letter.partition, letter.offset);
                tracing::warn!(partition, offset, "too many dead letters: this one is booked but not kept");
                return Ok(());
            }
            Err(error) if is_for_room(&error) => {
                tracing::warn!(folder = letters.place(), %error, "no room for a dead letter; will try again");
                sleep(failures.wait()).await;
                failures.one_more();
            }
            Err(source) => return Err(Error::DeadLetters { folder: letters.place(), source }),
        }
    }
}

/// Whether an error of [`DeadLetters::keep`] is for lack of room, so that trying later may help.
fn is_for_room(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn letter(offset: u64) -> DeadLetter {
        let letter = fold::DeadLetter {
            offset,
            reason: "step panicked: test".to_owned(),
            header: Bytes::from_static(b"\xffhead"),
            body: Bytes::from_static(b"\xffbody"),
        };
        DeadLetter::of(1, 2, &letter)
    }

    #[test]
    fn a_dead_letter_is_kept_once_with_its_raw_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(letters.keep(&letter(7)).unwrap(), Kept::Kept);
        }
        letters.keep(&letter(100)).unwrap();
        let (newest, total) = letters.newest(1).unwrap();
        assert_eq!((newest, total), (vec![letter(100)], 2));
        assert_eq!(STANDARD.decode(letter(7).body).unwrap(), b"\xffbody");
    }

    #[test]
    fn letters_are_ordered_by_number_and_what_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        let of = |partition, offset| DeadLetter { partition, ..letter(offset) };
        for letter in [of(10, 1), of(2, 100), of(2, 20)] {
            letters.keep(&letter).unwrap();
        }
        fs::write(folder.path().join("notes.json"), b"none of ours").unwrap();
        assert_eq!(letters.newest(9).unwrap(), (vec![of(10, 1), of(2, 100), of(2, 20)], 4));
        // What is none takes no letter's room.
        fs::write(folder.path().join("1-3-00000000000000000001.json"), b"none of ours").unwrap();
        fs::write(folder.path().join("copy.json"), serde_json::to_vec(&of(2, 20)).unwrap()).unwrap();
        assert_eq!(letters.newest(2).unwrap(), (vec![of(10, 1), of(2, 100)], 6));
        assert_eq!(letters.newest_before(Some((1, 10, 1)), 9).unwrap(), (vec![of(2, 100), of(2, 20)], 6));
        assert_eq!(letters.newest_before(Some((1, 2, 99)), 9).unwrap(), (vec![of(2, 20)], 6));
        assert_eq!(letters.newest_before(Some((1, 2, 20)), 9).unwrap(), (vec![], 6));
    }

    #[test]
    fn a_full_folder_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        for n in 0..KEPT_MAX {
            fs::write(folder.path().join(format!("x{n}.json")), b"").unwrap();
        }
        assert_eq!(letters.keep(&letter(7)).unwrap(), Kept::Full);
    }
}
