//! What becomes of a time, said once more: from what was sent, when it was received, and the generation's limits.
//!
//! Always true here: the product's judge is not asked; what it says is held against this for every payload that a node
//! receives, of every environment.

use schemas::event::Element;
use schemas::generation::ClockLimits;
use schemas::record::Judged;

/// What must become of a time that was sent, received at `received_ms`.
pub(super) fn expected(sent_ms: Option<i64>, received_ms: i64, limits: &ClockLimits) -> Judged {
    let of_receipt = |clamped| Judged { time_ms: received_ms, clamped, late: false };
    let Some(time_ms) = sent_ms else { return of_receipt(false) };
    let (sent, received) = (i128::from(time_ms), i128::from(received_ms));
    let ahead = sent - received > i128::from(limits.ahead_ms);
    let before_all = sent < i128::from(limits.earliest_ms);
    if ahead || before_all {
        return of_receipt(true);
    }
    Judged { time_ms, clamped: false, late: received - sent > i128::from(limits.lateness_ms) }
}

/// Holds a node's judgement of a payload's elements against what it must be.
///
/// # Errors
/// Which element was judged how.
pub(super) fn hold(
    elements: &[Element],
    received_ms: i64,
    judged: &[Judged],
    limits: &ClockLimits,
) -> Result<(), String> {
    if elements.len() != judged.len() {
        return Err(format!("{} elements, {} judgements", elements.len(), judged.len()));
    }
    for (number, (element, judged)) in elements.iter().zip(judged).enumerate() {
        let expected = expected(element.time_ms, received_ms, limits);
        if *judged != expected {
            let sent = element.time_ms;
            return Err(format!(
                "element {number} of {sent:?}, received at {received_ms}, is judged {judged:?}, must be {expected:?}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use schemas::event::ElementKind;

    use super::*;

    const LIMITS: ClockLimits = ClockLimits { ahead_ms: 10, lateness_ms: 20, earliest_ms: 100 };

    #[test]
    fn a_time_at_a_limit_stays_and_a_millisecond_beyond_does_not() {
        let sent = [None, Some(1_010), Some(1_011), Some(980), Some(979), Some(100), Some(99), Some(i64::MIN)];
        let told = sent.map(|sent| {
            let Judged { time_ms, clamped, late } = expected(sent, 1_000, &LIMITS);
            (time_ms, clamped, late)
        });
        let (of_receipt, clamped) = ((1_000, false, false), (1_000, true, false));
        let as_sent = [(1_010, false, false), (980, false, false)];
        let late = [(979, false, true), (100, false, true)];
        assert_eq!(told, [of_receipt, as_sent[0], clamped, as_sent[1], late[0], late[1], clamped, clamped]);
    }

    #[test]
    fn a_node_that_judges_otherwise_is_told_of() {
        let elements = [Element { kind: ElementKind::Custom, time_ms: Some(990) }];
        let right = expected(Some(990), 1_000, &LIMITS);
        assert_eq!(hold(&elements, 1_000, &[right], &LIMITS), Ok(()));
        for wrong in
            [Judged { late: true, ..right }, Judged { clamped: true, ..right }, Judged { time_ms: 991, ..right }]
        {
            let text = hold(&elements, 1_000, &[wrong], &LIMITS).unwrap_err();
            assert!(text.contains("element 0 of Some(990)"), "{text}");
        }
        assert!(hold(&elements, 1_000, &[], &LIMITS).is_err());
    }
}
