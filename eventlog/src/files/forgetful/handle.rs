//! What those who use the simulated disk hold: its directory, its files, its lock; dead after a cut or a kill.

use std::sync::{Arc, MutexGuard};
use std::{fmt, io};

use super::inode::Inode;
use super::{Disk, Fault, State, eio};
use crate::files::{File, Files, Lock};

/// The directory or, with an inode, a file of it.
pub(super) struct Handle {
    disk: Disk,
    epoch: u64,
    inode: u64,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forgetful file {}", self.inode)
    }
}

impl Handle {
    pub(super) fn directory(disk: Disk, epoch: u64) -> Self {
        Self { disk, epoch, inode: 0 }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.off || state.epoch != self.epoch {
            return Err(eio("the power was cut"));
        }
        Ok(state)
    }

    fn file(&self, inode: u64) -> Arc<dyn File> {
        Arc::new(Self { disk: self.disk.clone(), epoch: self.epoch, inode })
    }
}

impl Files for Handle {
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = *self.alive()?.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.alive()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.new_inode();
        state.inodes.insert(inode, Inode::default());
        state.change_names(vec![(name.to_owned(), Some(inode))])?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))])
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.alive()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_names(vec![(name.to_owned(), None)])
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.alive()?.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change()?;
        if state.strikes(|fault| if let Fault::DirSync(n) = fault { Some(n) } else { None }) {
            return Err(eio("sync of the directory"));
        }
        state.pending_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        let mut state = self.alive()?;
        if state.locks.iter().any(|held| held == name) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locks.push(name.to_owned());
        Ok(Box::new(Held { disk: self.disk.clone(), epoch: self.epoch, name: name.to_owned() }))
    }

    fn place(&self) -> String {
        "forgetful disk".into()
    }
}

struct Held {
    disk: Disk,
    epoch: u64,
    name: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.epoch == self.epoch {
            state.locks.retain(|held| *held != self.name);
        }
    }
}

impl File for Handle {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let state = self.alive()?;
        let bytes = &state.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?.current;
        let from = (offset as usize).min(bytes.len());
        let n = out.len().min(bytes.len() - from);
        out[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.alive()?;
        let alive = state.change();
        let end = offset + bytes.len() as u64;
        let mut fits = state.longest(self.inode, end).saturating_sub(offset).min(bytes.len() as u64) as usize;
        if state.strikes(|fault| if let Fault::Write(n) = fault { Some(n) } else { None }) {
            fits /= 2;
        }
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        inode.write(offset as usize, &bytes[..fits]);
        alive?;
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.inodes.get(&self.inode).ok_or(io::ErrorKind::NotFound)?.current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.alive()?;
        let alive = state.change();
        if state.longest(self.inode, len) < len {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?.set_len(len as usize);
        alive
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        if len > self.len()? { self.set_len(len) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.alive()?;
        state.change()?;
        let fails = state.strikes(|fault| if let Fault::FileSync(n) = fault { Some(n) } else { None });
        let inode = state.inodes.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
        if fails {
            inode.forget_pending();
            return Err(eio("sync of a file"));
        }
        inode.sync();
        Ok(())
    }
}
