//! How fast records are folded on one core: summary cells and full events a second, decode of the record included.
//!
//! Run it with `cargo run --release -p counting --example fold_rate`. It prints both rates by batch size, and how many
//! times the bare protobuf decode of the same records the fold takes.

use std::time::{Duration, Instant};

use counting::fold::{Prepared, Rules, Stepped};
use counting::{Cells, State};
use prost::Message;
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Element, ElementKind, Evaluation, Origin, Payload, PayloadId,
    Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::wire::record as wire;

const NOW_MS: i64 = 1_760_000_000_000;
const FLAGS: usize = 50;
const ROUND: Duration = Duration::from_secs(2);

fn main() {
    let generation = Generation::new(1, "rate", 1, counting::FOLD_VERSION);
    println!("{:<34} {:>8} {:>14} {:>12} {:>10}", "what", "records", "rate /s", "ns each", "x decode");
    for (name, make) in [
        ("summary cells, 60 a payload", summary as fn(usize) -> Payload<'static>),
        ("summary cells, 500 a payload", large_summary),
        ("full events, 100 a payload", events),
    ] {
        let log = make_log(&generation, make, 2_000);
        let decode = measure(|| decode_all(&log));
        for batch in [10, 100, 1_000] {
            let mut rows = 0;
            let took = measure(|| rows = fold_all(&generation, &log, batch));
            let each = took.as_nanos() as f64 / rows as f64;
            let ratio = took.as_secs_f64() / decode.as_secs_f64();
            println!("{name:<34} {batch:>8} {:>14.0} {each:>12.0} {ratio:>10.2}", 1e9 / each);
        }
    }
}

/// The least processor time of several runs, so that other work on the machine is not measured.
fn measure(mut work: impl FnMut()) -> Duration {
    let (begin, mut least) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < ROUND {
        let start = processor_time(begin);
        work();
        least = least.min(processor_time(begin) - start);
    }
    least
}

/// What this thread has had of a processor; where Linux does not tell, time since `begin`.
fn processor_time(begin: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.as_deref().and_then(|told| told.split(' ').next()).and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

fn decode_all(log: &[Logged]) {
    for logged in log {
        std::hint::black_box(wire::Header::decode(logged.header.clone()).expect("a header"));
        std::hint::black_box(wire::Payload::decode(logged.body.clone()).expect("a payload"));
    }
}

/// Folds the log from its beginning; answers how many summary cells or full events it had.
fn fold_all(generation: &Generation, log: &[Logged], batch: usize) -> usize {
    let rules = Rules::new(generation.clone(), 0);
    let mut state = State::empty(generation.dedupe_records);
    let mut cells = Cells::default();
    let mut folded = 0;
    let first = rules.decode(vec![first_record(generation)]);
    fold(&rules, generation, &mut state, &mut cells, &first);
    for chunk in log.chunks(batch) {
        let prepared = rules.decode(chunk.to_vec());
        fold(&rules, generation, &mut state, &mut cells, &prepared);
        folded += chunk.len();
    }
    folded * rows_of(&log[0])
}

fn fold(rules: &Rules, generation: &Generation, state: &mut State, cells: &mut Cells, prepared: &Prepared) {
    for key in rules.needs(prepared, state, cells) {
        cells.insert(key, None, u64::MAX).expect("an empty cell");
    }
    for record in &prepared.records {
        match rules.step(state, cells, record) {
            Stepped::Commit(commit) => {
                assert!(commit.apply(state, cells, &generation.fold).is_none(), "no record here is poison");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn first_record(generation: &Generation) -> Logged {
    let append = record::generation_record(generation, 0, NOW_MS);
    Logged { offset: 0, append_ms: NOW_MS, header: append.header, body: append.body }
}

fn rows_of(logged: &Logged) -> usize {
    let payload = wire::Payload::decode(logged.body.clone()).expect("a payload");
    let counts = payload.counts.map_or(0, |t| t.flag.len());
    let conversions = payload.conversions.map_or(0, |t| t.key.len());
    counts + conversions
}

fn make_log(generation: &Generation, make: fn(usize) -> Payload<'static>, records: usize) -> Vec<Logged> {
    let environment = Environment::new("default", "production").expect("keys");
    let stamp =
        Stamp { environment: &environment, received_ms: NOW_MS, carried: &Default::default(), gated: Gated::No };
    let mut log = Vec::new();
    for number in 0..records {
        let payload = make(number);
        let judge =
            |element: &Element| Judged { time_ms: element.time_ms.unwrap_or(NOW_MS), clamped: false, late: false };
        let judged: Vec<Judged> = payload.elements.iter().map(judge).collect();
        let split = schemas::split::split(&environment, &payload, generation.partitions);
        for append in record::encode(&payload, &split, &judged, &stamp) {
            let offset = log.len() as u64 + 1;
            log.push(Logged { offset, append_ms: NOW_MS, header: append.header, body: append.body });
        }
    }
    log
}

fn empty(number: usize) -> Payload<'static> {
    Payload {
        id: Some(PayloadId::Sent(format!("{number:032x}").into_bytes())),
        origin: Origin {
            application: "shop".into(),
            application_version: "1.4.2".into(),
            sdk: ["NodeJSClient", "PythonClient", "GoClient"][number % 3].into(),
            sdk_version: "9.13.7".into(),
            instance: format!("instance-{}", number % 40).into(),
            ..Origin::default()
        },
        ..Payload::default()
    }
}

fn flag(number: usize) -> String {
    format!("release.checkout-flow-{}", number % FLAGS)
}

fn count(element: u32, row: usize, number: usize) -> Count<'static> {
    Count {
        element,
        flag: flag(row / 3 + number).into(),
        variation: Variation::Index((row % 3) as u32),
        version: Some(17 + (row / 7 % 2) as u64),
        value: Some(["true", "false", "\"blue\""][row % 3]),
        count: 1 + (row as u64 * 37) % 500,
        error: false,
        estimated: false,
    }
}

fn summary_of(number: usize, rows: usize) -> Payload<'static> {
    let mut payload = empty(number);
    let time_ms = Some(NOW_MS - (number as i64 % 240) * 60_000);
    payload.elements.push(Element { kind: ElementKind::Summary, time_ms });
    payload.counts = (0..rows).map(|row| count(0, row, number)).collect();
    payload
}

fn summary(number: usize) -> Payload<'static> {
    summary_of(number, 60)
}

fn large_summary(number: usize) -> Payload<'static> {
    summary_of(number, 500)
}

/// Half evaluations in full (each counted, some of them exposures), half custom events with a value.
fn events(number: usize) -> Payload<'static> {
    let mut payload = empty(number);
    for element in 0..100_u32 {
        let context = payload.context_keys.len() as u32;
        let key = format!("user-{}", (number * 100 + element as usize) % 5_000);
        payload.context_keys.push(ContextKey { kind: "user".into(), key: key.into() });
        let time_ms = Some(NOW_MS - i64::from(element) * 700);
        let row = element as usize / 2;
        if element % 2 == 0 {
            payload.elements.push(Element { kind: ElementKind::Feature, time_ms });
            payload.counts.push(Count { count: 1, ..count(element, row * 3 + row % 3, number) });
            payload.evaluations.push(Evaluation {
                element,
                flag: flag(row + number).into(),
                variation: Variation::Index((row % 3) as u32),
                version: Some(17),
                reason: Reason::Fallthrough,
                in_experiment: row.is_multiple_of(4),
                contexts: context..context + 1,
            });
        } else {
            payload.elements.push(Element { kind: ElementKind::Custom, time_ms });
            payload.conversions.push(Conversion {
                element,
                kind: ConversionKind::Custom,
                key: ["purchase", "sign-up", "search"][row % 3].into(),
                value: Some(Micros(24_990_000 + row as i64)),
                sampling: 1,
                contexts: context..context + 1,
            });
        }
    }
    payload
}
