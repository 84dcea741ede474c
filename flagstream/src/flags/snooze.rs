//! `flagstream flags snooze`: until when, and for whom.
//!
//! Always true here: a time that the server would refuse is a wrong command line; a flag that nobody knows is snoozed
//! only where that was asked for, since its name is most likely mistyped.

use anyhow::bail;
use serde_json::json;

use super::{flag_path, known, now_ms, print, until_shown};
use crate::cli::FlagsSnooze;
use crate::read::put;

const DAY_MS: i64 = 24 * 3_600_000;
const AHEAD_DAYS_MAX: i64 = 366;

/// When a snooze ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At once.
    Now,
    /// Unix milliseconds.
    At(i64),
}

pub(super) fn snooze(command: &FlagsSnooze) -> anyhow::Result<()> {
    let until = match (command.until, command.for_) {
        (Some(End::Now), _) => None,
        (Some(End::At(ms)), _) => Some(ms),
        (None, Some(ms)) => Some(now_ms()? + ms),
        (None, None) => bail!("say --until DATE or --for 30d (--until now ends a snooze)"),
    };
    let path = flag_path(&command.project, &command.flag);
    if !command.new && known(&command.reader, &path)?.is_none() {
        bail!(
            "flag {:?} is not known: it was never evaluated, and nothing was said of it; is the name right? (--new snoozes it \
             all the same)",
            command.flag
        );
    }
    let answer = put(&command.reader, &format!("{path}/snooze"), &json!({ "until": until }))?;
    until_shown(&command.reader, &path, answer["version"].as_u64().unwrap_or(0))?;
    print(&command.reader, &answer)
}

/// `now`, or a time to come: milliseconds and RFC 3339 as they are; a date is its beginning in UTC.
///
/// # Errors
/// What is allowed.
pub fn end(text: &str) -> anyhow::Result<End> {
    end_at(text, now_ms()?)
}

fn end_at(text: &str, now_ms: i64) -> anyhow::Result<End> {
    if text == "now" {
        return Ok(End::Now);
    }
    match text.parse::<i64>().ok().or_else(|| experiments::time_ms(text)) {
        None => bail!("give a date (2026-01-31), RFC 3339, Unix milliseconds, or `now` to end the snooze"),
        Some(ms) if ms <= now_ms => bail!("that is over; give a time to come, or `now` to end the snooze"),
        Some(ms) if ms - now_ms > AHEAD_DAYS_MAX * DAY_MS => bail!("give at most 1 year ahead"),
        Some(ms) => Ok(End::At(ms)),
    }
}

/// Milliseconds of days or hours.
///
/// # Errors
/// What is allowed.
pub fn duration_ms(text: &str) -> anyhow::Result<i64> {
    let unit = match text.chars().last() {
        Some('d') => 24,
        Some('h') => 1,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u32>().ok());
    match number.filter(|number| *number > 0 && unit > 0).map(|number| i64::from(number) * unit * 3_600_000) {
        Some(ms) if ms <= AHEAD_DAYS_MAX * DAY_MS => Ok(ms),
        Some(_) => bail!("give at most 1 year: 366d"),
        None => bail!("give days or hours, like 30d or 12h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read_or_what_is_allowed_is_said() {
        assert_eq!(end_at("1970-01-02", 5).unwrap(), End::At(DAY_MS));
        assert_eq!(end_at("77", 5).unwrap(), End::At(77));
        assert_eq!(end_at("now", 5).unwrap(), End::Now);
        assert_eq!(duration_ms("2d").unwrap(), 2 * DAY_MS);
        for wrong in ["", "d", "0d", "3w", "é"] {
            assert!(duration_ms(wrong).unwrap_err().to_string().contains("like 30d"), "{wrong}");
        }
        assert!(duration_ms("800d").unwrap_err().to_string().contains("at most 1 year"));
        for (wrong, words) in [("soon", "RFC 3339"), ("5", "`now` to end"), ("1980-01-01", "at most 1 year")] {
            assert!(end_at(wrong, 5).unwrap_err().to_string().contains(words), "{wrong}");
        }
    }
}
