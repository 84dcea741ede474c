//! A server as a child process.
//!
//! Always true here: a child is killed and waited for when its value is dropped; what it prints goes to a file; waiting
//! for it to listen or to end has a limit.

use crate::address;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const LISTEN_LIMIT: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    /// CPUs that it may run on; empty = all.
    pub(crate) cpus: Vec<usize>,
    /// Where what it prints goes, after what is there.
    pub(crate) log: PathBuf,
}

impl Launch {
    /// `BINARY up` on this data, with this SDK key.
    pub(crate) fn up(binary: &Path, data: &Path, listen: SocketAddr, key: &str, log: &Path) -> Self {
        let data = data.to_string_lossy().into_owned();
        let arguments = ["up", "--data", &data, "--listen", &listen.to_string(), "--sdk-key", key];
        Self {
            binary: binary.to_owned(),
            arguments: arguments.map(str::to_owned).into(),
            environment: Vec::new(),
            cpus: Vec::new(),
            log: log.to_owned(),
        }
    }

    /// The last lines of what was printed, for an error's text.
    pub(crate) fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(10).collect();
        lines.into_iter().rev().map(|line| format!("\n  | {line}")).collect()
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    told: mpsc::Receiver<SocketAddr>,
    launch: Launch,
}

impl Server {
    /// Starts it, and does not wait until it listens.
    pub(crate) fn spawn(launch: &Launch) -> Result<Self> {
        let mut command = Command::new(&launch.binary);
        command.args(&launch.arguments).envs(launch.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let cannot = || format!("cannot start `{}`; build it first, or name it with --binary", launch.binary.display());
        let mut child = spawn_on(&launch.cpus, command).with_context(cannot)?;
        let log = OpenOptions::new().append(true).create(true).open(&launch.log)?;
        let (tell, told) = mpsc::channel();
        let pipes: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|pipe| Box::new(pipe) as _), child.stderr.take().map(|pipe| Box::new(pipe) as _)];
        let server = Self { child, told, launch: launch.clone() };
        for pipe in pipes.into_iter().flatten() {
            let (log, tell) = (log.try_clone()?, tell.clone());
            std::thread::spawn(move || copy_lines(pipe, log, &tell));
        }
        Ok(server)
    }

    /// Waits until it says where it listens.
    pub(crate) fn listening(&mut self) -> Result<SocketAddr> {
        let start = Instant::now();
        while start.elapsed() < LISTEN_LIMIT {
            if let Ok(address) = self.told.recv_timeout(Duration::from_millis(2)) {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it listened:{}", self.launch.last_lines());
            }
        }
        bail!(
            "the server did not say where it listens within {} s:{}",
            LISTEN_LIMIT.as_secs(),
            self.launch.last_lines()
        )
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, with SIGTERM.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the server has no process id")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// Lets it stand still, with its connections open, or go on.
    pub(crate) fn pause(&self, is_still: bool) -> Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the server has no process id")?;
        Ok(kill_process(pid, if is_still { Signal::STOP } else { Signal::CONT })?)
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the server has not stopped {} s after SIGTERM:{}", limit.as_secs(), self.launch.last_lines())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A child inherits the CPUs of the thread that starts it.
fn spawn_on(cpus: &[usize], mut command: Command) -> Result<Child> {
    if cpus.is_empty() {
        return Ok(command.spawn()?);
    }
    let cpus = cpus.to_vec();
    let thread = std::thread::spawn(move || {
        pin(&cpus)?;
        Ok(command.spawn()?)
    });
    thread.join().unwrap_or_else(|_| bail!("the thread that starts the server panicked"))
}

/// Keeps this thread, and what it starts, on these CPUs; none = where it is.
pub(crate) fn pin(cpus: &[usize]) -> Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cpus.iter().filter(|cpu| **cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(*cpu));
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on the CPUs {cpus:?}"))
}

/// Copies what the child prints to its log, so that it never waits for a reader, and tells the first address named in
/// it.
fn copy_lines(pipe: impl Read, mut log: File, tell: &mpsc::Sender<SocketAddr>) {
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        if let Some(address) = address::told(&String::from_utf8_lossy(&line)) {
            // No one listens any more once the address is known.
            _ = tell.send(address);
        }
        drop(log.write_all(&[&line[..], b"\n"].concat()));
    }
}

/// A free port that the system will not give to outgoing connections: while a server is down between two lives, nothing
/// takes its port.
pub(crate) fn free_port(seed: u64) -> Result<SocketAddr> {
    for offset in 0..1_000 {
        let port = 20_000 + ((seed.wrapping_mul(7_919) + offset) % 10_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
        }
    }
    bail!("no free port between 20000 and 29999 on 127.0.0.1")
}
