//! Which ports the servers take, and whose a port is.
//!
//! Always true here: two runs of this program never choose the same port, also in two clones, since each holds a lock
//! on what it chose until its servers listen.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

/// Where free ports are looked for: below those that systems give to outgoing connections, which would come between.
const SEARCHED: std::ops::Range<u16> = 20_000..32_000;

/// How ports are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ports {
    /// The usual one where it is free, another where it is taken
    Usual,
    /// The usual one, or an error
    Fixed,
    /// Any that is free
    Free,
}

/// Chooses ports, each once.
pub(crate) struct Choice {
    how: Ports,
    next: u16,
    locks: PathBuf,
    held: Vec<(u16, File)>,
}

impl Choice {
    /// `seed` is where the search begins: different for each clone, so that two seldom want the same.
    pub(crate) fn new(how: Ports, seed: u64) -> Result<Choice> {
        let locks = std::env::temp_dir().join("flagstream-ports");
        std::fs::create_dir_all(&locks).with_context(|| format!("make {}", locks.display()))?;
        let width = u64::from(SEARCHED.end - SEARCHED.start);
        let next = SEARCHED.start + u16::try_from(seed % width).unwrap_or(0);
        Ok(Choice { how, next, locks, held: Vec::new() })
    }

    /// A port that nobody listens on and nobody else is about to: `usual` if it may be.
    ///
    /// # Errors
    /// `usual` is taken and no other is allowed; none is free.
    pub(crate) fn take(&mut self, usual: u16) -> Result<u16> {
        if self.how != Ports::Free && self.hold(usual) {
            return Ok(usual);
        }
        if self.how == Ports::Fixed {
            bail!("port {usual} is taken; stop what listens there, or let another be chosen with --ports usual");
        }
        for _ in SEARCHED {
            let port = self.next;
            self.next = if port + 1 == SEARCHED.end { SEARCHED.start } else { port + 1 };
            if self.hold(port) {
                return Ok(port);
            }
        }
        bail!("no port from {} to {} is free on 127.0.0.1", SEARCHED.start, SEARCHED.end - 1)
    }

    /// True if the port is ours from now on.
    fn hold(&mut self, port: u16) -> bool {
        if self.held.iter().any(|(held, _)| *held == port) {
            return false;
        }
        let Ok(file) = File::options().create(true).append(true).open(self.locks.join(port.to_string())) else {
            // Another user's file: this port is not for us.
            return false;
        };
        if file.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            return false;
        }
        self.held.push((port, file));
        true
    }
}

/// Whether process `pid` listens on `port`; none where the system does not tell.
pub(crate) fn listens(pid: i32, port: u16) -> Option<bool> {
    let mut listening = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        listening.extend(listeners(&std::fs::read_to_string(table).unwrap_or_default(), port));
    }
    let handles = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut links = handles.flatten().filter_map(|handle| std::fs::read_link(handle.path()).ok());
    Some(links.any(|link| listening.iter().any(|inode| link.as_os_str() == format!("socket:[{inode}]").as_str())))
}

/// The inodes of the sockets that listen on `port`, out of Linux's table of sockets.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    const LISTENING: &str = "0A";
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.len() > 9 && row[1].ends_with(&suffix) && row[3] == LISTENING)
        .filter_map(|row| row[9].parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_chosen_once_and_never_a_taken_one() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let seed = u64::from(std::process::id());
        let mut usual = Choice::new(Ports::Usual, seed).unwrap();
        let first = usual.take(taken).unwrap();
        assert!(SEARCHED.contains(&first), "{first}");
        assert_ne!(usual.take(first).unwrap(), first);
        // Another run of the program, while the first has not started its server yet.
        let mut fixed = Choice::new(Ports::Fixed, seed).unwrap();
        for port in [taken, first] {
            let error = fixed.take(port).unwrap_err().to_string();
            assert!(error.starts_with(&format!("port {port} is taken; ")), "{error}");
        }
        drop(usual);
        assert_eq!(fixed.take(first).unwrap(), first);
        assert_ne!(Choice::new(Ports::Free, seed).unwrap().take(first + 1).unwrap(), first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_is_his_who_listens_on_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(listens(me, port), Some(true));
        assert_eq!(listens(1, port), Some(false));
        drop(listener);
        assert_eq!(listens(me, port), Some(false));
    }

    #[test]
    fn only_sockets_that_listen_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:4A94 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 71 1 0 100 0 0 10 0\n\
             1: 0100007F:4A94 0100007F:8000 01 00000000:00000000 00:00000000 00000000  0 0 72 1 0 100 0 0 10 0\n\
             2: 0100007F:4A95 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 73 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(table, 0x4A94), [71]);
        assert_eq!(listeners(table, 0x4A95), [73]);
        assert_eq!(listeners(table, 0xA94), [0_u64; 0]);
    }
}
