//! How long the stale report takes, and how often it reads the store: flags with last-seen rows in three environments
//! of an embedded store on disk, asked through the router, beside the bare reads of the same cells from the same store.
//! `cargo run --release -p experiments --example stale_report -- FILE [FLAGS [ROUNDS]]`; FILE is made, and must not be
//! there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use counting::cells::{Cell, Change, LastSeenChange, SdkChange};
use eventlog::memory::MemoryLog;
use experiments::{Access, Arrivals, CaughtUp, EnvironmentAccess, Serve, router};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use schemas::cell::{CellKey, CellKind, CellName, CellRange};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::partition::home;
use schemas::record::StoredVariation;
use stores::embedded::{Embedded, Options};
use stores::{CellWrite, Checkpoint, Page, Store, StoredCell, WriteAnswer};
use tower::ServiceExt;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const PARTITIONS: u32 = 4;
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "eu-west"];
/// As the reader of names takes them.
const PAGE_NAMES: usize = 256;
/// Each flag is asked for by these, on some days, with this variation.
const ASKERS: [(&str, &str, &str, u32); 4] = [
    ("web", "9.1.4", "NodeJSClient", 1),
    ("checkout", "2.0", "NodeJSClient", 1),
    ("ios", "5.0", "JSClient", 0),
    ("jobs", "", "PythonClient", 1),
];

type Failure = Box<dyn std::error::Error>;

/// A store that numbers what is asked of it.
#[derive(Debug)]
struct Counted {
    store: Embedded,
    ranges: AtomicU64,
    others: AtomicU64,
}

impl Counted {
    fn other(&self) -> &Embedded {
        self.others.fetch_add(1, Ordering::Relaxed);
        &self.store
    }

    /// Reads of a range, and other reads, since the last call.
    fn taken(&self) -> (u64, u64) {
        (self.ranges.swap(0, Ordering::Relaxed), self.others.swap(0, Ordering::Relaxed))
    }
}

impl Store for Counted {
    fn load(&self, keys: Vec<CellKey>) -> BoxFuture<'_, Result<Vec<Option<StoredCell>>, stores::Error>> {
        self.other().load(keys)
    }

    fn write(&self, cells: Vec<CellWrite>) -> BoxFuture<'_, Result<Vec<WriteAnswer>, stores::Error>> {
        self.other().write(cells)
    }

    fn range(&self, range: CellRange, limit: usize) -> BoxFuture<'_, Result<Page, stores::Error>> {
        self.ranges.fetch_add(1, Ordering::Relaxed);
        self.store.range(range, limit)
    }

    fn checkpoint(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Option<Checkpoint>, stores::Error>> {
        self.other().checkpoint(generation, partition)
    }

    fn write_checkpoint(
        &self,
        generation: u32,
        partition: u32,
        checkpoint: Checkpoint,
    ) -> BoxFuture<'_, Result<bool, stores::Error>> {
        self.other().write_checkpoint(generation, partition, checkpoint)
    }

    fn generation(&self, number: u32) -> BoxFuture<'_, Result<Option<Bytes>, stores::Error>> {
        self.other().generation(number)
    }

    fn create_generation(&self, number: u32, row: Bytes) -> BoxFuture<'_, Result<Bytes, stores::Error>> {
        self.other().create_generation(number, row)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("name a file that is not there yet; the store is made in it")?;
    let number = |given: Option<String>, usual: usize| given.map_or(Ok(usual), |text| text.parse());
    let (flags, rounds) = (number(arguments.next(), 10_000)?, number(arguments.next(), 15)?);
    if Path::new(&file).exists() {
        return Err(format!("{file} is there already; name another file").into());
    }
    let store = Embedded::open(Path::new(&file), &Options::default())?;
    let (cells, bytes) = fill(&store, flags).await?;
    println!("{cells} last-seen cells, {} bytes each on average; median of {rounds}", bytes / cells.max(1));
    let store = Arc::new(Counted { store, ranges: AtomicU64::new(0), others: AtomicU64::new(0) });
    let router = router(serve(Arc::clone(&store))?);

    let (bare_ms, _) = measured(rounds, || bare(&store, cells)).await?;
    println!(
        "{:<34} {bare_ms:>8.1} ms  {:>4} range reads",
        "bare reads of these cells",
        store.taken().0 / rounds as u64
    );
    let key = "team-3.feature-00010";
    for (what, path) in [
        ("report, first 100", "/v1/projects/shop/stale-flags".to_owned()),
        ("report, first 1,000", "/v1/projects/shop/stale-flags?limit=1000".to_owned()),
        ("report of one environment", "/v1/projects/shop/stale-flags?environment=staging".to_owned()),
        ("report as CSV, first 1,000", "/v1/projects/shop/stale-flags?format=csv&limit=1000".to_owned()),
        ("flag-statuses of an environment", "/api/v2/flag-statuses/shop/production".to_owned()),
        ("flag-status of one flag", format!("/api/v2/flag-status/shop/{key}")),
        ("page", "/stale?project=shop".to_owned()),
        ("page with evidence", format!("/stale?project=shop&flag={key}")),
        ("page of one flag", format!("/flag?project=shop&environment=production&key={key}")),
    ] {
        store.taken();
        let (ms, bytes) = measured(rounds, || ask(&router, &path)).await?;
        let (ranges, others) = store.taken();
        let each = |number: u64| number / rounds as u64;
        println!(
            "{what:<34} {ms:>8.1} ms  {:>4} range reads, {} others, {bytes} bytes, {:.2} × the bare reads",
            each(ranges),
            each(others),
            ms / bare_ms
        );
    }
    Ok(())
}

/// The median time of `rounds` runs, in ms, and what the last one gave; one run before them is not counted in it.
async fn measured<F: Future<Output = Result<usize, Failure>>>(
    rounds: usize,
    mut run: impl FnMut() -> F,
) -> Result<(f64, usize), Failure> {
    let mut times: Vec<Duration> = Vec::new();
    let mut gave = 0;
    for _ in 0..rounds {
        let started = Instant::now();
        gave = run().await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok((times.get(rounds / 2).copied().unwrap_or_default().as_secs_f64() * 1000.0, gave))
}

/// Reads the last-seen cells of all environments and does nothing with them.
async fn bare(store: &Counted, expected: usize) -> Result<usize, Failure> {
    let mut cells = 0;
    for name in ENVIRONMENTS {
        let environment = Environment::new("shop", name)?;
        let partition = home(&environment, PARTITIONS);
        let mut range = CellRange::names(1, partition, CellKind::LastSeen, &environment);
        loop {
            let page = store.range(range.clone(), PAGE_NAMES).await?;
            cells += page.cells.len();
            match page.next {
                Some(next) => range.from = next,
                None => break,
            }
        }
    }
    if cells == expected { Ok(cells) } else { Err(format!("read {cells} cells of {expected}").into()) }
}

/// The bytes of an answer, which must be 200.
async fn ask(router: &Router, path: &str) -> Result<usize, Failure> {
    let request = Request::get(path).header("Host", "127.0.0.1").body(Body::empty())?;
    let answer = router.clone().oneshot(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if status == StatusCode::OK { Ok(body.len()) } else { Err(format!("{path}: {status}: {body:?}").into()) }
}

fn serve(store: Arc<Counted>) -> Result<Serve, Failure> {
    let known =
        |name: &&str| Ok(EnvironmentAccess { environment: Environment::new("shop", name)?, read_keys: Vec::new() });
    let environments = ENVIRONMENTS.iter().map(known).collect::<Result<_, Failure>>()?;
    let access = Arc::new(Access { environments, admin_keys: Vec::new() });
    Ok(Serve {
        store,
        log: Arc::new(MemoryLog::new(PARTITIONS)),
        generation: 1,
        partitions: PARTITIONS,
        access: Arc::new(move || Arc::clone(&access)),
        clock_ms: Arc::new(now_ms),
        stale: experiments::StaleSettings::default(),
        arrivals: Arc::new(Arrivals::default),
        dead_letters: Arc::new(|_, _| Box::pin(std::future::ready(Ok((Vec::new(), 0))))),
        caught_up: CaughtUp::default(),
        other_path: None,
        comparisons: experiments::Comparisons::default(),
        publisher: experiments::Publisher::default(),
        owners: Arc::new(|| Box::pin(std::future::ready(Ok(Vec::new())))),
        metrics: Arc::new(|| Box::pin(async { String::new() })),
        ready: Arc::new(|| Ok(())),
        address: "http://127.0.0.1".to_owned(),
        data: "flagstream-data".to_owned(),
        keys_file: "flagstream-data/keys.toml".to_owned(),
        request_prefix: "measured".to_owned(),
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

/// Number and bytes of the last-seen cells that were written.
async fn fill(store: &Embedded, flags: usize) -> Result<(usize, usize), Failure> {
    let (now_ms, mut count, mut bytes) = (now_ms(), 0, 0);
    for name in ENVIRONMENTS {
        let environment = Environment::new("shop", name)?;
        write(store, heard(&environment, now_ms)).await?;
        let mut cells = BTreeMap::new();
        for number in 0..flags {
            let key = format!("team-{}.feature-{number:05}", number % 7);
            let cell = used(number, now_ms);
            bytes += cell.encode().len();
            cells.insert(cell_key(&environment, CellKind::LastSeen, CellName::Key(key.into()), 0), cell);
        }
        count += cells.len();
        write(store, cells).await?;
    }
    Ok((count, bytes))
}

async fn write(store: &Embedded, cells: BTreeMap<CellKey, Cell>) -> Result<(), Failure> {
    let stored =
        |(key, cell): (CellKey, Cell)| CellWrite { key, cell: StoredCell { h: 0, value: cell.encode().into() } };
    store.write(cells.into_iter().map(stored).collect()).await?;
    Ok(())
}

/// Reports of each hour of 60 days.
fn heard(environment: &Environment, now_ms: i64) -> BTreeMap<CellKey, Cell> {
    let mut cells = BTreeMap::new();
    for hours_ago in 0..60 * 24 {
        let at_ms = now_ms - hours_ago * HOUR_MS;
        let key = cell_key(environment, CellKind::Sdks, CellName::None, at_ms / DAY_MS);
        let cell = cells.entry(key).or_insert_with(|| Cell::empty(CellKind::Sdks));
        for (application, _, sdk, _) in ASKERS {
            let change = SdkChange {
                application: application.as_bytes(),
                sdk: sdk.as_bytes(),
                sdk_version: b"4.3.0",
                hour: u32::try_from(at_ms % DAY_MS / HOUR_MS).unwrap_or(0),
                instance: None,
                diagnostics: 0,
                dropped_events: 0,
            };
            cell.apply(&Change::Sdk(change), &FoldLimits::default());
        }
    }
    cells
}

/// The last-seen cell of a flag: 75 days of use by up to four askers, the last up to 49 days ago.
fn used(number: usize, now_ms: i64) -> Cell {
    let mut cell = Cell::empty(CellKind::LastSeen);
    let values = [Bytes::from_static(b"false"), Bytes::from_static(b"true")];
    let last = i64::try_from(number % 50).unwrap_or(0);
    for days_ago in (last..=last + 75).rev().step_by(3) {
        let hour = u32::try_from((now_ms - days_ago * DAY_MS) / HOUR_MS).unwrap_or(0);
        for (application, application_version, sdk, variation) in &ASKERS[..1 + number % ASKERS.len()] {
            let change = LastSeenChange {
                variation: StoredVariation::Index(*variation),
                version: Some(if days_ago > 60 { 11 } else { 12 }),
                value: Some(&values[usize::from(*variation == 1)]),
                hour,
                error: false,
                bulk: false,
                client_side: *application == "ios",
                application: application.as_bytes(),
                application_version: application_version.as_bytes(),
                sdk: sdk.as_bytes(),
                sdk_version: b"4.3.0",
            };
            cell.apply(&Change::LastSeen(change), &FoldLimits::default());
        }
    }
    cell
}

fn cell_key(environment: &Environment, kind: CellKind, name: CellName, window: i64) -> CellKey {
    let partition = home(environment, PARTITIONS);
    let window = u32::try_from(window).unwrap_or(0);
    CellKey { generation: 1, partition, kind, environment: environment.clone(), name, window }
}
