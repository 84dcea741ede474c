//! The bytes of one file of the simulated disk: as readers see them, and as the platter has them.

use super::Dice;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// One file.
#[derive(Default)]
pub(super) struct Inode {
    /// What readers see.
    pub(super) current: Vec<u8>,
    /// What is surely there after a power cut.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// A sync failed here: page cache and platter differ in clean pages.
    differs: bool,
}

enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Inode {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), current: bytes, pending: Vec::new(), differs: false }
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.current, offset, bytes);
        self.pending.push(Pending::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.current.resize(len, 0);
        self.pending.push(Pending::Length(len));
    }

    pub(super) fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Pending::Length(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// What a failed sync leaves: all pages are marked clean, but only every other sector has reached the platter.
    pub(super) fn forget_pending(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let Pending::Write { offset, bytes } = pending else { continue };
            for (at, piece) in pieces(offset, &bytes, SECTOR_BYTES) {
                if (at / SECTOR_BYTES).is_multiple_of(2) && at + piece.len() <= self.durable.len() {
                    put(&mut self.durable, at, piece);
                }
            }
        }
        self.differs = true;
    }

    pub(super) fn set_platter(&mut self, bytes: Vec<u8>) {
        self.durable = bytes;
        self.differs = true;
    }

    pub(super) fn flip(&mut self, byte: usize, mask: u8) {
        self.current[byte] ^= mask;
        self.durable[byte] ^= mask;
    }

    /// A power cut: each unit of bytes written since the last sync shows one of the states it went through.
    pub(super) fn cut(&mut self, dice: &mut Dice, keep_percent: u64, unit: usize) {
        if self.pending.is_empty() {
            if self.differs {
                self.current.clone_from(&self.durable);
            }
            self.differs = false;
            return;
        }
        let mut len = self.durable.len();
        // Written units in order of first touch; a unit's later writes reach the platter only on top of its earlier.
        let mut stopped = std::collections::BTreeSet::new();
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Length(wanted) => {
                    if dice.below(100) < keep_percent {
                        len = wanted;
                        if wanted < self.durable.len() {
                            self.durable.truncate(wanted);
                        }
                    }
                }
                Pending::Write { offset, bytes } => {
                    for (at, piece) in pieces(offset, &bytes, unit) {
                        if stopped.contains(&(at / unit)) {
                            continue;
                        }
                        if dice.below(100) < keep_percent {
                            put(&mut self.durable, at, piece);
                            len = len.max(at + piece.len());
                        } else {
                            stopped.insert(at / unit);
                        }
                    }
                }
            }
        }
        self.durable.resize(len, 0);
        self.current.clone_from(&self.durable);
        self.differs = false;
    }
}

/// Cuts a write at multiples of `unit`.
fn pieces(offset: usize, bytes: &[u8], unit: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = offset;
    std::iter::from_fn(move || {
        let begin = at;
        let end = (begin / unit * unit + unit).min(offset + bytes.len());
        at = end;
        (begin < end).then(|| (begin, &bytes[begin - offset..end - offset]))
    })
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if new.is_empty() {
        return;
    }
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}
