//! What is on record of this clone's servers: one file in the target folder, which tests and people may read.
//!
//! Always true here: who changes the record holds the lock; a server's process is on record before it is waited for, so
//! that an interrupted run leaves nothing that `down` does not find; the file is replaced as a whole.

use super::jars::hex;
use super::process::{Life, Process};
use super::servers::{Ports, SERVICES, Service};
use crate::workspace;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The clone whose servers these are.
    pub(crate) clone: PathBuf,
    /// What tests read: variable and value of each service that is up.
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) services: BTreeMap<String, Record>,
}

/// A service that is up, or was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) source: Source,
    pub(crate) nodes: Vec<NodeRecord>,
}

/// Where a service comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Source {
    /// Its variable was set: somebody else's, neither started nor stopped here.
    Environment,
    /// A container.
    Compose,
    /// A process from the published jars.
    Jars,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    pub(crate) name: String,
    /// `HOST:PORT` for clients.
    pub(crate) address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ports: Option<Ports>,
    /// The last process that ran it, if it was one of ours.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Process>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<PathBuf>,
    /// Differs when another version or configuration was started.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) plan: String,
    /// Stopped on purpose.
    #[serde(default)]
    pub(crate) stopped: bool,
    /// Started by this run of the program.
    #[serde(skip)]
    pub(crate) fresh: bool,
}

impl Record {
    /// What the service's variable is set to.
    pub(crate) fn value(&self, service: &Service) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address.clone()).collect();
        service.value(&addresses)
    }
}

impl NodeRecord {
    /// A server at this address that has not been started yet, or is not ours to start.
    pub(crate) fn at(name: String, address: String, ports: Option<Ports>) -> NodeRecord {
        NodeRecord { name, address, ports, process: None, log: None, plan: String::new(), stopped: false, fresh: false }
    }
}

/// This clone's place in the target folder.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
}

impl Place {
    /// Of the clone in which cargo runs us; clones that share a target folder have one each.
    pub(crate) fn here() -> Place {
        Place::of(&workspace::target_dir(), &workspace::root())
    }

    fn of(target: &Path, clone: &Path) -> Place {
        let name = clone.file_name().map_or("clone".into(), |name| name.to_string_lossy().into_owned());
        let sum = hex(&Sha256::digest(clone.as_os_str().as_encoded_bytes()));
        Place { folder: target.join("services").join(format!("{name}-{}", &sum[..8])) }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("services.json")
    }

    /// A number that differs between clones.
    pub(crate) fn seed(&self) -> u64 {
        let sum = Sha256::digest(self.folder.as_os_str().as_encoded_bytes());
        sum.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
    }

    /// The id of the cluster `service`: 22 characters that differ between clones, the base 64 of 16 bytes.
    pub(crate) fn cluster(&self, service: &str) -> String {
        let sum = hex(&Sha256::digest(self.node(service).as_os_str().as_encoded_bytes()));
        // The last character carries two bits alone; of an A they are zero, as they must be.
        format!("{}A", &sum[..21])
    }

    /// Held as long as the file is open: one change at a time.
    pub(crate) fn lock(&self) -> Result<File> {
        fs::create_dir_all(&self.folder).with_context(|| format!("make {}", self.folder.display()))?;
        let path = self.folder.join("lock");
        let file = File::options().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("open {}", path.display()))?;
        if file.try_lock().is_err() {
            eprintln!("waiting for another `cargo xtask services` in this clone");
            file.lock().with_context(|| format!("lock {}", path.display()))?;
        }
        Ok(file)
    }

    /// What is on record, and what environment follows from it now; an empty record if there is none.
    pub(crate) fn read(&self) -> Result<State> {
        let path = self.file();
        match fs::read(&path) {
            Ok(bytes) => {
                let mut state: State = serde_json::from_slice(&bytes).with_context(|| {
                    format!("{} is of no known form; stop the servers by hand and delete the folder", path.display())
                })?;
                state.environment = self.environment(&state);
                Ok(state)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(State { clone: workspace::root(), ..State::default() })
            }
            Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
        }
    }

    /// Replaces what is on record, and gives `state` the environment that follows from it.
    pub(crate) fn write(&self, state: &mut State) -> Result<()> {
        state.environment = self.environment(state);
        let path = self.file();
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec_pretty(state)?).with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, &path).with_context(|| format!("write {}", path.display()))
    }

    /// The variables of the services that are up.
    fn environment(&self, state: &State) -> BTreeMap<String, String> {
        // Where all servers of a service are gone, somebody else may listen soon.
        let gone = |node: &NodeRecord| self.life(node) == Some(Life::Gone);
        let values = SERVICES.iter().filter_map(|service| {
            let record = state.services.get(service.name).filter(|record| !record.nodes.iter().all(gone))?;
            Some((service.variable.to_owned(), record.value(service)))
        });
        values.collect()
    }

    /// Where the server `node` has its configuration, data and log.
    pub(crate) fn node(&self, node: &str) -> PathBuf {
        self.folder.join(node)
    }

    /// What stands in the command line of the server `node`, and of no other process.
    pub(crate) fn word(&self, node: &str) -> String {
        // The slash at the end keeps `kafka` from standing in that of `kafka-1`.
        format!("-Dflagstream.services={}/", self.node(node).display())
    }

    /// What the process of this node does; none if it has none of ours.
    pub(crate) fn life(&self, node: &NodeRecord) -> Option<Life> {
        node.process.as_ref().map(|process| process.life(&self.word(&node.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let process = Process { pid: 7, started: "8 ticks".to_owned() };
        let ports = Some(Ports { clients: 1, servers: None });
        let node = NodeRecord {
            name: "kafka".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            ports,
            process: Some(process),
            log: Some("log".into()),
            plan: "p".to_owned(),
            stopped: false,
            fresh: false,
        };
        let foreign = NodeRecord {
            name: "sqs".to_owned(),
            ports: None,
            process: None,
            log: None,
            plan: String::new(),
            ..node.clone()
        };
        let record = |source, node: &NodeRecord| Record { source, nodes: vec![node.clone()] };
        let services = [
            ("kafka".to_owned(), record(Source::Jars, &node)),
            ("sqs".to_owned(), record(Source::Environment, &foreign)),
        ];
        State { clone: "/c".into(), environment: BTreeMap::new(), services: services.into() }
    }

    #[test]
    fn what_is_written_is_read() {
        let target = tempfile::tempdir().unwrap();
        let place = Place::of(target.path(), Path::new("/a/clone"));
        let _lock = place.lock().unwrap();
        assert_eq!(place.read().unwrap().services.len(), 0);
        let mut written = state();
        place.write(&mut written).unwrap();
        assert_eq!(place.read().unwrap(), written);
        // The process on record for Kafka is no longer there.
        let told = [("FLAGSTREAM_TEST_SQS", "http://127.0.0.1:1")];
        assert_eq!(written.environment, told.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let kafka = written.services.get_mut("kafka").unwrap();
        kafka.nodes.push(NodeRecord { process: None, address: "127.0.0.1:2".to_owned(), ..kafka.nodes[0].clone() });
        place.write(&mut written).unwrap();
        assert_eq!(written.environment["FLAGSTREAM_TEST_KAFKA"], "127.0.0.1:1,127.0.0.1:2");
        let text = fs::read_to_string(place.file()).unwrap();
        assert!(text.contains("\"pid\": 7"), "{text}");
        fs::write(place.file(), "{").unwrap();
        assert!(place.read().unwrap_err().to_string().contains("services.json is of no known form"));
    }

    #[test]
    fn clones_that_share_a_target_folder_share_nothing_else() {
        let target = Path::new("/t");
        let (one, two) = (Place::of(target, Path::new("/a/clone")), Place::of(target, Path::new("/b/clone")));
        assert!(one.folder.starts_with("/t/services"));
        assert_ne!(one.folder, two.folder);
        assert_ne!(one.seed(), two.seed());
        assert_ne!(one.cluster("kafka"), two.cluster("kafka"));
        assert_ne!(one.cluster("kafka"), one.cluster("kafka-cluster"));
        assert!(!one.word("kafka-1").contains(&one.word("kafka")));
        assert_ne!(one.word("kafka"), two.word("kafka"));
        let id = one.cluster("kafka");
        assert_eq!((id.len(), id.ends_with('A')), (22, true));
    }

    #[test]
    fn the_lock_is_held_by_one_at_a_time() {
        let target = tempfile::tempdir().unwrap();
        let place = Place::of(target.path(), Path::new("/a/clone"));
        let lock = place.lock().unwrap();
        let other = File::options().append(true).open(place.folder.join("lock")).unwrap();
        assert!(other.try_lock().is_err());
        drop(lock);
        other.try_lock().unwrap();
    }
}
