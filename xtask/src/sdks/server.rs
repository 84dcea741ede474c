//! One `flagstream up` in a process of its own, on a free port, with a data folder that is gone afterwards; killed when
//! dropped.

use super::answers;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_WAIT: Duration = Duration::from_secs(30);
const ADDRESS: &str = "http://127.0.0.1:";

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts `binary` and waits until it is ready for `sdk_key`.
    pub(crate) fn start(binary: &Path, sdk_key: &str) -> Result<Server> {
        Server::up(binary, tempfile::tempdir()?, &["--sdk-key", sdk_key])
    }

    /// Starts `binary` with a configuration file of this content and waits until it is ready.
    pub(crate) fn configured(binary: &Path, configuration: &str) -> Result<Server> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("flagstream.toml"), configuration)?;
        Server::up(binary, folder, &["--config", "flagstream.toml"])
    }

    fn up(binary: &Path, folder: TempDir, arguments: &[&str]) -> Result<Server> {
        let errors = File::create(folder.path().join("stderr"))?;
        let data = folder.path().join("data");
        let mut command = workspace::command(&binary.to_string_lossy());
        command.arg("up").arg("--data").arg(&data).args(["--listen", "127.0.0.1:0"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).current_dir(folder.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLAGSTREAM_")) {
            command.env_remove(name); // the caller's own settings are not the subject
        }
        let mut child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let lines = read_lines(child.stdout.take().context("its output is not a pipe")?);
        let mut server = Server { address: ([127, 0, 0, 1], 0).into(), child, folder };
        server.address = server.wait_for_address(&lines)?;
        server.wait_until_ready().map_err(|error| error.context(server.words()))?;
        Ok(server)
    }

    /// What it wrote to its standard error, for the report of a failure.
    pub(crate) fn words(&self) -> String {
        let text = fs::read(self.folder.path().join("stderr")).unwrap_or_default();
        format!("the server's standard error: {}", String::from_utf8_lossy(&text).trim())
    }

    /// Its data folder, which goes when this value does.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Kills it, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn wait_for_address(&mut self, lines: &Receiver<String>) -> Result<SocketAddr> {
        let deadline = Instant::now() + START_WAIT;
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match address_in(&line) {
                    Some(address) => return Ok(address),
                    None => said.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no line with {ADDRESS}PORT within {START_WAIT:?}, but: {said:?}; {}", self.words())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "ended ({:?}) before it said where it listens; it said {said:?}; {}",
                        self.child.wait(),
                        self.words()
                    )
                }
            }
        }
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            match answers::status(self.address, "/readyz") {
                Ok(200) => return Ok(()),
                outcome if Instant::now() > deadline => bail!("/readyz within {START_WAIT:?}: {outcome:?}"),
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Lines as they come; read to the end even when nobody listens any more, so that the server never waits for us.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
            sender.send(line).ok();
        }
    });
    receiver
}

/// The first loopback address in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let after = &line[line.find(ADDRESS)? + ADDRESS.len()..];
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(([127, 0, 0, 1], digits.parse().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_found_in_a_line_for_people() {
        assert_eq!(address_in("  page: http://127.0.0.1:40123/ (open)"), Some(([127, 0, 0, 1], 40123).into()));
        assert_eq!(address_in("http://127.0.0.1:99999"), None);
        assert_eq!(address_in("listening"), None);
    }
}
