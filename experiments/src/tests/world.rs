//! A store in memory with known cells, a log of known length, and requests without a socket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use bytes::Bytes;
use counting::cells::{BooksChange, Cell, Change, EventChange, LastSeenChange, SdkChange, UsageChange};
use eventlog::EventLog as _;
use eventlog::memory::MemoryLog;
use http_body_util::BodyExt as _;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::partition::home;
use schemas::record::StoredVariation;
use schemas::stored::Owner;
use stores::memory::MemoryStore;
use stores::{CellWrite, Checkpoint, Store as _, StoredCell};
use tower::ServiceExt as _;

use crate::{Access, Arrivals, CaughtUp, DeadLetter, EnvironmentAccess, Serve, hash_key, router};

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;
/// 2026-01-15T12:34:56.789Z, a Thursday.
pub(super) const NOW: i64 = 1_768_480_496_789;
pub(super) const PARTITIONS: u32 = 4;
/// The log's time at the checkpoint.
pub(super) const LOG_TIME: i64 = NOW - 5_000;

/// One evaluation counter.
#[derive(Debug, Clone)]
pub(super) struct Sight<'a> {
    pub(super) flag: &'a str,
    pub(super) served: StoredVariation<'a>,
    pub(super) version: Option<u64>,
    pub(super) value: &'a str,
    pub(super) at_ms: i64,
    pub(super) count: u64,
    pub(super) application: &'a str,
    /// Name and version.
    pub(super) sdk: (&'a str, &'a str),
    /// Sampled by the SDK.
    pub(super) estimated: bool,
    /// Along with all other flags.
    pub(super) bulk: bool,
}

impl<'a> Sight<'a> {
    pub(super) fn of(flag: &'a str, index: u32, value: &'a str, at_ms: i64, count: u64) -> Self {
        let (application, sdk) = ("web", ("NodeJSClient", "9.13.7"));
        Self {
            flag,
            served: StoredVariation::Index(index),
            version: Some(1),
            value,
            at_ms,
            count,
            application,
            sdk,
            estimated: false,
            bulk: false,
        }
    }
}

pub(super) struct World {
    pub(super) store: Arc<MemoryStore>,
    pub(super) log: MemoryLog,
    pub(super) clock: Arc<AtomicI64>,
    pub(super) access: Access,
    pub(super) arrivals: Arrivals,
    pub(super) dead: Vec<DeadLetter>,
    pub(super) owner: Option<Owner>,
    pub(super) caught_up: CaughtUp,
    pub(super) publisher: crate::Publisher,
    pub(super) limits: FoldLimits,
    pub(super) stale: crate::StaleSettings,
    pub(super) other_path: Option<Arc<dyn crate::other_path::OtherPath>>,
    cells: Mutex<BTreeMap<CellKey, Cell>>,
}

pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn development() -> Environment {
    Environment::new("default", "development").unwrap()
}

/// Keys that only a decoded path can name.
pub(super) fn slashed() -> Environment {
    Environment::new("shop/eu", "prod & %2F").unwrap()
}

pub(super) fn path_of(environment: &Environment) -> &'static str {
    if *environment == development() {
        "/v1/projects/default/environments/development"
    } else {
        "/v1/projects/shop%2Feu/environments/prod%20%26%20%252F"
    }
}

impl World {
    /// Two environments, no key, nothing counted.
    pub(super) fn empty() -> Self {
        let environments = [development(), slashed()];
        let open =
            |environment: &Environment| EnvironmentAccess { environment: environment.clone(), read_keys: vec![] };
        Self {
            store: Arc::new(MemoryStore::new()),
            log: MemoryLog::new(PARTITIONS),
            clock: Arc::new(AtomicI64::new(NOW)),
            access: Access { environments: environments.iter().map(open).collect(), admin_keys: vec![] },
            arrivals: Arrivals::default(),
            dead: Vec::new(),
            owner: None,
            caught_up: CaughtUp::default(),
            publisher: crate::Publisher::default(),
            limits: FoldLimits::default(),
            stale: crate::StaleSettings::default(),
            other_path: None,
            cells: Mutex::default(),
        }
    }

    /// As [`World::empty`], with a read key for each environment and an admin key.
    pub(super) fn guarded() -> Self {
        let mut world = Self::empty();
        world.access.environments[0].read_keys = vec![hash_key("read-development")];
        world.access.environments[1].read_keys = vec![hash_key("read-shop"), hash_key("read-both")];
        world.access.environments[0].read_keys.push(hash_key("read-both"));
        world.access.admin_keys = vec![hash_key("admin")];
        world
    }

    fn change(&self, environment: &Environment, kind: CellKind, name: CellName, window: u32, change: &Change<'_>) {
        let partition = home(environment, PARTITIONS);
        let key = CellKey { generation: 1, partition, kind, environment: environment.clone(), name, window };
        let mut cells = self.cells.lock().unwrap();
        cells.entry(key).or_insert_with(|| Cell::empty(kind)).apply(change, &self.limits);
    }

    pub(super) fn see(&self, environment: &Environment, sight: &Sight<'_>) {
        self.see_named(environment, CellName::Key(sight.flag.to_owned().into()), sight);
    }

    pub(super) fn see_named(&self, environment: &Environment, name: CellName, sight: &Sight<'_>) {
        let hour = u32::try_from(sight.at_ms / HOUR).unwrap();
        let usage = Change::Usage(UsageChange {
            variation: sight.served,
            version: sight.version,
            minute: u32::try_from(sight.at_ms % HOUR / MINUTE).unwrap(),
            count: sight.count,
            estimated: sight.estimated,
            gated: false,
            application: sight.application.as_bytes(),
            sdk: sight.sdk.0.as_bytes(),
            sdk_version: sight.sdk.1.as_bytes(),
        });
        self.change(environment, CellKind::Usage, name.clone(), hour, &usage);
        let value = Bytes::copy_from_slice(sight.value.as_bytes());
        let seen = Change::LastSeen(LastSeenChange {
            variation: sight.served,
            version: sight.version,
            value: (!value.is_empty()).then_some(&value),
            hour,
            error: false,
            bulk: sight.bulk,
            client_side: false,
            application: sight.application.as_bytes(),
            application_version: b"1.0",
            sdk: sight.sdk.0.as_bytes(),
            sdk_version: sight.sdk.1.as_bytes(),
        });
        self.change(environment, CellKind::LastSeen, name, 0, &seen);
    }

    /// A sight alone, without a count.
    pub(super) fn sight(&self, environment: &Environment, flag: &str, seen: LastSeenChange<'_>) {
        let name = CellName::Key(flag.to_owned().into());
        self.change(environment, CellKind::LastSeen, name, 0, &Change::LastSeen(seen));
    }

    pub(super) fn reason(&self, environment: &Environment, flag: &str, at_ms: i64, reason: u32, number: u64) {
        let hour = u32::try_from(at_ms / HOUR).unwrap();
        let name = CellName::Key(flag.to_owned().into());
        self.change(environment, CellKind::Usage, name, hour, &Change::Reason(reason, number));
    }

    pub(super) fn event(&self, environment: &Environment, name: CellName, at_ms: i64, value: Option<i64>) {
        let change = Change::Event(EventChange { sampling: 1, value, gated: false });
        self.change(environment, CellKind::Events, name, u32::try_from(at_ms / HOUR).unwrap(), &change);
    }

    pub(super) fn book(&self, environment: &Environment, at_ms: i64, change: BooksChange) {
        let day = u32::try_from(at_ms / DAY).unwrap();
        self.change(environment, CellKind::Books, CellName::None, day, &Change::Books(change));
    }

    pub(super) fn report(&self, environment: &Environment, at_ms: i64, change: SdkChange<'_>) {
        let day = u32::try_from(at_ms / DAY).unwrap();
        self.change(environment, CellKind::Sdks, CellName::None, day, &Change::Sdk(change));
    }

    /// Writes one cell's bytes to the store; its window is the hour.
    pub(super) async fn put(&self, of: &Environment, kind: CellKind, name: CellName, at_ms: i64, value: Vec<u8>) {
        let (partition, window) = (home(of, PARTITIONS), u32::try_from(at_ms / HOUR).unwrap());
        let key = CellKey { generation: 1, partition, kind, environment: of.clone(), name, window };
        self.store.write(vec![CellWrite { key, cell: StoredCell { h: 0, value: value.into() } }]).await.unwrap();
    }

    /// Writes all cells to the store.
    pub(super) async fn flush(&self) {
        let cells = std::mem::take(&mut *self.cells.lock().unwrap());
        let write =
            |(key, cell): (CellKey, Cell)| CellWrite { key, cell: StoredCell { h: 0, value: cell.encode().into() } };
        self.store.write(cells.into_iter().map(write).collect()).await.unwrap();
    }

    /// Appends records to the partition, and moves its checkpoint.
    pub(super) async fn stand(&self, partition: u32, end: u64, position: u64) {
        let record = Append { partition, header: Bytes::from_static(b"h"), body: Bytes::new() };
        let held = self.log.held().await.unwrap()[partition as usize];
        let missing = usize::try_from(end - held.end).unwrap();
        self.log.append(vec![record; missing]).await.unwrap();
        let checkpoint = Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: LOG_TIME };
        self.store.write_checkpoint(1, partition, checkpoint).await.unwrap();
    }

    pub(super) fn router(&self) -> Router {
        router(self.serve())
    }

    pub(super) fn serve(&self) -> Serve {
        let (access, clock, arrivals) = (Arc::new(self.access.clone()), Arc::clone(&self.clock), self.arrivals.clone());
        let (dead, owner) = (self.dead.clone(), self.owner.clone());
        let letters = move |limit: usize, behind: Option<crate::Place>| {
            let mut all = dead.clone();
            all.sort_by_key(|letter| std::cmp::Reverse(letter.place()));
            let total = all.len();
            let page = all.into_iter().filter(|letter| behind.is_none_or(|behind| letter.place() < behind)).take(limit);
            std::future::ready(Ok((page.collect(), total)))
        };
        Serve {
            store: self.store.clone(),
            log: Arc::new(self.log.clone()),
            generation: 1,
            partitions: PARTITIONS,
            access: Arc::new(move || Arc::clone(&access)),
            clock_ms: Arc::new(move || clock.load(Ordering::Relaxed)),
            stale: self.stale.clone(),
            arrivals: Arc::new(move || arrivals.clone()),
            dead_letters: Arc::new(move |limit, behind| Box::pin(letters(limit, behind))),
            caught_up: self.caught_up.clone(),
            other_path: self.other_path.clone(),
            comparisons: crate::Comparisons::default(),
            publisher: self.publisher.clone(),
            owners: Arc::new(move || Box::pin(std::future::ready(Ok(vec![owner.clone(); PARTITIONS as usize])))),
            metrics: Arc::new(|| Box::pin(async { "# EOF\n".to_owned() })),
            ready: Arc::new(|| Ok(())),
            address: "http://127.0.0.1:8080".to_owned(),
            data: "/var/lib/flag stream".to_owned(),
            keys_file: "flagstream-data/keys.toml".to_owned(),
            request_prefix: "test".to_owned(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask(Method::GET, path, headers, "").await
    }

    pub(super) async fn page(&self, path: &str) -> Reply {
        self.page_with(path, &[]).await
    }

    pub(super) async fn page_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.get_with(path, &[&[("accept", "text/html,*/*;q=0.8")], headers].concat()).await
    }

    pub(super) async fn put_json(&self, path: &str, headers: &[(&str, &str)], body: &'static str) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.ask(Method::PUT, path, &headers, body).await
    }

    pub(super) async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &'static str) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let response = self.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Reply { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
    }
}

/// Two environments with something of everything.
pub(super) async fn full() -> World {
    fill(World::empty()).await
}

pub(super) async fn fill(world: World) -> World {
    let (here, there) = (development(), slashed());
    let name = |name: &str| CellName::Key(name.to_owned().into());
    world.see(&here, &Sight::of("checkout", 0, "true", NOW - 70 * MINUTE, 5));
    world.see(&here, &Sight::of("checkout", 0, "true", NOW - 3 * MINUTE, 7));
    world.see(&here, &Sight { version: Some(2), ..Sight::of("checkout", 1, "false", NOW - 3 * MINUTE, 2) });
    world.see(
        &here,
        &Sight {
            sdk: ("PythonClient", "9.6.0"),
            application: "",
            ..Sight::of("checkout", 1, "false", NOW - 26 * HOUR, 11)
        },
    );
    let default = Sight {
        served: StoredVariation::Default,
        version: None,
        ..Sight::of("checkout", 0, "\"fallback\"", NOW - 2 * MINUTE, 1)
    };
    world.see(&here, &default);
    world.see(
        &here,
        &Sight { served: StoredVariation::Name(b"blue"), ..Sight::of("colour", 0, "\"#00f\"", NOW - 4 * MINUTE, 3) },
    );
    world.see(&here, &Sight::of("old", 0, "1", NOW - 40 * DAY, 4));
    world.see_named(&here, CellName::Other, &Sight::of("", 0, "", NOW - MINUTE, 9));
    world.reason(&here, "checkout", NOW - 3 * MINUTE, 2, 4);
    world.reason(&here, "checkout", NOW - 3 * MINUTE, 6, 1);
    world.event(&here, name("purchase"), NOW - HOUR, Some(24_990_000));
    world.event(&here, name("purchase"), NOW - 2 * MINUTE, Some(-1));
    world.event(&here, name("click"), NOW - MINUTE, None);
    world.event(&here, name("long ago"), NOW - 30 * DAY, Some(1_000_000));
    world.event(&here, CellName::Other, NOW - MINUTE, Some(2_500_000));
    let mut rejected = schemas::rejection::Rejections::default();
    rejected.add(schemas::rejection::Rejection::InvalidKey, 3);
    world.book(
        &here,
        NOW,
        BooksChange {
            accepted: 20,
            counted: 12,
            duplicate: 5,
            late: 2,
            poison: 1,
            rejected,
            clamped: 1,
            without_id: 2,
        },
    );
    world.book(&here, NOW - DAY, BooksChange { accepted: 3, counted: 3, ..BooksChange::default() });
    world.book(&there, NOW - DAY, BooksChange { accepted: 1, counted: 1, ..BooksChange::default() });
    let sdk = SdkChange {
        application: b"web",
        sdk: b"NodeJSClient",
        sdk_version: b"9.13.7",
        hour: 12,
        instance: Some(7),
        diagnostics: 1,
        dropped_events: 4,
    };
    world.report(&here, NOW, sdk);
    world.see(&there, &Sight::of("a/b %2F+c", 0, "true", NOW - MINUTE, 6));
    world.flush().await;
    for partition in 0..PARTITIONS {
        world.stand(partition, 10, 10).await;
    }
    world
}
