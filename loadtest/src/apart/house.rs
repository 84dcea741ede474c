//! The processes: ingest, two processors, reads; each started again on its data and port.

use super::Arguments;
use super::stages::{Gate, OTHER};
use crate::server::{Launch, Server, free_port};
use anyhow::{Context, Result, bail, ensure};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

pub(super) const SDK_KEY: &str = "sdk-loadtest-apart";
pub(super) const ADMIN_KEY: &str = "admin-loadtest-apart";
const STOP_LIMIT: Duration = Duration::from_secs(40);
/// As many processors share the partitions.
const PROCESSORS: usize = 2;

/// A process that is there again after it was killed.
struct Room {
    launch: Launch,
    server: Option<Server>,
}

/// All processes.
pub(super) struct House {
    ingest: Room,
    processors: Vec<Room>,
    reads: Room,
    /// Of the old path, and the gate before it, where they run.
    worker: Option<Room>,
    gate: Option<Gate>,
    addresses: [SocketAddr; 2],
}

impl House {
    /// Sets up a topic and tables that nobody else has, and starts all.
    pub(super) fn build(arguments: &Arguments, folder: &Path, run: u64) -> Result<Self> {
        let file = folder.join("flagstream.toml");
        std::fs::write(&file, configuration(arguments, folder, run)?)?;
        let configuration = file.to_string_lossy().into_owned();
        let gate = arguments.sqs.as_ref().map(|_| Gate::make(folder)).transpose()?;
        let set_up = Command::new(&arguments.binary).args(["setup", "--config", &configuration]).output();
        let set_up =
            set_up.with_context(|| format!("cannot start `{}`; name it with --binary", arguments.binary.display()))?;
        ensure!(set_up.status.success(), "setup failed: {}", String::from_utf8_lossy(&set_up.stderr).trim());
        let room = |role: &str, name: &str, listen: &str| Room {
            launch: Launch {
                binary: arguments.binary.clone(),
                arguments: [
                    role,
                    "--config",
                    &configuration,
                    "--data",
                    &folder.join(name).to_string_lossy(),
                    "--listen",
                    listen,
                ]
                .map(str::to_owned)
                .into(),
                environment: Vec::new(),
                cpus: Vec::new(),
                log: folder.join(format!("{name}.log")),
            },
            server: None,
        };
        let addresses = [free_port(run)?, free_port(run + 1)?];
        let [ingest, reads] = addresses.map(|address| address.to_string());
        let processors =
            (1..=PROCESSORS).map(|number| room("process", &format!("processor-{number}"), "127.0.0.1:0")).collect();
        let mut house = Self {
            ingest: room("ingest", "ingest", &ingest),
            processors,
            reads: room("serve", "reads", &reads),
            worker: gate.is_some().then(|| room("worker", "worker", "127.0.0.1:0")),
            gate,
            addresses,
        };
        for room in house.rooms() {
            room.start()?;
            room.listening()?;
        }
        Ok(house)
    }

    pub(super) fn ingest_address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub(super) fn reads_address(&self) -> SocketAddr {
        self.addresses[1]
    }

    fn rooms(&mut self) -> impl Iterator<Item = &mut Room> {
        let others = [&mut self.reads].into_iter().chain(&mut self.worker);
        std::iter::once(&mut self.ingest).chain(&mut self.processors).chain(others)
    }

    /// Kills ingest and starts it again.
    pub(super) fn kill_ingest(&mut self) -> Result<()> {
        self.ingest.kill()?;
        self.ingest.start()
    }

    /// The gate, where there is one.
    pub(super) fn gate(&self) -> Option<Gate> {
        self.gate.clone()
    }

    /// Kills the old path's worker and starts it again.
    pub(super) fn kill_worker(&mut self) -> Result<()> {
        let room = self.worker.as_mut().context("there is no worker to kill")?;
        room.kill()?;
        room.start()
    }

    /// Kills a processor, by turns, and starts it again.
    pub(super) fn kill_processor(&mut self, turn: u32) -> Result<()> {
        let room = self.processor(turn);
        room.kill()?;
        room.start()
    }

    /// Lets a processor, by turns, stand still, or go on.
    pub(super) fn pause_processor(&mut self, turn: u32, is_still: bool) -> Result<()> {
        let room = self.processor(turn);
        room.server.as_ref().context("a processor that is not there cannot stand still")?.pause(is_still)
    }

    fn processor(&mut self, turn: u32) -> &mut Room {
        &mut self.processors[turn as usize % PROCESSORS]
    }

    /// Nobody has ended by itself.
    pub(super) fn all_are_there(&mut self) -> Result<()> {
        for room in self.rooms() {
            let ended = room.server.as_mut().map(Server::ended).transpose()?.flatten();
            if let Some(status) = ended {
                bail!("`{}` ended by itself, with {status}:{}", room.launch.arguments[0], room.launch.last_lines());
            }
        }
        Ok(())
    }

    /// What each said last, for an error's text.
    pub(super) fn last_lines(&mut self) -> String {
        let said = |room: &mut Room| format!("{}:{}\n", room.launch.log.display(), room.launch.last_lines());
        self.rooms().map(said).collect()
    }

    /// Stops all with SIGTERM; each must end with 0.
    pub(super) fn stop(mut self) -> Result<()> {
        for room in self.rooms() {
            let Some(mut server) = room.server.take() else { continue };
            server.terminate()?;
            let status = block_in_place(|| server.end(STOP_LIMIT))?;
            let (role, lines) = (&room.launch.arguments[0], room.launch.last_lines());
            ensure!(status.success(), "after SIGTERM `{role}` ended with {status}:{lines}");
        }
        Ok(())
    }
}

impl Room {
    fn start(&mut self) -> Result<()> {
        self.server = Some(Server::spawn(&self.launch)?);
        Ok(())
    }

    fn listening(&mut self) -> Result<()> {
        let began = Instant::now();
        let server = self.server.as_mut().context("nothing was started")?;
        block_in_place(|| server.listening())?;
        eprintln!("`{}` listens after {:.1} s", self.launch.arguments[0], began.elapsed().as_secs_f64());
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        let server = self.server.take().context("nothing is there to kill")?;
        block_in_place(|| server.kill())
    }
}

fn configuration(arguments: &Arguments, folder: &Path, run: u64) -> Result<String> {
    let Arguments { brokers, partitions, replication, .. } = arguments;
    let mut text = format!(
        "admin_keys = [\"{ADMIN_KEY}\"]\n\
         [log]\nkind = \"kafka\"\nbrokers = \"{brokers}\"\ntopic = \"apart.{run}\"\npartitions = {partitions}\n\
         replication = {replication}\n[snapshots]\nurl = \"file://{}\"\n[store]\nflush_seconds = 1\n",
        folder.join("snapshots").display()
    );
    match (&arguments.dynamodb, &arguments.cassandra) {
        (Some(endpoint), _) => {
            writeln!(text, "kind = \"dynamodb\"\nendpoint = \"{endpoint}\"\nprefix = \"apart_{run}_\"")?;
        }
        (None, Some(contact)) => writeln!(
            text,
            "kind = \"cassandra\"\ncontact_points = [\"{contact}\"]\nkeyspace = \"apart_{run}\"\nreplication = 1"
        )?,
        (None, None) => bail!("name a store: --dynamodb or --cassandra"),
    }
    if let Some(sqs) = &arguments.sqs {
        let gate = Gate::path(folder);
        writeln!(
            text,
            "[gate]\nflags = \"{}\"\n[jobs]\nkind = \"sqs\"\nendpoint = \"{sqs}\"\nqueue = \"apart-{run}\"\nvisibility_seconds = 3",
            gate.display()
        )?;
        let (key, sdk_key) = OTHER;
        writeln!(text, "[[environment]]\nproject = \"default\"\nkey = \"{key}\"\nserver_keys = [\"{sdk_key}\"]")?;
    }
    writeln!(text, "[[environment]]\nproject = \"default\"\nkey = \"development\"\nserver_keys = [\"{SDK_KEY}\"]")?;
    Ok(text)
}
