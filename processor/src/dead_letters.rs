//! Dead letters: records that the fold could not take, kept with the reason and their raw bytes.
//!
//! Always true here: a dead letter is on the disk before the checkpoint passes its record; keeping one twice is keeping it
//! once (its name is its place in the log); beyond [`KEPT_MAX`] files only the books count them. One JSON file each:
//! `<generation>-<partition>-<offset>.json`, header and body in base64.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use counting::fold;
use schemas::record::Header;
use serde::{Deserialize, Serialize};

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
            return Ok(Kept::Kept);
        }
        if self.names()?.len() >= KEPT_MAX {
            return Ok(Kept::Full);
        }
        let temporary = place.with_extension("part");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(letter)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &place)?;
        File::open(&self.folder)?.sync_all()?;
        Ok(Kept::Kept)
    }

    /// The newest `limit` dead letters by partition and offset, and how many there are in all.
    ///
    /// # Errors
    /// When the folder cannot be read. A file that is no dead letter is passed over.
    pub fn newest(&self, limit: usize) -> std::io::Result<(Vec<DeadLetter>, usize)> {
        let mut names = self.names()?;
        names.sort();
        let total = names.len();
        let letters = names.iter().rev().take(limit).filter_map(|name| {
            let text = fs::read(self.folder.join(name)).ok()?;
            serde_json::from_slice(&text).ok()
        });
        Ok((letters.collect(), total))
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

/// Whether an error of [`DeadLetters::keep`] is for lack of room, so that trying later may help.
#[must_use]
pub(crate) fn is_for_room(error: &std::io::Error) -> bool {
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
    fn a_full_folder_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::open(folder.path()).unwrap();
        for n in 0..KEPT_MAX {
            fs::write(folder.path().join(format!("x{n}.json")), b"").unwrap();
        }
        assert_eq!(letters.keep(&letter(7)).unwrap(), Kept::Full);
    }
}
