//! The servers there are: a row each; what one needs to start and how it is asked stands in its own file.
//!
//! Always true here: names of services and of their nodes are distinct, and so are the usual ports.

use anyhow::{Result, bail};
use std::path::Path;
use std::time::Duration;

/// A service: one server, or several that belong together.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// The environment variable with its addresses.
    pub(crate) variable: &'static str,
    /// What stands before an address in it.
    pub(crate) scheme: &'static str,
    /// Started by `up` when it names no service.
    pub(crate) by_default: bool,
    pub(crate) jars: &'static Jars,
    pub(crate) nodes: &'static [Node],
    pub(crate) plan: fn(&Ground) -> Plan,
    /// Asks the server at `HOST:PORT`; what it says of itself. It must know so many servers of its service, and itself
    /// by this port; 0 if nobody knows how many there are.
    pub(crate) ask: fn(&str, usize) -> Result<String>,
    /// How long one that was just started must have answered the same before it is taken to be ready.
    pub(crate) settles: Duration,
}

/// One server of a service.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// The usual ports: for clients, and for the servers among themselves where they need one.
    pub(crate) ports: Ports,
}

/// The ports of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ports {
    pub(crate) clients: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) servers: Option<u16>,
}

/// What is fetched for a service.
pub(crate) struct Jars {
    pub(crate) name: &'static str,
    /// Group, artifact, version; the first one's version is the server's.
    pub(crate) artifacts: &'static [(&'static str, &'static str, &'static str)],
    /// A bill of materials that sets the versions of what these need.
    pub(crate) bill: Option<(&'static str, &'static str, &'static str)>,
    /// `sha256  file` of everything that comes, a line each.
    pub(crate) sums: &'static str,
    /// Name and text of a main class of our own.
    pub(crate) source: Option<(&'static str, &'static str)>,
}

/// Where a server is to stand.
pub(crate) struct Ground<'a> {
    /// Its folder: configuration, data, log.
    pub(crate) folder: &'a Path,
    pub(crate) jars: &'a Path,
    /// Which of the service's servers it is, from 0.
    pub(crate) index: usize,
    /// The ports of all of them.
    pub(crate) ports: &'a [Ports],
    /// 22 characters that differ between clones.
    pub(crate) cluster: &'a str,
}

/// How a server is started.
#[derive(Default)]
pub(crate) struct Plan {
    /// Written before each start, by name in the folder.
    pub(crate) files: Vec<(&'static str, String)>,
    pub(crate) folders: Vec<&'static str>,
    /// The file that is there once `prepare` was run, and the main class with arguments that is run before.
    pub(crate) prepare: Option<(&'static str, Vec<String>)>,
    /// Options for Java.
    pub(crate) java: Vec<String>,
    /// Main class and its arguments.
    pub(crate) main: Vec<String>,
    /// Whether Java may keep the loaded classes in an archive, for quicker starts.
    pub(crate) archive: bool,
}

impl Ground<'_> {
    pub(crate) fn own(&self) -> Ports {
        self.ports[self.index]
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

impl Jars {
    pub(crate) fn version(&self) -> &'static str {
        self.artifacts[0].2
    }
}

impl Service {
    /// What its variable is set to when its servers are at these `HOST:PORT`.
    pub(crate) fn value(&self, addresses: &[String]) -> String {
        addresses.iter().map(|address| format!("{}{address}", self.scheme)).collect::<Vec<_>>().join(",")
    }

    /// The `HOST:PORT`s that a value of its variable names.
    pub(crate) fn addresses(&self, value: &str) -> Result<Vec<String>> {
        let mut addresses = Vec::new();
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let address = part.strip_prefix(self.scheme).unwrap_or(part).trim_end_matches('/');
            let port = address.rsplit_once(':').and_then(|(host, port)| (!host.is_empty()).then_some(port));
            if address.contains('/') || port.is_none_or(|port| port.parse::<u16>().is_err()) {
                bail!("{}: `{part}` is not {}HOST:PORT", self.variable, self.scheme);
            }
            addresses.push(address.to_owned());
        }
        if addresses.is_empty() {
            bail!("{} is set and names no address; unset it, or write {}HOST:PORT", self.variable, self.scheme);
        }
        Ok(addresses)
    }
}

/// All of them.
pub(crate) static SERVICES: [&Service; 6] = [
    &super::kafka::ONE,
    &super::kafka::THREE,
    &super::dynamodb::DYNAMODB,
    &super::cassandra::CASSANDRA,
    &super::s3::S3,
    &super::sqs::SQS,
];

/// The service with this name.
pub(crate) fn named(name: &str) -> Result<&'static Service> {
    match SERVICES.iter().find(|service| service.name == name) {
        Some(service) => Ok(service),
        None => {
            let names: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
            bail!("no service `{name}`; there are: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_variables_and_ports_are_distinct() {
        let nodes: Vec<&Node> = SERVICES.iter().flat_map(|service| service.nodes).collect();
        let mut seen = BTreeSet::new();
        for node in &nodes {
            for port in [Some(node.ports.clients), node.ports.servers].into_iter().flatten() {
                assert!(seen.insert(port), "port {port}");
            }
        }
        let distinct = |names: Vec<&str>| names.len() == names.iter().collect::<BTreeSet<_>>().len();
        assert!(distinct(nodes.iter().map(|node| node.name).collect()));
        assert!(distinct(SERVICES.iter().map(|service| service.name).collect()));
        assert!(distinct(SERVICES.iter().map(|service| service.variable).collect()));
    }

    #[test]
    fn a_variable_is_read_as_it_is_written() {
        let read = |name: &str, value: &str| named(name).unwrap().addresses(value).map_err(|error| error.to_string());
        let two = ["127.0.0.1:1".to_owned(), "h:65535".to_owned()];
        for service in SERVICES {
            assert_eq!(read(service.name, &service.value(&two)).unwrap(), two);
        }
        assert_eq!(read("kafka", " a:1 , b:2,").unwrap(), ["a:1", "b:2"]);
        assert_eq!(read("sqs", "http://a:1/").unwrap(), ["a:1"]);
        let wrong = read("dynamodb", "https://a:1").unwrap_err();
        assert_eq!(wrong, "FLAGSTREAM_TEST_DYNAMODB: `https://a:1` is not http://HOST:PORT");
        for value in ["a", ":1", "a:", "a:65536", "a:1/b", ",", ""] {
            assert!(read("kafka", value).is_err(), "{value}");
        }
        let unknown = named("kafak").err().unwrap().to_string();
        assert_eq!(unknown, "no service `kafak`; there are: kafka, kafka-cluster, dynamodb, cassandra, s3, sqs");
    }
}
