//! The suite on a Cassandra server, and what only such a server shows.
//!
//! It must run already: `cargo xtask services up cassandra` starts one and says what to put into the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use schemas::cell::{CellKey, CellKind, CellName};
use schemas::id::Environment;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use stores::cassandra::{CassandraStore, Options, set_up};
use stores::{CellWrite, Checkpoint, Error, Store, StoredCell, WriteAnswer, conformance};

const TABLES: [&str; 3] = ["hours", "cells", "progress"];

fn server() -> String {
    let server = std::env::var("FLAGSTREAM_TEST_CASSANDRA");
    server.expect("FLAGSTREAM_TEST_CASSANDRA names the server: see `cargo xtask services up cassandra`")
}

/// A keyspace of their own for whoever asks, dropped by [`Keyspace::end`].
struct Keyspace {
    options: Options,
    by_hand: Session,
}

impl Keyspace {
    async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let keyspace = format!("stores_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let options = Options { contact_points: vec![server()], keyspace, replication: 1, ..Options::default() };
        let by_hand = SessionBuilder::new().known_node(server()).build().await.unwrap();
        Self { options, by_hand }
    }

    async fn made() -> Self {
        let new = Self::new().await;
        set_up(&new.options).await.unwrap();
        new
    }

    async fn open(&self) -> Result<CassandraStore, Error> {
        CassandraStore::open(self.options.clone()).await
    }

    /// What an administrator does; `KS` stands for the keyspace.
    async fn run(&self, statement: &str) {
        self.by_hand.query_unpaged(statement.replace("KS", &self.options.keyspace), ()).await.unwrap();
    }

    /// Time to live and timestamp of what lies in a table, but for the canary's row.
    async fn told(&self, table: &str) -> Vec<(Option<i32>, i64)> {
        let ask = format!("SELECT row, TTL(v), WRITETIME(v) FROM {}.{table}", self.options.keyspace);
        let found = self.by_hand.query_unpaged(ask, ()).await.unwrap().into_rows_result().unwrap();
        let rows = found.rows::<(Vec<u8>, Option<i32>, i64)>().unwrap().map(Result::unwrap);
        let mut told: Vec<_> = rows.filter(|(row, ..)| row != b"canary").map(|(_, ttl, time)| (ttl, time)).collect();
        told.sort_unstable_by_key(|(_, time)| *time);
        told
    }

    async fn refused(&self) -> String {
        let error = self.open().await.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        error.to_string()
    }

    async fn end(self) {
        self.run("DROP KEYSPACE KS").await;
    }
}

/// The same tables for each case: a keyspace takes half a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cassandra_conforms() {
    let keyspace = Keyspace::new().await;
    let name = keyspace.options.keyspace.clone();
    let made = set_up(&keyspace.options).await.unwrap();
    assert_eq!(made, [name.clone(), format!("{name}.hours"), format!("{name}.cells"), format!("{name}.progress")]);
    assert_eq!(set_up(&keyspace.options).await.unwrap(), [""; 0], "safe to run twice");
    let failures = conformance::run_shared(async || {
        for table in TABLES {
            keyspace.run(&format!("TRUNCATE KS.{table}")).await;
        }
        // Cases speak of hours of 1970: it is 1970.
        let options = Options { now_s: || 0, ..keyspace.options.clone() };
        let store = CassandraStore::open(options).await?;
        assert!(store.last_write_wins());
        Ok(Arc::new(store) as Arc<dyn Store>)
    });
    assert_eq!(failures.await.unwrap(), []);
    keyspace.end().await;
}

fn cell(kind: CellKind, window: u32, h: u64) -> CellWrite {
    let environment = Environment { project: "p".into(), key: "e".into() };
    let name = CellName::Key("flag".into());
    let key = CellKey { generation: 1, partition: 0, kind, environment, name, window };
    CellWrite { key, cell: StoredCell { h, value: "value".into() } }
}

fn checkpoint(position: u64) -> Checkpoint {
    Checkpoint { position, definition_version: 0, fingerprint: 0, log_time_ms: 0 }
}

#[tokio::test]
async fn what_is_of_an_hour_expires_and_nothing_else_does() {
    const DAY_S: i32 = 24 * 3_600;
    let keyspace = Keyspace::made().await;
    let store = keyspace.open().await.unwrap();
    let hour = u32::try_from((keyspace.options.now_s)() / 3_600).unwrap();
    let writes = vec![
        cell(CellKind::Usage, hour, 7),
        cell(CellKind::Events, hour - 24 * 399, 8),
        cell(CellKind::LastSeen, 0, 9),
        cell(CellKind::Books, hour / 24, 10),
    ];
    assert_eq!(store.write(writes).await, Ok(vec![WriteAnswer::Stored; 4]));
    assert_eq!(store.write_checkpoint(1, 0, checkpoint(11)).await, Ok(true));
    let hours = keyspace.told("hours").await;
    // Kept 400 days from the end of the hour, which is an hour off at most; and by h, whatever the clock says.
    let within = |ttl: Option<i32>, days: i32| ttl.is_some_and(|ttl| (0..=3_600).contains(&(ttl - days * DAY_S)));
    assert!(hours.len() == 2 && within(hours[0].0, 400) && within(hours[1].0, 1), "{hours:?}");
    assert_eq!(hours.iter().map(|(_, time)| *time).collect::<Vec<_>>(), [7, 8]);
    assert_eq!(keyspace.told("cells").await, [(None, 9), (None, 10)]);
    assert_eq!(keyspace.told("progress").await, [(None, 11)]);
    keyspace.end().await;
}

#[tokio::test]
async fn a_deletion_by_hand_is_noticed() {
    let keyspace = Keyspace::made().await;
    let store = keyspace.open().await.unwrap();
    assert_eq!(store.write_checkpoint(1, 0, checkpoint(5)).await, Ok(true));
    // As cqlsh does it: with the time of the clock.
    keyspace.run("DELETE FROM KS.progress WHERE row = 0x6300000001").await;
    let error = store.write_checkpoint(1, 0, checkpoint(6)).await.unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("a deletion by hand"), "{error}");
    keyspace.open().await.unwrap();
    for table in TABLES {
        keyspace.run(&format!("DELETE FROM KS.{table} WHERE row = 0x63616e617279")).await;
        let said = keyspace.refused().await;
        assert!(said.contains(&format!("{}.{table} is not there afterwards", keyspace.options.keyspace)), "{said}");
        assert!(said.contains("`[log] generation`"), "{said}");
        // So that the next table's turn comes.
        keyspace.run(&format!("TRUNCATE KS.{table}")).await;
    }
    keyspace.end().await;
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_what_to_do() {
    let mut keyspace = Keyspace::new().await;
    let said = keyspace.refused().await;
    assert!(said.contains(&format!("there is no keyspace {}", keyspace.options.keyspace)), "{said}");
    assert!(said.contains("`flagstream setup`"), "{said}");
    let three = Options { replication: 3, ..keyspace.options.clone() };
    let said = set_up(&three).await.unwrap_err().to_string();
    assert!(said.contains("more copies than data centre datacenter1 has nodes (1)"), "{said}");
    set_up(&keyspace.options).await.unwrap();
    keyspace.options.replication = 3;
    let said = keyspace.refused().await;
    assert!(said.contains("has 1 copies in data centre datacenter1, and `[store] replication` is 3"), "{said}");
    keyspace.options.replication = 1;
    for (option, said, mended) in [
        ("read_repair = 'NONE'", "read_repair = 'NONE'", "read_repair = 'BLOCKING'"),
        ("default_time_to_live = 60", "after 60 s", "default_time_to_live = 0"),
        ("gc_grace_seconds = 0", "gc_grace_seconds = 0", "gc_grace_seconds = 864000"),
        (
            "compaction = {'class': 'TimeWindowCompactionStrategy'}",
            "TimeWindowCompactionStrategy",
            "compaction = {'class': 'LeveledCompactionStrategy'}",
        ),
    ] {
        keyspace.run(&format!("ALTER TABLE KS.cells WITH {option}")).await;
        let told = keyspace.refused().await;
        let mending = format!("ALTER TABLE {}.cells WITH {mended}", keyspace.options.keyspace);
        assert!(told.contains(said) && told.contains(&mending), "{told}");
        keyspace.run(&format!("ALTER TABLE KS.cells WITH {mended}")).await;
    }
    keyspace.open().await.unwrap();
    keyspace.run("ALTER TABLE KS.hours ADD more int").await;
    let said = keyspace.refused().await;
    assert!(said.contains(".hours has other columns") && said.contains("more int regular"), "{said}");
    keyspace.run("DROP TABLE KS.hours").await;
    let said = keyspace.refused().await;
    assert!(said.contains(&format!("there is no table {}.hours", keyspace.options.keyspace)), "{said}");
    keyspace.end().await;
}

#[tokio::test]
async fn nobody_at_an_address_may_pass() {
    let options = Options { contact_points: vec!["127.0.0.1:1".into()], ..Options::default() };
    let error = CassandraStore::open(options).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let said = error.to_string();
    assert!(said.contains("no Cassandra at 127.0.0.1:1") && said.contains("`[store] contact_points`"), "{said}");
}
