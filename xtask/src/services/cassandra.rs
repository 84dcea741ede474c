//! Cassandra, one node.
//!
//! Always true here: a write is on disk before it is answered, so that a kill loses none.

use super::servers::{Ground, Jars, Node, Plan, Ports, Service};
use super::wire::{self, Bytes};
use anyhow::{Result, bail, ensure};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) static CASSANDRA: Service = Service {
    name: "cassandra",
    what: "Cassandra 5.0, one node",
    variable: "FLAGSTREAM_TEST_CASSANDRA",
    scheme: "",
    by_default: true,
    jars: &Jars {
        name: "cassandra",
        artifacts: &[("org.apache.cassandra", "cassandra-all", "5.0.9")],
        bill: None,
        sums: include_str!("sums/cassandra.sha256"),
        source: None,
    },
    nodes: &[Node { name: "cassandra", ports: Ports { clients: 19_042, servers: Some(19_700) } }],
    plan,
    ask,
    settles: Duration::ZERO,
};

fn plan(ground: &Ground) -> Plan {
    let mut java: Vec<String> = ["-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=256m"].map(str::to_owned).to_vec();
    for package in ["java.io", "sun.nio.ch", "jdk.internal.ref"] {
        java.push(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    }
    java.push(format!("-Dcassandra.config=file://{}", ground.path("cassandra.yaml")));
    java.push(format!("-Dcassandra.storagedir={}", ground.path("data")));
    java.push(format!("-Dlogback.configurationFile={}", ground.path("logback.xml")));
    // A single node has nobody to wait for.
    for setting in ["skip_wait_for_gossip_to_settle=0", "ring_delay_ms=100", "superuser_setup_delay_ms=0"] {
        java.push(format!("-Dcassandra.{setting}"));
    }
    java.push("-Dcassandra-foreground=yes".to_owned());
    Plan {
        files: vec![("cassandra.yaml", settings(ground)), ("logback.xml", LOGBACK.to_owned())],
        folders: vec!["data"],
        prepare: None,
        java,
        main: vec!["org.apache.cassandra.service.CassandraDaemon".to_owned()],
        archive: true,
    }
}

const LOGBACK: &str = r#"<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.cassandra.transport.PipelineConfigurator" level="INFO"/>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"#;

fn settings(ground: &Ground) -> String {
    let own = ground.own();
    let servers = own.servers.unwrap_or_default();
    // In JSON, which YAML is a superset of, a path needs no thought of what is in it.
    let data = |name: &str| serde_json::Value::from(ground.path(&format!("data/{name}"))).to_string();
    format!(
        "cluster_name: flagstream\n\
         num_tokens: 4\n\
         partitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\
         commitlog_sync: batch\n\
         commitlog_directory: {commitlog}\n\
         data_file_directories: [{tables}]\n\
         hints_directory: {hints}\n\
         saved_caches_directory: {caches}\n\
         cdc_raw_directory: {cdc}\n\
         seed_provider:\n\
         \x20 - class_name: org.apache.cassandra.locator.SimpleSeedProvider\n\
         \x20   parameters: [{{seeds: \"127.0.0.1:{servers}\"}}]\n\
         listen_address: 127.0.0.1\n\
         storage_port: {servers}\n\
         rpc_address: 127.0.0.1\n\
         start_native_transport: true\n\
         native_transport_port: {clients}\n\
         endpoint_snitch: SimpleSnitch\n\
         auto_snapshot: false\n\
         auto_bootstrap: false\n\
         memtable_heap_space: 64MiB\n\
         memtable_offheap_space: 64MiB\n\
         file_cache_size: 32MiB\n\
         networking_cache_size: 16MiB\n\
         key_cache_size: 8MiB\n\
         commitlog_segment_size: 4MiB\n\
         commitlog_total_space: 64MiB\n\
         concurrent_reads: 8\n\
         concurrent_writes: 8\n\
         concurrent_compactors: 1\n\
         memtable_flush_writers: 1\n",
        commitlog = data("commitlog"),
        tables = data("data"),
        hints = data("hints"),
        caches = data("saved_caches"),
        cdc = data("cdc_raw"),
        clients = own.clients,
    )
}

const STARTUP: u8 = 1;
const READY: u8 = 2;
const AUTHENTICATE: u8 = 3;
const QUERY: u8 = 7;
const RESULT: u8 = 8;

/// Asks for the version, by a query.
fn ask(address: &str, _: usize) -> Result<String> {
    let mut stream = wire::connect(address)?;
    let options = [&[0, 1][..], &wire::text("CQL_VERSION"), &wire::text("3.0.0")].concat();
    match frame(&mut stream, STARTUP, &options)? {
        (READY, _) => {}
        (AUTHENTICATE, _) => return Ok("asks for a password".to_owned()),
        (code, _) => bail!("STARTUP is answered with opcode {code}"),
    }
    let query = b"SELECT release_version FROM system.local";
    let at_one = [0, 1, 0];
    let body = [&u32::try_from(query.len())?.to_be_bytes()[..], query, &at_one].concat();
    match frame(&mut stream, QUERY, &body)? {
        (RESULT, rows) => Ok(format!("version {}", only_value(&rows)?)),
        (code, _) => bail!("a query is answered with opcode {code}"),
    }
}

/// Sends a frame of version 4 of the protocol; opcode and body of the answer.
fn frame(stream: &mut TcpStream, code: u8, body: &[u8]) -> Result<(u8, Vec<u8>)> {
    let length = u32::try_from(body.len())?;
    let request = [&[4, 0, 0, 1, code][..], &length.to_be_bytes(), body].concat();
    let (head, rest) = wire::exchange(stream, &request, 9)?;
    ensure!(head[0] == 0x84, "an answer in version {} of the protocol", head[0] & 0x7f);
    Ok((head[4], rest))
}

/// The value in the only column of the only row.
fn only_value(rows: &[u8]) -> Result<String> {
    let mut bytes = Bytes(rows);
    let (kind, flags, columns) = (bytes.i32()?, bytes.i32()?, bytes.i32()?);
    // Rows, with keyspace and table named once.
    ensure!((kind, flags, columns) == (2, 1, 1), "rows of kind {kind} with flags {flags} and {columns} columns");
    for _ in ["keyspace", "table", "column"] {
        bytes.text()?;
    }
    bytes.i16()?; // the column's type
    let (count, length) = (bytes.i32()?, bytes.i32()?);
    ensure!(count == 1, "{count} rows");
    Ok(String::from_utf8_lossy(bytes.take(usize::try_from(length).unwrap_or(0))?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_value_is_found_and_half_an_answer_is_an_error() {
        let mut rows = vec![0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1];
        for name in ["system", "local", "release_version"] {
            rows.extend(wire::text(name));
        }
        rows.extend([0, 13, 0, 0, 0, 1, 0, 0, 0, 5]);
        rows.extend(b"5.0.9");
        assert_eq!(only_value(&rows).unwrap(), "5.0.9");
        for length in 0..rows.len() {
            assert!(only_value(&rows[..length]).is_err(), "{length} bytes");
        }
    }
}
