//! What runs on real servers: the suites that every log and store must pass, and services in processes of their own,
//! killed under load.
//!
//! Always true here: servers that were up before are left up, those that were brought up for this go with it; nothing is
//! left out where a server cannot be had: that is a failure.

mod brokers;
mod gate;
mod store;
mod trial;

use crate::services::are_up;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use trial::Trial;

/// What the suites need.
const SERVERS: &[&str] = &["kafka", "dynamodb", "cassandra", "s3", "sqs"];

/// What services apart keep their counts in: the server, the option of `loadtest apart` for it, and the variable that
/// names it.
const STORES: [(&str, &str, &str); 2] =
    [("dynamodb", "--dynamodb", "FLAGSTREAM_TEST_DYNAMODB"), ("cassandra", "--cassandra", "FLAGSTREAM_TEST_CASSANDRA")];

/// How services of their own are tried.
#[derive(clap::Args)]
pub(crate) struct Apart {
    /// Kills of ingest, and as many of processors, on DynamoDB; a third of them on Cassandra
    #[arg(long, default_value_t = 10)]
    kills: u32,
    /// Kills of the broker, on DynamoDB; a third of them on Cassandra
    #[arg(long, default_value_t = 3)]
    broker_kills: u32,
    /// Seconds for which two of three brokers are gone; 0 = that is left out
    #[arg(long, default_value_t = 8)]
    brokers_seconds: u32,
    /// Seconds for which DynamoDB throttles; 0 = that is left out
    #[arg(long, default_value_t = 12)]
    throttled_seconds: u32,
    /// Seconds for which DynamoDB is gone; 0 = that is left out
    #[arg(long, default_value_t = 12)]
    gone_seconds: u32,
    /// Flips of the gate's stage, after all stages were gone through; 0 = that is left out
    #[arg(long, default_value_t = 3)]
    flips: u32,
    /// Seconds from one flip to the next
    #[arg(long, default_value_t = 2.0)]
    flip_seconds: f64,
    /// Chooses the payloads and the moments of the kills
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is built for these, always together: with another choice of packages the libraries would get other features and be
/// built anew, which takes minutes.
#[rustfmt::skip]
const BUILT: &[&str] = &[
    "--package", "eventlog", "--package", "stores", "--package", "oldpath", "--package", "flagstream",
    "--features", "flagstream/full,oldpath/dynamodb,oldpath/sqs",
];

/// Parts of the names of the tests that need real servers, and of those that exist only in such a build. Each must be
/// found.
const TESTS: &[&str] =
    &["kafka", "dynamodb", "cassandra", "bucket::", "in_a_bucket", "sqs::", "config::kept", "apart::"];

/// Runs the log's suite on Kafka, the stores' on DynamoDB Local and Cassandra, that of snapshots and the queue's on servers
/// that speak S3 and SQS, and what the services say there; true when all passed.
pub(crate) fn suites() -> Result<bool> {
    on(SERVERS, |addresses| {
        let mut command = workspace::cargo();
        // It is in no other build, which would have its switches for tests.
        command.arg("test").args(BUILT).args(["--package", "processor", "--features", "processor/objects"]);
        command.args(["--lib", "--bins", "--tests", "--no-fail-fast", "--"]).args(TESTS);
        command.envs(addresses.iter().map(|(name, value)| (name, value)));
        let output = command.output().context("run the suites")?;
        let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("{said}");
        if !output.status.success() {
            println!("{errors}");
            return Ok(false);
        }
        all_were_found(&said)?;
        Ok(true)
    })
}

/// A filter that finds no test would pass as well.
fn all_were_found(said: &str) -> Result<()> {
    let passed: Vec<&str> = said.lines().filter(|line| line.starts_with("test ") && line.ends_with("... ok")).collect();
    for name in TESTS {
        ensure!(passed.iter().any(|line| line.contains(name)), "no test has `{name}` in its name: nothing was tried");
    }
    Ok(())
}

/// Kills ingest, processors and the broker under load, troubles the store, kills two of three brokers; true when every
/// number holds.
pub(crate) fn apart(arguments: &Apart) -> Result<bool> {
    let command = full_command()?;
    succeed(workspace::cargo().args(["build", "--quiet", "--package", "loadtest"]))?;
    let mut holds = true;
    if arguments.kills + arguments.broker_kills > 0 {
        for (server, option, variable) in STORES {
            holds &= on(&["kafka", server], |addresses| kills(arguments, addresses, &command, option, variable))?;
        }
    }
    if arguments.throttled_seconds + arguments.gone_seconds > 0 {
        holds &= store::in_trouble(arguments, &command)?;
    }
    if arguments.flips > 0 {
        holds &= gate::all_stages(arguments, &command)?;
    }
    if arguments.brokers_seconds > 0 {
        holds &= brokers::two_of_three(arguments, &command)?;
    }
    Ok(holds)
}

fn kills(
    arguments: &Apart,
    addresses: &[(String, String)],
    command: &Path,
    store: &str,
    variable: &str,
) -> Result<bool> {
    let what = format!("kills, on kafka and {}", store.trim_start_matches('-'));
    let mut trial = Trial::new(what, command, addresses)?;
    trial.log("FLAGSTREAM_TEST_KAFKA")?.store(store, variable)?;
    let share = |kills: u32| if store == "--cassandra" { kills.div_ceil(3) } else { kills };
    trial.add(&["--kills", &share(arguments.kills).to_string(), "--seed", &arguments.seed.to_string()]);
    trial.trouble(share(arguments.broker_kills), "stop kafka --kill", "start kafka")?;
    trial.run()
}

/// The command with all it can have, as its tests use it. It lies apart, since other steps want the one that users build.
fn full_command() -> Result<PathBuf> {
    succeed(workspace::cargo().args(["test", "--quiet", "--no-run", "--lib", "--bins", "--tests"]).args(BUILT))?;
    let (from, to) = (workspace::target_dir().join("debug/flagstream"), workspace::target_dir().join("verify"));
    std::fs::create_dir_all(&to)?;
    let to = to.join("flagstream-full");
    std::fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    succeed(workspace::cargo().args(["build", "--quiet", "--example", "dump_kafka"]).args(BUILT))?;
    Ok(to)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("run {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// Does something with servers that are up, given by variable and address; ends those that were not up before.
fn on(servers: &[&str], work: impl FnOnce(&[(String, String)]) -> Result<bool>) -> Result<bool> {
    let before = are_up()?;
    let ours: Vec<&str> = servers.iter().copied().filter(|server| !before.iter().any(|name| name == server)).collect();
    let done = brought_up(servers).and_then(|addresses| work(&addresses));
    if !ours.is_empty() {
        succeed(myself()?.args(["services", "down", "--wipe"]).args(&ours))?;
    }
    done
}

fn brought_up(servers: &[&str]) -> Result<Vec<(String, String)>> {
    let output = myself()?.args(["services", "up"]).args(servers).output().context("bring the servers up")?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        bail!("the servers could not be brought up");
    }
    String::from_utf8_lossy(&output.stdout).lines().map(exported).collect()
}

fn myself() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.current_dir(workspace::root());
    Ok(command)
}

/// `export NAME='VALUE'`
fn exported(line: &str) -> Result<(String, String)> {
    let pair = line.strip_prefix("export ").and_then(|rest| rest.split_once('='));
    let (name, value) = pair.with_context(|| format!("`{line}` exports nothing"))?;
    Ok((name.to_owned(), value.trim_matches('\'').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_a_name_and_its_value() {
        let pair = exported("export FLAGSTREAM_TEST_KAFKA='127.0.0.1:19092'").unwrap();
        assert_eq!(pair, ("FLAGSTREAM_TEST_KAFKA".to_owned(), "127.0.0.1:19092".to_owned()));
        assert!(exported("kafka is up").is_err());
    }

    #[test]
    fn a_name_that_finds_no_test_is_a_failure() {
        let all = "test tests::kafka::a ... ok\ntest dynamodb::b ... ok\ntest cassandra::b ... ok\ntest bucket::b ... ok\ntest s_in_a_bucket ... ok\ntest sqs::b ... ok\ntest config::kept::c ... ok\n\
             test apart::d ... ok\n";
        all_were_found(all).unwrap();
        let error = all_were_found(&all.replace("apart::d ... ok", "apart::d ... FAILED")).unwrap_err().to_string();
        assert_eq!(error, "no test has `apart::` in its name: nothing was tried");
    }
}
