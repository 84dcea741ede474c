//! Stages that change under load: each payload has one stage, whenever it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemas::event::PayloadId;
use schemas::old_path::Gated as Mark;
use schemas::record::Header;

use super::super::bench::{NOW_MS, SERVER_KEY, post};
use super::{Gated, flag};
use crate::gate::Stage;

const SENDERS: u32 = 8;
const PAYLOADS: u32 = 100;

async fn send(gated: &Gated, number: u32) -> u16 {
    let body = format!(
        r#"[{{"kind":"summary","startDate":{NOW_MS},"endDate":{NOW_MS},"features":{{"f{number}":{{"default":1,
        "contextKinds":["user"],"counters":[{{"variation":0,"version":1,"value":1,"count":1}}]}}}}}}]"#
    );
    let mut request = post(SERVER_KEY).body(body.into()).unwrap();
    request.headers_mut().insert("x-launchdarkly-payload-id", format!("f{number}").parse().unwrap());
    gated.bench.send(request).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_payload_has_exactly_one_stage() {
    let gated = Arc::new(Gated::new(Stage::Shadow).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let flipper = tokio::spawn({
        let (gated, is_over) = (Arc::clone(&gated), Arc::clone(&is_over));
        async move {
            use Stage::{Complete, Live, Off, Shadow};
            while !is_over.load(Ordering::Relaxed) {
                for stage in [Live, Complete, Live, Shadow, Off, Shadow, Live, Complete, Off, Shadow] {
                    gated.save(&flag(stage.name()));
                    gated.round().await;
                    assert_eq!(gated.state().stage, stage);
                }
            }
        }
    });
    let sender = |sender: u32| {
        let gated = Arc::clone(&gated);
        tokio::spawn(async move {
            for number in sender * PAYLOADS..(sender + 1) * PAYLOADS {
                assert_eq!(send(&gated, number).await, 202);
                tokio::task::yield_now().await;
            }
        })
    };
    for sender in (0..SENDERS).map(sender).collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    is_over.store(true, Ordering::Relaxed);
    flipper.await.unwrap();
    gated.bench.ingest.stop().await;

    let mut paths: BTreeMap<String, (Vec<Mark>, Vec<Stage>)> = BTreeMap::new();
    for append in gated.bench.appended() {
        let header = Header::decode(&append.header).unwrap();
        let Some(PayloadId::Sent(id)) = header.id else { panic!("a record of no payload") };
        paths.entry(String::from_utf8(id).unwrap()).or_default().0.push(header.gated);
    }
    for write in gated.writes() {
        paths.entry(write.payload.counts[0].flag.to_string()).or_default().1.push(write.payload.stage);
    }
    assert_eq!(paths.len(), (SENDERS * PAYLOADS) as usize);
    let mut stages = BTreeMap::<&str, u32>::new();
    for (payload, (marks, written)) in &paths {
        let stage = match (&marks[..], &written[..]) {
            ([], [Stage::Off]) => "off",
            ([Mark::Both], [Stage::Shadow]) => "shadow",
            ([Mark::Both], [Stage::Live]) => "live",
            ([Mark::NewOnly], []) => "complete",
            _ => panic!("{payload} is in no one stage: {marks:?}, {written:?}"),
        };
        *stages.entry(stage).or_default() += 1;
    }
    for (stage, number) in stages {
        gated.metric(&format!("payloads_total{{stage=\"{stage}\"}} {number}"));
    }
}
