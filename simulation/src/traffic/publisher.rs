//! Publishers of definitions: stand-in experiments that change, and definitions that nobody folds.
//!
//! Always true here: what is appended next is what [`Publishing`] says; a publisher that dies is not waited for,
//! another may finish its work; at the end every partition has every version.

use bytes::Bytes;
use schemas::cell::STAND_IN;
use schemas::publish::{Appended, Next, Publishing};
use schemas::record::{Header, RecordKind, decode_definition, definition_record};
use schemas::wire::record::Definition;

use super::IngestBreak;
use super::payloads::below_i64;
use crate::chance::Chance;
use crate::faults::Fault;
use crate::log::Log;
use crate::note;
use crate::trace::Trace;

const HOUR: i64 = 3_600_000;

/// All publishers of a world.
#[derive(Debug)]
pub(super) struct Publishers {
    running: Vec<Publishing>,
    /// What died half-way, by offset in partition 0.
    halves: Vec<u64>,
    /// What partition 0 has, in order, with its version.
    in_first: Vec<Definition>,
    /// For each partition, the version up to which it has all.
    known: Vec<u64>,
    /// How many may still begin.
    to_begin: usize,
    /// What began, in order.
    begun: Vec<Definition>,
    broken: Option<IngestBreak>,
    /// A mistake: earlier versions and the partitions that lack them, to be sent after the later one.
    after: Vec<(u32, Definition)>,
}

impl Publishers {
    pub(super) fn new(partitions: u32, broken: Option<IngestBreak>, chance: &mut Chance) -> Self {
        let known = vec![0; partitions as usize];
        let to_begin = 1 + chance.below(6);
        Self {
            running: Vec::new(),
            halves: Vec::new(),
            in_first: Vec::new(),
            known,
            to_begin,
            begun: Vec::new(),
            broken,
            after: Vec::new(),
        }
    }

    /// The topic is another one: it has nothing.
    pub(super) fn forget(&mut self) {
        self.running.clear();
        self.halves.clear();
        self.in_first.clear();
        self.begun.clear();
        self.after.clear();
        self.known.fill(0);
    }

    pub(super) fn begin(&mut self, definition: Definition) {
        self.begun.push(definition.clone());
        self.running.push(Publishing::new(definition, self.partitions()));
    }

    /// Whether partition 0 has no definition yet.
    pub(super) fn have_none(&self) -> bool {
        self.in_first.is_empty()
    }

    /// Whether the audit's definition has reached every partition.
    pub(super) fn audits_is_everywhere(&self) -> bool {
        let version = self.in_first.iter().find(|definition| is_audits(definition)).map(|found| found.version);
        version.is_some_and(|version| self.known.iter().all(|known| *known >= version))
    }

    /// The newest version of each definition that has one.
    pub(super) fn newest(&self) -> Vec<Definition> {
        let mut newest: Vec<Definition> = Vec::new();
        for definition in &self.in_first {
            match newest.iter_mut().find(|other| same(other, definition)) {
                Some(older) => *older = definition.clone(),
                None => newest.push(definition.clone()),
            }
        }
        newest
    }

    fn partitions(&self) -> u32 {
        u32::try_from(self.known.len()).unwrap_or(u32::MAX)
    }

    /// One step of one publisher; `false` = there is nothing to do.
    pub(super) fn turn(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) -> bool {
        if self.to_begin > 0 && self.may_begin(chance) {
            self.to_begin -= 1;
            // Two at once are of one definition, mostly: then their order matters.
            let definition = match self.running.first() {
                Some(other) if !is_audits(other.definition()) && chance.percent(70) => {
                    changed(other.definition(), chance, now_ms)
                }
                _ => {
                    let named = named(chance);
                    let newest = self.in_first.iter().rev().find(|held| same(held, &named));
                    changed(newest.unwrap_or(&named), chance, now_ms)
                }
            };
            note!(trace, "publisher", "begins {}", told(&definition));
            self.begin(definition);
            return true;
        }
        if !self.halves.is_empty() && chance.percent(20) {
            let offset = self.halves.swap_remove(chance.below(self.halves.len()));
            self.finish(offset, trace);
            return true;
        }
        if self.running.is_empty() {
            return self.send_after(log, now_ms, chance);
        }
        let which = chance.below(self.running.len());
        if self.dies(which, chance) {
            let dead = self.running.swap_remove(which);
            note!(trace, "publisher", "dies half-way with {}", told(dead.definition()));
            self.halves.extend(dead.version().map(|version| version - 1));
            return true;
        }
        self.step(which, log, now_ms, chance, trace);
        true
    }

    fn may_begin(&self, chance: &mut Chance) -> bool {
        match self.running.len() {
            0 => chance.percent(50),
            1 => chance.fault(Fault::DefinitionsAtOnce, 150),
            _ => false,
        }
    }

    /// What is half done is done; so every partition has every version.
    pub(super) fn settle(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        self.run_out(log, now_ms, chance, trace);
        while self.send_after(log, now_ms, chance) {}
        self.halves.clear();
        // Whoever finishes the last one brings all before it along.
        if let Some(last) = self.in_first.last() {
            let offset = last.version - 1;
            if self.known.iter().any(|known| *known <= offset) {
                self.finish(offset, trace);
                self.run_out(log, now_ms, chance, trace);
                while self.send_after(log, now_ms, chance) {}
            }
        }
    }

    /// Holds partition 0, as it is after everything has settled, against what began. Two that are the same to the byte
    /// may have become one.
    pub(super) fn check(&self, log: &Log) -> Result<(), String> {
        let mut held: Vec<Definition> = Vec::new();
        for logged in log.all(0) {
            let header = Header::decode(&logged.header).ok();
            if header.is_some_and(|header| header.kind == RecordKind::Definition) {
                held.push(decode_definition(&logged.body).map_err(|error| error.to_string())?);
            }
        }
        let is = |left: &&Definition, right: &Definition| same(left, right) && left.body == right.body;
        for definition in held.iter().chain(&self.begun) {
            let begun = self.begun.iter().filter(|begun| is(begun, definition)).count();
            let found = held.iter().filter(|held| is(held, definition)).count();
            if found > begun || found == 0 {
                let what = told(definition);
                return Err(format!("{what} was published {begun} times and is in partition 0 {found} times"));
            }
        }
        Ok(())
    }

    /// A mistake: earlier versions that some partition lacks, after the later one.
    fn send_after(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance) -> bool {
        let Some((partition, definition)) = self.after.pop() else { return false };
        log.append(&definition_record(&definition, partition, now_ms), now_ms, chance);
        true
    }

    fn run_out(&mut self, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        while !self.running.is_empty() {
            self.step(0, log, now_ms, chance, trace);
        }
    }

    fn finish(&mut self, offset: u64, trace: &mut Trace) {
        let Some(definition) = self.in_first.iter().find(|definition| definition.version == offset + 1) else { return };
        note!(trace, "publisher", "finishes {}", told(definition));
        self.running.push(Publishing::again(definition.clone(), offset, self.partitions()));
    }

    /// It dies where some partition has the definition and another does not; not with the audit's, which all wait for.
    fn dies(&self, which: usize, chance: &mut Chance) -> bool {
        let publishing = &self.running[which];
        let half = publishing.version().is_some() && !matches!(publishing.next(), Next::Done { .. });
        half && self.known.len() > 1 && !is_audits(publishing.definition()) && chance.fault(Fault::DefinitionHalf, 80)
    }

    fn step(&mut self, which: usize, log: &mut Log, now_ms: i64, chance: &mut Chance, trace: &mut Trace) {
        let publishing = &mut self.running[which];
        match publishing.next() {
            Next::Append { partition, definition } => {
                let definition = definition.clone();
                let appended = self.append(&definition, partition, log, now_ms, chance);
                note!(trace, "publisher", "{} to partition {partition}: {appended:?}", told(&definition));
                let appended = match appended {
                    Appended::Unknown if self.broken == Some(IngestBreak::PublishAgainWithoutLooking) => {
                        Appended::Failed
                    }
                    appended => appended,
                };
                let publishing = &mut self.running[which];
                publishing.appended(partition, appended);
                if matches!(publishing.next(), Next::Done { .. }) {
                    self.step(which, log, now_ms, chance, trace);
                }
            }
            Next::Look(definition) => {
                let found =
                    self.in_first.iter().rev().find(|held| same(held, definition) && held.body == definition.body);
                publishing.found(found.map(|held| held.version - 1));
            }
            Next::AskBefore { version } => {
                // Who knows nothing of the others sends them everything again.
                let none = vec![0; self.known.len()];
                let known = if chance.percent(70) { &self.known } else { &none };
                let least = known.iter().skip(1).copied().min().unwrap_or(0);
                let from = self.in_first.partition_point(|held| held.version <= least);
                let to = self.in_first.partition_point(|held| held.version < version);
                let earlier = self.in_first.get(from..to).unwrap_or_default();
                if self.broken == Some(IngestBreak::PublishFallingOrder) {
                    publishing.before(&[], known);
                    for (partition, known) in (0_u32..).zip(known).skip(1) {
                        let lacks = earlier.iter().filter(|definition| definition.version > *known);
                        self.after.extend(lacks.map(|definition| (partition, definition.clone())));
                    }
                } else {
                    publishing.before(earlier, known);
                }
            }
            Next::Done { version } => {
                self.known.iter_mut().for_each(|known| *known = version.max(*known));
                let done = self.running.swap_remove(which);
                note!(trace, "publisher", "is done with {}", told(done.definition()));
            }
        }
    }

    fn append(
        &mut self,
        definition: &Definition,
        partition: u32,
        log: &mut Log,
        now_ms: i64,
        chance: &mut Chance,
    ) -> Appended {
        if chance.fault(Fault::AppendFailed, 60) {
            return if chance.percent(50) { Appended::Failed } else { Appended::Unknown };
        }
        let record = definition_record(definition, partition, now_ms);
        let offset = log.append(&record, now_ms, chance);
        if partition == 0 {
            self.in_first.push(Definition { version: offset + 1, ..definition.clone() });
        } else if chance.fault(Fault::ProducerDuplicate, 40) {
            log.append(&record, now_ms, chance);
        }
        if chance.fault(Fault::AppendUnknown, 60) { Appended::Unknown } else { Appended::At(offset) }
    }
}

fn is_audits(definition: &Definition) -> bool {
    definition.key == crate::audit::KEY.as_bytes()
}

fn same(left: &Definition, right: &Definition) -> bool {
    (&left.project, &left.environment, left.kind, &left.key)
        == (&right.project, &right.environment, right.kind, &right.key)
}

fn told(definition: &Definition) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("definition {}/{} version {}", text(&definition.environment), text(&definition.key), definition.version)
}

/// The name of some definition, mostly of one of few experiments, so that they change under way.
fn named(chance: &mut Chance) -> Definition {
    let (kind, key) = if chance.percent(85) { (STAND_IN, ["x", "x", "y"]) } else { (1, ["a", "a", "b"]) };
    let environment: &'static str = if kind == STAND_IN { chance.pick(&["dev", "dev", "dev", "prod"]) } else { "" };
    Definition {
        project: Bytes::from_static(b"p"),
        environment: Bytes::from_static(environment.as_bytes()),
        kind,
        key: Bytes::from_static(chance.pick(&key).as_bytes()),
        version: 0,
        body: Bytes::new(),
    }
}

/// Another body for the same definition.
fn changed(definition: &Definition, chance: &mut Chance, now_ms: i64) -> Definition {
    let body = if definition.kind == STAND_IN {
        stand_in(&definition.body, chance, now_ms)
    } else {
        format!("{{\"n\": {}}}", chance.bits())
    };
    Definition { version: 0, body: body.into(), ..definition.clone() }
}

/// What the experiment is about stays, mostly; its factor and its times change. Now and then it cannot be read.
fn stand_in(before: &[u8], chance: &mut Chance, now_ms: i64) -> String {
    if chance.percent(4) {
        return "not an experiment".to_owned();
    }
    let before = std::str::from_utf8(before).unwrap_or_default();
    let words: Vec<&str> = before.split(' ').collect();
    let about = match words[..] {
        [flag, kind, event, _, _, _] if chance.percent(75) => [flag, kind, event],
        _ => {
            let kind = chance.pick(&["user", "user", "device"]);
            [chance.pick(&["a", "a", "b"]), kind, chance.pick(&["buy", "buy", "sell"])]
        }
    };
    let factor = 1 + chance.below(4);
    let start_ms = now_ms - if chance.percent(80) { 80 * HOUR } else { below_i64(chance, 4 * HOUR) };
    // Where days pass quickly, ends do too: a subject may expire and be heard of again under a later end.
    let (long, short) = if chance.grain_ms() > HOUR { (40, 5 * 24 * HOUR) } else { (70, 30 * HOUR) };
    let end_ms = now_ms + if chance.percent(long) { 10 * 24 * HOUR } else { below_i64(chance, short) };
    format!("{} {factor} {} {}", about.join(" "), chance.coarse(start_ms), chance.coarse(end_ms))
}
