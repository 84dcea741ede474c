//! ElasticMQ, which speaks the protocol of SQS: queues and messages in one file.
//!
//! Always true here: a message is in the file before it is answered, so that a kill loses none.

use super::servers::{Ground, Jars, Node, Plan, Ports, Service};
use super::wire;
use anyhow::{Result, bail};
use std::time::Duration;

pub(crate) static SQS: Service = Service {
    name: "sqs",
    what: "ElasticMQ 1.7, a server that speaks SQS",
    variable: "FLAGSTREAM_TEST_SQS",
    scheme: "http://",
    by_default: true,
    jars: &Jars {
        name: "sqs",
        artifacts: &[("org.elasticmq", "elasticmq-server_2.13", "1.7.1")],
        bill: None,
        sums: include_str!("sums/sqs.sha256"),
        source: None,
    },
    nodes: &[Node { name: "sqs", ports: Ports { clients: 19_324, servers: None } }],
    plan,
    ask,
    // It answers before it has read its queues from the file, about a tenth of a second, and does not tell when it has.
    settles: Duration::from_secs(1),
};

fn plan(ground: &Ground) -> Plan {
    Plan {
        files: vec![("sqs.conf", settings(ground))],
        folders: vec!["data"],
        prepare: None,
        java: vec!["-Xmx256m".to_owned(), format!("-Dconfig.file={}", ground.path("sqs.conf"))],
        main: vec!["org.elasticmq.server.Main".to_owned()],
        archive: true,
    }
}

fn settings(ground: &Ground) -> String {
    let port = ground.own().clients;
    let text = |text: String| serde_json::Value::from(text).to_string();
    // Else the file is half a second late, and a kill loses what came in it.
    let messages = text(format!("jdbc:h2:{};WRITE_DELAY=0", ground.path("data/messages")));
    format!(
        "include classpath(\"application.conf\")\n\
         node-address {{ protocol = http, host = \"127.0.0.1\", port = {port}, context-path = \"\" }}\n\
         rest-sqs {{ enabled = true, bind-hostname = \"127.0.0.1\", bind-port = {port}, sqs-limits = strict }}\n\
         rest-stats {{ enabled = false }}\n\
         messages-storage {{\n\
         \x20 enabled = true, driver-class = \"org.h2.Driver\", uri = {messages}\n\
         \x20 username = \"\", password = \"\", prune-data-on-init = false\n\
         }}\n"
    )
}

/// Asks for the queues.
fn ask(address: &str, _: usize) -> Result<String> {
    let (status, body) = wire::http(address, "/?Action=ListQueues", &[], None)?;
    if status != 200 || !body.contains("ListQueuesResult") {
        bail!("ListQueues is answered {status}: {}", body.trim());
    }
    Ok(match body.matches("<QueueUrl>").count() {
        1 => "1 queue".to_owned(),
        count => format!("{count} queues"),
    })
}
