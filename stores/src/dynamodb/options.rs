//! What a store in DynamoDB is told.

use crate::table::Table;

/// Where the tables are, and how hard to press.
#[derive(Debug, Clone)]
pub struct Options {
    /// A local server's `http://HOST:PORT`; `None` = AWS's own for the region.
    pub endpoint: Option<String>,
    /// The region; `None` = as the environment or the profile says.
    pub region: Option<String>,
    /// What the tables' names begin with: `flagstream_`.
    pub prefix: String,
    /// Days that usage and events are kept from the end of their window: 400. The table must have its time to live on.
    pub keep_days: u32,
    /// Calls under way at a time: 64.
    pub calls_max: usize,
}

impl Options {
    /// What a table is called.
    pub(super) fn table(&self, table: Table) -> String {
        format!("{}{}", self.prefix, table.name())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { endpoint: None, region: None, prefix: "flagstream_".into(), keep_days: 400, calls_max: 64 }
    }
}
