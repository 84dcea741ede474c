//! What a gate, an old path and customers' migrations put into the log.
//!
//! Always true here: nothing is written twice on purpose but records of outcomes, under the id that they had; what they
//! say need not be true, since the fold adds it up whatever it is.

use schemas::event::{Element, ElementKind, MigrationOp, OldNew, Payload, Variation};
use schemas::id::Environment;
use schemas::log::Append;
use schemas::old_path::{Counted, Fate, Gated, OutcomeRow, outcome_record};
use schemas::record::StoredVariation;

use crate::chance::Chance;

/// What the gate does with a copy.
pub(super) fn gated(chance: &mut Chance) -> Gated {
    chance.pick(&[Gated::No, Gated::Both, Gated::Both, Gated::NewOnly])
}

/// Outcomes of some writes; few ids, so that some are known.
pub(crate) fn outcomes(environment: &Environment, partitions: u32, now_ms: i64, chance: &mut Chance) -> Append {
    let variations = [StoredVariation::Default, StoredVariation::Name(b"blue"), StoredVariation::Index(1)];
    let rows: Vec<OutcomeRow<'_>> = (0..1 + chance.below(4))
        .map(|_| {
            let key = chance.pick(&["a", "a", "b", "buy", "sell"]).as_bytes();
            let counted = if chance.percent(70) {
                Counted::Flag { key, variation: chance.pick(&variations) }
            } else {
                Counted::Event { key }
            };
            let time_ms = now_ms - super::payloads::below_i64(chance, 3 * 3_600_000);
            OutcomeRow { counted, time_ms, fate: chance.pick(&Fate::ALL), number: chance.below(4) as u64 }
        })
        .collect();
    let id = u8::try_from(chance.below(12)).unwrap_or(0);
    outcome_record(environment, partitions, [id; 16], now_ms, &rows)
}

/// An element with an operation of a migration, behind all others.
pub(crate) fn operation(chance: &mut Chance, payload: &mut Payload<'static>, time_ms: Option<i64>) {
    let element = u32::try_from(payload.elements.len()).unwrap_or(u32::MAX);
    payload.elements.push(Element { kind: ElementKind::MigrationOp, time_ms });
    let mut both = || OldNew { old: chance.percent(60), new: chance.percent(60) };
    let (invoked, error) = (both(), both());
    let mut latency = || chance.percent(70).then(|| chance.pick(&[3, 64, 70_000, 70_900, 80_000]));
    payload.migrations.push(MigrationOp {
        element,
        invoked,
        error,
        latency_us: OldNew { old: latency(), new: latency() },
        flag: chance.pick(&["a", "a", "b", "move"]).into(),
        variation: Variation::Name("live".into()),
        write: chance.percent(30),
        consistent: chance.pick(&[None, Some(false), Some(true), Some(true)]),
        sampling: chance.pick(&[1, 1, 1, 10]),
    });
}
