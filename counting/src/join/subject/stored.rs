//! A unit as bytes: numbers of seven bits a byte, lowest first; times less the iteration's start.
//!
//! Always true here: the same unit gives the same bytes; bytes that no unit gives are none.

use super::{First, Pending, Subject};
use crate::join::plan::{Counts, Plan};
use crate::join::value::Total;

impl Subject {
    /// The unit as bytes.
    pub(crate) fn encode(&self, plan: &Plan) -> Vec<u8> {
        let since = |time_ms: i64| time_ms.wrapping_sub(plan.experiment.start_ms);
        let mut out = Vec::with_capacity(32);
        push(&mut out, self.first.len() as u128);
        for first in &self.first {
            out.extend_from_slice(&[first.arm, first.metrics]);
            push_signed(&mut out, since(first.time_ms).into());
            out.extend_from_slice(&first.values);
        }
        push(&mut out, self.from_day.into());
        push(&mut out, self.settled.len() as u128);
        for (metric, total) in &self.settled {
            push_total(&mut out, *metric, total);
        }
        push(&mut out, self.days.len() as u128);
        for ((day, metric), total) in &self.days {
            push(&mut out, day.wrapping_sub(self.from_day).into());
            push_total(&mut out, *metric, total);
        }
        for event in &self.pending {
            push_signed(&mut out, since(event.time_ms).into());
            push(&mut out, event.counts.over.into());
            push(&mut out, event.counts.under.into());
            push(&mut out, event.sampling.into());
            out.push(event.value.is_some().into());
            event.value.into_iter().for_each(|value| push_signed(&mut out, value.into()));
        }
        out
    }

    /// Reads a unit; `None` = these bytes are none.
    pub(crate) fn decode(plan: &Plan, mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let time = |since: i128| i64::try_from(since).ok().map(|since| since.wrapping_add(plan.experiment.start_ms));
        let mut subject = Self::default();
        for _ in 0..take(rest)? {
            let (arm, metrics) = (take_byte(rest)?, take_byte(rest)?);
            let time_ms = time(take_signed(rest)?)?;
            let (values, others) = rest.split_at_checked(plan.experiment.dimensions.len())?;
            *rest = others;
            let rising = subject.first.last().is_none_or(|last| last.arm < arm);
            subject.first.push(First { arm, time_ms, metrics, values: values.to_vec() });
            (rising && usize::from(arm) < plan.experiment.arms.len()).then_some(())?;
        }
        subject.from_day = u32::try_from(take(rest)?).ok()?;
        for _ in 0..take(rest)? {
            let (metric, total) = take_total(rest, plan)?;
            subject.settled.insert(metric, total);
        }
        for _ in 0..take(rest)? {
            let day = subject.from_day.checked_add(u32::try_from(take(rest)?).ok()?)?;
            let (metric, total) = take_total(rest, plan)?;
            subject.days.insert((day, metric), total);
        }
        while !rest.is_empty() {
            let time_ms = time(take_signed(rest)?)?;
            let counts = Counts { over: u32::try_from(take(rest)?).ok()?, under: u32::try_from(take(rest)?).ok()? };
            let sampling = u64::try_from(take(rest)?).ok()?;
            let value = match take_byte(rest)? {
                0 => None,
                1 => Some(i64::try_from(take_signed(rest)?).ok()?),
                _ => return None,
            };
            subject.pending.push(Pending { time_ms, counts, value, sampling });
        }
        Some(subject)
    }
}

fn push_total(out: &mut Vec<u8>, metric: u8, total: &Total) {
    out.push(metric);
    push(out, total.number.into());
    push_signed(out, total.sum);
    push_signed(out, total.under);
}

fn take_total(rest: &mut &[u8], plan: &Plan) -> Option<(u8, Total)> {
    let metric = take_byte(rest)?;
    plan.metric(metric)?;
    let number = u64::try_from(take(rest)?).ok()?;
    Some((metric, Total { number, sum: take_signed(rest)?, under: take_signed(rest)? }))
}

fn take_byte(rest: &mut &[u8]) -> Option<u8> {
    let (&first, others) = rest.split_first()?;
    *rest = others;
    Some(first)
}

fn push(out: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn take(rest: &mut &[u8]) -> Option<u128> {
    let mut number = 0;
    for place in 0..19 {
        let byte = take_byte(rest)?;
        number |= u128::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Numbers near zero are short, below it too.
fn push_signed(out: &mut Vec<u8>, number: i128) {
    push(out, (number.wrapping_shl(1) ^ (number >> 127)).cast_unsigned());
}

fn take_signed(rest: &mut &[u8]) -> Option<i128> {
    let number = take(rest)?;
    Some((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::experiment::Experiment;

    use super::*;

    fn plan() -> Plan {
        let text = r#"{"flag": "f", "unitKind": "user", "start": 1000,
            "variations": [{"variation": 0, "weight": 50}, {"variation": 1, "weight": 50}],
            "dimensions": [{"attribute": "sdk", "values": ["node"]}],
            "metrics": [{"key": "a", "event": "e", "kind": "sum"}, {"key": "b", "event": "e", "kind": "once"}]}"#;
        Plan::new(Experiment::decode(text.as_bytes()).unwrap())
    }

    prop_compose! {
        fn totals()(number: u64, sum: i128, under: i128) -> Total {
            Total { number, sum, under }
        }
    }

    prop_compose! {
        fn events()(time_ms: i64, over: u32, under: u32, value: Option<i64>, sampling: u64) -> Pending {
            Pending { time_ms, counts: Counts { over, under }, value, sampling }
        }
    }

    prop_compose! {
        fn subjects()(
            first in prop::collection::btree_map(0..2_u8, (any::<i64>(), 0..3_u8, any::<u8>()), 0..3),
            from_day in 0..u32::MAX / 2,
            settled in prop::collection::btree_map(0..2_u8, totals(), 0..3),
            days in prop::collection::btree_map((0..1_000_u32, 0..2_u8), totals(), 0..5),
            pending in prop::collection::vec(events(), 0..5),
        ) -> Subject {
            let of = |(arm, (time_ms, metrics, value))| First { arm, time_ms, metrics, values: vec![value] };
            let days = days.into_iter().map(|((day, metric), total)| ((from_day + day, metric), total)).collect();
            Subject { first: first.into_iter().map(of).collect(), from_day, settled, days, pending }
        }
    }

    proptest! {
        #[test]
        fn a_unit_comes_back_as_it_was_written(subject in subjects()) {
            let plan = plan();
            let bytes = subject.encode(&plan);
            prop_assert_eq!(Subject::decode(&plan, &bytes), Some(subject));
        }

        #[test]
        fn no_bytes_make_reading_panic(
            bytes: Vec<u8>,
            subject in subjects(),
            place: prop::sample::Index,
            flip in 1_u8..,
        ) {
            let plan = plan();
            let _ = Subject::decode(&plan, &bytes);
            let mut damaged = subject.encode(&plan);
            let place = place.index(damaged.len());
            damaged[place] ^= flip;
            if let Some(read) = Subject::decode(&plan, &damaged) {
                let _ = read.says(&plan);
            }
        }
    }
}
