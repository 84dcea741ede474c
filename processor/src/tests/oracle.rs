//! The oracle: what the cells must say, by a loop and maps over the log's records; and what they do say.
//!
//! A fact is a text and a number. Nothing is shared with `counting` but the reading of records and of cells.

use std::collections::{BTreeMap, BTreeSet};

use counting::cells::Cell;
use schemas::cell::{CellKey, CellKind, CellName, CellRange};
use schemas::event::PayloadId;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::partition::home;
use schemas::record::{self, Header, RecordKind, StoredVariation};
use schemas::rejection::Rejections;
use stores::{Store, StoredCell};

use super::payloads::{HOUR, environments};

pub(crate) type Facts = BTreeMap<String, i128>;

fn add(facts: &mut Facts, fact: String, number: u64) {
    if number > 0 {
        *facts.entry(fact).or_default() += i128::from(number);
    }
}

fn at_most(facts: &mut Facts, fact: String, number: i128) {
    let held = facts.entry(fact).or_insert(number);
    *held = number.min(*held);
}

fn at_least(facts: &mut Facts, fact: String, number: i128) {
    let held = facts.entry(fact).or_insert(number);
    *held = number.max(*held);
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn said(variation: StoredVariation<'_>) -> String {
    match variation {
        StoredVariation::Default => "default".to_owned(),
        StoredVariation::Index(index) => format!("index {index}"),
        StoredVariation::Name(name) => format!("name {}", text(name)),
    }
}

/// What the log says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) facts: Facts,
    /// Partition and offset of records that cannot be folded.
    pub(crate) poisoned: BTreeSet<(u32, u64)>,
}

/// What the cells must say after these records; the fold panics on those of `panics_at`.
pub(crate) fn said_by(generation: &Generation, partition: u32, log: &[Logged], panics_at: &[u64]) -> Said {
    let mut all = Said::default();
    let mut known: Vec<(u64, Environment, PayloadId, u32)> = Vec::new();
    for logged in log {
        let Ok(header) = Header::decode(&logged.header) else {
            all.poisoned.insert((partition, logged.offset));
            continue;
        };
        if header.kind == RecordKind::Generation {
            continue;
        }
        let mut is_duplicate = false;
        if let Some(id) = header.id.clone() {
            let near = |at: u64| logged.offset - at <= generation.dedupe_records;
            is_duplicate = known.iter().any(|(at, environment, other, part)| {
                near(*at) && *environment == header.environment && *other == id && *part == header.part
            });
            known.push((logged.offset, header.environment.clone(), id, header.part));
        }
        let mut rejected = header.rejected;
        rejected.merge(&header.carried);
        if is_duplicate {
            books(&mut all.facts, partition, &header, &[("duplicate", header.accepted)], &header.carried);
            continue;
        }
        let view = record::decode_payload(logged, header.received_ms);
        let Some(view) = view.ok().filter(|_| !panics_at.contains(&logged.offset)) else {
            books(&mut all.facts, partition, &header, &[("poison", header.accepted)], &rejected);
            all.poisoned.insert((partition, logged.offset));
            continue;
        };
        let numbers = [
            ("counted", header.accepted - view.late()),
            ("late", view.late()),
            ("clamped", view.clamped()),
            ("without id", u64::from(header.id.is_none())),
        ];
        books(&mut all.facts, partition, &header, &numbers, &rejected);
        if header.home {
            counts(&mut all.facts, partition, &header, &view);
        }
    }
    all
}

fn books(facts: &mut Facts, partition: u32, header: &Header, numbers: &[(&str, u64)], rejected: &Rejections) {
    if !header.home {
        return;
    }
    let day = header.received_ms.div_euclid(24 * HOUR);
    let books = format!("{partition} {} books of {day}", header.environment);
    for (what, number) in numbers.iter().copied().chain([("accepted", header.accepted)]) {
        add(facts, format!("{books}: {what}"), number);
    }
    rejected.iter().for_each(|(reason, number)| add(facts, format!("{books}: {}", reason.code()), number));
}

fn counts(facts: &mut Facts, partition: u32, header: &Header, view: &record::PayloadView) {
    let of = format!("{partition} {}", header.environment);
    for row in view.counts() {
        let flag = text(row.flag);
        let (variation, version) = (said(row.variation), row.version.unwrap_or(0));
        add(facts, format!("{of} usage of {flag} at {}: {variation} v{version}", row.minute), row.count);
        let hour = i128::from(row.minute.div_euclid(60));
        at_most(facts, format!("{of} first sight of {flag}"), hour);
        at_least(facts, format!("{of} last sight of {flag}"), hour);
    }
    for row in view.reasons() {
        let hour = row.minute.div_euclid(60);
        add(facts, format!("{of} reason of {} in {hour}: {}", text(row.flag), row.reason.name()), row.number);
    }
    for row in view.conversions() {
        let event = format!("{of} event {} in {}", text(row.key), row.time_ms.div_euclid(HOUR));
        add(facts, format!("{event}: count"), row.sampling);
        if let Some(value) = row.value {
            add(facts, format!("{event}: with a value"), row.sampling);
            *facts.entry(format!("{event}: sum")).or_default() += i128::from(value) * i128::from(row.sampling);
        }
    }
    let (day, hour) = (header.received_ms.div_euclid(24 * HOUR), header.received_ms.div_euclid(HOUR).rem_euclid(24));
    let who = format!("{} {} in {}", text(view.sdk()), text(view.sdk_version()), text(view.application()));
    facts.insert(format!("{of} sdk {who} on {day} at {hour}"), 1);
}

/// What the cells say. Usage is looked for where a flag was seen, and for `flags` wherever their home may be.
pub(crate) async fn said_in(store: &dyn Store, partitions: u32, flags: &BTreeSet<String>) -> Facts {
    let mut facts = Facts::new();
    for partition in 0..partitions {
        for environment in environments() {
            let key = |kind, name| CellKey {
                generation: 1,
                partition,
                kind,
                environment: environment.clone(),
                name,
                window: 0,
            };
            let mut cells = patiently(store, CellRange::names(1, partition, CellKind::LastSeen, &environment)).await;
            let mut names: BTreeSet<CellName> = cells.iter().map(|(key, _)| key.name.clone()).collect();
            if home(&environment, partitions) == partition {
                names.extend(flags.iter().map(|flag| CellName::Key(flag.clone().into_bytes().into())));
            }
            let mut ranges = vec![
                CellRange::names(1, partition, CellKind::Events, &environment),
                CellRange::windows(&key(CellKind::Books, CellName::None), u32::MAX),
                CellRange::windows(&key(CellKind::Sdks, CellName::None), u32::MAX),
            ];
            ranges.extend(names.into_iter().map(|name| CellRange::windows(&key(CellKind::Usage, name), u32::MAX)));
            for range in ranges {
                cells.extend(patiently(store, range).await);
            }
            for (key, stored) in cells {
                tell(&mut facts, &key, &Cell::decode(key.kind, &stored.value).unwrap());
            }
        }
    }
    facts
}

/// Faults that a test has ordered and nobody has met yet are met here.
async fn patiently(store: &dyn Store, range: CellRange) -> Vec<(CellKey, StoredCell)> {
    loop {
        match store.range(range.clone(), 100_000).await {
            Err(error) if error.is_retryable() => {}
            page => {
                let page = page.unwrap();
                assert_eq!(page.next, None);
                return page.cells;
            }
        }
    }
}

/// All flags that stand in the log.
pub(crate) fn flags_in<'a>(log: impl Iterator<Item = &'a Logged>) -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for logged in log {
        if let Ok(view) = record::decode_payload(logged, 0) {
            flags.extend(view.counts().map(|row| text(row.flag).to_owned()));
        }
    }
    flags
}

fn tell(facts: &mut Facts, key: &CellKey, cell: &Cell) {
    let of = format!("{} {}", key.partition, key.environment);
    let name = match &key.name {
        CellName::Key(name) => text(name),
        CellName::None => "",
        CellName::Other => "beyond the limit",
    };
    match cell {
        Cell::Usage(usage) => {
            for row in usage.counts() {
                let minute = i64::from(key.window) * 60 + i64::from(row.minute);
                let (variation, version) = (said(row.variation), row.version.unwrap_or(0));
                add(facts, format!("{of} usage of {name} at {minute}: {variation} v{version}"), row.count);
            }
            for (reason, number) in usage.reasons() {
                add(facts, format!("{of} reason of {name} in {}: {}", key.window, reason.name()), number);
            }
        }
        Cell::LastSeen(seen) => {
            at_most(facts, format!("{of} first sight of {name}"), seen.first().unwrap().into());
            at_least(facts, format!("{of} last sight of {name}"), seen.last().unwrap().into());
        }
        Cell::Events(events) => {
            let event = format!("{of} event {name} in {}", key.window);
            add(facts, format!("{event}: count"), events.count());
            if events.metric_count() > 0 {
                add(facts, format!("{event}: with a value"), events.metric_count());
                facts.insert(format!("{event}: sum"), events.metric_sum());
            }
        }
        Cell::Books(books) => {
            assert!(books.balanced(), "the books do not balance: {books:?}");
            let n = books.numbers();
            let books = format!("{of} books of {}", key.window);
            let numbers = [
                ("accepted", n.accepted),
                ("counted", n.counted),
                ("duplicate", n.duplicate),
                ("late", n.late),
                ("poison", n.poison),
                ("clamped", n.clamped),
                ("without id", n.without_id),
            ];
            numbers.into_iter().for_each(|(what, number)| add(facts, format!("{books}: {what}"), number));
            n.rejected.iter().for_each(|(reason, number)| add(facts, format!("{books}: {}", reason.code()), number));
        }
        Cell::Sdks(sdks) => {
            for row in sdks.rows() {
                let who = format!("{} {} in {}", text(row.sdk), text(row.sdk_version), text(row.application));
                for hour in (0..24).filter(|hour| row.hours >> hour & 1 == 1) {
                    facts.insert(format!("{of} sdk {who} on {} at {hour}", key.window), 1);
                }
            }
        }
        // No gate runs here, and nobody migrates or experiments; definitions and stand-ins have oracles of their own.
        Cell::OldPath(_) | Cell::OldPathEvents(_) | Cell::Migration(_) | Cell::Experiment(_) => {}
        Cell::Definition(_) | Cell::StandIn(_) => {}
    }
}

/// The first few facts on which they do not agree; empty when they do.
pub(crate) fn differences(found: &Facts, expected: &Facts) -> Vec<String> {
    let all: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let differ = all.into_iter().filter(|fact| found.get(*fact) != expected.get(*fact));
    let line = |fact: &String| format!("{fact}: {:?}, should be {:?}", found.get(fact), expected.get(fact));
    differ.take(5).map(line).collect()
}
