//! Every back end runs the conformance suite; one that breaks a rule is found out by it.

use std::sync::Arc;

use stores::embedded::{Embedded, Options};
use stores::memory::MemoryStore;
use stores::{Break, Store, conformance};

use crate::disk::Disk;

#[tokio::test]
async fn memory_conforms() {
    let failures = conformance::run_shared(async || Ok(Arc::new(MemoryStore::new()) as Arc<dyn Store>)).await;
    assert_eq!(failures, Ok(Vec::new()));
}

#[tokio::test]
async fn memory_where_the_last_write_wins_conforms() {
    let factory = async || Ok(Arc::new(MemoryStore::new().where_the_last_write_wins()) as Arc<dyn Store>);
    assert_eq!(conformance::run_shared(factory).await, Ok(Vec::new()));
}

#[tokio::test]
async fn embedded_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let failures = conformance::run(|| {
        number += 1;
        let store = Embedded::open(&folder.path().join(format!("{number}.store")), &Options::default());
        async { Ok(Arc::new(store?) as Arc<dyn Store>) }
    });
    assert_eq!(failures.await, Ok(Vec::new()));
}

/// The cases that a back end without conditions must not pass.
const CONDITIONAL: [&str; 8] = [
    "a cell is put by its h: absent, lower, equal, higher",
    "a refusal gives value and h together",
    "each cell of a write stands alone",
    "a cell twice in one write is put in order",
    "a zombie that lags is refused, one that runs ahead with the same bytes is harmless",
    "the highest h there is can be written",
    "a checkpoint never falls, and an equal one is success",
    "a generation's row is written once",
];

#[tokio::test]
async fn unconditional_puts_are_noticed_in_memory() {
    for last_write_wins in [false, true] {
        let factory = async || {
            let store = MemoryStore::breaking(Break::Unconditional);
            let store = if last_write_wins { store.where_the_last_write_wins() } else { store };
            Ok(Arc::new(store) as Arc<dyn Store>)
        };
        let failures = conformance::run(factory).await.unwrap();
        let failed: Vec<_> = failures.iter().map(|failure| failure.case).collect();
        assert_eq!(failed, CONDITIONAL, "last write wins: {last_write_wins}");
    }
}

#[tokio::test]
async fn unconditional_puts_are_noticed_embedded() {
    let options = Options::default().breaking(Break::Unconditional);
    let factory = async || Ok(Arc::new(Embedded::on(Disk::default(), &options)?) as Arc<dyn Store>);
    let failures = conformance::run(factory).await.unwrap();
    assert_eq!(failures.iter().map(|failure| failure.case).collect::<Vec<_>>(), CONDITIONAL);
}
