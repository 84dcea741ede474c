//! The stand-in's journal: a JSON line for each payload taken.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// A payload taken.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// As `project/environment`.
    pub(super) environment: String,
    pub(super) id: String,
    pub(super) at_ms: i64,
    pub(super) body: String,
}

/// The journal, open for adding to it.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    waiting: Vec<u8>,
    waiting_entries: u64,
}

impl Journal {
    /// Opens it, hands what is in it to `take`, and cuts off a torn last line, which was never acknowledged.
    pub(super) fn open(folder: &Path, mut take: impl FnMut(Entry)) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("journal.jsonl");
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        let bytes = std::fs::read(&path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            take(serde_json::from_slice(line)?);
        }
        Ok(Self { file, waiting: Vec::new(), waiting_entries: 0 })
    }

    /// Adds an entry. When this returns, the operating system has it.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<()> {
        self.append_later(entry, 1)
    }

    /// Adds an entry once `entries_max` wait.
    pub(super) fn append_later(&mut self, entry: &Entry, entries_max: u64) -> Result<()> {
        serde_json::to_writer(&mut self.waiting, entry)?;
        self.waiting.push(b'\n');
        self.waiting_entries += 1;
        if self.waiting_entries >= entries_max {
            self.file.write_all(&self.waiting)?;
            self.waiting.clear();
            self.waiting_entries = 0;
        }
        Ok(())
    }
}
