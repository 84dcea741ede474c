//! A simulated disk that forgets what was not synced, and fails when told to: everything by seed.
//!
//! Always true here: what [`File::sync_data`] or [`Files::sync_dir`] answered Ok for survives every power cut; anything
//! else may be there or not, sector by sector and name by name. After a power cut or a kill the handles of before are
//! dead.
//!
//! How a cut decides: each 512-byte sector (or, by the dice, 4 KiB page) written since the last sync shows one of the
//! states it went through; the length one of those it had; each change of a name happened or not, one by one. After a
//! sync that failed, what it should have written is clean in the page cache yet not on the disk, as on Linux.

mod handle;
mod inode;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::{fmt, io};

use self::handle::Handle;
use self::inode::Inode;
use super::Files;

/// What shall go wrong, counted from now (1 = the very next).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The n-th sync of a file fails with EIO.
    FileSync(u64),
    /// The n-th sync of the directory fails with EIO.
    DirSync(u64),
    /// The n-th write to a file gets half way, then there is no room.
    Write(u64),
    /// The power fails in the n-th operation that changes anything; all later ones fail until [`Disk::power_cut`].
    Power(u64),
}

/// The disk; clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names since the last sync of the directory; each happens whole or not at all.
    pending_names: Vec<Vec<(String, Option<u64>)>>,
    next_inode: u64,
    epoch: u64,
    locks: Vec<String>,
    room_bytes: Option<u64>,
    faults: Vec<Fault>,
    off: bool,
    operations: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("forgetful disk")
    }
}

/// The dice of this module: splitmix64, so that a seed means the same for ever.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// How many seeds a test tries: `FLAGSTREAM_SEEDS` where it is set, else as many as are quick. `--nocapture` shows it.
///
/// # Panics
/// When the variable is no number.
#[must_use]
pub fn seeds(quick: u64) -> u64 {
    let seeds = match std::env::var("FLAGSTREAM_SEEDS") {
        Ok(seeds) => seeds.parse().unwrap_or_else(|e| panic!("FLAGSTREAM_SEEDS = {seeds:?}: {e}; give a number")),
        Err(_) => quick,
    };
    println!("{}: {seeds} seeds", std::thread::current().name().unwrap_or("a test"));
    seeds
}

impl Disk {
    /// An empty disk with endless room.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default())
    }

    /// The directory, as one who starts now sees it.
    #[must_use]
    pub fn files(&self) -> Arc<dyn Files> {
        let epoch = self.state().epoch;
        Arc::new(Handle::directory(self.clone(), epoch))
    }

    /// Arranges for something to go wrong; several faults may wait at a time.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Forgets faults that have not happened yet.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// Limits the room of all files together; `None` is endless.
    pub fn set_room_bytes(&self, room: Option<u64>) {
        self.state().room_bytes = room;
    }

    /// Operations so far that changed anything: where a [`Fault::Power`] can fall.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Bytes that all named files take.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.state().used_bytes()
    }

    /// Cuts the power and switches it on again: what was not synced is there, partly there, or not, by `seed`.
    pub fn power_cut(&self, seed: u64) {
        let mut dice = Dice::new(seed);
        let mut state = self.state();
        // Some cuts keep nearly all or nearly nothing: both ends find faults that the middle does not.
        let keep_percent = [0, 10, 50, 90, 100][dice.below(5) as usize];
        let unit = [512, 4096][dice.below(2) as usize];
        for inode in state.inodes.values_mut() {
            inode.cut(&mut dice, keep_percent, unit);
        }
        let mut names = std::mem::take(&mut state.durable_names);
        for change in std::mem::take(&mut state.pending_names) {
            if dice.below(100) < keep_percent {
                apply(&mut names, &change);
            }
        }
        state.names = names.clone();
        state.durable_names = names;
        let named: Vec<u64> = state.names.values().copied().collect();
        state.inodes.retain(|inode, _| named.contains(inode));
        state.restart();
    }

    /// Kills the process: its handles are dead, the page cache stays.
    pub fn kill(&self) {
        self.state().restart();
    }

    /// Changes a byte as rot does, in memory and on the disk at once.
    ///
    /// # Panics
    /// When there is no such byte.
    pub fn flip(&self, name: &str, byte: u64, mask: u8) {
        let mut state = self.state();
        let inode = state.names[name];
        state.inodes.get_mut(&inode).expect("named").flip(byte as usize, mask);
    }

    /// Puts bytes on the platter behind the page cache's back, as a failed sync may leave them: seen after a power cut.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn put_on_platter(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let inode = state.names[name];
        state.inodes.get_mut(&inode).expect("named").set_platter(bytes);
    }

    /// All bytes of a file as a reader sees them now.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(name).map(|inode| state.inodes[inode].current.clone())
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let inode = state.new_inode();
        state.inodes.insert(inode, Inode::durable(bytes));
        apply(&mut state.names, &[(name.to_owned(), Some(inode))]);
        apply(&mut state.durable_names, &[(name.to_owned(), Some(inode))]);
    }

    /// Removes a file, durably.
    pub fn take_away(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.durable_names.remove(name);
    }

    /// Names of all files now.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &[(String, Option<u64>)]) {
    for (name, inode) in change {
        match inode {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
}

fn eio(what: &str) -> io::Error {
    io::Error::other(format!("input/output error: {what}"))
}

impl State {
    fn new_inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    fn restart(&mut self) {
        self.epoch += 1;
        self.locks.clear();
        self.faults.clear();
        self.off = false;
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[inode].current.len() as u64).sum()
    }

    /// Whether this occurrence is the one that shall fail; counts it down if not.
    fn strikes(&mut self, is_kind: fn(&mut Fault) -> Option<&mut u64>) -> bool {
        let mut struck = false;
        self.faults.retain_mut(|fault| match is_kind(fault) {
            None => true,
            Some(1) => {
                struck = true;
                false
            }
            Some(n) => {
                *n -= 1;
                true
            }
        });
        struck
    }

    /// Counts an operation that changes something.
    fn change(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.strikes(|fault| if let Fault::Power(n) = fault { Some(n) } else { None }) {
            self.off = true;
        }
        if self.off { Err(eio("the power is off")) } else { Ok(()) }
    }

    fn change_names(&mut self, change: Vec<(String, Option<u64>)>) -> io::Result<()> {
        let alive = self.change();
        apply(&mut self.names, &change);
        self.pending_names.push(change);
        alive
    }

    /// How far a file may grow with the room there is.
    fn longest(&self, inode: u64, wanted: u64) -> u64 {
        let has = self.inodes[&inode].current.len() as u64;
        match self.room_bytes {
            Some(room) if wanted > has => wanted.min(has + room.saturating_sub(self.used_bytes())),
            _ => wanted,
        }
    }
}
