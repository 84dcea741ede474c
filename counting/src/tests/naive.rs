//! The naive fold: the rules said once more, as plainly as can be, with lists that are searched from the beginning.
//!
//! A cell is a list of facts (a text and a number), and beside it the names that have a place in its budget of texts.
//! It shares no code with the fold but the reading of records.

mod old_path;
mod stand_in;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use schemas::cell::{CellKey, CellKind, CellName};
use schemas::event::Credential;
use schemas::generation::Generation;
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::old_path::{Gated, decode_outcomes};
use schemas::record::{self, Header, PayloadView, RecordId, RecordKind, StoredVariation};
use schemas::rejection::Rejections;

use crate::cells::Cell;

/// What a cell says.
pub(crate) type Facts = BTreeMap<String, i128>;

/// What cells say after a prefix of the log.
pub(crate) type Counts = BTreeMap<CellKey, Rc<Facts>>;

pub(crate) struct Naive {
    generation: Generation,
    panics_at: Vec<u64>,
    pub(crate) counts: Counts,
    /// The names that rows of a cell speak of.
    texts: BTreeMap<CellKey, BTreeSet<Vec<u8>>>,
    ids: Vec<(u64, RecordId)>,
    names: BTreeMap<(Environment, bool), Vec<Vec<u8>>>,
    /// Flags that are no server's alone.
    client_side: BTreeSet<(Environment, Vec<u8>)>,
    /// Summaries of mobile and client-side SDKs: bulk reads, and others where enough flags are known.
    pub(crate) reads: (u64, u64),
    stand_ins: stand_in::StandIns,
    pub(crate) log_time_ms: i64,
    /// Offsets of records that cannot be folded.
    pub(crate) poisoned: BTreeSet<u64>,
}

impl Naive {
    pub(crate) fn new(generation: &Generation, panics_at: &[u64]) -> Self {
        Self {
            generation: generation.clone(),
            panics_at: panics_at.to_vec(),
            counts: Counts::new(),
            texts: BTreeMap::new(),
            ids: Vec::new(),
            names: BTreeMap::new(),
            client_side: BTreeSet::new(),
            reads: (0, 0),
            stand_ins: stand_in::StandIns::default(),
            log_time_ms: 0,
            poisoned: BTreeSet::new(),
        }
    }

    /// After the whole log.
    pub(crate) fn folded(mut self, log: &[Logged]) -> Self {
        log.iter().for_each(|logged| self.record(logged));
        self
    }

    /// Cells after each prefix: entry n is after n records.
    pub(crate) fn prefixes(&mut self, log: &[Logged]) -> Vec<Counts> {
        let mut all = vec![self.counts.clone()];
        for logged in log {
            self.record(logged);
            all.push(self.counts.clone());
        }
        all
    }

    fn record(&mut self, logged: &Logged) {
        let offset = logged.offset;
        let Some(header) = Header::salvage(&logged.header) else {
            self.poisoned.insert(offset);
            return;
        };
        self.log_time_ms = self.log_time_ms.max(logged.append_ms.min(header.received_ms + 300_000));
        let id = header.record_id();
        let near = |(at, known): &(u64, RecordId)| Some(*known) == id && offset - at <= self.generation.dedupe_records;
        let duplicate = self.ids.iter().any(near);
        self.ids.extend(id.map(|id| (offset, id)));
        let known = Header::decode(&logged.header).map(|header| header.kind);
        let payload = record::decode_payload(logged, header.received_ms);
        if duplicate {
            self.books(&header, "duplicate", header.accepted, &header.carried);
            if let (Ok(RecordKind::Payload), Ok(view)) = (&known, &payload) {
                self.gated_again(&header, view);
            }
            return;
        }
        let mut rejected = header.rejected;
        rejected.merge(&header.carried);
        match (known, payload) {
            _ if self.panics_at.contains(&offset) => self.poison(offset, &header, &rejected),
            (Ok(RecordKind::Payload), Ok(view)) => {
                self.books(&header, "counted", header.accepted - view.late(), &rejected);
                self.payload(&header, &view);
                self.stand_ins(&header, &view);
            }
            (Ok(RecordKind::Outcome), _) => match decode_outcomes(&logged.body, header.received_ms) {
                Ok(view) => self.outcomes(&header, &view),
                Err(_) => self.poison(offset, &header, &rejected),
            },
            (Ok(RecordKind::Numbers), _) => self.books(&header, "counted", header.accepted, &rejected),
            (Ok(RecordKind::Definition), _) => self.definition(logged, &header),
            (Ok(RecordKind::Generation), _) => {}
            _ => self.poison(offset, &header, &rejected),
        }
    }

    fn facts(&mut self, kind: CellKind, environment: &Environment, name: CellName, window: i64) -> &mut Facts {
        self.table(kind, environment, name, window).facts
    }

    fn table(&mut self, kind: CellKind, environment: &Environment, name: CellName, window: i64) -> Table<'_> {
        let window = u32::try_from(window).unwrap();
        let key = CellKey { generation: 1, partition: 0, kind, environment: environment.clone(), name, window };
        let texts = self.texts.entry(key.clone()).or_default();
        let budget = self.generation.fold.texts_bytes_max as usize;
        Table { facts: Rc::make_mut(self.counts.entry(key).or_default()), texts, budget }
    }

    fn books(&mut self, header: &Header, what: &str, number: u64, rejected: &Rejections) {
        if !header.home || (header.accepted == 0 && rejected.is_empty()) {
            return;
        }
        let day = header.received_ms.div_euclid(86_400_000);
        let facts = self.facts(CellKind::Books, &header.environment, CellName::None, day);
        add(facts, "accepted".into(), header.accepted);
        add(facts, what.into(), number);
        rejected.iter().for_each(|(reason, number)| add(facts, format!("rejected {}", reason.code()), number));
    }

    fn poison(&mut self, offset: u64, header: &Header, rejected: &Rejections) {
        self.poisoned.insert(offset);
        self.books(header, "poison", header.accepted, rejected);
    }

    fn payload(&mut self, header: &Header, view: &PayloadView) {
        let environment = &header.environment;
        let day = header.received_ms.div_euclid(86_400_000);
        let facts = self.facts(CellKind::Books, environment, CellName::None, day);
        for (what, number) in
            [("late", view.late()), ("clamped", view.clamped()), ("without id", u64::from(header.id.is_none()))]
        {
            add(facts, what.into(), number);
        }
        if facts.values().all(|number| *number == 0) {
            // An experiment's day stays, though everything that was said of it may be taken back.
            self.counts.retain(|key, facts| key.kind == CellKind::StandIn || !facts.is_empty());
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (application, version) = (text(view.application()), text(view.application_version()));
        let sdk = format!("{:?}", (text(view.sdk()), text(view.sdk_version())));
        let limits = self.generation.fold;
        let bulk = self.bulk(environment, view);
        for row in view.counts() {
            let name = self.name(environment, true, row.flag);
            let what = format!("{:?}", row.variation);
            let (variation, told) = (variation_name(row.variation), view.sdk_version());
            let counted = row.count > 0;
            let bulk = counted && bulk.contains(&row.element);
            if counted {
                let mut usage = self.table(CellKind::Usage, environment, name.clone(), row.minute.div_euclid(60));
                let pair =
                    usage.first("pair", format!("{what} v{:?}", row.version), &[variation], limits.usage_pairs_max);
                let names = [variation, view.application(), view.sdk(), told];
                let asked = format!("{what} by {application} with {sdk}");
                let asked = usage.first("row", asked, &names, limits.usage_rows_max);
                let usage = usage.facts;
                add(usage, format!("{pair} minute {}", row.minute.rem_euclid(60)), row.count);
                if row.estimated {
                    usage.insert(format!("{pair} estimated"), 1);
                }
                add(usage, asked, row.count);
                if header.gated != Gated::No {
                    add(usage, format!("{pair} gated"), row.count);
                }
            }
            let hour = i128::from(row.minute.div_euclid(60));
            let mut seen = self.table(CellKind::LastSeen, environment, name, 0);
            let who = format!("{what} by {application} {version} with {sdk} error {} bulk {bulk}", row.error);
            let names = [variation, view.application(), view.application_version(), view.sdk(), told];
            let mut who = seen.first("row", who, &names, limits.last_seen_rows_max);
            if bulk && who == "the other row" {
                who += " of bulk reads";
            }
            let seen = seen.facts;
            let first = seen.entry(format!("{who} first")).or_insert(hour);
            *first = hour.min(*first);
            let last = seen.entry(format!("{who} last")).or_insert(hour);
            *last = hour.max(*last);
            if !bulk {
                seen.insert(format!("day {}", hour / 24), 1);
            }
            if let Some(version) = row.version {
                let since = seen.entry(format!("version {version}")).or_insert(hour);
                *since = hour.min(*since);
            }
            if view.credential() != Credential::Server {
                seen.insert("client side".into(), 1);
            }
        }
        for row in view.reasons() {
            let name = self.name(environment, true, row.flag);
            let usage = self.facts(CellKind::Usage, environment, name, row.minute.div_euclid(60));
            add(usage, format!("reason {}", row.reason.name()), row.number);
        }
        for row in view.conversions().filter(|row| row.kind == 1) {
            let name = self.name(environment, false, row.key);
            let events = self.facts(CellKind::Events, environment, name, row.time_ms.div_euclid(3_600_000));
            add(events, "count".into(), row.sampling);
            if header.gated != Gated::No {
                add(events, "gated".into(), row.sampling);
            }
            if let Some(value) = row.value {
                add(events, "with a value".into(), row.sampling);
                *events.entry("sum".into()).or_default() += i128::from(value) * i128::from(row.sampling);
            }
        }
        self.migrations(header, view);
        self.gated(header, view);
        let hour = header.received_ms.div_euclid(3_600_000).rem_euclid(24);
        let mut reports = Vec::new();
        if !(application.is_empty() && view.sdk().is_empty()) {
            reports.push((text(view.sdk()), text(view.sdk_version()), None));
        }
        for (name, version, dropped) in view.diagnostics() {
            let shown = if view.sdk().is_empty() { (name, version) } else { (view.sdk(), view.sdk_version()) };
            reports.push((text(shown.0), text(shown.1), Some(dropped)));
        }
        for (sdk, version, dropped) in reports {
            let mut sdks = self.table(CellKind::Sdks, environment, CellName::None, day);
            let names = [&application, &sdk, &version].map(|name| name.as_bytes());
            let row = sdks.first("row", format!("{sdk} {version} in {application}"), &names, limits.sdk_rows_max);
            let sdks = sdks.facts;
            sdks.insert(format!("{row} hour {hour}"), 1);
            if let Some(dropped) = dropped {
                add(sdks, format!("{row} diagnostics"), 1);
                add(sdks, format!("{row} dropped"), dropped);
            }
        }
    }

    /// The summaries in which somebody's SDK hands out all flags: four in five of those that such SDKs are known to ask
    /// for, none more than twice as often as another. Flags without a cell of their own do not matter, nor does
    /// anything where fewer than five flags are known.
    fn bulk(&mut self, environment: &Environment, view: &PayloadView) -> BTreeSet<u32> {
        if view.credential() == Credential::Server {
            return BTreeSet::new();
        }
        let mut summaries: BTreeMap<u32, BTreeMap<Vec<u8>, i128>> = BTreeMap::new();
        for row in view.counts().filter(|row| row.count > 0) {
            if let CellName::Key(flag) = self.name(environment, true, row.flag) {
                *summaries.entry(row.element).or_default().entry(flag.to_vec()).or_default() += i128::from(row.count);
                self.client_side.insert((environment.clone(), flag.to_vec()));
            }
        }
        let known = self.client_side.iter().filter(|(of, _)| of == environment).count();
        let mut all = BTreeSet::new();
        for (element, read) in summaries {
            let missed = known - read.len();
            let one_is_rare = read.values().any(|least| read.values().any(|count| *count > least + least));
            let bulk = known >= 5 && missed * 5 <= known && !one_is_rare;
            if known >= 5 {
                let reads = if bulk { &mut self.reads.0 } else { &mut self.reads.1 };
                *reads += 1;
            }
            all.extend(bulk.then_some(element));
        }
        all
    }

    fn stand_ins(&mut self, header: &Header, view: &PayloadView) {
        let lateness = i64::try_from(self.generation.clock.lateness_ms).unwrap();
        let changed = self.stand_ins.payload(&header.environment, view, self.log_time_ms, lateness);
        for ((experiment, day), mut numbers) in changed {
            numbers.retain(|_, number| *number != 0);
            if numbers.is_empty() {
                continue;
            }
            let facts = self.facts(CellKind::StandIn, &header.environment, CellName::Key(experiment.into()), day);
            for (what, number) in numbers {
                *facts.entry(what).or_default() += number;
            }
            facts.retain(|_, number| *number != 0);
        }
    }

    fn definition(&mut self, logged: &Logged, header: &Header) {
        let definition = record::decode_definition(&logged.body).unwrap();
        if definition.version != 0 {
            self.poisoned.insert(logged.offset);
            return;
        }
        self.stand_ins.define(&header.environment, &definition, logged.offset + 1);
        let name = [&[definition.kind as u8], definition.key.as_ref()].concat().into();
        let facts = self.facts(CellKind::Definition, &header.environment, CellName::Key(name), 0);
        facts.clear();
        let body = String::from_utf8(definition.body.to_vec()).unwrap();
        facts.insert(body, i128::from(logged.offset) + 1);
    }

    fn name(&mut self, environment: &Environment, flag: bool, name: &bytes::Bytes) -> CellName {
        let names = self.names.entry((environment.clone(), flag)).or_default();
        if !names.contains(&name.to_vec()) {
            if names.len() == self.generation.fold.flags_max as usize {
                return CellName::Other;
            }
            names.push(name.to_vec());
        }
        CellName::Key(name.clone())
    }
}

/// A cell, with the names that it has paid for.
struct Table<'a> {
    facts: &'a mut Facts,
    texts: &'a mut BTreeSet<Vec<u8>>,
    budget: usize,
}

impl Table<'_> {
    /// The row's own label for the first of them whose names fit the budget, the shared one for the rest.
    fn first(&mut self, table: &str, label: String, names: &[&[u8]], most: u32) -> String {
        let label = format!("{table} {label}");
        let marker = format!("has {label}");
        if !self.facts.contains_key(&marker) {
            let of_table = format!("has {table} ");
            let rows = self.facts.range(of_table.clone()..).take_while(|(key, _)| key.starts_with(&of_table)).count();
            if rows == most as usize || !self.pays(names) {
                return format!("the other {table}");
            }
            self.facts.insert(marker, 1);
        }
        label
    }

    /// Takes in the names that are new, all or none: each costs its length and 4 bytes, the empty one nothing.
    fn pays(&mut self, names: &[&[u8]]) -> bool {
        let mut texts = self.texts.clone();
        texts.extend(names.iter().filter(|name| !name.is_empty()).map(|name| name.to_vec()));
        let fits = texts.iter().map(|text| text.len() + 4).sum::<usize>() <= self.budget;
        if fits || texts == *self.texts {
            *self.texts = texts;
            return true;
        }
        false
    }
}

fn variation_name(variation: StoredVariation<'_>) -> &[u8] {
    match variation {
        StoredVariation::Name(name) => name,
        _ => b"",
    }
}

fn add(facts: &mut Facts, label: String, number: u64) {
    if number > 0 {
        *facts.entry(label).or_default() += i128::from(number);
    }
}

/// What a cell says, through what readers are given. The values of variations and the bits of instances are left out.
pub(crate) fn told(cell: &Cell) -> Facts {
    let mut facts = Facts::new();
    match cell {
        Cell::Usage(usage) => tell_usage(&mut facts, usage),
        Cell::LastSeen(seen) => tell_last_seen(&mut facts, seen),
        Cell::Events(events) => {
            add(&mut facts, "count".into(), events.count());
            add(&mut facts, "with a value".into(), events.metric_count());
            add(&mut facts, "gated".into(), events.gated());
            if events.metric_count() > 0 {
                facts.insert("sum".into(), events.metric_sum());
            }
        }
        Cell::Books(books) => {
            let n = books.numbers();
            assert!(books.balanced(), "books do not balance: {n:?}");
            let numbers = [
                ("accepted", n.accepted),
                ("counted", n.counted),
                ("duplicate", n.duplicate),
                ("late", n.late),
                ("poison", n.poison),
                ("clamped", n.clamped),
                ("without id", n.without_id),
            ];
            numbers.into_iter().for_each(|(what, number)| add(&mut facts, what.into(), number));
            n.rejected.iter().for_each(|(reason, n)| add(&mut facts, format!("rejected {}", reason.code()), n));
        }
        Cell::Sdks(sdks) => {
            for row in sdks.rows() {
                let label = format!("{} {} in {}", text(row.sdk), text(row.sdk_version), text(row.application));
                let label = named(&mut facts, "row", label, row.other);
                for hour in (0..24).filter(|hour| row.hours >> hour & 1 == 1) {
                    facts.insert(format!("{label} hour {hour}"), 1);
                }
                add(&mut facts, format!("{label} diagnostics"), row.diagnostics);
                add(&mut facts, format!("{label} dropped"), row.dropped_events);
            }
        }
        Cell::OldPath(cell) | Cell::OldPathEvents(cell) => old_path::tell_old_path(&mut facts, cell),
        Cell::Migration(cell) => old_path::tell_migration(&mut facts, cell),
        Cell::Experiment(cell) => {
            facts.insert(format!("{:?}", cell.numbers()), 1);
        }
        Cell::Definition(definition) => {
            facts.insert(text(definition.body()), i128::from(definition.version()));
        }
        Cell::StandIn(stand_in) => {
            let mut tell = |what: String, number| {
                if number != 0 {
                    facts.insert(what, number);
                }
            };
            tell("late".into(), stand_in.late());
            tell("multiple".into(), stand_in.multiple());
            for (variation, n, sum, square) in stand_in.rows() {
                tell(format!("n of {variation}"), n);
                tell(format!("sum of {variation}"), sum);
                tell(format!("square of {variation}"), square);
            }
        }
    }
    facts
}

fn tell_usage(facts: &mut Facts, usage: &crate::cells::Usage) {
    for count in usage.counts() {
        let label = named(facts, "pair", format!("{:?} v{:?}", count.variation, count.version), count.other);
        add(facts, format!("{label} minute {}", count.minute), count.count);
        if count.estimated {
            facts.insert(format!("{label} estimated"), 1);
        }
    }
    for pair in usage.pairs() {
        let label = named(facts, "pair", format!("{:?} v{:?}", pair.variation, pair.version), pair.other);
        add(facts, format!("{label} gated"), pair.gated);
    }
    for row in usage.rows() {
        let sdk = (text(row.sdk), text(row.sdk_version));
        let label = format!("{:?} by {} with {sdk:?}", row.variation, text(row.application));
        let label = named(facts, "row", label, row.other);
        add(facts, label, row.count);
    }
    usage.reasons().for_each(|(reason, number)| add(facts, format!("reason {}", reason.name()), number));
}

fn tell_last_seen(facts: &mut Facts, seen: &crate::cells::LastSeen) {
    for row in seen.rows() {
        let [application, version] = [row.application, row.application_version].map(text);
        let sdk = (text(row.sdk), text(row.sdk_version));
        let (variation, error, bulk) = (row.variation, row.error, row.bulk);
        let label = format!("{variation:?} by {application} {version} with {sdk:?} error {error} bulk {bulk}");
        let mut label = named(facts, "row", label, row.other);
        if row.other && row.bulk {
            label += " of bulk reads";
        }
        facts.insert(format!("{label} first"), row.first.into());
        facts.insert(format!("{label} last"), row.last.into());
    }
    facts.extend(seen.days().map(|day| (format!("day {day}"), 1)));
    facts.extend(seen.versions().map(|(version, since)| (format!("version {version}"), since.into())));
    if seen.client_side() {
        facts.insert("client side".into(), 1);
    }
}

fn named(facts: &mut Facts, table: &str, label: String, other: bool) -> String {
    if other {
        return format!("the other {table}");
    }
    let label = format!("{table} {label}");
    facts.insert(format!("has {label}"), 1);
    label
}

/// Cells may be made of any bytes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
