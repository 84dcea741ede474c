//! DynamoDB Local. Its own main class listens on every interface, so that a small one of ours starts it on loopback.
//!
//! Always true here: one database file for all keys and regions, on disk.

use super::servers::{Ground, Jars, Node, Plan, Ports, Service};
use super::wire;
use anyhow::{Context, Result, bail};
use std::time::Duration;

pub(crate) static DYNAMODB: Service = Service {
    name: "dynamodb",
    what: "DynamoDB Local 3.3",
    variable: "FLAGSTREAM_TEST_DYNAMODB",
    scheme: "http://",
    by_default: true,
    jars: &Jars {
        name: "dynamodb",
        artifacts: &[("software.amazon.dynamodb", "DynamoDBLocal", "3.3.1")],
        // Without it, it asks for versions of the vendor's SDK of which four modules cannot be had.
        bill: Some(("software.amazon.awssdk", "bom", "2.54.15")),
        sums: include_str!("sums/dynamodb.sha256"),
        source: Some(("LoopbackDynamoDb", include_str!("LoopbackDynamoDb.java"))),
    },
    nodes: &[Node { name: "dynamodb", ports: Ports { clients: 18_000, servers: None } }],
    plan,
    ask,
    settles: Duration::ZERO,
};

fn plan(ground: &Ground) -> Plan {
    let port = ground.own().clients.to_string();
    let data = ground.path("data");
    let main = ["LoopbackDynamoDb", "-port", &port, "-sharedDb", "-disableTelemetry", "-dbPath", &data];
    Plan {
        files: Vec::new(),
        folders: vec!["data"],
        prepare: None,
        // The database's native library comes with the jars.
        java: vec!["-Xmx512m".to_owned(), format!("-Djava.library.path={}", ground.jars.join("lib").display())],
        main: main.map(str::to_owned).to_vec(),
        // One of its jars names a folder as a further place of classes, and Java makes no archive then.
        archive: false,
    }
}

/// Asks for the tables.
fn ask(address: &str, _: usize) -> Result<String> {
    // The local server reads who is asking and checks no signature.
    let signed =
        "AWS4-HMAC-SHA256 Credential=local/20260101/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0";
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.ListTables"),
        ("authorization", signed),
    ];
    let (status, body) = wire::http(address, "/", &headers, Some("{}"))?;
    if status != 200 {
        bail!("ListTables is answered {status}: {}", body.trim());
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Tables {
        table_names: Vec<String>,
    }
    let tables: Tables = serde_json::from_str(&body).context("ListTables")?;
    Ok(match tables.table_names.len() {
        1 => "1 table".to_owned(),
        count => format!("{count} tables"),
    })
}
