//! Processes that outlive this program: which one was started, whether it still runs, signals to it.
//!
//! Always true here: a process is its id, the moment at which the system started it, and a word of its command line; a
//! process that only has the id is a stranger, counts as gone, and gets no signal.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A process that was started here, as it is kept on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// When the system started it, as the system writes it: compared, never read.
    pub(crate) started: String,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    Paused,
    Gone,
}

/// What the system says of a process id.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    state: char,
    started: String,
    command: String,
}

impl Process {
    /// The process with this id that was started just now, with `word` in its command line; none if it has ended
    /// already.
    pub(crate) fn just_started(pid: u32, word: &str) -> Option<Process> {
        let pid = i32::try_from(pid).ok()?;
        let process = Process { pid, started: seen(pid)?.started };
        // For a moment it has no command line yet, or still ours.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if process.life(word) != Life::Gone {
                return Some(process);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }

    /// What it does; `word` stands in its command line.
    pub(crate) fn life(&self, word: &str) -> Life {
        seen(self.pid).map_or(Life::Gone, |seen| self.judge(&seen, word))
    }

    fn judge(&self, seen: &Seen, word: &str) -> Life {
        // A dead process that nobody waited for still has its id and its start, and no command line.
        if seen.started != self.started || !seen.command.contains(word) {
            return Life::Gone;
        }
        if matches!(seen.state, 'T' | 't') { Life::Paused } else { Life::Running }
    }

    /// Sends `signal` if this is still the process that was started; false if that one is gone.
    pub(crate) fn signal(&self, word: &str, signal: Signal) -> Result<bool> {
        let Some(target) = Target::of(self.pid) else { return Ok(false) };
        // The target was taken hold of first: what is true of it now stays true until the signal.
        if self.life(word) == Life::Gone {
            return Ok(false);
        }
        target.send(signal).with_context(|| format!("send {signal:?} to process {}", self.pid))?;
        Ok(true)
    }

    /// Waits until it is gone; false if it is still there after `limit`.
    pub(crate) fn wait_gone(&self, word: &str, limit: Duration) -> bool {
        let begun = Instant::now();
        while self.life(word) != Life::Gone {
            if begun.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Asks it to end and waits, at most `limit`; then kills it. False if it had to be killed.
    pub(crate) fn end(&self, word: &str, limit: Duration) -> Result<bool> {
        self.signal(word, Signal::TERM)?;
        // One that is paused hears nothing before it goes on.
        self.signal(word, Signal::CONT)?;
        if self.wait_gone(word, limit) {
            return Ok(true);
        }
        self.kill(word)?;
        Ok(false)
    }

    /// Kills it at once, and waits until it is gone.
    pub(crate) fn kill(&self, word: &str) -> Result<()> {
        self.signal(word, Signal::KILL)?;
        let gone = self.wait_gone(word, Duration::from_secs(10));
        anyhow::ensure!(gone, "process {} is still there 10 s after it was killed", self.pid);
        Ok(())
    }

    /// Its memory in MiB, where the system tells.
    pub(crate) fn memory_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
    }
}

/// What a signal is sent to: on Linux a handle that no later process with the same id can take over.
#[cfg(target_os = "linux")]
struct Target(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Target {
    fn of(pid: i32) -> Option<Target> {
        rustix::process::pidfd_open(Pid::from_raw(pid)?, rustix::process::PidfdFlags::empty()).ok().map(Target)
    }

    fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        rustix::process::pidfd_send_signal(&self.0, signal)
    }
}

#[cfg(not(target_os = "linux"))]
struct Target(Pid);

#[cfg(not(target_os = "linux"))]
impl Target {
    fn of(pid: i32) -> Option<Target> {
        Pid::from_raw(pid).map(Target)
    }

    fn send(&self, signal: Signal) -> rustix::io::Result<()> {
        rustix::process::kill_process(self.0, signal)
    }
}

#[cfg(target_os = "linux")]
fn seen(pid: i32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let (state, ticks) = read_stat(&stat)?;
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    Some(Seen { state, started: format!("{ticks} ticks after boot {}", boot.trim()), command })
}

#[cfg(not(target_os = "linux"))]
fn seen(pid: i32) -> Option<Seen> {
    let ask = |field: &str| {
        let output =
            std::process::Command::new("ps").args(["-ww", "-o", field, "-p", &pid.to_string()]).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    Some(Seen { state: ask("state=")?.chars().next()?, started: ask("lstart=")?, command: ask("command=")? })
}

/// State and start time (clock ticks since boot) out of Linux's `/proc/PID/stat`: fields 3 and 22, counted behind the
/// last parenthesis, since the name before it may hold spaces and parentheses.
#[cfg(target_os = "linux")]
fn read_stat(stat: &str) -> Option<(char, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    /// A child that ends with its test, also with one that fails.
    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }

    fn sleeper() -> (Sleeper, Process) {
        let child = Command::new("sleep").arg("600.25").stdout(Stdio::null()).spawn().unwrap();
        let process = Process::just_started(child.id(), "600.25").unwrap();
        (Sleeper(child), process)
    }

    #[test]
    fn a_process_is_paused_resumed_and_ended() {
        let (mut child, process) = sleeper();
        assert_eq!(process.life("600.25"), Life::Running);
        assert!(process.signal("600.25", Signal::STOP).unwrap());
        let begun = Instant::now();
        while process.life("600.25") != Life::Paused {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        // Ends although it is paused; and is gone although nobody has waited for it.
        assert!(process.end("600.25", Duration::from_secs(60)).unwrap());
        assert_eq!(process.life("600.25"), Life::Gone);
        assert!(!process.signal("600.25", Signal::KILL).unwrap());
        child.0.wait().unwrap();
        assert_eq!(process.life("600.25"), Life::Gone);
    }

    #[test]
    fn a_stranger_with_the_same_id_is_never_touched() {
        let (mut child, process) = sleeper();
        let earlier = Process { started: "1 ticks after boot x".to_owned(), ..process.clone() };
        for (stranger, word) in [(&earlier, "600.25"), (&process, "600.75")] {
            assert_eq!(stranger.life(word), Life::Gone);
            assert!(!stranger.signal(word, Signal::KILL).unwrap());
            stranger.kill(word).unwrap();
            assert!(stranger.end(word, Duration::ZERO).unwrap());
        }
        assert_eq!(process.life("600.25"), Life::Running);
        process.kill("600.25").unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.0.wait().unwrap()), Some(9));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(read_stat(&format!("17 (java) {rest}")), Some(('S', 4711)));
        assert_eq!(read_stat(&format!("17 (a) b (c d) {rest}")), Some(('S', 4711)));
        assert_eq!(read_stat("17 (java) S 1"), None);
        assert_eq!(read_stat(""), None);
    }
}
