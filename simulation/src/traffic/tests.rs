//! What traffic leaves in the log, folded by hand: dedupe by a set, sums in maps.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use counting::worker::{Action, Assigned, Committed, Input, Mode, Settings, Worker};
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::PayloadId;
use schemas::generation::Generation;
use schemas::record::{Header, RecordKind, StoredVariation, decode_definition, decode_payload};
use schemas::stored::StoredCell;

use super::*;
use crate::audit::{Sums, homes};
use crate::oracle::{Oracle, complete};

const START_MS: i64 = 19_000 * 86_400_000 - 2 * 3_600_000;

/// A world of traffic alone.
struct Ran {
    log: Log,
    traffic: Traffic,
    chance: Chance,
}

fn generation(partitions: u32) -> Generation {
    let mut generation = Generation::new(1, "t", partitions, counting::FOLD_VERSION);
    generation.clock.lateness_ms = 3 * 86_400_000;
    generation
}

fn run(seed: u64, calm: bool, broken: Option<IngestBreak>) -> Ran {
    let mut chance = Chance::new(seed);
    if calm {
        chance.be_calm();
    }
    let generation = generation(chance.pick(&[1, 2, 2, 3]));
    let mut traffic = Traffic::new(&generation, true, broken, &mut chance);
    let mut now_ms = START_MS;
    let mut log = Log::new(&generation, now_ms);
    let mut trace = Trace::default();
    for _ in 0..220 {
        now_ms += if chance.percent(90) { payloads::below_i64(&mut chance, 1_200) } else { 150_000 };
        if !calm && chance.permille(1) {
            now_ms += 10 * 86_400_000;
        }
        traffic.turn(&mut log, now_ms, &mut chance, &mut trace);
    }
    chance.be_calm();
    traffic.settle(&mut log, now_ms, &mut chance, &mut trace);
    Ran { log, traffic, chance }
}

#[derive(Default)]
struct Subject {
    first: BTreeMap<u32, i64>,
    conversions: Vec<(i64, i64)>,
}

/// The audited environment, counted by hand.
fn sums(log: &Log) -> Sums {
    let mut sums = Sums::default();
    for partition in 0..log.partitions() {
        let (mut seen, mut log_ms) = (HashSet::new(), i64::MIN);
        let mut subjects: BTreeMap<Vec<u8>, Subject> = BTreeMap::new();
        for logged in log.all(partition) {
            let Ok(header) = Header::decode(&logged.header) else { continue };
            log_ms = log_ms.max(logged.append_ms.min(header.received_ms + 300_000));
            let new = header.record_id().is_none_or(|id| seen.insert(id));
            if !new || header.kind != RecordKind::Payload || header.environment.key != crate::audit::KEY {
                continue;
            }
            let payload = decode_payload(logged, header.received_ms).unwrap();
            if header.home {
                sums.elements += i128::from(header.accepted);
                sums.late += i128::from(payload.late());
                sums.clamped += i128::from(payload.clamped());
                sums.usage += payload.counts().map(|row| i128::from(row.count)).sum::<i128>();
                sums.events += payload.conversions().map(|row| i128::from(row.value.unwrap())).sum::<i128>();
            }
            let horizon_ms = log_ms - 3 * 86_400_000;
            for row in payload.exposures().filter(|row| row.time_ms > horizon_ms) {
                let StoredVariation::Index(variation) = row.variation else { panic!("{row:?}") };
                for user in payload.exposure_contexts(&row).filter(|c| c.kind == "user").filter_map(|c| c.key) {
                    let first = &mut subjects.entry(user.to_vec()).or_default().first;
                    first.entry(variation).and_modify(|first| *first = row.time_ms.min(*first)).or_insert(row.time_ms);
                }
            }
            for row in payload.conversions().filter(|row| row.time_ms > horizon_ms) {
                for user in payload.conversion_contexts(&row).filter(|c| c.kind == "user").filter_map(|c| c.key) {
                    let conversions = &mut subjects.entry(user.to_vec()).or_default().conversions;
                    conversions.push((row.time_ms, row.value.unwrap()));
                }
            }
        }
        for subject in subjects.values() {
            sums.multiple += i128::from(subject.first.len() > 1);
            let Some(first_ms) = subject.first.values().min() else { continue };
            sums.units += 1;
            let counted = subject.conversions.iter().filter(|(time_ms, _)| time_ms >= first_ms);
            sums.experiment += counted.map(|(_, value)| i128::from(*value)).sum::<i128>();
        }
    }
    sums
}

/// The cells of the whole log, as the product's worker folds it.
fn cells(log: &Log) -> Vec<(CellKey, Bytes)> {
    let mut cells: BTreeMap<CellKey, StoredCell> = BTreeMap::new();
    for partition in 0..log.partitions() {
        let settings = Settings::new(generation(log.partitions()), partition, Mode::Together);
        let mut worker = Worker::new(settings.panicking_on(crate::panics)).unwrap();
        let assigned = Assigned { checkpoint: None, state: None, log: log.range(partition), before_checkpoint: None };
        let mut next = 0;
        let mut inputs = vec![Input::Assigned(Box::new(assigned))];
        loop {
            let Some(input) = inputs.pop() else {
                if worker.wants_batch() && next < log.range(partition).to {
                    inputs.push(Input::Batch(log.read(partition, next, 5)));
                    next += 5;
                } else if !worker.is_at_rest() {
                    inputs.push(Input::Tick);
                } else {
                    break;
                }
                continue;
            };
            for action in worker.handle(input) {
                match action {
                    Action::Load(keys) => {
                        inputs.push(Input::Loaded(keys.iter().map(|key| cells.get(key).cloned()).collect()));
                    }
                    Action::Commit(flush) => {
                        cells.extend(flush.cells.into_iter().map(|write| (write.key, write.cell)));
                        inputs.push(Input::Committed(Committed::Durable));
                    }
                    Action::Begin { .. } | Action::DeadLetter(_) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    cells.into_iter().map(|(key, cell)| (key, cell.value)).collect()
}

#[test]
fn the_products_fold_passes_the_audit_and_cells_missing_or_twice_do_not() {
    let kinds = [CellKind::Usage, CellKind::Events, CellKind::StandIn, CellKind::Books];
    let mut noticed = [0; 4];
    for seed in 0..40 {
        let Ran { log, traffic, .. } = run(seed, false, None);
        let cells = cells(&log);
        traffic.audit.check(&cells).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        homes(&cells).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for (noticed, kind) in noticed.iter_mut().zip(kinds) {
            let (of_kind, others): (Vec<_>, Vec<_>) = cells.iter().cloned().partition(|(key, _)| key.kind == kind);
            *noticed += u32::from(traffic.audit.check(&others).is_err());
            *noticed += u32::from(traffic.audit.check(&[cells.clone(), of_kind].concat()).is_err());
        }
    }
    // Where the audit opened late, it has nothing of some kind.
    assert!(noticed.iter().all(|noticed| *noticed > 60), "{noticed:?} of 80 were noticed of {kinds:?}");
}

#[test]
fn in_a_calm_world_every_payload_is_in_the_log_once() {
    for seed in 0..40 {
        let Ran { log, traffic, chance } = run(seed, true, None);
        assert_eq!(chance.tally, crate::faults::Tally::default());
        let mut accepted = 0;
        for partition in 0..log.partitions() {
            let mut ids = HashSet::new();
            // What nobody can read is no payload that was sent.
            for logged in log.all(partition).iter().filter(|logged| logged.body != b"\xff\xff\xff".as_slice()) {
                let header = Header::decode(&logged.header).unwrap();
                if header.kind == RecordKind::Outcome {
                    // Those come again under the id that they had, in a calm world too.
                    continue;
                }
                assert!(header.record_id().is_none_or(|id| ids.insert(id)), "seed {seed}: {header:?}");
                accepted += header.accepted;
            }
        }
        let sent: usize = traffic.clients.sent.iter().map(|sent| sent.payload.elements.len()).sum();
        assert_eq!(accepted, sent as u64, "seed {seed}");
        assert!(traffic.audit.is_open());
        traffic.audit.hold(&sums(&log)).unwrap();
    }
}

#[test]
fn with_faults_what_was_acknowledged_counts_once_and_nothing_twice() {
    let mut tally = crate::faults::Tally::default();
    for seed in 0..300 {
        let Ran { log, traffic, chance } = run(seed, false, None);
        tally.merge(&chance.tally);
        all_right(&Ran { log, traffic, chance }).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    for fault in [
        Fault::RequestLost,
        Fault::RequestDelayed,
        Fault::AnswerLost,
        Fault::ProducerDuplicate,
        Fault::AppendFailed,
        Fault::AppendUnknown,
        Fault::PartLeftOut,
        Fault::AppendTimeBack,
        Fault::StepPanics,
        Fault::DefinitionHalf,
        Fault::DefinitionsAtOnce,
    ] {
        assert!(tally.of(fault) > 50, "{fault:?} happened {} times in 300 worlds", tally.of(fault));
    }
}

/// Everything that can be held against the log itself.
fn all_right(ran: &Ran) -> Result<(), String> {
    let Ran { log, traffic, .. } = ran;
    traffic.audit.check_judged()?;
    traffic.audit.hold(&sums(log))?;
    homes(&home_cells(log))?;
    traffic.check_publications(log)?;
    passed_by_everybody(log)
}

/// A cell for each environment in whose books a record is.
fn home_cells(log: &Log) -> Vec<(CellKey, Bytes)> {
    let mut cells = Vec::new();
    for partition in 0..log.partitions() {
        let headers = log.all(partition).iter().filter_map(|logged| Header::decode(&logged.header).ok());
        cells.extend(headers.filter(|header| header.home).map(|Header { environment, .. }| {
            let (kind, name) = (CellKind::Books, CellName::None);
            (CellKey { generation: 1, partition, kind, environment, name, window: 0 }, Bytes::new())
        }));
    }
    cells
}

/// Wherever a partition stands, it has every definition up to the version that it says; at the end all of them.
fn passed_by_everybody(log: &Log) -> Result<(), String> {
    let oracles: Vec<Oracle> = (0..log.partitions())
        .map(|partition| {
            let mut oracle = Oracle::new(&generation(log.partitions()), partition);
            log.all(partition).iter().for_each(|logged| oracle.push(logged));
            oracle
        })
        .collect();
    for (partition, oracle) in oracles.iter().enumerate() {
        for position in 0..=oracle.position() {
            complete(&oracles, partition, position, oracle.definition_version(position))?;
        }
        complete(&oracles, partition, u64::MAX, u64::MAX)?;
    }
    Ok(())
}

/// Environments whose an id is, and whether as a diagnostic's.
type Owners = BTreeSet<(Vec<u8>, bool)>;

/// Where ids were the same in one environment or of one kind alone, nothing would tell whether dedupe looks at them.
#[test]
fn the_same_ids_are_in_every_environment_and_of_both_kinds() {
    let (mut of_environments, mut of_kinds) = (0, 0);
    for seed in 0..40 {
        let Ran { log, .. } = run(seed, false, None);
        let mut known: BTreeMap<(u32, Vec<u8>, u32), Owners> = BTreeMap::new();
        for partition in 0..log.partitions() {
            for header in log.all(partition).iter().filter_map(|logged| Header::decode(&logged.header).ok()) {
                let (id, diagnostic) = match header.id {
                    Some(PayloadId::Sent(id)) => (id, false),
                    Some(PayloadId::Diagnostic(id)) => (id, true),
                    Some(PayloadId::Outcome(_)) | None => continue,
                };
                let whose = (header.environment.key.to_vec(), diagnostic);
                known.entry((partition, id, header.part)).or_default().insert(whose);
            }
        }
        of_environments += known.values().filter(|of| of.iter().any(|one| one.0 != of.first().unwrap().0)).count();
        of_kinds += known.values().filter(|of| of.iter().any(|one| of.contains(&(one.0.clone(), !one.1)))).count();
    }
    assert!(of_environments > 400 && of_kinds > 30, "{of_environments} of several environments, {of_kinds} of kinds");
}

#[test]
fn a_step_that_panics_is_counted_when_the_log_has_its_record() {
    for seed in 0..100 {
        let Ran { log, chance, .. } = run(seed, false, None);
        let mut panics = BTreeSet::new();
        for partition in 0..log.partitions() {
            for logged in log.all(partition).iter().filter(|logged| crate::panics(logged)) {
                let header = Header::decode(&logged.header).unwrap();
                let Some(PayloadId::Sent(id)) = header.id else { panic!("{header:?}") };
                panics.insert((header.environment, id));
            }
        }
        assert_eq!(chance.tally.of(Fault::StepPanics), panics.len() as u64, "seed {seed}");
    }
}

#[test]
fn every_mistake_of_a_node_is_noticed() {
    for &broken in IngestBreak::ALL {
        let noticed = (0..200).filter(|seed| {
            let ran = run(*seed, false, Some(broken));
            all_right(&ran).is_err()
        });
        let noticed = noticed.count();
        assert!(noticed > 3, "{broken:?} was noticed in {noticed} of 200 worlds");
    }
}

#[test]
fn a_digit_too_many_or_too_few_is_noticed() {
    let Ran { log, traffic, .. } = run(3, true, None);
    let wrong = |change: fn(&mut Sums)| {
        let mut sums = sums(&log);
        traffic.audit.hold(&sums).unwrap();
        change(&mut sums);
        traffic.audit.hold(&sums).unwrap_err()
    };
    let text = wrong(|sums| sums.usage += 1);
    assert!(text.contains("2 times in usage") && text.contains("must be there once"), "{text}");
    let text = wrong(|sums| sums.usage -= 1);
    assert!(text.contains("payload audit/") && text.contains("0 times in usage"), "{text}");
    assert!(wrong(|sums| sums.events += 1).contains("2 times in custom events"));
    assert!(wrong(|sums| sums.units -= 1).contains("subjects in the experiment"));
    assert!(wrong(|sums| sums.units += 1).contains("subjects in the experiment"));
    assert!(wrong(|sums| sums.multiple += 1).contains("several variations"));
    assert!(wrong(|sums| sums.elements += 1).contains("elements counted or late"));
    assert!(wrong(|sums| sums.elements -= 1).contains("elements counted or late"));
    assert!(wrong(|sums| sums.late += 1).contains("elements late"));
    assert!(wrong(|sums| sums.clamped -= 1).contains("elements of an impossible time"));
    assert!(wrong(|sums| sums.strange += 1).contains("elements poison or without id"));
    assert!(wrong(|sums| sums.usage += 1 << 40).contains("more than was sent"));
    assert!(wrong(|sums| sums.experiment = -1).contains("the experiment"));
}

#[test]
fn whoever_passed_a_version_passed_every_earlier_one() {
    for seed in 0..200 {
        let Ran { log, .. } = run(seed, false, None);
        let mut first = Vec::new();
        for partition in 0..log.partitions() {
            let mut versions = BTreeSet::new();
            for logged in log.all(partition) {
                let header = Header::decode(&logged.header);
                if !header.is_ok_and(|header| header.kind == RecordKind::Definition) {
                    continue;
                }
                let definition = decode_definition(&logged.body).unwrap();
                let version = if partition == 0 { logged.offset + 1 } else { definition.version };
                versions.insert(version);
                if partition == 0 {
                    first.push(version);
                } else {
                    let passed = first.iter().take_while(|earlier| **earlier <= version);
                    let missing: Vec<_> = passed.filter(|earlier| !versions.contains(earlier)).collect();
                    assert!(missing.is_empty(), "seed {seed}: partition {partition} has {version} without {missing:?}");
                }
            }
            assert!(versions.iter().eq(&first), "seed {seed}: partition {partition}");
        }
    }
}
