//! A disk that forgets: what was written since the last sync may be lost by sectors when the power is cut.
//!
//! Always true here: a sector of 512 bytes is there as one of the versions it had since the last sync, or as it was
//! then, each sector for itself; the file's length likewise. After the cut every operation fails.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use redb::StorageBackend;

const SECTOR: usize = 512;

/// Numbers from a seed (splitmix64).
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The disk; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Debug, Default)]
struct Inner {
    /// As of the last sync.
    durable: Vec<u8>,
    /// As the running process sees it.
    seen: Vec<u8>,
    /// What happened since the last sync.
    pending: Vec<Pending>,
    operations: u64,
    cut_after: Option<u64>,
    failing_syncs: bool,
    held: bool,
    waiting: usize,
}

#[derive(Debug)]
enum Pending {
    Sector(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    pub(crate) fn holding(image: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.inner().durable.clone_from(&image);
        disk.inner().seen = image;
        disk
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap()
    }

    /// The power goes off after this many further writes, syncs and changes of length.
    pub(crate) fn cut_after(&self, operations: u64) {
        let mut inner = self.inner();
        inner.cut_after = Some(inner.operations + operations);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.inner().operations
    }

    /// What the process saw last, as if everything had been synced.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.inner().seen.clone()
    }

    /// Changes a byte under the running process.
    pub(crate) fn flip(&self, at: usize, mask: u8) {
        self.inner().seen[at] ^= mask;
    }

    pub(crate) fn fail_syncs(&self, failing: bool) {
        self.inner().failing_syncs = failing;
    }

    /// Makes syncs wait until this is called with `false`.
    pub(crate) fn hold_syncs(&self, held: bool) {
        self.inner().held = held;
        self.0.1.notify_all();
    }

    /// How many syncs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inner().waiting
    }

    /// What is found when the power is back.
    pub(crate) fn after_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let inner = self.inner();
        let mut versions: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
        let mut lengths = vec![inner.durable.len()];
        for pending in &inner.pending {
            match pending {
                Pending::Sector(sector, bytes) => versions.entry(*sector).or_default().push(bytes),
                Pending::Length(length) => lengths.push(*length),
            }
        }
        // Of four cuts one loses all, one keeps all, and two throw dice for each sector and the length.
        let mood = dice.below(4);
        let mut pick = |versions: usize| match mood {
            0 => 0,
            1 => versions,
            _ => dice.below(versions as u64 + 1) as usize,
        };
        let length = lengths[pick(lengths.len() - 1)];
        let mut image = inner.durable.clone();
        image.resize(length.max(inner.seen.len()).div_ceil(SECTOR) * SECTOR, 0);
        for (sector, versions) in versions {
            if let Some(version) = pick(versions.len()).checked_sub(1) {
                let at = sector * SECTOR;
                image.resize(image.len().max(at + SECTOR), 0);
                image[at..at + SECTOR].copy_from_slice(versions[version]);
            }
        }
        image.truncate(length);
        image
    }
}

impl Inner {
    fn step(&mut self) -> io::Result<()> {
        if self.cut_after.is_some_and(|end| self.operations >= end) {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let at = offset as usize;
        let bytes = inner.seen.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.step()?;
        inner.seen.resize(len as usize, 0);
        inner.pending.push(Pending::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.waiting += 1;
        inner = self.0.1.wait_while(inner, |inner| inner.held).unwrap();
        inner.waiting -= 1;
        inner.step()?;
        if inner.failing_syncs {
            return Err(io::Error::other("sync failed"));
        }
        inner.durable = inner.seen.clone();
        inner.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.step()?;
        let at = offset as usize;
        inner.seen[at..at + data.len()].copy_from_slice(data);
        for sector in at / SECTOR..(at + data.len()).div_ceil(SECTOR) {
            let end = inner.seen.len().min((sector + 1) * SECTOR);
            let mut bytes = inner.seen[sector * SECTOR..end].to_vec();
            bytes.resize(SECTOR, 0);
            inner.pending.push(Pending::Sector(sector, bytes));
        }
        Ok(())
    }
}
