//! The page and the API over a store in memory with a day of made-up traffic, to look at:
//! `cargo run -p experiments --example page`, then open the address that it prints. `--empty` shows the page before the
//! first event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use counting::cells::{BooksChange, Cell, Change, EventChange, LastSeenChange, SdkChange, UsageChange};
use eventlog::memory::MemoryLog;
use experiments::{Access, Arrivals, CaughtUp, EnvironmentAccess, Serve, UnknownKey, router};
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::partition::home;
use schemas::record::StoredVariation;
use schemas::rejection::{Rejection, Rejections};
use stores::memory::MemoryStore;
use stores::{CellWrite, Store as _, StoredCell};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const PARTITIONS: u32 = 4;
/// Flag, values of its variations, SDK, evaluations a minute.
type ExampleFlag = (&'static str, &'static [&'static str], (&'static str, &'static str), u64);
const FLAGS: [ExampleFlag; 7] = [
    ("checkout.new-flow", &["true", "false"], ("NodeJSClient", "9.13.7"), 420),
    ("search.ranking-model", &["\"baseline\"", "\"bm25-v2\"", "\"neural\""], ("PythonClient", "9.6.0"), 1900),
    ("homepage.banner", &["{\"text\":\"Spring sale\",\"colour\":\"#0a7\"}", "null"], ("JSClient", "4.3.0"), 75),
    ("payments.provider", &["\"adyen\"", "\"stripe\""], ("NodeJSClient", "9.13.7"), 36),
    ("rate-limit.per-minute", &["60", "120", "600"], ("GoClient", "7.10.1"), 8200),
    ("admin.audit-log", &["true", "false"], ("PythonClient", "9.6.0"), 2),
    ("unicode \u{202e}gnirts <b>key</b>", &["true", "false"], ("JSClient", "4.3.0"), 12),
];

type Cells = BTreeMap<CellKey, Cell>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now_ms = now_ms();
    let environment = Environment::new("default", "development")?;
    let store = MemoryStore::new();
    let empty = std::env::args().any(|argument| argument == "--empty");
    if !empty {
        let mut cells = Cells::new();
        traffic(&mut cells, &environment, now_ms);
        store.write(cells.into_iter().map(|(key, cell)| written(key, &cell)).collect()).await?;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("{address}");
    let known = EnvironmentAccess { environment, read_keys: Vec::new() };
    let access = Arc::new(Access { environments: vec![known], admin_keys: Vec::new() });
    let serve = Serve {
        store: Arc::new(store),
        log: Arc::new(MemoryLog::new(PARTITIONS)),
        generation: 1,
        partitions: PARTITIONS,
        access: Arc::new(move || Arc::clone(&access)),
        clock_ms: Arc::new(self::now_ms),
        stale: experiments::StaleSettings::default(),
        arrivals: Arc::new(move || if empty { arrivals(now_ms) } else { Arrivals::default() }),
        dead_letters: Arc::new(|_, _| Box::pin(std::future::ready(Ok((Vec::new(), 0))))),
        caught_up: CaughtUp::default(),
        other_path: None,
        comparisons: experiments::Comparisons::default(),
        publisher: experiments::Publisher::default(),
        owners: Arc::new(|| Box::pin(std::future::ready(Ok(Vec::new())))),
        metrics: Arc::new(|| Box::pin(async { String::new() })),
        ready: Arc::new(|| Ok(())),
        address,
        data: "flagstream-data".to_owned(),
        keys_file: "flagstream-data/keys.toml".to_owned(),
        request_prefix: "page".to_owned(),
    };
    axum::serve(listener, router(serve)).await?;
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

fn written(key: CellKey, cell: &Cell) -> CellWrite {
    CellWrite { key, cell: StoredCell { h: 0, value: cell.encode().into() } }
}

fn apply(cells: &mut Cells, environment: &Environment, name: (CellKind, CellName, i64), change: &Change<'_>) {
    let (kind, name, window) = name;
    let partition = home(environment, PARTITIONS);
    let window = u32::try_from(window).unwrap_or(0);
    let key = CellKey { generation: 1, partition, kind, environment: environment.clone(), name, window };
    cells.entry(key).or_insert_with(|| Cell::empty(kind)).apply(change, &FoldLimits::default());
}

/// A day and a half of it, in waves.
fn traffic(cells: &mut Cells, environment: &Environment, now_ms: i64) {
    for (number, (flag, values, sdk, rate)) in (0_i64..).zip(FLAGS) {
        let name = CellName::Key(Bytes::from_static(flag.as_bytes()));
        for minute in 0..36 * 60 {
            let at_ms = now_ms - minute * MINUTE_MS;
            let wave = (at_ms / MINUTE_MS + number * 97) % 720;
            let swing = u64::try_from(wave.min(720 - wave)).unwrap_or(0);
            for (index, value) in (0_u32..).zip(values) {
                let count = rate * (120 + swing) / 480 / u64::from(index * 2 + 1) + u64::from(index);
                let window = at_ms / HOUR_MS;
                let variation = StoredVariation::Index(index);
                let (application, (sdk, sdk_version)) = (b"web".as_slice(), sdk);
                let (sdk, sdk_version) = (sdk.as_bytes(), sdk_version.as_bytes());
                let usage = UsageChange {
                    variation,
                    version: Some(7),
                    minute: u32::try_from(at_ms % HOUR_MS / MINUTE_MS).unwrap_or(0),
                    count,
                    estimated: false,
                    gated: false,
                    application,
                    sdk,
                    sdk_version,
                };
                apply(cells, environment, (CellKind::Usage, name.clone(), window), &Change::Usage(usage));
                let value = Bytes::from_static(value.as_bytes());
                let seen = LastSeenChange {
                    variation,
                    version: Some(7),
                    value: Some(&value),
                    hour: u32::try_from(window).unwrap_or(0),
                    error: false,
                    bulk: false,
                    client_side: sdk.starts_with(b"JS"),
                    application,
                    application_version: b"2026.1",
                    sdk,
                    sdk_version,
                };
                apply(cells, environment, (CellKind::LastSeen, name.clone(), 0), &Change::LastSeen(seen));
            }
        }
    }
    let mut rejected = Rejections::default();
    rejected.add(Rejection::InvalidKey, 3);
    let books =
        BooksChange { accepted: 48_211, counted: 48_102, duplicate: 97, late: 12, rejected, ..Default::default() };
    apply(cells, environment, (CellKind::Books, CellName::None, now_ms / DAY_MS), &Change::Books(books));
    for (sdk, version, instance) in
        [("NodeJSClient", "9.13.7", 3), ("PythonClient", "9.6.0", 90), ("JSClient", "4.3.0", 200)]
    {
        let (sdk, sdk_version) = (sdk.as_bytes(), version.as_bytes());
        for hour in 0..12 {
            let instance = Some(instance + hour);
            let report =
                SdkChange { application: b"web", sdk, sdk_version, hour, instance, diagnostics: 1, dropped_events: 0 };
            apply(cells, environment, (CellKind::Sdks, CellName::None, now_ms / DAY_MS), &Change::Sdk(report));
        }
    }
    for number in 0..40 {
        let event = EventChange { sampling: 1, value: Some(number * 1_990_000), gated: false };
        let name = CellName::Key(Bytes::from_static(b"purchase"));
        apply(cells, environment, (CellKind::Events, name, now_ms / HOUR_MS), &Change::Event(event));
    }
}

fn arrivals(now_ms: i64) -> Arrivals {
    let last_ms = now_ms - 20_000;
    let key = UnknownKey {
        kind: "server",
        last_four: "c0de".to_owned(),
        times: 3,
        last_ms,
        sdk: "NodeJSClient/9.13.7".to_owned(),
    };
    Arrivals { unknown_keys: vec![key], wrong_paths: vec![("/events/v1".to_owned(), 2)], ..Arrivals::default() }
}
