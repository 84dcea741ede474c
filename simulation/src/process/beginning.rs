//! How a process begins to fold a partition: it reads what a worker begins with, one thing a turn, in the order of
//! `processor::keeping`.
//!
//! Always true here: whatever is read may be old when the next thing is read, for others go on meanwhile. They save a
//! state, and copy it, after its checkpoint, so a state that is read first is never ahead of the checkpoint; what the
//! log let go since the state was looked for is seen after it, and then a newer snapshot is there. A process that dies
//! on the way leaves nothing behind but a snapshot in place of its disk.

use counting::worker::{Assigned, Input, LogRange, Mode, Source, source};
use schemas::log::Logged;
use schemas::stored::{Checkpoint, SavedState};

use super::{NotBegun, Post, Seat, Site};
use crate::chance::Chance;
use crate::faults::Fault;
use crate::mutants::DriverBreak;
use crate::note;
use crate::trace::Trace;

/// What is read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// What the log holds.
    Log,
    /// The saved state, if the log reaches back to it.
    State,
    /// Else the newest snapshot, if the log reaches back to that.
    Snapshot,
    /// The snapshot takes the place of what is on the disk.
    Restore,
    Checkpoint,
    /// What the log holds now.
    LogAgain,
    /// The record before the checkpoint, if the log holds it.
    Record,
}

/// What was read so far by a process that begins.
#[derive(Debug)]
pub(super) struct Beginning {
    next: Next,
    log: LogRange,
    state: Option<SavedState>,
    checkpoint: Option<Checkpoint>,
}

impl Default for Beginning {
    fn default() -> Self {
        Self { next: Next::Log, log: LogRange { from: 0, to: 0 }, state: None, checkpoint: None }
    }
}

impl Next {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "what the log holds",
            Self::State => "its state",
            Self::Snapshot => "the newest snapshot",
            Self::Restore => "the snapshot, onto its disk",
            Self::Checkpoint => "the checkpoint",
            Self::LogAgain => "what the log holds now",
            Self::Record => "the record before the checkpoint",
        }
    }
}

impl Site {
    /// Reads the next thing that a worker begins with; after the last one the worker has begun.
    ///
    /// # Errors
    /// [`NotBegun::Stopped`] when the worker finds that it cannot.
    pub fn begin_on(
        &mut self,
        post: Post,
        seat: &mut Seat,
        chance: &mut Chance,
        trace: &mut Trace,
    ) -> Result<(), NotBegun> {
        let Some(mut beginning) = seat.beginning.take() else { return Ok(()) };
        let Post { node, partition } = post;
        note!(trace, "node {node}/{partition}", "begins, reads {}", beginning.next.name());
        match beginning.next {
            Next::Log => self.read_log(post, &mut beginning),
            Next::State => self.read_state(post, seat, &mut beginning),
            Next::Snapshot => self.read_snapshot(post, seat, &mut beginning),
            Next::Restore => self.restore(post, &mut beginning, chance),
            Next::Checkpoint => self.read_checkpoint(post, seat, &mut beginning, chance),
            Next::LogAgain => self.read_log_again(post, &mut beginning, chance),
            Next::Record => {
                let record = beginning.before().and_then(|before| self.log.held(partition, before)).cloned();
                if record.is_some() || !beginning.expects_record() {
                    return seat.assign(post, beginning, record, trace);
                }
                // The log let it go meanwhile, and its client ends: from the beginning.
                beginning = Beginning::default();
            }
        }
        seat.beginning = Some(beginning);
        Ok(())
    }

    fn read_log(&self, post: Post, beginning: &mut Beginning) {
        beginning.log = self.log.range(post.partition);
        beginning.next = if self.reads_checkpoint_first() { Next::Checkpoint } else { Next::State };
    }

    fn read_state(&self, post: Post, seat: &Seat, beginning: &mut Beginning) {
        let node = if seat.mode == Mode::Together { 0 } else { post.node };
        beginning.state = self.disks.load(node, post.partition);
        let serves = source(beginning.position(), None, beginning.log.from) == Source::Saved;
        // Together there are no snapshots.
        let is_all = serves || seat.mode == Mode::Together;
        beginning.next = if is_all { self.after_state() } else { Next::Snapshot };
    }

    fn read_snapshot(&self, post: Post, seat: &Seat, beginning: &mut Beginning) {
        beginning.state = self.objects.newest(seat.generation, post.partition, beginning.log.from);
        let serves = source(None, beginning.position(), beginning.log.from) == Source::Snapshot;
        beginning.next = if serves { Next::Restore } else { self.after_state() };
    }

    fn restore(&mut self, post: Post, beginning: &mut Beginning, chance: &mut Chance) {
        chance.tally.add(Fault::SnapshotUsed);
        if let Some(snapshot) = &beginning.state {
            self.disks.replace(post.node, post.partition, snapshot.clone());
        }
        beginning.next = self.after_state();
    }

    fn read_checkpoint(&mut self, post: Post, seat: &Seat, beginning: &mut Beginning, chance: &mut Chance) {
        match self.stores.checkpoint(seat.generation, post.partition, chance) {
            Ok(checkpoint) => {
                beginning.checkpoint = checkpoint;
                beginning.next = if self.reads_checkpoint_first() { Next::State } else { Next::LogAgain };
            }
            // When the store is there again: from the beginning.
            Err(_) => *beginning = Beginning::default(),
        }
    }

    fn read_log_again(&self, post: Post, beginning: &mut Beginning, chance: &mut Chance) {
        let (before, now) = (beginning.log, self.log.range(post.partition));
        beginning.log = now;
        let reaches = before.from == now.from || beginning.position().unwrap_or(0) >= now.from;
        if !reaches && self.broken != Some(DriverBreak::LogAskedOnce) {
            // What the log let go meanwhile a newer snapshot has.
            chance.tally.add(Fault::LookedAgain);
            beginning.next = Next::State;
            return;
        }
        beginning.next = Next::Record;
    }

    fn reads_checkpoint_first(&self) -> bool {
        self.broken == Some(DriverBreak::CheckpointFirst)
    }

    fn after_state(&self) -> Next {
        if self.reads_checkpoint_first() { Next::LogAgain } else { Next::Checkpoint }
    }
}

impl Beginning {
    fn position(&self) -> Option<u64> {
        self.state.as_ref().map(|state| state.position)
    }

    /// The offset of the record before the checkpoint.
    fn before(&self) -> Option<u64> {
        self.checkpoint?.position.checked_sub(1)
    }

    /// Whether the log held that record when it was asked.
    fn expects_record(&self) -> bool {
        self.before().is_some_and(|record| (self.log.from..self.log.to).contains(&record))
    }
}

impl Seat {
    /// The worker is told what was read, and begins.
    fn assign(
        &mut self,
        post: Post,
        beginning: Beginning,
        before_checkpoint: Option<Logged>,
        trace: &mut Trace,
    ) -> Result<(), NotBegun> {
        let position = beginning.position();
        let Beginning { log, state, checkpoint, .. } = beginning;
        note!(
            trace,
            "node {}/{}", post.node, post.partition;
            "begins: checkpoint {:?}, state {position:?}, log {}..{}",
            checkpoint.map(|at| at.position),
            log.from,
            log.to
        );
        self.checkpoint = checkpoint;
        let assigned = Assigned { checkpoint, state, log, before_checkpoint };
        self.give(Input::Assigned(Box::new(assigned))).map_err(NotBegun::Stopped)
    }
}

#[cfg(test)]
mod tests {
    use schemas::generation::Generation;
    use schemas::id::Environment;
    use schemas::record::numbers_record;
    use schemas::rejection::Rejections;

    use super::*;
    use crate::disks::{Disks, Objects};
    use crate::log::Log;
    use crate::process::Settings;
    use crate::stores::{Model, Stores};

    const MINE: Post = Post { node: 0, partition: 0 };
    const OTHER: Post = Post { node: 1, partition: 0 };
    /// More than there are things to read …
    const READS: usize = 10;
    /// … and more than are read where all has to be read three times.
    const READS_MAX: usize = 25;

    fn generation() -> Generation {
        Generation::new(1, "t", 1, counting::FOLD_VERSION)
    }

    fn calm() -> Chance {
        let mut chance = Chance::new(1);
        chance.be_calm();
        chance
    }

    fn begin(site: &mut Site) -> Seat {
        site.sit(Settings::new(generation(), 0, Mode::Apart)).unwrap()
    }

    /// Another process, and what it shares; it has folded the log so far.
    fn other(broken: Option<DriverBreak>) -> (Site, Seat) {
        let mut log = Log::new(&generation(), 0);
        let append = numbers_record(&Environment::new("p", "dev").unwrap(), 1, &Rejections::default(), 0);
        for _ in 0..40 {
            log.append(&append, 1, &mut calm());
        }
        let stores = Stores::new(Model::Conditional, None);
        let (disks, objects) = (Disks::default(), Objects::default());
        let mut site = Site { log, stores, disks, objects, letters: Vec::new(), broken };
        let settings = Settings::new(generation(), 0, Mode::Apart);
        let mut seat = site.begin(OTHER, settings, &mut calm(), &mut Trace::default()).unwrap();
        goes_on(&mut site, &mut seat);
        (site, seat)
    }

    /// It folds ten more records, flushes them, copies its state and lets the log go.
    fn goes_on(site: &mut Site, seat: &mut Seat) {
        let batch = site.log.read(0, seat.next, 10);
        seat.next += batch.len() as u64;
        for input in [Input::Batch(batch), Input::Tick, Input::SnapshotDue] {
            seat.give(input).unwrap();
            while seat.is_busy() {
                if let Some(answer) = seat.hear(true) {
                    seat.give(answer).unwrap();
                } else if let Some(action) = seat.take(true) {
                    site.carry_out(OTHER, seat, action, &mut calm());
                }
            }
        }
        site.log.retain(0, seat.worker.progress().saved);
    }

    /// Begins while the other goes on after these reads; where the worker begins to read, or why it stopped.
    fn begin_meanwhile(broken: Option<DriverBreak>, own_disk: bool, after: &[usize]) -> Result<u64, String> {
        let (mut site, mut others) = other(broken);
        if own_disk {
            let state = site.disks.load(OTHER.node, 0).unwrap();
            site.disks.replace(MINE.node, 0, state);
        }
        let mut seat = begin(&mut site);
        for read in 0..READS_MAX {
            if after.contains(&read) {
                goes_on(&mut site, &mut others);
            }
            let begun = site.begin_on(MINE, &mut seat, &mut calm(), &mut Trace::default());
            begun.map_err(|why| format!("{why:?}"))?;
        }
        assert!(!seat.is_beginning(), "{READS_MAX} reads are not enough");
        Ok(seat.next)
    }

    fn every_meanwhile(broken: Option<DriverBreak>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (first, second) in (0..READS).flat_map(|first| (first..READS).map(move |second| (first, second))) {
            for own_disk in [false, true] {
                if let Err(why) = begin_meanwhile(broken, own_disk, &[first, second]) {
                    wrong.push(format!("after {first} and {second} reads, own disk {own_disk}: {why}"));
                }
            }
        }
        wrong
    }

    #[test]
    fn it_begins_whatever_another_does_between_any_two_reads() {
        assert_eq!(every_meanwhile(None), [""; 0]);
        assert_eq!(begin_meanwhile(None, false, &[]), Ok(10));
        assert_eq!(begin_meanwhile(None, false, &[0]), Ok(20), "what was there when it began to read");
    }

    #[test]
    fn another_order_or_one_look_at_the_log_is_a_false_alarm() {
        for (broken, words) in [(DriverBreak::CheckpointFirst, "StateAhead"), (DriverBreak::LogAskedOnce, "Overrun")] {
            let wrong = every_meanwhile(Some(broken));
            assert!(!wrong.is_empty() && wrong.iter().all(|why| why.contains(words)), "{broken:?}: {wrong:?}");
        }
    }
}
