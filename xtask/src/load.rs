//! What a fleet of SDKs sends to a server, checked twice: by the server's answers, and by a program in Python that
//! reads the log.
//!
//! Always true here: the server is killed before its log is read, so that whatever it had acknowledged must be there.

use crate::sdks::{self, server::Server};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Enough for the log of the load: nothing of it goes before it is read.
const RETAIN: &str = "[log]\nretain_mib = 4096\n";

/// What is sent.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server's binary (default: built now)
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Events a second
    #[arg(long, default_value_t = 2_000)]
    events_per_second: u32,
    /// Length of the load, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Environments
    #[arg(long, default_value_t = 10)]
    environments: u32,
    /// Chooses schedule and payloads
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it; true when both checks hold.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    succeed(workspace::cargo().args(["build", "--quiet", "--package", "loadtest"]))?;
    succeed(workspace::cargo().args(["build", "--quiet", "--package", "eventlog", "--example", "dump"]))?;
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => sdks::build(false)?,
    };
    let folder = tempfile::tempdir()?;
    let (ledger, dump) = (folder.path().join("ledger.jsonl"), folder.path().join("log.dump"));
    let environments = arguments.environments.to_string();
    let told = loadtest().args(["environments", "--environments", &environments]).output()?;
    ensure!(told.status.success(), "loadtest environments failed");
    let mut server = Server::configured(&binary, &format!("{RETAIN}{}", String::from_utf8(told.stdout)?))?;
    let address = format!("http://{}", server.address);

    let mut send = loadtest();
    send.args(["send", "--server", &address, "--environments", &environments, "--seed", &arguments.seed.to_string()]);
    send.args(["--events-per-second", &arguments.events_per_second.to_string()]);
    // What a busy machine does to the schedule is no matter here: what is sent must be counted.
    send.args(["--seconds", &arguments.seconds.to_string(), "--late-share", "1"]).arg("--ledger").arg(&ledger);
    let checked = succeed(&mut send)
        .and_then(|()| succeed(loadtest().args(["check", "--server", &address]).arg("--ledger").arg(&ledger)));
    checked.map_err(|error| error.context(server.words()))?;

    server.kill()?;
    let example = workspace::target_dir().join("debug/examples/dump");
    succeed(Command::new(example).arg(server.data().join("log")).arg(&dump))?;
    let program = workspace::root().join("loadtest/check/check.py");
    let checked = Command::new("python3").arg(program).args([&ledger, &dump]).status();
    let holds = checked.context("run check.py")?.success();
    if !holds {
        println!("ledger and dump are kept in {}", folder.keep().display());
    }
    Ok(holds)
}

fn loadtest() -> Command {
    Command::new(workspace::target_dir().join("debug/loadtest"))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
