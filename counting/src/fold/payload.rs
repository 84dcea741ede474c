//! A payload's part and a definition as changes of cells.
//!
//! Always true here: nothing is changed; a value outside its range, or a cell that is not held, ends it with no change
//! handed out. Usage, last seen, events, SDKs and books are of home parts alone: the parts of subjects carry
//! the same conversions again.

use bytes::Bytes;
use hashbrown::HashSet;
use schemas::cell::{CellKey, CellKind};
use schemas::event::{COUNT_MAX, ConversionKind, Credential};
use schemas::fixed::MICROS_MAX;
use schemas::id::Environment;
use schemas::old_path::Gated;
use schemas::record::{ConversionRow, CountRow, Header, PayloadView, StoredVariation};
use schemas::wire::record as wire;

use super::bulk::Asked;
use super::experiments::UnitChange;
use super::{HOUR_MS, MINUTE_MS, MINUTES_AN_HOUR, Rules, day_cell, hour_of, hour_of_ms};
use crate::breakage::Break;
use crate::cells::{
    BODY_BYTES_MAX, BooksChange, Change, DefinitionChange, EventChange, LastSeenChange, OldPathChange, SdkChange,
    UsageChange,
};
use crate::held::{CellRef, Cells, NameRef};
use crate::state::{DefinitionKey, DefinitionSeen, NameKind, NameSeen, Seen, State, copy_environment};

/// Why a record gives no changes.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Cells that are not held.
    Missing(Vec<CellKey>),
    /// The record says what no record of this generation says.
    Poison(String),
}

/// Changes of cells and state, being gathered.
#[derive(Debug, Default)]
pub(super) struct Draft<'r> {
    pub(super) changes: Vec<(u32, Change<'r>)>,
    pub(super) names: Vec<NameSeen<'r>>,
    pub(super) definition: Option<DefinitionSeen<'r>>,
    pub(super) units: Vec<UnitChange<'r>>,
    #[cfg(any(test, feature = "testing"))]
    pub(super) subjects: Vec<(Bytes, crate::stand_in::Subject)>,
    pub(super) books: BooksChange,
}

/// Gathers the changes of one record.
pub(super) struct Gatherer<'r, 's> {
    pub(super) rules: &'s Rules,
    pub(super) state: &'s State,
    cells: &'s Cells,
    pub(super) environment: &'r Environment,
    pub(super) draft: Draft<'r>,
    new_flags: HashSet<&'r [u8]>,
    new_events: HashSet<&'r [u8]>,
    missing: Vec<CellKey>,
}

/// Where the rows of a flag count, kept while the same flag and hour go on.
#[derive(Clone, Copy)]
struct Spot {
    flag: *const Bytes,
    hour: u32,
    usage: u32,
    last_seen: u32,
    /// `None` = no gate chose a path.
    old_path: Option<u32>,
}

/// Whether a conversion counts among custom events.
pub(super) fn is_custom(row: &ConversionRow<'_>) -> bool {
    row.kind == ConversionKind::Custom as u32
}

/// The name of a definition's cell: its kind and its key. `None` = a kind that no build knows.
pub(super) fn definition_name(definition: &wire::Definition) -> Option<Vec<u8>> {
    let kind = u8::try_from(definition.kind).ok()?;
    let mut name = vec![kind];
    name.extend_from_slice(&definition.key);
    Some(name)
}

impl<'r, 's> Gatherer<'r, 's> {
    pub(super) fn new(rules: &'s Rules, state: &'s State, cells: &'s Cells, environment: &'r Environment) -> Self {
        Self {
            rules,
            state,
            cells,
            environment,
            draft: Draft::default(),
            new_flags: HashSet::new(),
            new_events: HashSet::new(),
            missing: Vec::new(),
        }
    }

    /// What was gathered, once the books are settled.
    pub(super) fn finish(mut self, header: &Header) -> Result<Draft<'r>, Refusal> {
        if header.home && self.draft.books != BooksChange::default() {
            let Some(cell) = day_cell(CellKind::Books, self.environment, header.received_ms) else {
                return Err(Refusal::Poison(format!("it was received at {} ms, on no day", header.received_ms)));
            };
            let books = self.draft.books;
            self.push(cell, Change::Books(books));
        }
        if self.missing.is_empty() { Ok(self.draft) } else { Err(Refusal::Missing(self.missing)) }
    }

    pub(super) fn books(&mut self, books: BooksChange) {
        self.draft.books = books;
    }

    pub(super) fn payload(&mut self, header: &'r Header, view: &'r PayloadView) -> Result<(), Refusal> {
        if !header.home {
            return Ok(());
        }
        let Some(counted) = header.accepted.checked_sub(view.late()) else {
            let (late, accepted) = (view.late(), header.accepted);
            return Err(Refusal::Poison(format!("it has {late} late elements of {accepted} accepted")));
        };
        let mut rejected = header.rejected;
        rejected.merge(&header.carried);
        self.draft.books = BooksChange {
            accepted: header.accepted,
            counted,
            late: view.late(),
            rejected,
            clamped: view.clamped(),
            without_id: u64::from(header.id.is_none()),
            ..BooksChange::default()
        };
        self.counts(header, view)?;
        self.reasons(view)?;
        self.events(header, view)?;
        self.migrations(view)?;
        self.late_rows(header, view)?;
        self.sdks(header, view)
    }

    fn counts(&mut self, header: &Header, view: &'r PayloadView) -> Result<(), Refusal> {
        let counted_as = self.rules.counted_as(header.gated);
        let told_as_gated = self.tells_gated(header);
        let (application, application_version) = (view.application(), view.application_version());
        let (sdk, sdk_version) = (view.sdk(), view.sdk_version());
        let client_side = view.credential() != Credential::Server;
        let mut bulk = if client_side { self.asked_by_client(view) } else { Vec::new() };
        if self.rules.breakage.is(Break::BulkAsUse) {
            bulk.clear();
        }
        let mut spot: Option<Spot> = None;
        for row in view.counts() {
            let here = self.spot(spot, &row, counted_as.is_some())?;
            spot = Some(here);
            let CountRow { variation, version, count, estimated, value, error, .. } = row;
            let sight = count == 0;
            if !sight || self.rules.breakage.is(Break::SightAsCount) {
                let minute = u32::try_from(row.minute.rem_euclid(MINUTES_AN_HOUR)).unwrap_or(0);
                let usage = UsageChange {
                    variation,
                    version,
                    minute,
                    count,
                    estimated,
                    gated: told_as_gated,
                    application,
                    sdk,
                    sdk_version,
                };
                self.draft.changes.push((here.usage, Change::Usage(usage)));
                if let (Some(slot), Some(fact)) = (here.old_path, counted_as) {
                    let change = OldPathChange { variation, fact, number: count };
                    self.draft.changes.push((slot, Change::OldPath(change)));
                }
            }
            let seen = LastSeenChange {
                variation,
                version,
                value,
                hour: here.hour,
                error,
                bulk: !sight && bulk.binary_search(&row.element).is_ok(),
                client_side,
                application,
                application_version,
                sdk,
                sdk_version,
            };
            self.draft.changes.push((here.last_seen, Change::LastSeen(seen)));
        }
        Ok(())
    }

    /// Notes the flags that a mobile or client-side SDK asks for; answers which summaries are bulk reads of them. It
    /// comes before all else that has names, and takes them in the order of the rows. Sights take no part: a bulk read
    /// is told by a summary.
    fn asked_by_client(&mut self, view: &'r PayloadView) -> Vec<u32> {
        let mut asked = Asked::default();
        let mut last: Option<(&Bytes, bool)> = None;
        for row in view.counts().filter(|row| row.count > 0) {
            let named = match last.filter(|(flag, _)| std::ptr::eq(*flag, row.flag)) {
                Some((_, named)) => named,
                None => self.name(NameKind::Flag, row.flag) != NameRef::Other,
            };
            last = Some((row.flag, named));
            if named {
                asked.add(row.element, row.flag, row.count);
            }
        }
        let known = self.state.seen(self.environment).map(Seen::client_side);
        let held = known.map_or(0, HashSet::len);
        // Names that are new to the state are among those that it does not know as client-side.
        self.draft.names.clear();
        let unknown = asked.unknown(known).map(|name| NameSeen { kind: NameKind::Flag, name, client_side: true });
        self.draft.names.extend(unknown);
        asked.bulk(held.saturating_add(self.draft.names.len()), &self.rules.breakage)
    }

    /// Whether what is counted is told as counted while a gate chose the path.
    fn tells_gated(&self, header: &Header) -> bool {
        header.gated != Gated::No && !self.rules.breakage.is(Break::GatedNotTold)
    }

    fn spot(&mut self, last: Option<Spot>, row: &CountRow<'r>, gated: bool) -> Result<Spot, Refusal> {
        let hour = hour_of(row.minute).ok_or_else(|| no_hour("a count", row.minute))?;
        let same_flag = last.filter(|last| std::ptr::eq(last.flag, row.flag));
        if let Some(last) = same_flag.filter(|last| last.hour == hour) {
            return Ok(last);
        }
        let name = self.name(NameKind::Flag, row.flag);
        let environment = self.environment;
        let usage = self.slot(CellRef { kind: CellKind::Usage, environment, name, window: hour });
        let last_seen = match same_flag {
            Some(last) => last.last_seen,
            None => self.slot(CellRef { kind: CellKind::LastSeen, environment, name, window: 0 }),
        };
        let old_path = CellRef { kind: CellKind::OldPath, environment, name, window: hour };
        let old_path = gated.then(|| self.slot(old_path));
        Ok(Spot { flag: row.flag, hour, usage, last_seen, old_path })
    }

    /// Reasons of full events, which stand in the usage cell of their flag; when it was seen its counters and sights
    /// tell.
    fn reasons(&mut self, view: &'r PayloadView) -> Result<(), Refusal> {
        for row in view.reasons() {
            let hour = hour_of(row.minute).ok_or_else(|| no_hour("a reason", row.minute))?;
            let name = self.name(NameKind::Flag, row.flag);
            let cell = CellRef { kind: CellKind::Usage, environment: self.environment, name, window: hour };
            self.push(cell, Change::Reason(u32::from(row.reason as u8), row.number));
        }
        Ok(())
    }

    fn events(&mut self, header: &Header, view: &'r PayloadView) -> Result<(), Refusal> {
        let counted_as = self.rules.counted_as(header.gated);
        for row in view.conversions().filter(is_custom) {
            let hour = hour_of_ms(row.time_ms).ok_or_else(|| no_hour_at("an event", row.time_ms))?;
            if let Some(value) = row.value.filter(|value| value.unsigned_abs() > MICROS_MAX.unsigned_abs()) {
                return Err(Refusal::Poison(format!("an event has a value of {value} millionths")));
            }
            let name = self.name(NameKind::Event, row.key);
            let cell = CellRef { kind: CellKind::Events, environment: self.environment, name, window: hour };
            let gated = self.tells_gated(header);
            self.push(cell, Change::Event(EventChange { sampling: row.sampling, value: row.value, gated }));
            if let Some(fact) = counted_as {
                let (variation, number) = (StoredVariation::Default, row.sampling.min(COUNT_MAX));
                let cell = CellRef { kind: CellKind::OldPathEvents, ..cell };
                self.push(cell, Change::OldPath(OldPathChange { variation, fact, number }));
            }
        }
        Ok(())
    }

    fn sdks(&mut self, header: &Header, view: &'r PayloadView) -> Result<(), Refusal> {
        let Some(cell) = day_cell(CellKind::Sdks, self.environment, header.received_ms) else {
            return Err(Refusal::Poison(format!("it was received at {} ms, on no day", header.received_ms)));
        };
        let hour = u32::try_from(header.received_ms.div_euclid(HOUR_MS).rem_euclid(24)).unwrap_or(0);
        let instance = instance_bit(self.environment, view.instance());
        let own = SdkChange {
            application: view.application(),
            sdk: view.sdk(),
            sdk_version: view.sdk_version(),
            hour,
            instance,
            diagnostics: 0,
            dropped_events: 0,
        };
        if !(own.application.is_empty() && own.sdk.is_empty()) {
            self.push(cell, Change::Sdk(own));
        }
        for (sdk, sdk_version, dropped_events) in view.diagnostics() {
            // By the name that its payloads have: what a diagnostic calls itself differs, and one SDK would be shown as
            // two.
            let named = !own.sdk.is_empty();
            let change = SdkChange {
                sdk: if named { own.sdk } else { sdk },
                sdk_version: if named { own.sdk_version } else { sdk_version },
                diagnostics: 1,
                dropped_events,
                ..own
            };
            self.push(cell, Change::Sdk(change));
        }
        Ok(())
    }

    pub(super) fn definition(
        &mut self,
        offset: u64,
        definition: &'r wire::Definition,
        log_time_ms: i64,
    ) -> Result<(), Refusal> {
        let poison = |what: String| Err(Refusal::Poison(what));
        let first = self.rules.partition == 0;
        let version = match definition.version {
            0 if first => offset.saturating_add(1),
            version if first || version == 0 => {
                return poison(format!("a definition has version {version} in partition {}", self.rules.partition));
            }
            version => version,
        };
        let Ok(kind) = u8::try_from(definition.kind) else {
            return poison(format!("a definition has kind {}", definition.kind));
        };
        if definition.body.len() > BODY_BYTES_MAX {
            return poison(format!("a definition's body has {} bytes", definition.body.len()));
        }
        let in_force = self.comes_into_force(definition, log_time_ms);
        if first
            && in_force
            && let Some(name) = definition_name(definition)
        {
            let environment = self.environment;
            let cell = CellRef { kind: CellKind::Definition, environment, name: NameRef::Key(&name), window: 0 };
            match self.cells.find(&cell) {
                Some(slot) => {
                    let change = DefinitionChange { version, body: &definition.body };
                    self.draft.changes.push((slot, Change::Definition(change)));
                }
                None => self.missing.push(cell.to_key(self.rules.generation.number, self.rules.partition)),
            }
        }
        let environment = copy_environment(self.environment);
        let key = DefinitionKey { environment, kind, key: Bytes::copy_from_slice(&definition.key) };
        self.draft.definition = Some(DefinitionSeen { key, version, body: &definition.body, in_force });
        Ok(())
    }

    /// The cell name under which a flag or event counts: its own for the first of the generation, else the shared one.
    pub(super) fn name(&mut self, kind: NameKind, name: &'r [u8]) -> NameRef<'r> {
        let seen = self.state.seen(self.environment).map(|seen| seen.of(kind));
        if seen.is_some_and(|seen| seen.contains(name)) {
            return NameRef::Key(name);
        }
        let new = match kind {
            NameKind::Flag => &mut self.new_flags,
            NameKind::Event => &mut self.new_events,
        };
        if new.contains(name) {
            return NameRef::Key(name);
        }
        if seen.map_or(0, HashSet::len) + new.len() >= self.rules.generation.fold.flags_max as usize {
            return NameRef::Other;
        }
        new.insert(name);
        self.draft.names.push(NameSeen { kind, name, client_side: false });
        NameRef::Key(name)
    }

    pub(super) fn push(&mut self, cell: CellRef<'r>, change: Change<'r>) {
        let slot = self.slot(cell);
        self.draft.changes.push((slot, change));
    }

    /// Where a cell is held; one that is not is noted as missing, and then nothing of this is handed out.
    pub(super) fn slot(&mut self, cell: CellRef<'_>) -> u32 {
        self.cells.find(&cell).unwrap_or_else(|| {
            let key = cell.to_key(self.rules.generation.number, self.rules.partition);
            if !self.missing.contains(&key) {
                self.missing.push(key);
            }
            u32::MAX
        })
    }
}

pub(super) fn no_hour(what: &str, minute: i64) -> Refusal {
    Refusal::Poison(format!("{what} lies at minute {minute} since 1970, in no hour"))
}

/// The same of a time in Unix milliseconds.
pub(super) fn no_hour_at(what: &str, time_ms: i64) -> Refusal {
    no_hour(what, time_ms.div_euclid(MINUTE_MS))
}

/// The bit of an SDK's instance, chosen by the hash that also places subjects.
fn instance_bit(environment: &Environment, instance: &[u8]) -> Option<u32> {
    let instance = std::str::from_utf8(instance).ok().filter(|instance| !instance.is_empty())?;
    Some(schemas::partition::subject(environment, "sdk instance", instance, crate::cells::INSTANCE_BITS))
}
