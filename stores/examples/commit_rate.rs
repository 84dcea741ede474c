//! Prints what the embedded store does on this machine: commits of 1,000 random cells a second, and how long a million
//! rows of state take to save and to load. Run it with `cargo run --release -p stores --example commit_rate`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use schemas::cell::{CellKey, CellKind, CellName};
use schemas::id::Environment;
use stores::embedded::{Embedded, Options};
use stores::state::LocalState;
use stores::{CellWrite, Checkpoint, Error, Flush, SavedState, StateChanges, StoredCell};

const FLAGS: u64 = 500_000;
const ROWS: u64 = 1_000_000;
const FOR: Duration = Duration::from_secs(5);

fn random(at: u64) -> u64 {
    let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn flush(position: u64, environment: &Environment) -> Flush {
    let cells = (0..1_000).map(|n| {
        let at = random(position * 1_000 + n);
        let key = CellKey {
            generation: 1,
            partition: 0,
            kind: CellKind::Usage,
            environment: environment.clone(),
            name: CellName::Key(Bytes::from(format!("flag-{}", at % FLAGS))),
            window: 1,
        };
        CellWrite { key, cell: StoredCell { h: position, value: Bytes::from(vec![7; 40 + (at % 40) as usize]) } }
    });
    let checkpoint = Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: 0 };
    let remembered = (Bytes::from(position.to_be_bytes().to_vec()), Bytes::from(vec![7; 16]));
    let state = StateChanges { put: vec![remembered], remove: Vec::new(), position };
    Flush { generation: 1, partition: 0, cells: cells.collect(), checkpoint, state }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(".")?;
    commits(&folder.path().join("store")).await?;
    state(&folder.path().join("state")).await?;
    Ok(())
}

async fn commits(path: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    let store = Embedded::open(path, &Options::default())?;
    let environment = Environment::new("default", "development")?;
    let (begin, mut slowest, mut position) = (Instant::now(), Duration::ZERO, 0);
    while begin.elapsed() < FOR {
        position += 1;
        let flush = flush(position, &environment);
        let before = Instant::now();
        store.commit(flush).await?;
        slowest = slowest.max(before.elapsed());
    }
    let rate = position as f64 / begin.elapsed().as_secs_f64();
    println!("commits of 1,000 random cells: {rate:.1} a second, the slowest took {slowest:.0?}");
    drop(store);
    let before = Instant::now();
    let store = Embedded::open(path, &Options::default())?;
    println!("opening {} MiB with the check: {:.2?}", std::fs::metadata(path)?.len() >> 20, before.elapsed());
    drop(store);
    Ok(())
}

async fn state(path: &std::path::Path) -> Result<(), Error> {
    let state = LocalState::open(path, &Options::default())?;
    let rows = (0..ROWS)
        .map(|n| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(random(n).to_be_bytes().repeat(2))))
        .collect();
    let before = Instant::now();
    state.replace(1, 0, SavedState { position: ROWS, rows }).await?;
    println!("saving {ROWS} rows of state: {:.2?}", before.elapsed());
    drop(state);

    let before = Instant::now();
    let state = LocalState::open(path, &Options::default())?;
    println!("opening it with the check: {:.2?}", before.elapsed());
    let before = Instant::now();
    let loaded = state.load(1, 0).await?.map_or(0, |loaded| loaded.rows.len());
    println!("loading {loaded} rows of state: {:.2?}", before.elapsed());
    let before = Instant::now();
    let mut bytes = 0;
    let visit = move |key: &[u8], value: &[u8]| bytes = std::hint::black_box(bytes + key.len() + value.len());
    state.visit(1, 0, visit).await?;
    println!("visiting them without holding them: {:.2?}", before.elapsed());
    let before = Instant::now();
    let changes = StateChanges {
        put: (ROWS..ROWS + 1_000).map(|n| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(vec![7; 16]))).collect(),
        remove: (0..1_000_u64).map(|n| Bytes::from(n.to_be_bytes().to_vec())).collect(),
        position: ROWS + 1_000,
    };
    state.save(1, 0, changes).await?;
    println!("saving 1,000 new rows, removing the 1,000 oldest: {:.2?}", before.elapsed());
    Ok(())
}
