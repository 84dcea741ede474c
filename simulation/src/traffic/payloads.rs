//! Payloads of a seed: few flags, few subjects, and times where the rules about time decide.
//!
//! Always true here: a payload has an element or a diagnostic, so that it makes a record; its rows stand in rising
//! order of their elements.

use std::borrow::Cow;

use schemas::event::{
    ContextKey, Conversion, ConversionKind, Count, Credential, Diagnostic, Element, ElementKind, Evaluation, Origin,
    Payload, PayloadId, Reason, Variation,
};
use schemas::fixed::Micros;
use schemas::rejection::Rejection;

use crate::chance::Chance;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Numbers of an environment's next payloads. An id is one payload's, among those of its kind: another environment has
/// the same, and a diagnostic has that of a payload not long before it.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    sent: usize,
    diagnostics: usize,
}

/// A payload of an application, the next of its environment's.
pub(super) fn payload(chance: &mut Chance, numbers: &mut Numbers, now_ms: i64, lateness_ms: i64) -> Payload<'static> {
    let mut payload = Payload { origin: origin(chance), ..Payload::default() };
    if chance.percent(8) {
        let number = numbers.diagnostics.max(numbers.sent.saturating_sub(1));
        numbers.diagnostics = number + 1;
        payload.id = Some(PayloadId::Diagnostic(number.to_string().into_bytes()));
        payload.diagnostics.push(diagnostic(chance, now_ms));
        return payload;
    }
    payload.id = id(chance, numbers.sent);
    numbers.sent += 1;
    for element in 0..1 + below_u32(chance, 5) {
        let kind = match chance.below(10) {
            0..=2 => ElementKind::Summary,
            3..=5 => ElementKind::Feature,
            6..=8 => ElementKind::Custom,
            _ => ElementKind::Identify,
        };
        payload.elements.push(Element { kind, time_ms: time(chance, now_ms, lateness_ms) });
        match kind {
            ElementKind::Summary => (0..1 + chance.below(3)).for_each(|_| count(chance, &mut payload, element)),
            ElementKind::Feature => {
                count(chance, &mut payload, element);
                evaluation(chance, &mut payload, element);
            }
            ElementKind::Custom => conversion(chance, &mut payload, element),
            _ => payload.contexts_seen.push((chance.pick(&["user", "device"]).into(), 1)),
        }
    }
    if chance.percent(10) {
        payload.rejections.add(chance.pick(&Rejection::ALL), 1 + chance.below(3) as u64);
    }
    if chance.percent(8) {
        payload.diagnostics.push(diagnostic(chance, now_ms));
    }
    payload
}

/// A payload of an application that was handed all flags: each about as often as the others, but now and then one is
/// left out, or was asked for once too often.
pub(super) fn all_flags(chance: &mut Chance, numbers: &mut Numbers, now_ms: i64, lateness_ms: i64) -> Payload<'static> {
    let mut payload = Payload { origin: origin(chance), id: id(chance, numbers.sent), ..Payload::default() };
    numbers.sent += 1;
    payload.origin.credential = chance.pick(&[Credential::Server, Credential::Mobile, Credential::ClientSide]);
    payload.elements.push(Element { kind: ElementKind::Summary, time_ms: time(chance, now_ms, lateness_ms) });
    let least = 1 + chance.below(3);
    let flags = ["a", "b", "c", "other", "e", "f", "g", "h"];
    for flag in &flags[..chance.pick(&[5, 6, 8, 8, 8])] {
        if chance.percent(6) {
            continue;
        }
        let too_often = usize::from(chance.percent(8));
        let mut left = least + chance.below(least + 1 + too_often);
        while left > 0 {
            // Some of it of one variation, the rest of another.
            let some = if chance.percent(80) { left } else { 1 + chance.below(left) };
            left -= some;
            count(chance, &mut payload, 0);
            if let Some(row) = payload.counts.last_mut() {
                (row.flag, row.count) = ((*flag).into(), some as u64);
            }
        }
    }
    payload
}

/// A time as an SDK sends it: mostly of the last minutes, else old, or where the limits of lateness and of clocks lie.
pub(crate) fn time(chance: &mut Chance, now_ms: i64, lateness_ms: i64) -> Option<i64> {
    let time_ms = match chance.below(100) {
        0..=57 => now_ms - below_i64(chance, 10 * MINUTE),
        58..=72 => now_ms - below_i64(chance, 30 * HOUR),
        73..=82 => around_the_limit(chance, now_ms, lateness_ms),
        83..=85 => now_ms - lateness_ms - below_i64(chance, 40 * HOUR),
        86..=89 => now_ms + 3 * MINUTE + below_i64(chance, 4 * MINUTE),
        90..=92 => now_ms + 24 * HOUR,
        93..=94 => 0,
        _ => return None,
    };
    Some(chance.coarse(time_ms))
}

/// Some minutes older or younger than what is late.
pub(crate) fn around_the_limit(chance: &mut Chance, now_ms: i64, lateness_ms: i64) -> i64 {
    let time_ms = now_ms - lateness_ms + below_i64(chance, 8 * MINUTE) - 4 * MINUTE;
    chance.coarse(time_ms)
}

pub(crate) fn below_i64(chance: &mut Chance, below: i64) -> i64 {
    let below = usize::try_from(below).unwrap_or(usize::MAX);
    i64::try_from(chance.below(below)).unwrap_or(0)
}

fn below_u32(chance: &mut Chance, below: usize) -> u32 {
    u32::try_from(chance.below(below)).unwrap_or(0)
}

/// An id that ends with `!` makes the step panic.
fn id(chance: &mut Chance, number: usize) -> Option<PayloadId> {
    if chance.percent(6) {
        return None;
    }
    // Counted when the log has it.
    let mark = if !chance.is_calm() && chance.permille(40) { "!" } else { "" };
    Some(PayloadId::Sent(format!("{number}{mark}").into_bytes()))
}

pub(crate) fn origin(chance: &mut Chance) -> Origin<'static> {
    Origin {
        credential: chance.pick(&[Credential::Server, Credential::Server, Credential::Mobile]),
        application: chance.pick(&["", "shop", "other"]).into(),
        application_version: chance.pick(&["", "1"]).into(),
        sdk: chance.pick(&["node", "go", ""]).into(),
        sdk_version: chance.pick(&["1", "2", ""]).into(),
        wrapper: "".into(),
        instance: chance.pick(&["i0", "i1", "i2", "i3", ""]).into(),
    }
}

fn diagnostic(chance: &mut Chance, now_ms: i64) -> Diagnostic<'static> {
    Diagnostic {
        id: "".into(),
        time_ms: chance.percent(70).then_some(now_ms),
        start: chance.percent(50),
        sdk: chance.pick(&["", "node"]).into(),
        sdk_version: chance.pick(&["", "2"]).into(),
        dropped_events: chance.below(3) as u64,
    }
}

fn variation(chance: &mut Chance) -> Variation<'static> {
    match chance.below(8) {
        0 => Variation::Default,
        1 => Variation::Name("blue".into()),
        _ => Variation::Index(below_u32(chance, 2)),
    }
}

fn flag(chance: &mut Chance) -> Cow<'static, str> {
    chance.pick(&["a", "a", "a", "b", "b", "c", "other", "e"]).into()
}

fn count(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    payload.counts.push(Count {
        element,
        flag: flag(chance),
        variation: variation(chance),
        version: chance.pick(&[None, Some(3), Some(3), Some(4)]),
        value: chance.pick(&[None, Some("true"), Some("false")]),
        // Now and then a sight.
        count: chance.below(10) as u64,
        error: chance.percent(10),
        estimated: chance.percent(10),
    });
}

fn evaluation(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    let contexts = contexts(chance, payload);
    payload.evaluations.push(Evaluation {
        element,
        flag: chance.pick(&["a", "a", "b"]).into(),
        variation: variation(chance),
        version: None,
        reason: chance.pick(&[Reason::Off, Reason::Fallthrough]),
        in_experiment: chance.percent(80),
        contexts,
    });
}

fn conversion(chance: &mut Chance, payload: &mut Payload<'static>, element: u32) {
    let contexts = contexts(chance, payload);
    payload.conversions.push(Conversion {
        element,
        kind: chance.pick(&[
            ConversionKind::Custom,
            ConversionKind::Custom,
            ConversionKind::Custom,
            ConversionKind::Click,
        ]),
        key: chance.pick(&["buy", "buy", "buy", "sell", "rent", "lend"]).into(),
        value: chance.percent(70).then(|| Micros(below_i64(chance, 1000) - 300)),
        sampling: 1 + chance.below(2) as u64,
        contexts,
    });
}

/// A user, mostly on a device; few of them, so that they meet again.
fn contexts(chance: &mut Chance, payload: &mut Payload<'static>) -> std::ops::Range<u32> {
    let keys = &mut payload.context_keys;
    let from = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    if chance.percent(90) {
        keys.push(ContextKey { kind: "user".into(), key: chance.pick(&["u1", "u2", "u3", "u4"]).into() });
    }
    if chance.percent(70) {
        keys.push(ContextKey { kind: "device".into(), key: chance.pick(&["d1", "d2", "d3"]).into() });
    }
    from..u32::try_from(keys.len()).unwrap_or(u32::MAX)
}
