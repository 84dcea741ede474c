//! How fast the embedded log is, beside a bare `fdatasync` loop in the same run:
//! `cargo run --release -p eventlog --example append_rate [directory] [partitions]`.
//!
//! Prints appends of 1 KB per second with 1, 64 and 256 appenders, then for a log of 1 GiB the time to fill it, to read
//! it through and to reopen it. The directory should lie on the disk in question; what it made there is removed at the
//! end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventlog::embedded::{EmbeddedLog, Options};
use eventlog::files::{Directory, Files};
use eventlog::{EventLog, Signal};
use schemas::log::Append;

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(2);
const GIB: u64 = 1 << 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let partitions = std::env::args().nth(2).map_or(Ok(4), |number| number.parse())?;
    let directory = tempfile::tempdir_in(parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("{partitions} partitions; median of {ROUNDS} interleaved rounds of {ROUND:?}");
    let mut syncs = Vec::new();
    let mut rates: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        syncs.push(bare_syncs(directory.path())?);
        for (appenders, rates) in [1, 64, 256].into_iter().zip(&mut rates) {
            let log = open(&directory.path().join(format!("rate-{round}-{appenders}")), partitions)?;
            rates.push(runtime.block_on(append_rate(log, appenders, partitions)));
        }
    }
    let bare = median(&mut syncs);
    println!("bare fdatasync of 1 KB      {bare:>10.0}/s");
    for (appenders, rates) in [1, 64, 256].into_iter().zip(&mut rates) {
        let rate = median(rates);
        println!("{appenders:>3} appenders of 1 KB       {rate:>10.0}/s  {:>6.2} x bare", rate / bare);
    }
    one_gib(&runtime, &directory.path().join("gib"), partitions)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn open(path: &Path, partitions: u32) -> Result<Arc<EmbeddedLog>, eventlog::Error> {
    let files = Directory::open(path).map_err(|source| eventlog::Error::Io { what: "opening".into(), source })?;
    let mut options = Options::new(partitions, 1, Arc::new(|| 0));
    options.retain_bytes = 4 * GIB;
    Ok(Arc::new(EmbeddedLog::open(Arc::new(files), options)?.0))
}

/// Overwrites zeros 1 KB at a time, each with a sync: what the disk can do with nothing around it.
fn bare_syncs(path: &Path) -> Result<f64, std::io::Error> {
    let files = Directory::open(path)?;
    let _ = files.remove("bare");
    let file = files.create("bare")?;
    let length = 32 << 20;
    file.write_at(0, &vec![0; length as usize])?;
    file.sync_data()?;
    let (begin, mut count) = (Instant::now(), 0);
    while begin.elapsed() < ROUND {
        file.write_at(count * 1024 % length, &[count as u8; 1024])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begin.elapsed().as_secs_f64())
}

fn record(partition: u32) -> Append {
    Append { partition, header: Bytes::from_static(&[1; 64]), body: Bytes::from_static(&[2; 960]) }
}

async fn append_rate(log: Arc<EmbeddedLog>, appenders: u32, partitions: u32) -> f64 {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..appenders)
        .map(|appender| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut count = 0u64;
                while begin.elapsed() < ROUND {
                    log.append(vec![record(appender % partitions)]).await.expect("durable");
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await.expect("appender");
    }
    count as f64 / begin.elapsed().as_secs_f64()
}

fn one_gib(runtime: &tokio::runtime::Runtime, path: &Path, partitions: u32) -> Result<(), Box<dyn std::error::Error>> {
    let log = open(path, partitions)?;
    let begin = Instant::now();
    runtime.block_on(async {
        for batch in 0..GIB / (512 * 1024) {
            log.append((0..512).map(|_| record(batch as u32 % partitions)).collect()).await?;
        }
        log.close().await
    })?;
    println!("1 GiB filled                {:>10.0} MB/s", megabytes_per_second(begin));
    drop(log);
    let begin = Instant::now();
    let log = open(path, partitions)?;
    println!("1 GiB reopened, checked     {:>10.2} s", begin.elapsed().as_secs_f64());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        runtime.block_on(follow(&log, &(0..partitions).collect::<Vec<_>>()))?;
        println!("1 GiB followed, one reader  {:>10.0} MB/s", megabytes_per_second(begin));
    }
    let begin = Instant::now();
    runtime.block_on(async {
        let readers = (0..partitions).map(|partition| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { follow(&log, &[partition]).await })
        });
        for reader in readers.collect::<Vec<_>>() {
            reader.await??;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })?;
    println!("1 GiB followed, one reader a partition {:>10.0} MB/s", megabytes_per_second(begin));
    Ok(())
}

fn megabytes_per_second(begin: Instant) -> f64 {
    GIB as f64 / 1e6 / begin.elapsed().as_secs_f64()
}

async fn follow(log: &EmbeddedLog, partitions: &[u32]) -> Result<(), eventlog::Error> {
    let mut reader = log.subscribe_to(partitions)?;
    loop {
        match reader.next().await? {
            Signal::Assigned { partition } => reader.begin(partition, 0)?,
            Signal::Idle => return Ok(()),
            Signal::Batch { .. } | Signal::Revoked { .. } => {}
        }
    }
}
