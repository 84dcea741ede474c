//! The configuration in two steps: what was written ([`written`]: file, then environment variables) and what it means
//! ([`Settings`]: checked and typed). `--print-config` shows what is in effect, with secrets masked.
//!
//! Always true here: a value that this build cannot honour is refused by name, never ignored.

#[cfg(feature = "oldpath")]
pub mod gate;
pub mod kept;
pub mod rule;
pub mod stale;
pub mod variables;
pub mod written;
pub mod wrong;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use schemas::generation::Generation;
use schemas::{fixed, id};

pub use written::Written;

/// What was written, understood.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// The generation that this process works on.
    pub generation: Generation,
    /// Where the log is.
    pub log: kept::Log,
    /// Where cells and checkpoints are.
    pub store: kept::Store,
    /// Where copies of partitions' state are.
    pub snapshots: kept::Snapshots,
    /// The gate before the old path, where there is one.
    #[cfg(feature = "oldpath")]
    pub gate: Option<gate::Gate>,
    /// Trouble on purpose at the stores of both paths. No configuration can ask for it; the demo does.
    #[cfg(feature = "oldpath")]
    pub trouble: Option<stores::trouble::Switch>,
    /// How often cells are made durable.
    pub flush: Duration,
    /// What is configured of the stale rule.
    pub stale: experiments::StaleSettings,
    /// As written: environments, keys, limits.
    pub written: Written,
}

impl Settings {
    /// Reads the file (if any) and the environment variables, puts the command line's values over them, and checks all.
    ///
    /// # Errors
    /// A message that names the value, what is wrong with it and what to write instead.
    pub fn read(file: Option<&Path>, listen: Option<&str>, data: Option<&Path>) -> anyhow::Result<Self> {
        let mut written = Written::read(file)?;
        if let Some(listen) = listen {
            written.listen = listen.to_owned();
        }
        if let Some(data) = data {
            written.data = data.to_owned();
        }
        Self::understand(written)
    }

    /// The configuration in effect as TOML, secrets masked, and behind it, as comments, the limits that no one sets:
    /// they are of the generation.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn print(&self) -> anyhow::Result<String> {
        let Generation { number, dedupe_records, clock, fold, .. } = &self.generation;
        let days = clock.lateness_ms / (24 * 3_600_000);
        Ok(format!(
            "{}\n# Fixed in this build, for all of generation {number} (no settings):\n\
             # dedupe_records = {dedupe_records}  # a payload id is remembered for so many records of its partition\n\
             # ahead_ms = {}  # an event dated further ahead of its receipt counts at its receipt (clamped)\n\
             # lateness_ms = {}  # an older event is late: {days} days\n\
             # earliest_ms = {}  # an event dated before counts at its receipt (clamped); Unix milliseconds\n\
             # flags_max = {}  # of an environment, and as many keys of custom events; what is beyond counts as `other`\n\
             # usage_pairs_max = {}  # variation and version, of a flag and hour\n\
             # usage_rows_max = {}  # variation, application and SDK, of a flag and hour\n\
             # last_seen_rows_max = {}  # of a flag\n\
             # sdk_rows_max = {}  # of an environment\n\
             # texts_bytes_max = {}  # of all texts of a cell\n\
             # key_bytes_max = {}  # of a flag, a custom event or a kind of context; a longer one is refused (invalid_key)\n\
             # context_key_bytes_max = {}  # of a context; a longer one is refused (invalid_key)\n\
             # payload_id_bytes_max = {}  # a longer one is not remembered\n\
             # name_bytes_max = {}  # names of applications, SDKs and their versions are cut there\n\
             # metric_max = {}  # the greatest metric value, either sign; beyond it an event counts without one\n",
            self.written.print()?,
            clock.ahead_ms,
            clock.lateness_ms,
            clock.earliest_ms,
            fold.flags_max,
            fold.usage_pairs_max,
            fold.usage_rows_max,
            fold.last_seen_rows_max,
            fold.sdk_rows_max,
            fold.texts_bytes_max,
            id::KEY_BYTES_MAX,
            id::CONTEXT_KEY_BYTES_MAX,
            id::PAYLOAD_ID_BYTES_MAX,
            id::NAME_BYTES_MAX,
            fixed::MICROS_MAX / 1_000_000,
        ))
    }

    /// Checks what was written, and says what it means.
    ///
    /// # Errors
    /// A message that names the value, what is wrong with it and what to write instead.
    pub fn understand(mut written: Written) -> anyhow::Result<Self> {
        let (log, store) = (written.log.understand()?, written.store.understand()?);
        let snapshots = written.snapshots.understand()?;
        ensure!(
            written.log.kind == "embedded" || written.store.kind != "embedded",
            "log.kind = {:?} is for several processes, and the embedded store for one; set store.kind = \"dynamodb\" or \
             \"cassandra\"",
            written.log.kind
        );
        #[cfg(feature = "oldpath")]
        let gate = gate::understand(&mut written, &store)?;
        let listen = address(&written.listen)?;
        written.check()?;
        written.limits.check()?;
        let stale = rule::understand(&written)?;
        let mut generation =
            Generation::new(written.log.generation, &written.log.topic, written.log.partitions, counting::FOLD_VERSION);
        generation.decode = written.limits.of_generation();
        Ok(Self {
            listen,
            data: written.data.clone(),
            generation,
            log,
            store,
            snapshots,
            #[cfg(feature = "oldpath")]
            gate,
            #[cfg(feature = "oldpath")]
            trouble: None,
            flush: Duration::from_secs(written.store.flush_seconds.unwrap_or(1)),
            stale,
            written,
        })
    }
}

/// Reads HOST:PORT; no host, and `localhost`, are this machine alone.
fn address(listen: &str) -> anyhow::Result<SocketAddr> {
    let expected = "say HOST:PORT with the host as an address, as 127.0.0.1:8080 or [::1]:8080; port 0 (127.0.0.1:0, \
                    or :0) takes a free one";
    let port = listen.strip_prefix("localhost:").or_else(|| listen.strip_prefix(':'));
    let whole = port.map_or_else(|| listen.to_owned(), |port| format!("127.0.0.1:{port}"));
    whole.parse().ok().with_context(|| format!("listen = {listen:?} is no address to listen on; {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (listen, expected) in [
            (":0", "127.0.0.1:0"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(address(listen).unwrap().to_string(), expected);
        }
        for wrong in ["8080", "127.0.0.1", "example:80", "", ":", "127.0.0.1:99999", "::1:8080:x"] {
            let said = format!("{:#}", address(wrong).unwrap_err());
            assert!(
                said.contains(&format!("{wrong:?}")) && said.contains("HOST:PORT") && said.contains(":0)"),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_printed_states_every_limit_and_can_be_read_again() {
        let settings = Settings::understand(Written::default()).unwrap();
        let printed = settings.print().unwrap();
        for limit in [
            "dedupe_records = 1000000 ",
            "lateness_ms = 604800000 ",
            "flags_max = 10000 ",
            "count_max = ",
            "\n# key_bytes_max = 256 ",
            "context_key_bytes_max = 1024 ",
            "payload_id_bytes_max = 128 ",
            "name_bytes_max = 64 ",
            "metric_max = 1000000000000 ",
        ] {
            assert!(printed.contains(limit), "{limit}: {printed}");
        }
        let again: Written = toml::from_str(&printed).unwrap();
        assert_eq!(again.limits, settings.written.limits);
    }

    #[test]
    fn the_log_keeps_by_default_what_its_own_default_is() {
        let settings = Settings::understand(Written::default()).unwrap();
        let options = eventlog::embedded::Options::new(1, 1, std::sync::Arc::new(|| 0));
        let kept = |bytes| matches!(settings.log, kept::Log::Embedded { retain_bytes } if retain_bytes == bytes);
        assert!(kept(options.retain_bytes), "{:?}", settings.log);
    }

    #[test]
    fn limits_that_decide_the_parts_are_in_the_generation() {
        let mut written = Written::default();
        written.limits.events_max = 5;
        let settings = Settings::understand(written).unwrap();
        assert_eq!(settings.generation.decode.events_max, 5);
    }
}
