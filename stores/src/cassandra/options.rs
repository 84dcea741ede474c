//! What a store in Cassandra is told.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Most days that may be kept: Cassandra before 5, and 5 unless it is told that no older one is there, expires nothing
/// after the year 2038.
pub const KEEP_DAYS_MAX: u32 = 3_650;

/// Where the tables are, and how hard to press.
#[derive(Debug, Clone)]
pub struct Options {
    /// HOST:PORT of some nodes; the others are heard of from them.
    pub contact_points: Vec<String>,
    /// The keyspace: a small letter, then small letters, digits and `_`, at most 48.
    pub keyspace: String,
    /// The data centre whose copies are written and read, by all processes the same one; `None` = the only one that the
    /// keyspace has.
    pub datacenter: Option<String>,
    /// Copies of each row in that data centre: 3.
    pub replication: u32,
    /// Whom Cassandra knows us as; `None` = it asks nobody.
    pub access: Option<Access>,
    /// Days that usage and events are kept from the end of their window: 400.
    pub keep_days: u32,
    /// Calls under way at a time: 64.
    pub calls_max: usize,
    /// The clock, Unix seconds: how long a cell still lives is told from now on.
    pub now_s: fn() -> u64,
}

/// A user and a password.
#[derive(Clone)]
pub struct Access {
    /// Whom Cassandra knows us as.
    pub user: String,
    /// That user's password.
    pub password: String,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({:?}, …)", self.user)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            contact_points: vec!["127.0.0.1:9042".into()],
            keyspace: "flagstream".into(),
            datacenter: None,
            replication: 3,
            access: None,
            keep_days: 400,
            calls_max: 64,
            now_s: || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }
}
