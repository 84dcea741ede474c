//! Kafka without ZooKeeper (KRaft): one broker, or a cluster of three, each of which is broker and controller.
//!
//! Always true here: settings are those of a small test server: short sessions, so that a broker that was killed is
//! soon missed and soon let in again; few partitions of its own topics; no topic by accident.

use super::servers::{Ground, Jars, Node, Plan, Ports, Service};
use super::wire::{self, Bytes};
use anyhow::{Result, ensure};
use std::time::Duration;

static JARS: Jars = Jars {
    name: "kafka",
    artifacts: &[("org.apache.kafka", "kafka_2.13", "4.4.0"), ("org.slf4j", "slf4j-simple", "1.7.36")],
    bill: None,
    sums: include_str!("sums/kafka.sha256"),
    source: None,
};

pub(crate) static ONE: Service = Service {
    name: "kafka",
    what: "Kafka 4.4, one broker",
    variable: "FLAGSTREAM_TEST_KAFKA",
    scheme: "",
    by_default: true,
    jars: &JARS,
    nodes: &[node("kafka", 19_092)],
    plan,
    ask,
    settles: Duration::ZERO,
};

pub(crate) static THREE: Service = Service {
    name: "kafka-cluster",
    what: "Kafka 4.4, three brokers kafka-1 to kafka-3: `up kafka --brokers 3`",
    variable: "FLAGSTREAM_TEST_KAFKA_CLUSTER",
    by_default: false,
    nodes: &[node("kafka-1", 19_192), node("kafka-2", 19_292), node("kafka-3", 19_392)],
    ..ONE
};

const fn node(name: &'static str, clients: u16) -> Node {
    Node { name, ports: Ports { clients, servers: Some(clients + 1) } }
}

fn plan(ground: &Ground) -> Plan {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let properties = ground.path("server.properties");
    let format =
        words(&["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", ground.cluster, "-c", &properties]);
    let heap = if ground.ports.len() == 1 { "-Xmx512m" } else { "-Xmx384m" };
    let level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    let dated = "-Dorg.slf4j.simpleLogger.showDateTime=true";
    let pattern = "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS";
    let started = "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info";
    Plan {
        files: vec![("server.properties", properties_of(ground))],
        folders: vec!["data"],
        prepare: Some(("data/meta.properties", format)),
        java: words(&[heap, level, dated, pattern, started]),
        main: words(&["kafka.Kafka", &properties]),
        archive: true,
    }
}

fn properties_of(ground: &Ground) -> String {
    let voters = ground.ports.iter().enumerate().map(|(place, ports)| format!("{}@{}", place + 1, controller(*ports)));
    let (brokers, own) = (ground.ports.len(), ground.own());
    let clients = format!("PLAINTEXT://127.0.0.1:{}", own.clients);
    let enough = brokers - brokers / 3;
    format!(
        "process.roles=broker,controller\n\
         node.id={node}\n\
         controller.quorum.voters={voters}\n\
         controller.listener.names=CONTROLLER\n\
         listeners={clients},CONTROLLER://{controller}\n\
         advertised.listeners={clients}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=PLAINTEXT\n\
         log.dirs={data}\n\
         num.network.threads=2\n\
         num.io.threads=2\n\
         background.threads=2\n\
         log.cleaner.dedupe.buffer.size=8388608\n\
         auto.create.topics.enable=false\n\
         default.replication.factor={brokers}\n\
         min.insync.replicas={enough}\n\
         offsets.topic.num.partitions=4\n\
         offsets.topic.replication.factor={brokers}\n\
         transaction.state.log.num.partitions=4\n\
         transaction.state.log.replication.factor={brokers}\n\
         transaction.state.log.min.isr={enough}\n\
         share.coordinator.state.topic.num.partitions=1\n\
         share.coordinator.state.topic.replication.factor={brokers}\n\
         share.coordinator.state.topic.min.isr={enough}\n\
         group.initial.rebalance.delay.ms=0\n\
         log.retention.check.interval.ms=1000\n\
         log.segment.delete.delay.ms=1000\n\
         broker.session.timeout.ms={session}\n\
         broker.heartbeat.interval.ms=400\n\
         controller.quorum.election.timeout.ms=500\n\
         controller.quorum.fetch.timeout.ms=1500\n\
         replica.lag.time.max.ms=3000\n",
        node = ground.index + 1,
        voters = voters.collect::<Vec<_>>().join(","),
        controller = controller(own),
        data = ground.path("data"),
        session = if brokers == 1 { 2000 } else { 3000 },
    )
}

fn controller(ports: Ports) -> String {
    format!("127.0.0.1:{}", ports.servers.unwrap_or_default())
}

/// Asks for the cluster's brokers.
fn ask(address: &str, expected: usize) -> Result<String> {
    const METADATA: i16 = 3;
    const VERSION: i16 = 4;
    let mut body = [METADATA.to_be_bytes(), VERSION.to_be_bytes()].concat();
    body.extend([0, 0, 0, 7]);
    body.extend(wire::text("flagstream-services"));
    // No topics, and none to be made.
    body.extend([0, 0, 0, 0, 0]);
    let length = u32::try_from(body.len())?;
    let request = [&length.to_be_bytes()[..], &body].concat();
    let (_, answer) = wire::exchange(&mut wire::connect(address)?, &request, 4)?;
    let cluster = Cluster::read(&answer)?;
    ensure!(cluster.controller >= 0, "no controller is elected yet");
    if expected > 0 {
        let itself = cluster.ports.iter().any(|port| address.ends_with(&format!(":{port}")));
        ensure!(itself, "the cluster does not know the broker at {address} yet");
        let known = cluster.ports.len();
        ensure!(known >= expected, "knows {known} brokers, and {expected} run");
    }
    Ok(match cluster.ports.len() {
        1 => "1 broker".to_owned(),
        brokers => format!("{brokers} brokers"),
    })
}

/// What an answer to the question for metadata says.
#[derive(Debug, PartialEq, Eq)]
struct Cluster {
    ports: Vec<i32>,
    controller: i32,
}

impl Cluster {
    fn read(answer: &[u8]) -> Result<Cluster> {
        let mut bytes = Bytes(answer);
        ensure!(bytes.i32()? == 7, "an answer to another question");
        bytes.i32()?; // how long the broker wants to be left alone
        let mut ports = Vec::new();
        for _ in 0..bytes.i32()? {
            bytes.i32()?; // its number
            bytes.text()?; // its host
            ports.push(bytes.i32()?);
            bytes.text()?; // its rack
        }
        bytes.text()?; // the cluster's id
        Ok(Cluster { ports, controller: bytes.i32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn properties(index: usize, ports: &[Ports]) -> String {
        let ground = Ground { folder: Path::new("/d"), jars: Path::new("/j"), index, ports, cluster: "x" };
        properties_of(&ground)
    }

    #[test]
    fn three_brokers_know_each_other_and_bear_the_loss_of_one() {
        let ports = [(10, 11), (20, 21), (30, 31)];
        let ports = ports.map(|(clients, servers)| Ports { clients, servers: Some(servers) });
        let second = properties(1, &ports);
        for line in [
            "node.id=2",
            "controller.quorum.voters=1@127.0.0.1:11,2@127.0.0.1:21,3@127.0.0.1:31",
            "listeners=PLAINTEXT://127.0.0.1:20,CONTROLLER://127.0.0.1:21",
            "default.replication.factor=3",
            "min.insync.replicas=2",
            "log.dirs=/d/data",
        ] {
            assert!(second.lines().any(|there| there == line), "{line} in\n{second}");
        }
        let one = properties(0, &ports[..1]);
        assert!(one.contains("\nmin.insync.replicas=1\n") && one.contains("\ndefault.replication.factor=1\n"));
    }

    #[test]
    fn metadata_is_read_and_half_of_it_is_an_error() {
        let broker = |number: i32, port: i32| {
            [&number.to_be_bytes()[..], &wire::text("h"), &port.to_be_bytes(), &(-1_i16).to_be_bytes()].concat()
        };
        let mut answer = vec![0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2];
        answer.extend(broker(1, 19_192));
        answer.extend(broker(2, 19_292));
        answer.extend(wire::text("id"));
        answer.extend(2_i32.to_be_bytes());
        assert_eq!(Cluster::read(&answer).unwrap(), Cluster { ports: vec![19_192, 19_292], controller: 2 });
        for length in 0..answer.len() {
            assert!(Cluster::read(&answer[..length]).is_err(), "{length} bytes");
        }
        answer[3] = 8;
        assert!(Cluster::read(&answer).is_err());
    }
}
