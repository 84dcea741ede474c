//! Services apart on a real Kafka and DynamoDB: what does not fit ends them with what to do.
//!
//! They must run already: `cargo xtask services up kafka dynamodb` starts them and says what to put into the
//! environment; `cargo xtask suites` does both.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::server::flagstream;

/// A configuration of its own, and its folder.
struct Apart {
    folder: tempfile::TempDir,
    name: String,
    brokers: String,
    endpoint: String,
}

impl Apart {
    fn new(name: &str) -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| panic!("{name} names the server: see `cargo xtask services up`"))
        };
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            name: format!("{name}-{}", std::process::id()),
            brokers: variable("FLAGSTREAM_TEST_KAFKA"),
            endpoint: variable("FLAGSTREAM_TEST_DYNAMODB"),
        }
    }

    /// Writes it, with these values in `[log]`, `[store]` and at the top.
    fn configured(&self, log: &str, store: &str, top: &str) -> PathBuf {
        let Self { folder, name, brokers, endpoint } = self;
        let brokers = if log.contains("brokers") { String::new() } else { format!("brokers = \"{brokers}\"\n") };
        let partitions = if log.contains("partitions") { "" } else { "partitions = 2\n" };
        let prefix = if store.contains("prefix") { String::new() } else { format!("prefix = \"{name}_\"\n") };
        let text = format!(
            "{top}\n[log]\nkind = \"kafka\"\ntopic = \"{name}\"\nreplication = 1\n{brokers}{partitions}{log}\n\
             [store]\nkind = \"dynamodb\"\nendpoint = \"{endpoint}\"\n{prefix}{store}\n"
        );
        let file = folder.path().join("flagstream.toml");
        std::fs::write(&file, text).expect("write it");
        file
    }

    fn run(&self, command: &str, file: &Path) -> Output {
        let mut run = flagstream();
        run.arg(command).arg("--config").arg(file).arg("--data").arg(self.folder.path().join("data"));
        if command != "setup" {
            run.args(["--listen", "127.0.0.1:0"]);
        }
        run.output().expect("run it")
    }

    fn set_up(&self) -> String {
        let done = self.run("setup", &self.configured("", "", ""));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("its words")
    }

    /// How each of these commands ends with this configuration; none may start.
    fn refused(&self, commands: &[&str], file: &Path, words: &[&str]) {
        for command in commands {
            let done = self.run(command, file);
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(1), "{command}: {said}");
            for word in words {
                assert!(said.contains(word), "{command} does not say {word:?}: {said}");
            }
        }
    }
}

const ALL: [&str; 3] = ["ingest", "process", "serve"];

#[test]
fn setup_runs_twice_and_what_is_not_set_up_says_so() {
    let apart = Apart::new("twice");
    let file = apart.configured("", "", "");
    apart.refused(&ALL, &file, &["there is no topic", "flagstream setup"]);
    assert!(apart.set_up().contains("began 2 of 2 partitions"));
    let again = apart.set_up();
    assert!(again.contains("exists") && again.contains("began 0 of 2 partitions"), "{again}");
    let elsewhere = apart.configured("", "prefix = \"nowhere_\"", "");
    apart.refused(&["process", "serve"], &elsewhere, &["there is no table nowhere_", "flagstream setup"]);
}

#[test]
fn what_was_set_up_otherwise_is_named() {
    let apart = Apart::new("otherwise");
    apart.set_up();
    let partitions = apart.configured("partitions = 3", "", "");
    apart.refused(&ALL, &partitions, &["it has 2 partitions, the generation 3", "[log] partitions"]);
    let limits = apart.configured("", "", "").with_file_name("limits.toml");
    let text = std::fs::read_to_string(apart.configured("", "", "")).unwrap();
    std::fs::write(&limits, format!("{text}[limits]\nevents_max = 5\n")).unwrap();
    apart.refused(&ALL, &limits, &["generation 1 was made with", "events_max = 10000", "events_max = 5"]);
}

#[test]
fn another_generation_is_set_up_by_itself() {
    let apart = Apart::new("next");
    apart.set_up();
    let next = apart.configured("generation = 2", "", "");
    apart.refused(&ALL, &next, &["there is no topic", ".g2"]);
}

#[test]
fn an_embedded_log_is_one_processs() {
    let folder = tempfile::tempdir().unwrap();
    for command in ALL {
        let done = flagstream().args([command, "--data"]).arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("belongs to one process") && said.contains("flagstream up"), "{said}");
    }
}
