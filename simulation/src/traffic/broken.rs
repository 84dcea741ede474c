//! What a node does wrong, where a mistake is switched on.
//!
//! Always true here: each mistake breaks its one rule; all else of the records is as it must be, so that nothing but a
//! check of that rule can notice it.

use schemas::event::{Payload, PayloadId};
use schemas::log::Append;
use schemas::record::{Header, Judged, Stamp, encode};
use schemas::split::{Part, Split};

use super::IngestBreak;

/// More than there are parts of one payload in a partition.
const PARTS_MAX: u32 = 1_000;

/// The judge's mistakes.
pub(super) fn judged(broken: Option<IngestBreak>, judged: &mut [Judged], received_ms: i64) {
    for judged in judged {
        match broken {
            Some(IngestBreak::JudgeAllLate) => judged.late = judged.time_ms < received_ms,
            Some(IngestBreak::NeverLate) => judged.late = false,
            _ => {}
        }
    }
}

/// The records of a payload, with this mistake; `again` = it is the client's second attempt.
pub(super) fn encode_broken(
    broken: IngestBreak,
    again: bool,
    partitions: u32,
    payload: &Payload<'_>,
    split: &Split,
    judged: &[Judged],
    stamp: &Stamp<'_>,
) -> Vec<Append> {
    match broken {
        IngestBreak::HomeAndSubjectsApart => apart(payload, split, judged, stamp, |_| {}),
        IngestBreak::ActsForEveryKind => acting_everywhere(payload, split, judged, stamp),
        IngestBreak::HomePerPayload => {
            let home = of_payload(payload, partitions);
            apart(payload, split, judged, stamp, |part| {
                part.partition = home;
                part.part += PARTS_MAX;
            })
        }
        IngestBreak::ResendToAnotherPartition | IngestBreak::AcceptedTooHigh => {
            let mut appends = encode(payload, split, judged, stamp);
            for append in &mut appends {
                if broken == IngestBreak::AcceptedTooHigh {
                    one_too_many(append);
                } else if again {
                    append.partition = (append.partition + 1) % partitions;
                }
            }
            appends
        }
        _ => encode(payload, split, judged, stamp),
    }
}

/// A mistake: the partition is chosen by the payload's id.
fn of_payload(payload: &Payload<'_>, partitions: u32) -> u32 {
    let id = match &payload.id {
        Some(PayloadId::Sent(id) | PayloadId::Diagnostic(id) | PayloadId::Outcome(id)) => id.as_slice(),
        None => b"",
    };
    id.iter().fold(0, |sum, byte| sum + u32::from(*byte)) % partitions
}

/// A mistake: a home part behind the first claims another's element.
fn one_too_many(append: &mut Append) {
    if let Ok(mut header) = Header::decode(&append.header)
        && header.home
        && header.part > 0
    {
        header.accepted += 1;
        append.header = header.encode();
    }
}

/// A mistake: what is late is gone before the split, which then looks at the node's clock. Its elements stay, so that
/// the books still balance.
pub(super) fn without_late(payload: &Payload<'static>, judged: &[Judged]) -> Payload<'static> {
    let in_time = |element: u32| !judged[element as usize].late;
    let mut payload = payload.clone();
    payload.counts.retain(|row| in_time(row.element));
    payload.evaluations.retain(|row| in_time(row.element));
    payload.conversions.retain(|row| in_time(row.element));
    payload.migrations.retain(|row| in_time(row.element));
    payload
}

/// A mistake: what counts at home and what acts there are two records; `home` says which partition and part the former
/// is of, and may leave it as it is: then the two have one id and part.
fn apart(
    payload: &Payload<'_>,
    split: &Split,
    judged: &[Judged],
    stamp: &Stamp<'_>,
    home: impl Fn(&mut Part),
) -> Vec<Append> {
    let acts_nowhere = Split { parts: split.parts.clone(), acts_in: vec![u32::MAX; split.acts_in.len()] };
    let mut appends = Vec::new();
    for (part, without) in split.parts.iter().zip(&acts_nowhere.parts) {
        let acts_here = |contexts: &std::ops::Range<u32>| {
            contexts.clone().any(|context| split.acts_in[context as usize] == part.partition)
        };
        let exposures = part.evaluations.iter().copied().filter(|row| {
            let row = &payload.evaluations[*row as usize];
            row.in_experiment && acts_here(&row.contexts)
        });
        let conversions = part.conversions.iter().copied();
        let subjects = Part {
            partition: part.partition,
            part: part.part,
            evaluations: exposures.collect(),
            conversions: conversions.filter(|row| acts_here(&payload.conversions[*row as usize].contexts)).collect(),
            ..Part::default()
        };
        if !part.home {
            let whole = Split { parts: vec![part.clone()], acts_in: split.acts_in.clone() };
            appends.extend(encode(payload, &whole, judged, stamp));
            continue;
        }
        let mut without = without.clone();
        home(&mut without);
        let at_home = Split { parts: vec![without], acts_in: acts_nowhere.acts_in.clone() };
        appends.extend(encode(payload, &at_home, judged, stamp));
        if !(subjects.evaluations.is_empty() && subjects.conversions.is_empty()) {
            let subjects = Split { parts: vec![subjects], acts_in: split.acts_in.clone() };
            appends.extend(encode(payload, &subjects, judged, stamp));
        }
    }
    appends
}

/// A mistake: each record brings every key of a context, whether it acts in that partition or not.
fn acting_everywhere(payload: &Payload<'_>, split: &Split, judged: &[Judged], stamp: &Stamp<'_>) -> Vec<Append> {
    let of = |part: &Part| {
        let acts_in = vec![part.partition; split.acts_in.len()];
        encode(payload, &Split { parts: vec![part.clone()], acts_in }, judged, stamp)
    };
    split.parts.iter().flat_map(of).collect()
}
