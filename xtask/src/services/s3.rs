//! S3Mock, which speaks the protocol of S3: a bucket `flagstream`, objects as files. Of its own accord it listens on
//! every interface for plain HTTP, so that a small main class of ours starts it on loopback.
//!
//! Always true here: it believes any signature, and what was answered is still there after a kill.

use super::servers::{Ground, Jars, Node, Plan, Ports, Service};
use super::wire;
use anyhow::{Result, bail, ensure};
use std::time::Duration;

/// The bucket that is there from the beginning.
const BUCKET: &str = "flagstream";

pub(crate) static S3: Service = Service {
    name: "s3",
    what: "S3Mock 4.12, a server that speaks S3",
    variable: "FLAGSTREAM_TEST_S3",
    scheme: "http://",
    by_default: true,
    jars: &Jars {
        name: "s3",
        // It wants a newer slf4j than its own dependencies bring.
        artifacts: &[("com.adobe.testing", "s3mock", "4.12.4"), ("org.slf4j", "slf4j-api", "2.0.17")],
        bill: None,
        sums: include_str!("sums/s3.sha256"),
        source: Some(("LoopbackS3Mock", include_str!("LoopbackS3Mock.java"))),
    },
    nodes: &[Node { name: "s3", ports: Ports { clients: 19_090, servers: None } }],
    plan,
    ask,
    settles: Duration::ZERO,
};

fn plan(ground: &Ground) -> Plan {
    let store = "-Dcom.adobe.testing.s3mock.store";
    Plan {
        files: Vec::new(),
        folders: vec!["data"],
        prepare: None,
        java: vec![
            "-Xmx256m".to_owned(),
            format!("-Dhttp.port={}", ground.own().clients),
            // HTTPS, which nobody uses, and which cannot be left out: any port.
            "-Dserver.port=0".to_owned(),
            "-Dserver.address=127.0.0.1".to_owned(),
            "-Dlogging.level.root=warn".to_owned(),
            format!("{store}.root={}", ground.path("data")),
            format!("{store}.retain-files-on-exit=true"),
            format!("{store}.initial-buckets={BUCKET}"),
        ],
        main: vec!["LoopbackS3Mock".to_owned()],
        archive: true,
    }
}

/// Asks for the buckets, of which ours must be one.
fn ask(address: &str, _: usize) -> Result<String> {
    let (status, body) = wire::http(address, "/", &[], None)?;
    if status != 200 || !body.contains("ListAllMyBucketsResult") {
        bail!("ListBuckets is answered {status}: {}", body.trim());
    }
    ensure!(body.contains(&format!("<Name>{BUCKET}</Name>")), "there is no bucket {BUCKET}");
    Ok(match body.matches("<Bucket>").count() {
        1 => "1 bucket".to_owned(),
        count => format!("{count} buckets"),
    })
}
