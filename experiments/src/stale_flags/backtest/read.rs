//! What a back-test looks at, from the cells.
//!
//! Always true here: the number of reads does not depend on the number of days. Of an environment that does not decide,
//! usage is never read: only first sights there take part in a verdict.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::cell::{CellKind, CellName};
use schemas::id::Environment as Id;
use schemas::record::StoredVariation;

use crate::Serve;
use crate::backtest::history::needs_usage;
use crate::backtest::{DAY_MS, History, Moment, Past, Usage, day_of};
use crate::cells::{sdk_shown, text, usage};
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::stale::{Environment, FlagEnvironment, Settings};
use crate::stale_flags::fleet::{Read, reports, variation};
use crate::stale_flags::hours::{self, Windows};

/// Cells of usage that one request may read: a few seconds.
const USAGE_CELLS_MAX: usize = 1_000_000;
const DAY_HOURS: u32 = 24;

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) flags: usize,
    /// Flags, in each environment that decides, of which usage was read.
    pub(super) usage_flags: usize,
    pub(super) usage_cells: usize,
}

/// Takes the flags out of `now`. `days` fall, and there is one at least.
pub(super) async fn past(
    serve: &Serve,
    environments: &[Id],
    now: &mut Read,
    days: &[u32],
    now_ms: i64,
) -> Result<(Past, Vec<Moment>, Counted), Refusal> {
    let flags = std::mem::take(&mut now.fleet.flags);
    let mut past = Past { histories: vec![BTreeMap::new(); flags.len()], ..Past::default() };
    let mut counted = Counted { flags: flags.len(), ..Counted::default() };
    past.fleet.as_of_ms = now.fleet.as_of_ms;
    past.fleet.settings = now.fleet.settings.clone();
    past.fleet.hidden_deciding = now.fleet.hidden_deciding;
    past.fleet.flags = flags;
    let mut moments: Vec<Moment> = days.iter().map(|day| Moment { day: *day, ..Moment::default() }).collect();
    let all_decide = !now.fleet.environments.values().any(|environment| environment.critical);
    for id in environments {
        let name = id.key_str();
        let reader = Reader::open(serve, id.clone(), now_ms).await?;
        let critical = now.fleet.environments.get(name).is_some_and(|environment| environment.critical);
        let used = now.used.remove(name).unwrap_or_default();
        covered(&reader, (name, critical), &now.fleet.settings, &used, &mut moments).await?;
        for (flag, histories) in past.fleet.flags.iter_mut().zip(&mut past.histories) {
            let Some(seen) = flag.environments.get_mut(name) else { continue };
            let versions = now.versions.remove(&(name.to_owned(), flag.key.clone())).unwrap_or_default();
            let wanted = (critical || all_decide).then(|| hours_wanted(seen, days, &past.fleet.settings)).flatten();
            let usage = match wanted {
                None => None,
                Some(hours) => {
                    counted.usage_flags += 1;
                    let (usage, cells) = usage_of(&reader, &flag.key, hours).await?;
                    counted.usage_cells += cells;
                    bound(counted.usage_cells)?;
                    Some(usage)
                }
            };
            histories.insert(name.to_owned(), History::of(seen, versions, usage.as_ref()));
        }
    }
    Ok((past, moments, counted))
}

/// The hours of usage that are wanted of a flag; `None` = none.
fn hours_wanted(seen: &FlagEnvironment, days: &[u32], settings: &Settings) -> Option<std::ops::Range<u32>> {
    let (newest, oldest) = (*days.first()?, *days.last()?);
    let longest =
        settings.overrides.iter().filter_map(|held| held.stale_days).fold(settings.thresholds.stale_days, u32::max);
    let last_day = seen.rows.iter().map(|row| day_of(row.last_ms)).max()?;
    let begin = oldest.saturating_sub(longest) * DAY_HOURS;
    needs_usage(seen, oldest, newest).then(|| begin..(last_day + 1) * DAY_HOURS)
}

fn bound(cells: usize) -> Result<(), Refusal> {
    if cells <= USAGE_CELLS_MAX {
        return Ok(());
    }
    Err(Refusal::too_much(format!(
        "more than {USAGE_CELLS_MAX} hours of usage would be read; take a later `from`, fewer environments with `critical`, or a \
         part of the flags with `q`"
    )))
}

/// Whether enough was heard at each moment, from one range of reports. `used`: days of intentional use of any flag.
async fn covered(
    reader: &Reader<'_>,
    (name, critical): (&str, bool),
    settings: &Settings,
    used: &BTreeSet<u32>,
    moments: &mut [Moment],
) -> Result<(), Refusal> {
    let windows = Windows::of(settings, name);
    let (Some(newest), Some(oldest)) = (moments.first(), moments.last()) else { return Ok(()) };
    let as_of_ms = |moment: &Moment| i64::from(moment.day) * DAY_MS;
    let begin = hours::days(as_of_ms(oldest), windows.longest()).start;
    let reports = reports(reader, begin..hours::days(as_of_ms(newest), 0).end).await?;
    for moment in moments {
        let last_day = used.range(..moment.day).next_back();
        let last_sight_ms = last_day.map(|day| i64::from(*day + 1) * DAY_MS - 1);
        let told = windows.hours(&reports, last_sight_ms, as_of_ms(moment));
        moment.environments.insert(name.to_owned(), Environment { critical, hours: Some(told.usual) });
        if !told.by_type.is_empty() {
            moment.hours_by_type.insert(name.to_owned(), told.by_type);
        }
    }
    Ok(())
}

async fn usage_of(reader: &Reader<'_>, flag: &str, hours: std::ops::Range<u32>) -> Result<(Usage, usize), Refusal> {
    let mut told = Usage::default();
    let take = |hour: u32, value: Bytes| {
        let day = hour / DAY_HOURS;
        for row in usage(&value)?.rows() {
            if row.other {
                told.others.insert(day);
                continue;
            }
            let asker = (
                variation(row.variation),
                row.variation == StoredVariation::Default,
                text(row.application).into_owned(),
                sdk_shown(&text(row.sdk), &text(row.sdk_version)),
            );
            told.days.entry(asker).or_default().insert(day);
        }
        Ok(())
    };
    let name = CellName::Key(Bytes::copy_from_slice(flag.as_bytes()));
    let cells = reader.windows(CellKind::Usage, &name, hours, take).await?;
    Ok((told, cells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_usage_says_what_to_take_instead() {
        assert!(bound(USAGE_CELLS_MAX).is_ok());
        let said = bound(USAGE_CELLS_MAX + 1).unwrap_err();
        assert!(said.code == "too_much" && said.message.contains("`q`"), "{}", said.message);
    }
}
