//! Real SDKs, as their registries hand them out, against a real server: each program (in `loadtest/sdks`) knows what it
//! does, and the server must have counted exactly that, plain and compressed, and when a payload is refused, doubled,
//! or a diagnostic goes astray. One server a run. The vendor's client for its API must read our answers, too.

use answers::Books;
use anyhow::{Context, Result, bail, ensure};
use proxy::{Exchange, Fault, Proxy};
use server::Server;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tally::{Tally, tally};
use truth::Truth;

mod answers;
mod api_client;
pub(crate) mod install;
mod programs;
mod proxy;
mod request;
pub(crate) mod server;
mod tally;
mod truth;

use crate::workspace;
use programs::{PROGRAMS, Program, RUNS, Run};

const SDK_KEY: &str = "sdk-12345678-real-sdks";
const PROGRAM_WAIT: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;

/// What to run the SDKs against.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server's binary (default: built now)
    #[arg(long, value_name = "PATH", conflicts_with = "wire")]
    binary: Option<PathBuf>,
    /// Build and use the release build
    #[arg(long, conflicts_with_all = ["binary", "wire"])]
    release: bool,
    /// No server: only compare the programs' truth with what they send
    #[arg(long)]
    wire: bool,
}

/// Runs every program in every run that it takes part in; true when all numbers agree.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let binary = match (&arguments.binary, arguments.wire) {
        (Some(binary), _) => Some(std::path::absolute(binary)?),
        (None, true) => None,
        (None, false) => Some(build(arguments.release)?),
    };
    let installed = install::install()?;
    let (mut passed, mut failed) = (0, 0);
    for program in PROGRAMS {
        for run in RUNS.iter().filter(|run| program.takes_part(run)) {
            let name = format!("{}, {}", program.name, run.name);
            match run_once(program, run, &installed, binary.as_deref()) {
                Ok(told) => {
                    passed += 1;
                    println!("passed: {name}: {told}");
                }
                Err(error) => {
                    failed += 1;
                    println!("FAILED: {name}: {error:#}");
                }
            }
        }
    }
    match &binary {
        None => println!("not run: the API client, which has nothing to read without a server"),
        Some(binary) => match api_client::run(binary, &installed) {
            Ok(told) => {
                passed += 1;
                println!("passed: the vendor's API client: {told}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED: the vendor's API client: {error:#}");
            }
        },
    }
    println!("{passed} runs agree, {failed} do not");
    Ok(failed == 0)
}

/// Builds the command, and says where it lies.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command.args(["build", "--package", "flagstream"]).args(release.then_some("--release"));
    ensure!(command.status()?.success(), "{command:?} failed");
    let profile = if release { "release" } else { "debug" };
    Ok(workspace::target_dir().join(profile).join(format!("flagstream{}", std::env::consts::EXE_SUFFIX)))
}

/// One program, one server, one fault. Gives a line that says what agreed.
fn run_once(program: &Program, run: &Run, installed: &install::Installed, binary: Option<&Path>) -> Result<String> {
    let server = binary.map(|binary| Server::start(binary, SDK_KEY)).transpose()?;
    let proxy = Proxy::start(server.as_ref().map(|server| server.address), run.fault)?;
    let started = jiff::Timestamp::now();
    let truth = program.truth(&execute(program.command(installed), &proxy, run.gzip)?)?;
    let ended = Instant::now();
    let exchanges = proxy.exchanges();
    check_exchanges(&exchanges, run)?;
    let tally = tally(&exchanges)?;
    let mut differences = truth.differences(&tally.counted, "a look at the wire");
    if let Some(server) = &server {
        let compared = compare(server, &truth, &tally, started);
        differences.extend(compared.map_err(|error| error.context(server.words()))?);
    }
    ensure!(differences.is_empty(), "\n  {}", differences.join("\n  "));
    let events = tally.events + tally.duplicates;
    let counted =
        server.map_or(String::new(), |_| format!(", counted {} ms after its end", ended.elapsed().as_millis()));
    Ok(format!("{} requests, {events} events, {} of them again{counted}", exchanges.len(), tally.duplicates))
}

/// Runs the program against the proxy; its standard output.
fn execute(mut command: Command, proxy: &Proxy, gzip: bool) -> Result<String> {
    command.env("FLAGSTREAM_URL", format!("http://{}", proxy.address)).env("FLAGSTREAM_SDK_KEY", SDK_KEY);
    command.env("FLAGSTREAM_GZIP", if gzip { "1" } else { "0" });
    run_to_end(command, PROGRAM_WAIT)
}

/// Runs a program of ours that talks to a server on this machine, past any proxy; its standard output.
pub(crate) fn run_to_end(mut command: Command, limit: Duration) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let (out, err) = (folder.path().join("stdout"), folder.path().join("stderr"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(std::fs::File::create(&out)?).stderr(std::fs::File::create(&err)?);
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let status = workspace::wait(&mut child, limit, |_| ()).context("the program")?;
    ensure!(status.success(), "the program: {status}: {}", std::fs::read_to_string(&err)?);
    Ok(std::fs::read_to_string(&out)?)
}

/// The fault took place and the SDK did what it does about it, all else was accepted, and bodies were compressed as
/// asked for.
fn check_exchanges(exchanges: &[Exchange], run: &Run) -> Result<()> {
    let refused: Vec<&Exchange> = exchanges.iter().filter(|exchange| exchange.status == 503).collect();
    ensure!(refused.len() == usize::from(run.fault != Fault::Nothing), "{} requests were answered 503", refused.len());
    if let Some(other) = exchanges.iter().find(|exchange| ![202, 503].contains(&exchange.status)) {
        bail!("{} {}: the server answered {}", other.request.method, other.request.target, other.status);
    }
    let payloads = exchanges.iter().filter(|exchange| exchange.payload_id().is_some());
    ensure!(payloads.clone().count() > 0, "no payload was sent");
    let compressed =
        payloads.clone().filter(|exchange| exchange.request.header("content-encoding") == Some("gzip")).count();
    ensure!(compressed == if run.gzip { payloads.clone().count() } else { 0 }, "{compressed} payloads were compressed");
    if let Some(id) = refused.first().and_then(|refused| refused.payload_id()) {
        let tries = payloads.filter(|exchange| exchange.payload_id() == Some(id)).count();
        ensure!(tries == 2, "the refused payload was sent {tries} times");
    }
    Ok(())
}

/// Differences between what the server says and what the program did, and what the books must say.
fn compare(server: &Server, truth: &Truth, tally: &Tally, started: jiff::Timestamp) -> Result<Vec<String>> {
    answers::wait_until_durable(server.address)?;
    let from_ms = started.as_millisecond() - MINUTE_MS;
    let mut differences = truth.differences(&answers::counted(server.address, from_ms)?, "the server");
    let mut books = Books::default();
    let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d").to_string();
    let (first, last) = (day(started), day(jiff::Timestamp::now()));
    for day in [Some(&first), (last != first).then_some(&last)].into_iter().flatten() {
        books.add(answers::books(server.address, day)?);
    }
    let expected = Books {
        accepted: tally.events + tally.duplicates,
        counted: tally.events,
        duplicate: tally.duplicates,
        ..Books::default()
    };
    if books != expected {
        differences.push(format!("the books: {books:?}, but what was sent gives {expected:?}"));
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;
    use request::Request;

    fn exchange(id: Option<&str>, gzip: bool, status: u16) -> Exchange {
        let id = id.map(|id| ("X-LaunchDarkly-Payload-ID".to_owned(), id.to_owned()));
        let coding = gzip.then(|| ("Content-Encoding".to_owned(), "gzip".to_owned()));
        let headers = id.into_iter().chain(coding).collect();
        let request = Request { method: "POST".to_owned(), target: "/bulk".to_owned(), headers, body: Vec::new() };
        Exchange { request, reached: true, status }
    }

    /// What is said of these requests, in a run with this fault and coding; empty when nothing is wrong.
    fn said(exchanges: &[Exchange], gzip: bool, fault: Fault) -> String {
        check_exchanges(exchanges, &Run { name: "", gzip, fault })
            .map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_run_in_which_the_fault_or_the_retry_did_not_happen_proves_nothing() {
        let (diagnostic, first) = (exchange(None, false, 202), exchange(Some("a"), false, 202));
        let refused = exchange(Some("a"), false, 503);
        assert_eq!(said(&[diagnostic.clone(), first.clone()], false, Fault::Nothing), "");
        assert_eq!(said(&[refused.clone(), first.clone()], false, Fault::Refused), "");
        assert_eq!(said(&[exchange(None, false, 503), first.clone()], false, Fault::DiagnosticRefused), "");
        assert_eq!(said(&[diagnostic], false, Fault::Nothing), "no payload was sent");
        assert_eq!(said(std::slice::from_ref(&first), false, Fault::Refused), "0 requests were answered 503");
        assert_eq!(
            said(&[refused.clone(), exchange(Some("b"), false, 202)], false, Fault::Refused),
            "the refused payload was sent 1 times"
        );
        assert_eq!(said(&[first.clone(), refused], false, Fault::Nothing), "1 requests were answered 503");
        assert_eq!(said(std::slice::from_ref(&first), true, Fault::Nothing), "0 payloads were compressed");
        assert_eq!(said(&[exchange(Some("a"), true, 202)], false, Fault::Nothing), "1 payloads were compressed");
        assert_eq!(
            said(&[first, exchange(None, false, 400)], false, Fault::Nothing),
            "POST /bulk: the server answered 400"
        );
    }
}
