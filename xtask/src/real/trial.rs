//! One run of `loadtest apart`, and what the log holds in the end against its ledger.
//!
//! Always true here: what a failed run leaves is kept, and where it lies is told.

use super::succeed;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

/// A run that is being put together.
pub(super) struct Trial<'a> {
    what: String,
    addresses: &'a [(String, String)],
    folder: tempfile::TempDir,
    brokers: String,
    /// Environments that the ledger is not of.
    without: Vec<String>,
    loadtest: Command,
}

impl<'a> Trial<'a> {
    /// A run of this binary, on servers at these addresses.
    pub(super) fn new(what: impl Into<String>, binary: &Path, addresses: &'a [(String, String)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut loadtest = Command::new(workspace::target_dir().join("debug/loadtest"));
        loadtest.arg("apart").arg("--binary").arg(binary).arg("--folder").arg(folder.path());
        Ok(Self { what: what.into(), addresses, folder, brokers: String::new(), without: Vec::new(), loadtest })
    }

    fn address(&self, variable: &str) -> Result<String> {
        let found = self.addresses.iter().find(|(name, _)| name == variable);
        found.map(|(_, address)| address.clone()).with_context(|| format!("nobody said {variable}"))
    }

    /// The brokers that this variable names.
    pub(super) fn log(&mut self, variable: &str) -> Result<&mut Self> {
        self.brokers = self.address(variable)?;
        self.loadtest.args(["--brokers", &self.brokers]);
        Ok(self)
    }

    /// The store that this variable names, by the option for its kind.
    pub(super) fn store(&mut self, option: &str, variable: &str) -> Result<&mut Self> {
        let address = self.address(variable)?;
        self.loadtest.args([option, &address]);
        Ok(self)
    }

    /// Further arguments.
    pub(super) fn add(&mut self, arguments: &[&str]) -> &mut Self {
        self.loadtest.args(arguments);
        self
    }

    /// The ledger is not of this environment.
    pub(super) fn without(&mut self, environment: &str) -> &mut Self {
        self.without.push(environment.to_owned());
        self
    }

    /// So many times of trouble, which these commands of `cargo xtask services` begin and end.
    pub(super) fn trouble(&mut self, times: u32, begin: &str, end: &str) -> Result<&mut Self> {
        let myself = std::env::current_exe().context("where is this program?")?;
        let services = |rest: &str| format!("'{}' services {rest}", myself.display());
        self.loadtest.args(["--trouble", &times.to_string()]);
        self.loadtest.args(["--begin-trouble", &services(begin), "--end-trouble", &services(end)]);
        Ok(self)
    }

    /// True when everything held.
    pub(super) fn run(mut self) -> Result<bool> {
        println!("{}", self.what);
        let holds = self.loadtest.status().context("run loadtest")?.success() && self.log_holds()?;
        if !holds {
            println!("configuration, ledger and what the processes said are kept in {}", self.folder.keep().display());
        }
        Ok(holds)
    }

    /// What the log holds against the ledger, by the program in Python.
    fn log_holds(&self) -> Result<bool> {
        let folder = self.folder.path();
        let configuration = std::fs::read_to_string(folder.join("flagstream.toml"))?;
        let topic = configuration.lines().find_map(|line| line.strip_prefix("topic = \"")?.strip_suffix('"'));
        let topic = topic.context("the configuration names no topic")?;
        let dump = folder.join("log.dump");
        let example = workspace::target_dir().join("debug/examples/dump_kafka");
        succeed(Command::new(example).args([&self.brokers, &format!("{topic}.g1")]).arg(&dump))?;
        let program = workspace::root().join("loadtest/check/check.py");
        let without = self.without.iter().flat_map(|environment| ["--without", environment]);
        let checked =
            Command::new("python3").arg(program).args([&folder.join("ledger.jsonl"), &dump]).args(without).status();
        Ok(checked.context("run check.py")?.success())
    }
}
