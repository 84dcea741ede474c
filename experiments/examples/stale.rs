//! The page of stale flags over a store in memory with a made-up fleet, to look at: `cargo run -p experiments --example
//! stale -- [FLAGS [--blind]]`, then open the address that it prints. The first flags are one of each kind, hostile
//! keys among them; further ones are plain and have no counts. `--blind`: too little was heard from one environment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use counting::cells::{Cell, Change, DefinitionChange, LastSeenChange, SdkChange, UsageChange};
use eventlog::memory::MemoryLog;
use experiments::{Access, Arrivals, CaughtUp, EnvironmentAccess, Serve, router};
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::generation::FoldLimits;
use schemas::id::Environment;
use schemas::partition::home;
use schemas::record::StoredVariation;
use stores::memory::MemoryStore;
use stores::{CellWrite, Store as _, StoredCell};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const PARTITIONS: u32 = 4;
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "eu-west"];

type Cells = BTreeMap<CellKey, Cell>;

/// How a flag was used: from and to, in days ago, and every how many days.
struct Use {
    environment: &'static str,
    variation: u32,
    days: (i64, i64),
    every: usize,
    application: (&'static str, &'static str),
    sdk: (&'static str, &'static str),
    error: bool,
    bulk: bool,
}

const WEB: Use = Use {
    environment: "production",
    variation: 1,
    days: (80, 0),
    every: 1,
    application: ("web", "9.1.4"),
    sdk: ("NodeJSClient", "9.13.7"),
    error: false,
    bulk: false,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let now_ms = now_ms();
    let blind = std::env::args().any(|argument| argument == "--blind");
    let plain = std::env::args().nth(1).map_or(Ok(40), |number| number.parse::<usize>())?;
    let store = MemoryStore::new();
    let mut cells = Cells::new();
    for environment in ENVIRONMENTS {
        heard(&mut cells, environment, now_ms, if blind { 9 } else { 6 });
    }
    for (key, version_days, uses) in kinds() {
        for one in &uses {
            used(&mut cells, key, one, version_days, now_ms, true);
        }
    }
    for number in 0..plain {
        let key = format!("team-{}.feature-{number:05}", number % 7);
        let last = i64::try_from(number % 50).unwrap_or(0);
        for environment in ENVIRONMENTS {
            let one = Use {
                environment,
                variation: u32::try_from(number % 2).unwrap_or(0),
                days: (75, last),
                every: 9,
                ..WEB
            };
            used(&mut cells, &key, &one, 70, now_ms, false);
        }
    }
    for (key, body) in said(now_ms) {
        let environment = Environment { project: Bytes::from_static(b"shop"), key: Bytes::new() };
        let name = CellName::Key([&[1], key.as_bytes()].concat().into());
        let body = Bytes::from(body);
        let change = Change::Definition(DefinitionChange { version: 1, body: &body });
        let key = CellKey { generation: 1, partition: 0, kind: CellKind::Definition, environment, name, window: 0 };
        cells.entry(key).or_insert_with(|| Cell::empty(CellKind::Definition)).apply(&change, &FoldLimits::default());
    }
    let writes =
        cells.into_iter().map(|(key, cell)| CellWrite { key, cell: StoredCell { h: 0, value: cell.encode().into() } });
    store.write(writes.collect()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    println!("{address}/stale");
    let known =
        |name: &&str| Ok(EnvironmentAccess { environment: Environment::new("shop", name)?, read_keys: Vec::new() });
    let environments = ENVIRONMENTS.iter().map(known).collect::<Result<_, Box<dyn std::error::Error>>>()?;
    let access = Arc::new(Access { environments, admin_keys: Vec::new() });
    let serve = Serve {
        store: Arc::new(store),
        log: Arc::new(MemoryLog::new(PARTITIONS)),
        generation: 1,
        partitions: PARTITIONS,
        access: Arc::new(move || Arc::clone(&access)),
        clock_ms: Arc::new(self::now_ms),
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
        address,
        data: "flagstream-data".to_owned(),
        keys_file: "flagstream-data/keys.toml".to_owned(),
        request_prefix: "stale".to_owned(),
    };
    axum::serve(listener, router(serve)).await?;
    Ok(())
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(0)
}

/// Key, age of its version in days, uses.
fn kinds() -> Vec<(&'static str, i64, Vec<Use>)> {
    let staging = || Use { environment: "staging", ..WEB };
    vec![
        ("checkout.new-flow", 70, vec![WEB, staging(), Use { environment: "eu-west", ..WEB }]),
        ("search.ranking-model", 9, vec![Use { days: (80, 0), variation: 0, ..WEB }, WEB, staging()]),
        ("homepage.spring-banner", 75, vec![Use { days: (80, 44), ..WEB }, Use { days: (80, 52), ..staging() }]),
        ("billing.invoice-run", 78, vec![Use { every: 7, days: (70, 0), ..WEB }]),
        (
            "mobile.legacy-login",
            78,
            vec![
                Use { application: ("ios", "4.2"), sdk: ("JSClient", "4.3.0"), ..WEB },
                Use { application: ("ios", "5.0"), sdk: ("JSClient", "4.3.0"), days: (40, 35), variation: 0, ..WEB },
            ],
        ),
        ("nav.mega-menu", 78, vec![Use { bulk: true, sdk: ("JSClient", "4.3.0"), ..WEB }]),
        ("payments.provider", 60, vec![Use { variation: 0, ..WEB }, Use { variation: 2, ..staging() }]),
        ("import.fails", 60, vec![Use { error: true, ..WEB }]),
        ("ops.kill-switch-mail", 78, vec![Use { variation: 0, ..WEB }]),
        ("onboarding.tour", 78, vec![WEB]),
        ("young.flag", 4, vec![Use { days: (4, 0), ..WEB }]),
        ("<script>alert(1)</script>", 60, vec![WEB]),
        ("\"><img src=x onerror=alert(1)>", 60, vec![Use { days: (80, 50), ..WEB }]),
        ("safe\u{202e}gnp.exe\u{200b}", 60, vec![WEB]),
        ("line\nbreak\r\tkey", 60, vec![WEB]),
        ("=cmd()|'/c calc'!A0", 60, vec![WEB]),
        (LONG, 60, vec![WEB, staging()]),
    ]
}

const LONG: &str = "a.very.long.flag.key.that.somebody.generated.from.the.title.of.a.ticket.and.never.shortened.because.nobody.\
                    thought.that.anybody.would.read.it.on.a.page.that.is.narrow.such.as.the.one.of.a.telephone.held.upright";

fn said(now_ms: i64) -> Vec<(&'static str, String)> {
    let days_ago = |days: i64| now_ms - days * DAY_MS;
    vec![
        (
            "checkout.new-flow",
            format!(
                r#"{{"createdAt":{},"temporary":true,"type":"release","codeReferences":4,"owner":"team checkout"}}"#,
                days_ago(82)
            ),
        ),
        (
            "homepage.spring-banner",
            format!(r#"{{"createdAt":{},"codeReferences":0,"owner":"team web"}}"#, days_ago(82)),
        ),
        ("ops.kill-switch-mail", r#"{"temporary":false,"type":"kill-switch"}"#.to_owned()),
        ("onboarding.tour", format!(r#"{{"snoozedUntil":{}}}"#, days_ago(-20))),
        ("never.evaluated", format!(r#"{{"createdAt":{},"type":"release","codeReferences":0}}"#, days_ago(90))),
        (
            "search.ranking-model",
            r#"{"prerequisites":["checkout.address-form","payments.provider"],"runningExperiment":true}"#.to_owned(),
        ),
    ]
}

/// Reports of each hour; staging was blind from so many days ago on, for some days.
fn heard(cells: &mut Cells, environment: &str, now_ms: i64, blind: i64) {
    for hours_ago in 1..70 * 24 {
        let at_ms = now_ms - hours_ago * HOUR_MS;
        if environment == "staging" && (5..blind).contains(&(hours_ago / 24))
            || environment == "production" && hours_ago == 40
        {
            continue;
        }
        let hour = u32::try_from(at_ms % DAY_MS / HOUR_MS).unwrap_or(0);
        let report = SdkChange {
            application: b"web",
            sdk: b"NodeJSClient",
            sdk_version: b"9.13.7",
            hour,
            instance: None,
            diagnostics: 0,
            dropped_events: 0,
        };
        apply(cells, environment, (CellKind::Sdks, CellName::None, at_ms / DAY_MS), &Change::Sdk(report));
    }
}

fn used(cells: &mut Cells, flag: &str, of: &Use, version_days: i64, now_ms: i64, counted: bool) {
    let name = CellName::Key(flag.to_owned().into());
    let value = Bytes::from_static([&b"false"[..], b"true", b"{\"provider\":\"other\"}"][of.variation as usize % 3]);
    for days_ago in (of.days.1..=of.days.0).rev().step_by(of.every) {
        let at_ms = now_ms - days_ago * DAY_MS;
        let window = at_ms / HOUR_MS;
        let version = Some(if days_ago > version_days { 11 } else { 12 });
        let seen = LastSeenChange {
            variation: StoredVariation::Index(of.variation),
            version,
            value: Some(&value),
            hour: u32::try_from(window).unwrap_or(0),
            error: of.error,
            bulk: of.bulk,
            client_side: false,
            application: of.application.0.as_bytes(),
            application_version: of.application.1.as_bytes(),
            sdk: of.sdk.0.as_bytes(),
            sdk_version: of.sdk.1.as_bytes(),
        };
        apply(cells, of.environment, (CellKind::LastSeen, name.clone(), 0), &Change::LastSeen(seen));
        let usage = UsageChange {
            variation: StoredVariation::Index(of.variation),
            version,
            minute: 7,
            count: 400 + u64::try_from(window % 211).unwrap_or(0) * u64::from(of.variation + 1),
            estimated: false,
            gated: false,
            application: of.application.0.as_bytes(),
            sdk: of.sdk.0.as_bytes(),
            sdk_version: of.sdk.1.as_bytes(),
        };
        for back in 0..if counted { 12 } else { 0 } {
            apply(
                cells,
                of.environment,
                (CellKind::Usage, name.clone(), window - back),
                &Change::Usage(UsageChange { ..usage }),
            );
        }
    }
}

fn apply(cells: &mut Cells, environment: &str, name: (CellKind, CellName, i64), change: &Change<'_>) {
    let (kind, name, window) = name;
    let Ok(environment) = Environment::new("shop", environment) else { return };
    let partition = home(&environment, PARTITIONS);
    let window = u32::try_from(window).unwrap_or(0);
    let key = CellKey { generation: 1, partition, kind, environment, name, window };
    cells.entry(key).or_insert_with(|| Cell::empty(kind)).apply(change, &FoldLimits::default());
}
