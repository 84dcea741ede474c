//! `loadtest idle`: what a server that does nothing holds in memory.

use crate::procfs::resident_kib;
use crate::report::print_json;
use crate::server::{Launch, Server};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// Measures the resident memory of an idle `flagstream up`
///
/// Starts it on an empty data directory and reads VmRSS from /proc when it listens and some seconds later. No
/// connection is made.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The flagstream binary
    #[arg(long, default_value = "target/release/flagstream")]
    binary: PathBuf,
    /// Seconds until the second reading
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    resident_kib_at_start: u64,
    resident_kib_later: u64,
    seconds: u64,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let listen = ([127, 0, 0, 1], 0).into();
    let log = folder.path().join("server.log");
    let launch = Launch::up(&arguments.binary, &folder.path().join("data"), listen, "sdk-loadtest-idle", &log);
    let mut server = Server::spawn(&launch)?;
    tokio::task::block_in_place(|| server.listening())?;
    let resident_kib_at_start = resident_kib(server.pid())?;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let resident_kib_later = resident_kib(server.pid())?;
    server.kill()?;
    let report = Report { resident_kib_at_start, resident_kib_later, seconds: arguments.seconds };
    if arguments.json {
        print_json(&report)?;
    } else {
        let mib = |kib: u64| kib as f64 / 1024.0;
        println!(
            "resident: {:.1} MiB when it listens, {:.1} MiB after {} s",
            mib(resident_kib_at_start),
            mib(resident_kib_later),
            arguments.seconds
        );
    }
    Ok(true)
}
