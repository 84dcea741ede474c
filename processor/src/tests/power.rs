//! The power cut: one disk that forgets under log and store, cut at any operation, several lives of one machine.
//!
//! After each cut the cells are the exact fold of the checkpoint's prefix. In the end, by a ledger of who sent what:
//! what was acknowledged is counted once, what nobody heard of once or not at all, and the books balance.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use eventlog::embedded::{Break as LogBreak, EmbeddedLog, Options as LogOptions};
use eventlog::files::File;
use eventlog::files::forgetful::{Dice, Disk, Fault, seeds};
use eventlog::{EventLog, Signal, Subscription};
use schemas::generation::Generation;
use schemas::log::{Append, Logged};
use stores::embedded::{Embedded, Options};
use tokio::time::sleep;

use super::bench::{compare, read_all, readers_of, settings};
use super::driven::Lane;
use super::oracle::{Facts, differences, said_by, said_in};
use super::payloads::{START, Sent, beginnings, generation, payload};
use super::seeds::{each_seed, none_wrong};
use crate::{Keeping, Processor};

const LIVES: u64 = 3;

/// The file of the store on the same disk as the log.
#[derive(Debug)]
struct OnDisk(Arc<dyn File>);

impl redb::StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}

/// Which rule is broken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Broken {
    pub(crate) log: Option<LogBreak>,
    pub(crate) store: Option<stores::Break>,
    pub(crate) worker: Option<counting::Break>,
}

/// What happened over all seeds, so that a test sees that it tests something.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    pub(crate) unknown_counted: u64,
    pub(crate) unknown_not_counted: u64,
    pub(crate) sent_again_across_a_cut: u64,
    pub(crate) cuts: u64,
    pub(crate) cuts_in_opening: u64,
    pub(crate) began_with_state: u64,
    pub(crate) log_began_above_0: u64,
}

impl Tally {
    /// Both together.
    fn and(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            unknown_counted: self.unknown_counted + other.unknown_counted,
            unknown_not_counted: self.unknown_not_counted + other.unknown_not_counted,
            sent_again_across_a_cut: self.sent_again_across_a_cut + other.sent_again_across_a_cut,
            cuts: self.cuts + other.cuts,
            cuts_in_opening: self.cuts_in_opening + other.cuts_in_opening,
            began_with_state: self.began_with_state + other.began_with_state,
            log_began_above_0: self.log_began_above_0 + other.log_began_above_0,
        }
    }
}

/// What was sent, and what is known of it.
struct Entry {
    sent: Sent,
    is_acknowledged: bool,
    life: u64,
}

/// A machine, and what its people know.
pub(crate) struct Machine {
    pub(crate) disk: Disk,
    generation: Generation,
    broken: Broken,
    ledger: Vec<Entry>,
    /// The log as far as anybody saw it, by partition and offset.
    seen: Vec<BTreeMap<u64, Logged>>,
    life: u64,
}

/// Log and store, open.
pub(crate) struct Open {
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) store: Arc<Embedded>,
}

/// A partition, driven.
struct Driven {
    lane: Lane,
    subscription: Box<dyn Subscription>,
    released: u64,
}

impl Machine {
    pub(crate) fn new(partitions: u32, broken: Broken) -> Self {
        let generation = generation(partitions, 1_000);
        let seen = vec![BTreeMap::new(); partitions as usize];
        Self { disk: Disk::new(), generation, broken, ledger: Vec::new(), seen, life: 0 }
    }

    fn is_off(&self) -> bool {
        self.disk.files().list().is_err()
    }

    /// What failed for want of power has not failed.
    fn unless_off<T>(&self, what: &str, outcome: Result<T, String>) -> Result<Option<T>, String> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(_) if self.is_off() => Ok(None),
            Err(error) => Err(format!("{what}, life {}: {error}", self.life)),
        }
    }

    pub(crate) async fn open(&self) -> Result<Open, String> {
        let mut options = LogOptions::new(self.generation.partitions, 1, Arc::new(|| START)).with_spare_inline();
        // Small, so that segments come and go; no marker by the clock, so that a seed decides all but the moment when
        // released segments go.
        (options.segment_bytes, options.reserve_bytes, options.retain_bytes) = (8 << 10, 0, 16 << 10);
        options.idle_marker_ms = 3_600_000;
        if let Some(rule) = self.broken.log {
            options = options.breaking(rule);
        }
        let (log, _) = EmbeddedLog::open(self.disk.files(), options).map_err(|error| error.to_string())?;
        let store = self.open_store().map_err(|error| format!("store: {error}"))?;
        Ok(Open { log: Arc::new(log), store: Arc::new(store) })
    }

    /// As `Embedded::open` does with a path: it is made under another name first.
    fn open_store(&self) -> Result<Embedded, stores::Error> {
        let files = self.disk.files();
        let io = |error: io::Error| stores::Error::Unavailable(error.to_string());
        if !files.list().map_err(io)?.iter().any(|name| name == "store") {
            let _ = files.remove("store.new");
            let file = files.create("store.new").map_err(io)?;
            drop(Embedded::on(OnDisk(Arc::clone(&file)), &Options::default())?);
            file.sync_data().map_err(io)?;
            files.rename("store.new", "store").map_err(io)?;
            files.sync_dir().map_err(io)?;
        }
        let mut options = Options::default();
        if let Some(rule) = self.broken.store {
            options = options.breaking(rule);
        }
        Embedded::on(OnDisk(files.open("store").map_err(io)?), &options)
    }

    /// Looks at what the cut has left: the log goes on from what was seen, the store stands at one position.
    pub(crate) async fn look(&mut self, open: &Open, tally: &mut Tally) -> Result<(), String> {
        for partition in 0..self.generation.partitions {
            let held = open.log.held().await.map_err(|error| error.to_string())?[partition as usize];
            let records = read_all(&open.log, partition).await;
            let seen = &mut self.seen[partition as usize];
            seen.split_off(&held.end);
            seen.extend(records.into_iter().map(|record| (record.offset, record)));
            tally.log_began_above_0 += u64::from(held.first > 0);
        }
        let mut expected = Facts::new();
        for partition in 0..self.generation.partitions {
            let keeping = Keeping::Together(Arc::clone(&open.store));
            let found = keeping.find(1, partition, open.log.clone()).await.map_err(|error| error.to_string())?;
            let position = found.checkpoint.map_or(0, |checkpoint| checkpoint.position);
            let state = found.state.map_or(0, |state| state.position);
            if position != state {
                return Err(format!("partition {partition}: checkpoint at {position}, state at {state}"));
            }
            tally.began_with_state += u64::from(state > 0);
            let prefix: Vec<Logged> = self.seen_below(partition, position)?;
            expected.extend(said_by(&self.generation, partition, &prefix, &[]).facts);
        }
        let found = said_in(&*open.store, self.generation.partitions, &BTreeSet::new()).await;
        match differences(&found, &expected) {
            differ if differ.is_empty() => Ok(()),
            differ => Err(format!("after the cut the cells are not those of the checkpoint:\n{}", differ.join("\n"))),
        }
    }

    fn seen_below(&self, partition: u32, position: u64) -> Result<Vec<Logged>, String> {
        let prefix: Vec<Logged> =
            self.seen[partition as usize].range(..position).map(|(_, logged)| logged.clone()).collect();
        if prefix.len() as u64 != position {
            return Err(format!("partition {partition} is folded up to {position}, of which {} were", prefix.len()));
        }
        Ok(prefix)
    }

    /// Each partition without a record gets its beginning.
    pub(crate) async fn begin_log(&mut self, open: &Open) -> Result<(), String> {
        let held = open.log.held().await.map_err(|error| error.to_string())?;
        let lacking = |record: &Append| held[record.partition as usize].end == 0;
        let records: Vec<Append> = beginnings(&self.generation).into_iter().filter(lacking).collect();
        self.append(open, records).await
    }

    async fn append(&mut self, open: &Open, records: Vec<Append>) -> Result<(), String> {
        let offsets = open.log.append(records.clone()).await.map_err(|error| error.to_string())?;
        for (Append { partition, header, body }, offset) in records.into_iter().zip(offsets) {
            let logged = Logged { offset, append_ms: START, header, body };
            self.seen[partition as usize].insert(offset, logged);
        }
        Ok(())
    }

    /// Sends something new or something again, and notes what is known of it.
    pub(crate) async fn send(&mut self, dice: &mut Dice, open: &Open, tally: &mut Tally) -> Result<(), String> {
        let is_again = !self.ledger.is_empty() && dice.below(3) == 0;
        let which = if is_again {
            self.ledger.len() - 1 - dice.below(self.ledger.len().min(5) as u64) as usize
        } else {
            let number = self.ledger.len() as u64;
            let mut sent = payload(dice, number);
            // Without an id a re-send cannot be known; that is the oracle's matter in other tests.
            sent.payload.id.get_or_insert(schemas::event::PayloadId::Sent(number.to_be_bytes().to_vec()));
            self.ledger.push(Entry { sent, is_acknowledged: false, life: self.life });
            self.ledger.len() - 1
        };
        tally.sent_again_across_a_cut += u64::from(self.ledger[which].life != self.life);
        let records = self.ledger[which].sent.records(self.generation.partitions, START + which as i64, i64::MAX / 2);
        self.append(open, records).await?;
        self.ledger[which].is_acknowledged = true;
        tally.acknowledged += 1;
        Ok(())
    }

    async fn drive(&self, open: &Open, partition: u32) -> Result<Driven, String> {
        let keeping = Keeping::Together(Arc::clone(&open.store));
        let found = keeping.clone().find(1, partition, open.log.clone()).await.map_err(|error| error.to_string())?;
        let mut subscription = open.log.subscribe_to(&[partition]).map_err(|error| error.to_string())?;
        let before = found.checkpoint.and_then(|checkpoint| checkpoint.position.checked_sub(1));
        let mut before_checkpoint = None;
        if let Some(before) = before.filter(|before| (found.held.first..found.held.end).contains(before)) {
            subscription.begin(partition, before).map_err(|error| error.to_string())?;
            before_checkpoint = batch(&mut *subscription).await?.into_iter().next();
        }
        let mode = keeping.mode();
        let mut settings = counting::worker::Settings::new(self.generation.clone(), partition, mode);
        settings.waiting_records_max = 4;
        if let Some(rule) = self.broken.worker {
            settings = settings.breaking(rule);
        }
        let lane = Lane::start(settings, keeping, found, before_checkpoint)?;
        subscription.begin(partition, lane.next).map_err(|error| error.to_string())?;
        Ok(Driven { lane, subscription, released: 0 })
    }

    /// One life: opened, used, and ended by a cut, a kill or a stop.
    async fn live(&mut self, dice: &mut Dice, tally: &mut Tally) -> Result<(), String> {
        if dice.below(4) > 0 {
            // Now and then early enough to fall into the opening.
            let span = if dice.below(4) == 0 { 30 } else { 400 };
            self.disk.fail(Fault::Power(1 + dice.below(span)));
        }
        let opened = self.open().await;
        let Some(open) = self.unless_off("opening", opened)? else {
            (tally.cuts_in_opening, tally.cuts) = (tally.cuts_in_opening + 1, tally.cuts + 1);
            self.disk.power_cut(dice.below(u64::MAX));
            return Ok(());
        };
        self.look(&open, tally).await?;
        let used = self.use_it(dice, &open, tally).await;
        self.unless_off("using it", used)?;
        if dice.below(4) == 0 {
            let closed = open.log.close().await.map_err(|error| error.to_string());
            self.unless_off("closing the log", closed)?;
        }
        if self.is_off() || dice.below(2) == 0 {
            tally.cuts += 1;
            self.disk.power_cut(dice.below(u64::MAX));
        } else {
            self.disk.kill();
        }
        Ok(())
    }

    async fn use_it(&mut self, dice: &mut Dice, open: &Open, tally: &mut Tally) -> Result<(), String> {
        self.begin_log(open).await?;
        let mut partitions = Vec::new();
        for partition in 0..self.generation.partitions {
            partitions.push(self.drive(open, partition).await?);
        }
        for _ in 0..10 + dice.below(30) {
            let number = dice.below(partitions.len() as u64) as usize;
            let driven = &mut partitions[number];
            match dice.below(8) {
                0..=2 => self.send(dice, open, tally).await?,
                3..=5 => driven.fold(open).await?,
                6 => driven.flush(open).await?,
                _ => driven.lane.carry_out().await?,
            }
        }
        Ok(())
    }

    /// One life with the real processor: what it does when is not the seed's alone, what must hold is the same.
    async fn live_for_real(&mut self, dice: &mut Dice, tally: &mut Tally) -> Result<(), String> {
        let opened = self.open().await;
        let Some(open) = self.unless_off("opening", opened)? else { return Err("no power at all".to_owned()) };
        self.look(&open, tally).await?;
        self.begin_log(&open).await?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let keeping = Keeping::Together(Arc::clone(&open.store));
        let readers = readers_of(&open.log).map_err(|error| error.to_string())?;
        let settings = settings(&self.generation, folder.path());
        let processor = Processor::start(settings, open.log.clone(), readers, keeping);
        let processor = processor.map_err(|error| error.to_string())?;
        self.disk.fail(Fault::Power(1 + dice.below(500)));
        for _ in 0..30 {
            let sent = self.send(dice, &open, tally).await;
            if self.unless_off("sending", sent)?.is_none() {
                break;
            }
            if dice.below(4) == 0 {
                sleep(Duration::from_millis(dice.below(6))).await;
            }
        }
        let stopped = processor.stop().await.map_err(|error| error.to_string());
        self.unless_off("stopping", stopped)?;
        tally.cuts += 1;
        self.disk.power_cut(dice.below(u64::MAX));
        Ok(())
    }

    /// A last life without trouble, until all is durable; then the reckoning.
    async fn settle(&mut self, tally: &mut Tally) -> Result<(), String> {
        let open = self.open().await?;
        self.look(&open, tally).await?;
        self.begin_log(&open).await?;
        for partition in 0..self.generation.partitions {
            let mut driven = self.drive(&open, partition).await?;
            let end = open.log.held().await.map_err(|error| error.to_string())?[partition as usize].end;
            while !(driven.lane.is_at_rest() && driven.lane.next == end) {
                driven.fold(&open).await?;
                driven.flush(&open).await?;
            }
        }
        self.reckon(&open, tally).await
    }

    /// Each payload once, or once or not at all; and all of it as the oracle says.
    pub(crate) async fn reckon(&self, open: &Open, tally: &mut Tally) -> Result<(), String> {
        let mut log = Vec::new();
        for partition in 0..self.generation.partitions {
            let end = open.log.held().await.map_err(|error| error.to_string())?[partition as usize].end;
            log.push(self.seen_below(partition, end)?);
        }
        // The facts of the log, which those of the store equal.
        let found = compare(&log, &*open.store, &self.generation, &[]).await?.facts;
        for entry in &self.ledger {
            let flag = flag_of(&entry.sent);
            let usage: i128 = sum(&found, &format!("usage of {flag} at"));
            let events: i128 = sum(&found, &format!("event e{} in", &flag[1..]));
            let is_right = usage == events && if entry.is_acknowledged { usage == 1 } else { usage <= 1 };
            if !is_right {
                let known = if entry.is_acknowledged { "acknowledged" } else { "unknown" };
                return Err(format!("{flag} was {known}, and counted {usage} times, its event {events} times"));
            }
            match (entry.is_acknowledged, usage) {
                (true, _) => {}
                (false, 0) => tally.unknown_not_counted += 1,
                (false, _) => tally.unknown_counted += 1,
            }
        }
        Ok(())
    }
}

impl Driven {
    /// Takes a batch, if there is one and room for it, and does what comes of it but for a flush that has begun.
    async fn fold(&mut self, open: &Open) -> Result<(), String> {
        let partition = self.lane.partition();
        let end = open.log.held().await.map_err(|error| error.to_string())?[partition as usize].end;
        if self.lane.wants_batch() && self.lane.next < end {
            let records = batch(&mut *self.subscription).await?;
            if records.first().is_some_and(|first| first.offset > self.lane.next) {
                return Err(format!("partition {partition} goes on at {}, not {}", records[0].offset, self.lane.next));
            }
            self.lane.take(records)?;
        }
        self.lane.carry_out().await
    }

    async fn flush(&mut self, open: &Open) -> Result<(), String> {
        self.lane.carry_out_all().await?;
        self.lane.give(counting::worker::Input::Tick)?;
        self.lane.carry_out_all().await?;
        let saved = self.lane.progress().saved;
        if saved > self.released {
            self.released = saved;
            open.log.release(self.lane.partition(), saved);
        }
        Ok(())
    }
}

/// The next records; whoever asks knows that there are some.
async fn batch(subscription: &mut dyn Subscription) -> Result<Vec<Logged>, String> {
    loop {
        if let Signal::Batch { records, .. } = subscription.next().await.map_err(|error| error.to_string())? {
            return Ok(records);
        }
    }
}

/// The flag that a payload alone has.
fn flag_of(sent: &Sent) -> String {
    sent.payload.counts[0].flag.clone().into_owned()
}

fn sum(facts: &Facts, part: &str) -> i128 {
    facts
        .iter()
        .filter(|(fact, _)| fact.contains(part) && !fact.contains(": sum") && !fact.contains(": with"))
        .map(|(_, n)| n)
        .sum()
}

/// Several lives of one machine.
async fn one_seed(seed: u64, partitions: u32, broken: Broken) -> Result<Tally, String> {
    let (mut dice, mut tally) = (Dice::new(seed), Tally::default());
    let mut machine = Machine::new(partitions, broken);
    for life in 0..LIVES {
        machine.life = life;
        machine.live(&mut dice, &mut tally).await?;
    }
    machine.life = LIVES;
    machine.settle(&mut tally).await?;
    Ok(tally)
}

/// The same with the real processor.
async fn one_seed_for_real(seed: u64) -> Result<Tally, String> {
    let (mut dice, mut tally) = (Dice::new(seed), Tally::default());
    let mut machine = Machine::new(1 + 3 * (seed % 2) as u32, Broken::default());
    for life in 0..LIVES {
        machine.life = life;
        machine.live_for_real(&mut dice, &mut tally).await?;
    }
    machine.settle(&mut tally).await?;
    Ok(tally)
}

/// All that happened in these seeds, or the first that finds something wrong.
pub(crate) async fn every_seed(seeds: u64, partitions: u32, broken: Broken) -> Result<Vec<Tally>, (u64, String)> {
    each_seed(seeds, |seed| one_seed(seed, partitions, broken)).await
}

async fn the_power_fails(partitions: u32) {
    let seeds = seeds(1_000);
    let tallies = none_wrong(every_seed(seeds, partitions, Broken::default()).await);
    let tally = tallies.into_iter().fold(Tally::default(), Tally::and);
    println!("{partitions} partitions, {seeds} seeds: {tally:?}");
    let Tally { acknowledged, unknown_counted, unknown_not_counted, sent_again_across_a_cut, .. } = tally;
    let Tally { cuts, cuts_in_opening, began_with_state, log_began_above_0, .. } = tally;
    let all = [acknowledged, unknown_counted, unknown_not_counted, sent_again_across_a_cut, cuts, cuts_in_opening];
    // In one seed of fifty at least, each of them.
    let often = all.iter().chain([&began_with_state, &log_began_above_0]).all(|number| *number * 50 >= seeds);
    assert!(often, "{tally:?}");
}

#[tokio::test]
async fn the_power_fails_under_the_real_processor() {
    let seeds = seeds(40);
    let tallies = none_wrong(each_seed(seeds, one_seed_for_real).await);
    let tally = tallies.into_iter().fold(Tally::default(), Tally::and);
    println!("the real processor, {seeds} seeds: {tally:?}");
    assert!(tally.began_with_state * 2 > seeds && tally.sent_again_across_a_cut * 2 > seeds, "{tally:?}");
}

#[tokio::test]
async fn the_power_fails_at_1_partition() {
    the_power_fails(1).await;
}

#[tokio::test]
async fn the_power_fails_at_4_partitions() {
    the_power_fails(4).await;
}
