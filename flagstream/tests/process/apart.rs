//! Services apart on a real Kafka, with DynamoDB or Cassandra: what does not fit ends them with what to do.
//!
//! They must run already: `cargo xtask services up kafka dynamodb cassandra` starts them and says what to put into the
//! environment; `cargo xtask suites` does both.

mod credentials;
mod gone;
mod kafka;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::server::flagstream;

/// A configuration of its own, and its folder.
struct Apart {
    folder: tempfile::TempDir,
    /// Of the topic, the tables, the keyspace.
    name: String,
    /// Fields of `[log]` and of `[store]`, unless a test says another value.
    log: Fields,
    store: Fields,
}

type Fields = Vec<(&'static str, String)>;

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} names the server: see `cargo xtask services up`"))
}

impl Apart {
    /// On Kafka, with a store.
    fn new(name: &str, store: Fields) -> Self {
        let name = format!("{name}_{}", std::process::id());
        let quoted = |text: &str| format!("{text:?}");
        let log = vec![
            ("kind", quoted("kafka")),
            ("topic", quoted(&name)),
            ("replication", "1".to_owned()),
            ("brokers", quoted(&server("FLAGSTREAM_TEST_KAFKA"))),
            ("partitions", "2".to_owned()),
        ];
        Self { folder: tempfile::tempdir().expect("a folder"), name, log, store }
    }

    fn on_dynamodb(name: &str) -> Self {
        let prefix = format!("{:?}", format!("{name}_{}_", std::process::id()));
        let endpoint = format!("{:?}", server("FLAGSTREAM_TEST_DYNAMODB"));
        Self::new(name, vec![("kind", "\"dynamodb\"".to_owned()), ("endpoint", endpoint), ("prefix", prefix)])
    }

    fn on_cassandra(name: &str) -> Self {
        let keyspace = format!("{:?}", format!("{name}_{}", std::process::id()));
        let contact_points = format!("[{:?}]", server("FLAGSTREAM_TEST_CASSANDRA"));
        let store = vec![
            ("kind", "\"cassandra\"".to_owned()),
            ("contact_points", contact_points),
            ("keyspace", keyspace),
            ("replication", "1".to_owned()),
        ];
        Self::new(name, store)
    }

    /// Writes it, with these values in `[log]`, `[store]` and at the top.
    fn configured(&self, log: &str, store: &str, top: &str) -> PathBuf {
        let but = |fields: &Fields, said: &str| -> String {
            let left = fields.iter().filter(|(field, _)| !said.contains(field));
            left.map(|(field, value)| format!("{field} = {value}\n")).collect()
        };
        let text = format!("{top}\n[log]\n{}{log}\n[store]\n{}{store}\n", but(&self.log, log), but(&self.store, store));
        let file = self.folder.path().join("flagstream.toml");
        std::fs::write(&file, text).expect("write it");
        file
    }

    /// A command with this data directory.
    fn command(&self, name: &str, file: &Path, data: &str) -> Command {
        let mut command = flagstream();
        command.arg(name).arg("--config").arg(file).arg("--data").arg(self.folder.path().join(data));
        if name != "setup" {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
    }

    fn run(&self, command: &str, file: &Path) -> Output {
        self.command(command, file, "data").output().expect("run it")
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

/// What a command says until it has said these words, which may be while it waits.
fn said_until(mut command: Command, words: &str) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("start it");
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().expect("its words")).lines() {
        said = format!("{said}{}\n", line.expect("a line"));
        if said.contains(words) {
            break;
        }
    }
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert!(said.contains(words), "it does not say {words:?}: {said}");
    said
}

const ALL: [&str; 3] = ["ingest", "process", "serve"];

#[test]
fn setup_runs_twice_and_what_is_not_set_up_says_so() {
    let stores = [
        (Apart::on_dynamodb("twice"), "prefix = \"nowhere_\"", "there is no table nowhere_"),
        (Apart::on_cassandra("again"), "keyspace = \"nowhere\"", "there is no keyspace nowhere"),
    ];
    for (apart, nowhere, said) in stores {
        let file = apart.configured("", "", "");
        apart.refused(&ALL, &file, &["there is no topic", "flagstream setup"]);
        assert!(apart.set_up().contains("began 2 of 2 partitions"));
        let again = apart.set_up();
        assert!(again.contains("exist\n") && again.contains("began 0 of 2 partitions"), "{again}");
        let elsewhere = apart.configured("", nowhere, "");
        apart.refused(&["process", "serve"], &elsewhere, &[said, "flagstream setup"]);
    }
}

#[test]
fn a_keyspace_with_other_copies_is_named() {
    let apart = Apart::on_cassandra("copies");
    let three = apart.configured("", "replication = 3", "");
    apart.refused(&["setup"], &three, &["more copies than data centre datacenter1 has nodes (1)", "lower it"]);
    apart.set_up();
    let three = apart.configured("", "replication = 3", "");
    apart.refused(&["setup", "process", "serve"], &three, &["has 1 copies", "`[store] replication` is 3; set it to 1"]);
}

/// What is printed before anything is reached, so that an administrator may run it instead.
#[test]
fn a_plan_is_cql_with_the_least_rights() {
    let apart = Apart::on_cassandra("planned");
    let file = apart.configured("", "user = \"ours\"\npassword = \"hunter2-hunter2\"", "");
    let done = flagstream().args(["setup", "--plan", "--config"]).arg(file).output().unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    for line in [
        format!("CREATE KEYSPACE IF NOT EXISTS {} WITH replication", apart.name),
        format!("CREATE TABLE IF NOT EXISTS {}.progress (", apart.name),
        format!("GRANT MODIFY ON KEYSPACE {} TO 'ours';", apart.name),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn nodes_may_be_named_by_a_variable() {
    let printed = flagstream()
        .args(["up", "--print-config"])
        .env("FLAGSTREAM_LOG__KIND", "kafka")
        .env("FLAGSTREAM_STORE__KIND", "cassandra")
        .env("FLAGSTREAM_STORE__CONTACT_POINTS", "cassandra-1:9042,cassandra-2:9042")
        .env("FLAGSTREAM_STORE__KEYSPACE", "flags")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&printed.stdout).into_owned();
    let words = String::from_utf8_lossy(&printed.stderr).into_owned();
    let nodes = "contact_points = [\n    \"cassandra-1:9042\",\n    \"cassandra-2:9042\",\n]\nkeyspace = \"flags\"";
    assert!(said.contains(nodes), "{said}{words}");
}

#[test]
fn what_was_set_up_otherwise_is_named() {
    let apart = Apart::on_dynamodb("otherwise");
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
    let apart = Apart::on_dynamodb("next");
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
