//! Payloads by dice, and the records they become: as ingest would write them, with what it would have judged.

use eventlog::files::forgetful::Dice;
use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Element, ElementKind, Evaluation, Origin, Payload, PayloadId,
    Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::old_path::Gated;
use schemas::record::{self, Judged, Stamp};
use schemas::rejection::{Rejection, Rejections};
use schemas::split::split;

pub(crate) const HOUR: i64 = 3_600_000;
/// Near midnight, so that records fall on two days.
pub(crate) const START: i64 = 19_000 * 24 * HOUR - HOUR;

/// A generation with the limits of this build but for the dedupe window.
pub(crate) fn generation(partitions: u32, dedupe_records: u64) -> Generation {
    let mut generation = Generation::new(1, "t", partitions, counting::FOLD_VERSION);
    generation.dedupe_records = dedupe_records;
    generation
}

/// Two environments; at 4 partitions their homes are not the same.
pub(crate) fn environments() -> [Environment; 2] {
    [Environment::new("p", "dev").unwrap(), Environment::new("p", "prod").unwrap()]
}

/// The first record of each partition.
pub(crate) fn beginnings(generation: &Generation) -> Vec<Append> {
    (0..generation.partitions).map(|partition| record::generation_record(generation, partition, START)).collect()
}

/// A payload on its way, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) environment: Environment,
    pub(crate) payload: Payload<'static>,
}

impl Sent {
    /// Its records, as received at this time. A re-send may be judged otherwise; its parts are the same.
    pub(crate) fn records(&self, partitions: u32, received_ms: i64, lateness_ms: i64) -> Vec<Append> {
        let judge = |element: &Element| {
            let time_ms = element.time_ms.unwrap_or(received_ms);
            let clamped = time_ms > received_ms + 5 * 60_000;
            let late = time_ms < received_ms - lateness_ms;
            Judged { time_ms: if clamped { received_ms } else { time_ms }, clamped, late }
        };
        let judged: Vec<Judged> = self.payload.elements.iter().map(judge).collect();
        let mut carried = Rejections::default();
        carried.add(Rejection::TooDeep, u64::from(received_ms % 7 == 0));
        let stamp = Stamp { environment: &self.environment, received_ms, carried: &carried, gated: Gated::No };
        record::encode(&self.payload, &split(&self.environment, &self.payload, partitions), &judged, &stamp)
    }
}

fn users() -> Vec<ContextKey<'static>> {
    (0..6).map(|n| ContextKey { kind: "user".into(), key: format!("u{n}").into() }).collect()
}

fn origin(dice: &mut Dice) -> Origin<'static> {
    let sdk = ["node", "python"][dice.below(2) as usize];
    let application = ["", "shop"][dice.below(2) as usize];
    Origin { application: application.into(), sdk: sdk.into(), sdk_version: "1".into(), ..Origin::default() }
}

/// A payload that alone has its flag `p<number>` and its event `e<number>`, each counted once, beside shared ones.
pub(crate) fn payload(dice: &mut Dice, number: u64) -> Sent {
    let id = dice.below(20) > 0;
    let mut payload = Payload {
        id: id.then(|| PayloadId::Sent(format!("payload {number}").into_bytes())),
        origin: origin(dice),
        context_keys: users(),
        ..Payload::default()
    };
    element(&mut payload, ElementKind::Summary, None);
    count(&mut payload, format!("p{number}"), Variation::Index(0), 1);
    element(&mut payload, ElementKind::Custom, None);
    conversion(dice, &mut payload, format!("e{number}"));
    for _ in 0..dice.below(4) {
        let time = START - 3 * HOUR + dice.below(7 * HOUR as u64) as i64;
        let flag = ["a", "b", "c"][dice.below(3) as usize].to_owned();
        let variation = match dice.below(4) {
            0 => Variation::Default,
            1 => Variation::Name("blue".into()),
            n => Variation::Index(n as u32),
        };
        match dice.below(3) {
            0 => {
                element(&mut payload, ElementKind::Summary, Some(time));
                count(&mut payload, flag, variation, 1 + dice.below(9));
            }
            1 => {
                element(&mut payload, ElementKind::Feature, Some(time));
                count(&mut payload, flag.clone(), variation.clone(), 1);
                exposure(dice, &mut payload, flag, variation);
            }
            _ => {
                element(&mut payload, ElementKind::Custom, Some(time));
                let key = ["buy", "sell"][dice.below(2) as usize].to_owned();
                conversion(dice, &mut payload, key);
            }
        }
    }
    if dice.below(5) == 0 {
        payload.rejections.add(Rejection::ALL[dice.below(Rejection::ALL.len() as u64) as usize], 1 + dice.below(3));
    }
    Sent { environment: environments()[dice.below(2) as usize].clone(), payload }
}

fn element(payload: &mut Payload<'static>, kind: ElementKind, time_ms: Option<i64>) {
    payload.elements.push(Element { kind, time_ms });
}

fn last(payload: &Payload<'_>) -> u32 {
    payload.elements.len() as u32 - 1
}

fn count(payload: &mut Payload<'static>, flag: String, variation: Variation<'static>, count: u64) {
    payload.counts.push(Count {
        element: last(payload),
        flag: flag.into(),
        variation,
        version: Some(3),
        value: Some("true"),
        count,
        error: false,
        estimated: false,
    });
}

fn exposure(dice: &mut Dice, payload: &mut Payload<'static>, flag: String, variation: Variation<'static>) {
    let user = dice.below(6) as u32;
    payload.evaluations.push(Evaluation {
        element: last(payload),
        flag: flag.into(),
        variation,
        version: Some(3),
        reason: Reason::Fallthrough,
        in_experiment: dice.below(2) == 0,
        contexts: user..user + 1,
    });
}

fn conversion(dice: &mut Dice, payload: &mut Payload<'static>, key: String) {
    let user = dice.below(6) as u32;
    payload.conversions.push(Conversion {
        element: last(payload),
        kind: ConversionKind::Custom,
        key: key.into(),
        value: (dice.below(3) > 0).then(|| Micros(dice.below(1_000) as i64 - 500)),
        sampling: 1,
        contexts: user..user + 1,
    });
}
