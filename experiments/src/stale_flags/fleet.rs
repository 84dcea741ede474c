//! The rule's fleet, from cells: one range of last-seen cells and the SDK days of every environment that is looked at.
//!
//! Always true here: cells keep sights to the hour, so a first and a last sight and the beginning of a version are all
//! taken for the last millisecond of their hour, none beyond as-of: a flag is never called old, unchanged or unused
//! earlier than it is. The row of everything beyond a limit has no variation, so it keeps a flag from being settled
//! and, unless of bulk reads, from being quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use counting::cells::LastSeen;
use schemas::cell::{CellKind, CellName};
use schemas::id::Environment as Id;
use schemas::record::StoredVariation;
use tokio::sync::SemaphorePermit;

use super::hours::{Reporter, Reports, Windows, days};
use super::{gate, hours};
use crate::Serve;
use crate::cells::{last_seen, sdk_shown, sdks, text};
use crate::evaluations::flag_key;
use crate::interval::HOUR_MS;
use crate::metadata::{self, OfProject, code_references::Upload};
use crate::reading::{Progress, Reader, standings};
use crate::refusal::Refusal;
use crate::stale::{
    Environment, Flag, FlagEnvironment, FlagType, Fleet, Hours, Metadata, Row, Settings, ValueSeen, Variation,
};

/// Rows that one question may hold: several hundred megabytes.
const ROWS_MAX: usize = 1_500_000;

/// What was read for the rule.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) fleet: Fleet,
    /// How far the environments and what people said of flags reach, all of it.
    pub(crate) progress: Progress,
    /// Environments in which no flag was ever seen.
    pub(crate) silent: Vec<String>,
    /// Environments with sights of flags beyond the limit of names: nothing can be said about these flags.
    pub(crate) beyond: Vec<String>,
    /// The newest of callers' own defaults, as JSON, by environment and flag.
    pub(crate) defaults: BTreeMap<(String, String), String>,
    /// Versions and since when (Unix milliseconds), the newest last, by environment and flag; only where the past is
    /// asked for.
    pub(crate) versions: BTreeMap<(String, String), Vec<(u64, i64)>>,
    /// Days of intentional use of any flag, by environment; only where the past is asked for.
    pub(crate) used: BTreeMap<String, BTreeSet<u32>>,
    /// By environment, who reported as a rule and not within S.
    pub(crate) quiet: BTreeMap<String, Vec<Reporter>>,
    /// By environment, flags with more last sights than rows are kept: those beyond are told together.
    pub(crate) crowded: BTreeMap<String, Vec<String>>,
    /// The scan of source trees that was begun last.
    pub(crate) code_scan: Option<Upload>,
    /// Names that others' prerequisites have and that are no flags (never seen here, never described), each with those
    /// that name it.
    pub(crate) unheard: BTreeMap<String, Vec<String>>,
    /// Others wait for this place.
    _place: SemaphorePermit<'static>,
}

impl Read {
    /// Lets these environments decide instead of those that are configured to; none = leave it so.
    pub(crate) fn decide_by(&mut self, names: &[String]) {
        if !names.is_empty() {
            let environments = self.fleet.environments.iter_mut();
            environments.for_each(|(name, environment)| environment.critical = names.contains(name));
            self.fleet.hidden_deciding = 0;
            self.miss_what_was_never_heard();
        }
    }

    /// What people said of the flag.
    pub(crate) fn metadata(&self, key: &str) -> Option<&Metadata> {
        // They are in order of their keys: `Gathered` has them so.
        let place = self.fleet.flags.binary_search_by(|flag| flag.key.as_str().cmp(key)).ok()?;
        self.fleet.flags.get(place).map(|flag| &flag.metadata)
    }

    /// Where no environment that decides was ever heard, nobody can know what is asked for there: all its hours are
    /// missed. (One of several that was never heard is covered: applications report, and do not run there.)
    fn miss_what_was_never_heard(&mut self) {
        let Fleet { environments, hours_by_type, settings, .. } = &mut self.fleet;
        let is_marked = environments.values().any(|environment| environment.critical);
        let decides = |environment: &Environment| !is_marked || environment.critical;
        if environments.iter().any(|(name, environment)| decides(environment) && !self.silent.contains(name)) {
            return;
        }
        for (name, environment) in environments.iter_mut().filter(|(_, environment)| decides(environment)) {
            let days = settings.thresholds(Some(name), None).stale_days;
            environment.hours = Some(Hours { expected: u64::from(days) * 24, reported: 0 });
            hours_by_type.remove(name);
        }
    }
}

/// Reads the environments of a project. `as_of_ms`: the time of the verdicts; `None` = as far as all that is read
/// reaches.
pub(crate) async fn read(
    serve: &Serve,
    project: &str,
    environments: Vec<Id>,
    now_ms: i64,
    as_of_ms: Option<i64>,
) -> Result<Read, Refusal> {
    gather(serve, project, environments, now_ms, as_of_ms, false).await
}

/// As [`read`], with what the past is told from.
pub(crate) async fn read_with_past(
    serve: &Serve,
    project: &str,
    environments: Vec<Id>,
    now_ms: i64,
) -> Result<Read, Refusal> {
    gather(serve, project, environments, now_ms, None, true).await
}

async fn gather(
    serve: &Serve,
    project: &str,
    environments: Vec<Id>,
    now_ms: i64,
    as_of_ms: Option<i64>,
    with_past: bool,
) -> Result<Read, Refusal> {
    let place = gate::enter().await?;
    let mut readers = Vec::new();
    let mut progress = Progress { complete: true, as_of_ms: now_ms };
    for standing in standings(serve, metadata::PARTITION..metadata::PARTITION + 1).await? {
        progress = progress.least(standing.progress(now_ms));
    }
    for environment in environments {
        let name = environment.key_str().to_owned();
        let reader = Reader::open(serve, environment, now_ms).await?;
        progress = progress.least(reader.progress);
        readers.push((name, reader));
    }
    // Before anything is folded there is no log time to judge at.
    let reaches_ms = if progress.as_of_ms == 0 { now_ms } else { progress.as_of_ms };
    let as_of_ms = as_of_ms.map_or(reaches_ms, |asked_ms| asked_ms.min(reaches_ms));
    let (settings, critical) = (serve.stale.of_project(project), serve.stale.critical(project));
    let mut gathered = Gathered::new(as_of_ms, settings, critical, metadata::of_project(serve, project).await?);
    gathered.with_past = with_past;
    for (name, reader) in &readers {
        gathered.environment(name, reader).await?;
    }
    let code_scan = metadata::code_references::folded(serve, project).await?.map(|(_, upload)| upload);
    Ok(Read { code_scan, ..gathered.read(progress, place) })
}

struct Gathered {
    as_of_ms: i64,
    settings: Settings,
    /// Environments that are configured to decide.
    critical: BTreeSet<String>,
    environments: BTreeMap<String, Environment>,
    hours_by_type: BTreeMap<String, BTreeMap<FlagType, Hours>>,
    flags: BTreeMap<String, Flag>,
    silent: Vec<String>,
    beyond: Vec<String>,
    defaults: BTreeMap<(String, String), String>,
    with_past: bool,
    versions: BTreeMap<(String, String), Vec<(u64, i64)>>,
    used: BTreeMap<String, BTreeSet<u32>>,
    rows: usize,
    quiet: BTreeMap<String, Vec<Reporter>>,
    crowded: BTreeMap<String, Vec<String>>,
    /// Prerequisites that nobody described, with the flags that name them.
    named: BTreeMap<String, Vec<String>>,
}

impl Gathered {
    /// A flag that people described is judged though it was never seen.
    fn new(as_of_ms: i64, settings: Settings, critical: BTreeSet<String>, said: OfProject) -> Self {
        let flag =
            |(key, metadata): (String, Metadata)| (key.clone(), Flag { key, metadata, environments: BTreeMap::new() });
        Self {
            as_of_ms,
            settings,
            critical,
            environments: BTreeMap::new(),
            hours_by_type: BTreeMap::new(),
            flags: said.flags.into_iter().map(flag).collect(),
            silent: Vec::new(),
            beyond: Vec::new(),
            defaults: BTreeMap::new(),
            with_past: false,
            versions: BTreeMap::new(),
            used: BTreeMap::new(),
            rows: 0,
            quiet: BTreeMap::new(),
            crowded: BTreeMap::new(),
            named: said.named,
        }
    }

    async fn environment(&mut self, name: &str, reader: &Reader<'_>) -> Result<(), Refusal> {
        let mut any = false;
        let take = |cell_name: CellName, value: bytes::Bytes| {
            any = true;
            match flag_key(&cell_name) {
                Some(key) => {
                    self.flag(name, key, &last_seen(&value)?);
                    bound(self.rows)?;
                }
                None => self.beyond.push(name.to_owned()),
            }
            Ok(ControlFlow::Continue(()))
        };
        reader.names(CellKind::LastSeen, None, take).await?;
        if !any {
            self.silent.push(name.to_owned());
        }
        let windows = Windows::of(&self.settings, name);
        let reports = reports(reader, days(self.as_of_ms, windows.longest())).await?;
        let told = windows.hours(&reports, self.last_sight_ms(name), self.as_of_ms);
        let quiet_days = self.settings.thresholds(Some(name), None).inactive_days;
        let quiet = hours::gone_quiet(&reports, self.as_of_ms, windows.longest(), quiet_days);
        if !quiet.is_empty() {
            self.quiet.insert(name.to_owned(), quiet);
        }
        let critical = self.critical.contains(name);
        self.environments.insert(name.to_owned(), Environment { critical, hours: Some(told.usual) });
        if !told.by_type.is_empty() {
            self.hours_by_type.insert(name.to_owned(), told.by_type);
        }
        Ok(())
    }

    /// Last intentional row of any flag in the environment.
    fn last_sight_ms(&self, environment: &str) -> Option<i64> {
        let seen = self.flags.values().filter_map(|flag| flag.environments.get(environment));
        seen.flat_map(|seen| &seen.rows).filter(|row| !row.bulk).map(|row| row.last_ms).max()
    }

    fn flag(&mut self, environment: &str, key: String, cell: &LastSeen) {
        if let Some(default) = cell.values().filter(|value| value.variation == StoredVariation::Default).last() {
            let place = (environment.to_owned(), key.clone());
            self.defaults.insert(place, text(default.value).into_owned());
        }
        if self.with_past {
            let since = cell.versions().map(|(version, since)| (version, end_ms(since)));
            let mut since: Vec<_> = since.collect();
            since.sort_by_key(|(version, since_ms)| (*since_ms, *version));
            self.versions.insert((environment.to_owned(), key.clone()), since);
            self.used.entry(environment.to_owned()).or_default().extend(cell.days());
        }
        let seen = seen(cell, self.as_of_ms);
        if seen.rows.iter().any(Row::is_beyond) {
            self.crowded.entry(environment.to_owned()).or_default().push(key.clone());
        }
        self.rows += seen.rows.len();
        let flag = self.flags.entry(key.clone()).or_insert_with(|| Flag { key, ..Flag::default() });
        flag.environments.insert(environment.to_owned(), seen);
    }

    fn read(mut self, progress: Progress, place: SemaphorePermit<'static>) -> Read {
        let mut unheard = BTreeMap::new();
        for (prerequisite, dependents) in std::mem::take(&mut self.named) {
            match self.flags.get_mut(&prerequisite) {
                Some(flag) => flag.metadata.dependents = dependents,
                None => _ = unheard.insert(prerequisite, dependents),
            }
        }
        let hidden = self.critical.iter().filter(|name| !self.environments.contains_key(*name));
        let fleet = Fleet {
            hidden_deciding: hidden.count(),
            as_of_ms: self.as_of_ms,
            settings: self.settings,
            environments: self.environments,
            hours_by_type: self.hours_by_type,
            flags: self.flags.into_values().collect(),
        };
        let Self { silent, beyond, defaults, versions, used, quiet, crowded, .. } = self;
        let mut read = Read {
            fleet,
            progress,
            silent,
            beyond,
            defaults,
            versions,
            used,
            quiet,
            crowded,
            unheard,
            code_scan: None,
            _place: place,
        };
        read.miss_what_was_never_heard();
        read
    }
}

fn bound(rows: usize) -> Result<(), Refusal> {
    if rows <= ROWS_MAX {
        return Ok(());
    }
    Err(Refusal::too_much(format!(
        "the project's flags have more than {ROWS_MAX} rows of last sights; ask with the read key of one environment"
    )))
}

/// Who reported in which hours. What is beyond the limit of SDK rows may be anybody, so it is nobody.
pub(super) async fn reports(reader: &Reader<'_>, days: Range<u32>) -> Result<Reports, Refusal> {
    let mut reports = Reports::new();
    let take = |day: u32, value: bytes::Bytes| {
        for row in sdks(&value)?.rows().filter(|row| !row.other) {
            let reporter = if row.application.is_empty() {
                Reporter::Sdk(text(row.sdk).into_owned())
            } else {
                Reporter::Application(text(row.application).into_owned())
            };
            let heard = (0..24).filter(|hour| row.hours & 1 << hour != 0).map(|hour| day * 24 + hour);
            reports.entry(reporter).or_default().extend(heard);
        }
        Ok(())
    };
    reader.windows(CellKind::Sdks, &CellName::None, days, take).await?;
    Ok(reports)
}

/// The last millisecond of an hour since 1970.
fn end_ms(hour: u32) -> i64 {
    i64::from(hour) * HOUR_MS + HOUR_MS - 1
}

/// A flag in an environment, as the rule wants it.
fn seen(cell: &LastSeen, as_of_ms: i64) -> FlagEnvironment {
    // A flag that was deleted and made again begins anew with a low version.
    let newest = cell.versions().max_by_key(|(version, since)| (*since, *version));
    let end_ms = |hour: u32| end_ms(hour).min(as_of_ms);
    let rows = cell.rows().map(|row| {
        let (first_ms, last_ms) = (end_ms(row.first), end_ms(row.last));
        if row.other {
            return Row { first_ms, last_ms, bulk: row.bulk, ..Row::default() };
        }
        Row {
            variation: variation(row.variation),
            default: row.variation == StoredVariation::Default,
            error: row.error,
            bulk: row.bulk,
            application: text(row.application).into_owned(),
            application_version: text(row.application_version).into_owned(),
            sdk: sdk_shown(&text(row.sdk), &text(row.sdk_version)),
            first_ms,
            last_ms,
        }
    });
    let value = |value: counting::cells::LastSeenValue<'_>| {
        let (told, last_ms) = (variation(value.variation)?, end_ms(value.hour));
        Some(ValueSeen { variation: told, value: text(value.value).into_owned(), last_ms })
    };
    FlagEnvironment {
        version: newest.map(|(version, _)| version),
        version_since_ms: newest.map(|(_, since)| end_ms(since)),
        rows: rows.collect(),
        days: cell.days().collect(),
        values: cell.values().filter_map(value).collect(),
    }
}

pub(super) fn variation(stored: StoredVariation<'_>) -> Option<Variation> {
    match stored {
        StoredVariation::Index(index) => Some(Variation::Index(index)),
        StoredVariation::Name(name) => Some(Variation::Name(text(name).into_owned())),
        StoredVariation::Default => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_rows_than_can_be_held_say_what_to_ask_instead() {
        assert!(bound(ROWS_MAX).is_ok());
        let said = bound(ROWS_MAX + 1).unwrap_err();
        assert!(said.code == "too_much" && said.message.contains("read key"), "{}", said.message);
    }
}
