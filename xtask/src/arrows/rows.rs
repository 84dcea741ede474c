//! Who may import whom: one row a package, in the order in which an event travels. A new package is a row here and a
//! line in `ARCHITECTURE.md`.

/// What a package is, and so what it may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values in, values out: no I/O, no clock, no dice, no async.
    Pure,
    /// Everything else.
    Worldly,
}

/// One package's row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) package: &'static str,
    pub(crate) kind: Kind,
    /// Packages of the workspace that it may import.
    pub(crate) imports: &'static [&'static str],
    /// Heavy crates that it may name, each behind a feature.
    pub(crate) heavy: &'static [&'static str],
}

use Kind::{Pure, Worldly};

const fn row(
    package: &'static str,
    kind: Kind,
    imports: &'static [&'static str],
    heavy: &'static [&'static str],
) -> Row {
    Row { package, kind, imports, heavy }
}

/// The table. A row may wait for its package.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    row("schemas", Pure, &[], &[]),
    row("protocols", Pure, &["schemas"], &[]),
    row("counting", Pure, &["schemas"], &[]),
    row("stats", Pure, &[], &[]),
    row("eventlog", Worldly, &["schemas"], &["rdkafka"]),
    row("stores", Worldly, &["schemas"], &["aws-sdk-dynamodb", "object_store", "scylla"]),
    row("ingest", Worldly, &["schemas", "protocols", "eventlog"], &[]),
    row("processor", Worldly, &["schemas", "counting", "eventlog", "stores"], &[]),
    row("experiments", Worldly, &["schemas", "counting", "eventlog", "stores", "stats"], &["datafusion"]),
    row("oldpath", Worldly, &["schemas", "eventlog", "stores", "ingest", "experiments"], &["aws-sdk-dynamodb", "scylla", "aws-sdk-sqs"]),
    row("flagstream", Worldly,
        &["schemas", "protocols", "counting", "stats", "eventlog", "stores", "ingest", "processor", "experiments", "oldpath"], &[]),
    row("simulation", Worldly,
        &["schemas", "protocols", "counting", "stats", "eventlog", "stores", "ingest", "processor", "experiments", "oldpath", "flagstream"], &[]),
    row("loadtest", Worldly, &["schemas", "protocols"], &[]),
    row("xtask", Worldly, &[], &[]),
];

/// Crates that only the rows that list them may name, and only as optional.
pub(crate) const HEAVY: &[&str] =
    &["rdkafka", "aws-sdk-dynamodb", "aws-sdk-sqs", "object_store", "scylla", "datafusion"];

/// Crates that do I/O, wait, tell the time or throw dice. A pure package reaches none of them, at any depth.
pub(crate) const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "async-std",
    "smol",
    "async-trait",
    "hyper",
    "hyper-util",
    "axum",
    "tower",
    "reqwest",
    "ureq",
    "redb",
    "rustix",
    "tempfile",
    "memmap2",
    "fs2",
    "notify",
    "rayon",
    "crossbeam-channel",
    "rand",
    "rand_core",
    "fastrand",
    "getrandom",
    "uuid",
    "ahash",
    "jiff",
    "chrono",
    "time",
    "tracing",
    "log",
    "metrics",
    "prometheus-client",
    "futures-util",
    "futures-core",
    "futures-channel",
];
