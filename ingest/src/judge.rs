//! The judge of times: what an element's time becomes, decided once, before the log.
//!
//! Always true here: a judgement is a function of the time sent, the receive time and the generation's clock limits
//! alone. A time that is late is never clamped; a clamped one is never late.

use schemas::event::Element;
use schemas::generation::ClockLimits;
use schemas::record::Judged;

/// Judges every element's time. An element that brings none (a summary that starts after its end, say) is of receipt.
#[must_use]
pub fn judge(elements: &[Element], received_ms: i64, limits: &ClockLimits) -> Vec<Judged> {
    elements.iter().map(|element| judge_time(element.time_ms, received_ms, limits)).collect()
}

/// Judges one time, in Unix milliseconds: more than 5 minutes ahead or before 2015 becomes the receive time, marked
/// `clamped`; plausible but older than 7 days is `late`; exactly at a limit is neither.
#[must_use]
pub fn judge_time(sent_ms: Option<i64>, received_ms: i64, limits: &ClockLimits) -> Judged {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let Some(time_ms) = sent_ms else {
        return Judged { time_ms: received_ms, clamped: false, late: false };
    };
    let too_far_ahead = time_ms > received_ms.saturating_add(signed(limits.ahead_ms));
    if too_far_ahead || time_ms < signed(limits.earliest_ms) {
        return Judged { time_ms: received_ms, clamped: true, late: false };
    }
    Judged { time_ms, clamped: false, late: time_ms < received_ms.saturating_sub(signed(limits.lateness_ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_760_000_000_000;
    const MINUTE: i64 = 60_000;
    const DAY: i64 = 86_400_000;
    const YEAR_2015: i64 = 1_420_070_400_000;

    #[test]
    fn times_at_each_edge() {
        let of_receipt = (NOW, false, false);
        let clamped = (NOW, true, false);
        let as_sent = |time| (time, false, false);
        let late = |time| (time, false, true);
        let cases = [
            (None, of_receipt),
            (Some(NOW), as_sent(NOW)),
            (Some(NOW + 5 * MINUTE), as_sent(NOW + 5 * MINUTE)),
            (Some(NOW + 5 * MINUTE + 1), clamped),
            (Some(i64::MAX), clamped),
            (Some(NOW - 7 * DAY), as_sent(NOW - 7 * DAY)),
            (Some(NOW - 7 * DAY - 1), late(NOW - 7 * DAY - 1)),
            (Some(YEAR_2015), late(YEAR_2015)),
            (Some(YEAR_2015 - 1), clamped),
            (Some(0), clamped),
            (Some(-1), clamped),
            (Some(i64::MIN), clamped),
        ];
        for (sent, expected) in cases {
            let Judged { time_ms, clamped, late } = judge_time(sent, NOW, &ClockLimits::default());
            assert_eq!((time_ms, clamped, late), expected, "{sent:?}");
        }
    }

    #[test]
    fn the_generations_limits_are_used() {
        let limits = ClockLimits { ahead_ms: 10, lateness_ms: 20, earliest_ms: 100 };
        let judged = [1_011, 1_010, 980, 979, 99].map(|time| judge_time(Some(time), 1_000, &limits));
        assert_eq!(judged.map(|j| j.clamped), [true, false, false, false, true]);
        assert_eq!(judged.map(|j| j.late), [false, false, false, true, false]);
    }
}
