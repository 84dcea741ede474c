//! The product itself, in this process: what `flagstream up` runs, with a gate, in a folder of its own.
//!
//! Always true here: log, processor, gate, old path, API and page are the real ones; the stores of both paths alone
//! have a wrapper that puts them in trouble together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use ingest::gate::Stage;
use schemas::id::Environment;
use stores::trouble::{Switch, Trouble};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::config::written::{EnvironmentKeys, Secret, Written};
use crate::config::{Settings, gate::GateSection};
use crate::gate::file;
use crate::keys::{ENVIRONMENT, PROJECT};
use crate::services::{self, Host, Role};

/// What the demo's clients send.
pub const SDK_KEY: &str = "sdk-demo";

/// A running server.
pub struct House {
    /// Where it answers.
    pub address: SocketAddr,
    /// What the demo can turn.
    pub controls: Controls,
    stop: watch::Sender<bool>,
    services: JoinHandle<anyhow::Result<()>>,
}

/// What the demo can turn, like an operator and like fate.
#[derive(Debug, Clone)]
pub struct Controls {
    flags: PathBuf,
    switch: Switch,
}

impl Controls {
    /// Has the flag say another stage.
    ///
    /// # Errors
    /// When the flag file cannot be written.
    pub fn ask_for(&self, stage: Stage) -> anyhow::Result<()> {
        let environment = Environment::new(PROJECT, ENVIRONMENT).context("no such environment can be")?;
        file::set(&self.flags, &environment, stage, false)
    }

    /// Puts the stores of both paths in trouble, or out of it.
    pub fn trouble(&self, trouble: Trouble) {
        self.switch.set(trouble);
    }
}

impl House {
    /// Starts it in an empty folder, with every environment in stage `off`.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn start(folder: &Path, listen: &str, seed: u64, job_visibility: Duration) -> anyhow::Result<Self> {
        let controls = Controls { flags: folder.join("gate.json"), switch: Switch::new(seed) };
        controls.ask_for(Stage::Off)?;
        let mut settings = settings(folder, listen, &controls.flags, job_visibility)?;
        settings.trouble = Some(controls.switch.clone());
        let (stop, stopped) = watch::channel(false);
        let (listening, listens) = oneshot::channel();
        let host = Host { stop: stopped, listening: Some(listening) };
        let services = tokio::spawn(async move { services::start(Role::All, settings, None, &[], host).await });
        match listens.await {
            Ok(address) => Ok(Self { address, controls, stop, services }),
            Err(_) => {
                services.await.context("the services broke off")??;
                anyhow::bail!("the services ended before they listened")
            }
        }
    }

    /// Waits until the services end, which they do by themselves only when something is wrong.
    pub async fn ended(&mut self) -> anyhow::Error {
        match (&mut self.services).await {
            Ok(Ok(())) => anyhow::anyhow!("the services ended by themselves"),
            Ok(Err(error)) => error,
            Err(error) => error.into(),
        }
    }

    /// Stops it gracefully.
    ///
    /// # Errors
    /// What went wrong in that.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.controls.trouble(Trouble::None);
        self.stop.send_replace(true);
        self.services.await.context("the services broke off")?
    }
}

/// Those of `up`, but for a gate, a queue that brings jobs again sooner, and a key.
fn settings(folder: &Path, listen: &str, flags: &Path, job_visibility: Duration) -> anyhow::Result<Settings> {
    let mut written = Written { listen: listen.to_owned(), data: folder.join("data"), ..Written::default() };
    written.gate = GateSection { flags: Some(flags.to_owned()), ..GateSection::default() };
    written.jobs.visibility_seconds = job_visibility.as_secs();
    written.environment = vec![EnvironmentKeys {
        project: PROJECT.to_owned(),
        key: ENVIRONMENT.to_owned(),
        server_keys: vec![Secret(SDK_KEY.to_owned())],
        ..EnvironmentKeys::default()
    }];
    Settings::understand(written)
}
