//! The keyspace and its tables, as CQL says them and as they are found.
//!
//! Always true here: what is made is what is looked for; nothing that exists is ever altered, it is told how an
//! administrator may.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::DbError;
use scylla::serialize::row::SerializeRow;

use super::Options;
use super::client::{self, failed, said};
use crate::Error;
use crate::table::Table;

/// Less would let a copy that missed writes for hours bring back what expired elsewhere.
const GC_GRACE_S_MIN: i32 = 24 * 3_600;

/// Columns by name, each with its type and kind.
const COLUMNS: [[&str; 3]; 3] =
    [["row", "blob", "partition_key"], ["sort", "blob", "clustering"], ["v", "blob", "regular"]];

pub(super) fn create_keyspace(options: &Options, datacenter: &str) -> String {
    let (keyspace, replication) = (&options.keyspace, options.replication);
    format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {}", networked(datacenter, replication))
}

fn networked(datacenter: &str, copies: u32) -> String {
    format!("{{'class': 'NetworkTopologyStrategy', '{}': {copies}}}", datacenter.replace('\'', "''"))
}

pub(super) fn create_table(options: &Options, table: Table) -> String {
    // Rows are written again and again: by levels a read finds one of few versions.
    format!(
        "CREATE TABLE IF NOT EXISTS {}.{} (row blob, sort blob, v blob, PRIMARY KEY (row, sort)) \
         WITH compaction = {{'class': 'LeveledCompactionStrategy'}}",
        options.keyspace,
        table.name()
    )
}

/// A keyspace, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyspace {
    /// The class, and copies by data centre.
    pub(super) replication: BTreeMap<String, String>,
    pub(super) durable_writes: bool,
}

pub(super) async fn keyspace(session: &Session, options: &Options) -> Result<Option<Keyspace>, Error> {
    let ask = "SELECT replication, durable_writes FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let found: Vec<(BTreeMap<String, String>, bool)> = rows(session, ask, (&options.keyspace,)).await?;
    Ok(found.into_iter().next().map(|(replication, durable_writes)| Keyspace { replication, durable_writes }))
}

/// The data centre whose copies are written and read; `Err` says what does not fit.
pub(super) fn datacenter(found: &Keyspace, options: &Options) -> Result<String, String> {
    let name = &options.keyspace;
    let class = found.replication.get("class").map_or("", |class| class.rsplit('.').next().unwrap_or(""));
    let centres: Vec<(&str, &str)> = found
        .replication
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|of| of.0 != "class")
        .collect();
    let alter = |datacenter: &str| {
        format!("ALTER KEYSPACE {name} WITH replication = {}", networked(datacenter, options.replication))
    };
    if class != "NetworkTopologyStrategy" {
        return Err(format!(
            "keyspace {name} is replicated by {class}, which knows no data centres, so that a quorum of one means nothing; \
             have an administrator run `{}` with the data centre's name, then a repair",
            alter("datacenter1")
        ));
    }
    let (ours, copies) = match (&options.datacenter, centres.as_slice()) {
        (None, [only]) => *only,
        (None, _) => {
            return Err(format!(
                "keyspace {name} is kept in {} data centres ({}); set `[store] datacenter` to one of them, the same for \
                 all processes: a quorum in one says nothing of the others",
                centres.len(),
                centres.iter().map(|(centre, _)| *centre).collect::<Vec<_>>().join(", ")
            ));
        }
        (Some(wanted), centres) => match centres.iter().find(|(centre, _)| centre == wanted) {
            Some(found) => *found,
            None => {
                return Err(format!(
                    "keyspace {name} has no copies in data centre {wanted}; look at `[store] datacenter`"
                ));
            }
        },
    };
    if copies != options.replication.to_string() {
        return Err(format!(
            "keyspace {name} has {copies} copies in data centre {ours}, and `[store] replication` is {}; set it to {copies}, \
             or have an administrator run `{}`, then a repair",
            options.replication,
            alter(ours)
        ));
    }
    if !found.durable_writes {
        return Err(format!(
            "keyspace {name} has durable_writes = false, so that a crash of its nodes would lose what they confirmed; \
             have an administrator run `ALTER KEYSPACE {name} WITH durable_writes = true`"
        ));
    }
    Ok(ours.to_owned())
}

/// A table, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Name, type and kind, by name.
    pub(super) columns: Vec<(String, String, String)>,
    pub(super) compaction: String,
    pub(super) gc_grace_s: i32,
    pub(super) default_ttl_s: i32,
    /// `None` = this server has no such choice (ScyllaDB).
    pub(super) read_repair: Option<String>,
}

pub(super) async fn table(session: &Session, options: &Options, table: Table) -> Result<Option<Found>, Error> {
    let of = (&options.keyspace, table.name());
    let ask = "SELECT compaction, gc_grace_seconds, default_time_to_live FROM system_schema.tables \
               WHERE keyspace_name = ? AND table_name = ?";
    let told: Vec<(BTreeMap<String, String>, i32, i32)> = rows(session, ask, of).await?;
    let Some((compaction, gc_grace_s, default_ttl_s)) = told.into_iter().next() else { return Ok(None) };
    let ask = "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?";
    let columns = rows(session, ask, of).await?;
    let read_repair = read_repair(session, of).await?;
    let compaction = compaction.get("class").cloned().unwrap_or_default();
    Ok(Some(Found { columns, compaction, gc_grace_s, default_ttl_s, read_repair }))
}

async fn read_repair(session: &Session, of: (&String, &str)) -> Result<Option<String>, Error> {
    let ask = "SELECT read_repair FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
    match session.query_unpaged(ask, of).await {
        Ok(found) => Ok(client::rows::<(String,)>(ask, found)?.into_iter().next().map(|(repair,)| repair)),
        Err(error) if matches!(said(&error), Some((DbError::Invalid, _))) => Ok(None),
        Err(error) => Err(failed("read", "system_schema.tables", &error)),
    }
}

/// What does not fit, and what to do.
pub(super) fn fault(table: Table, found: &Found, options: &Options) -> Option<String> {
    let name = format!("{}.{}", options.keyspace, table.name());
    let alter = |option: &str| format!("have an administrator run `ALTER TABLE {name} WITH {option}`");
    let has = |column: &[&str; 3]| found.columns.iter().any(|(name, of, kind)| [name, of, kind] == *column);
    if found.columns.len() != COLUMNS.len() || !COLUMNS.iter().all(has) {
        let told: Vec<String> = found.columns.iter().map(|(name, of, kind)| format!("{name} {of} {kind}")).collect();
        return Some(format!(
            "table {name} has other columns ({}) than row, sort and v, all of them blobs; choose another `[store] keyspace`",
            told.join(", ")
        ));
    }
    if ["TimeWindow", "DateTiered"].iter().any(|class| found.compaction.contains(class)) {
        return Some(format!(
            "table {name} is compacted by {}, which goes by the time of a write, and here that is an offset; {}",
            found.compaction,
            alter("compaction = {'class': 'LeveledCompactionStrategy'}")
        ));
    }
    if found.read_repair.as_deref().is_some_and(|repair| !repair.eq_ignore_ascii_case("BLOCKING")) {
        return Some(format!(
            "table {name} has read_repair = '{}': a number that was read could be lower at the next read; {}",
            found.read_repair.as_deref().unwrap_or_default(),
            alter("read_repair = 'BLOCKING'")
        ));
    }
    if found.default_ttl_s != 0 && table != Table::Hours {
        let told = found.default_ttl_s;
        let what = format!("table {name} forgets its rows after {told} s (default_time_to_live), and they must stay");
        return Some(format!("{what}; {}", alter("default_time_to_live = 0")));
    }
    if found.gc_grace_s < GC_GRACE_S_MIN {
        return Some(format!(
            "table {name} has gc_grace_seconds = {}: a copy that missed writes for longer would bring back what expired \
             elsewhere; {}",
            found.gc_grace_s,
            alter("gc_grace_seconds = 864000")
        ));
    }
    None
}

/// Rows of the system's own tables.
async fn rows<R>(session: &Session, ask: &str, values: impl SerializeRow) -> Result<Vec<R>, Error>
where
    R: for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let found = session.query_unpaged(ask, values).await.map_err(|error| failed("ask", ask, &error))?;
    client::rows(ask, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(replication: &[(&str, &str)]) -> Keyspace {
        let replication = replication.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Keyspace { replication, durable_writes: true }
    }

    #[test]
    fn copies_are_those_of_one_data_centre() {
        const CLASS: (&str, &str) = ("class", "org.apache.cassandra.locator.NetworkTopologyStrategy");
        let options = Options::default();
        let in_west = Options { datacenter: Some("west".into()), ..Options::default() };
        let two = kept(&[CLASS, ("east", "5"), ("west", "3")]);
        assert_eq!(datacenter(&kept(&[CLASS, ("east", "3")]), &options), Ok("east".to_owned()));
        assert_eq!(datacenter(&two, &in_west), Ok("west".to_owned()));
        let simple = kept(&[("class", "org.apache.cassandra.locator.SimpleStrategy"), ("replication_factor", "3")]);
        let forgetful = Keyspace { durable_writes: false, ..kept(&[CLASS, ("east", "3")]) };
        for (found, options, said) in [
            (&two, &options, "kept in 2 data centres (east, west); set `[store] datacenter`"),
            (&kept(&[CLASS, ("east", "3")]), &in_west, "no copies in data centre west"),
            (
                &kept(&[CLASS, ("east", "5")]),
                &options,
                "5 copies in data centre east, and `[store] replication` is 3; set it to 5",
            ),
            (&simple, &options, "replicated by SimpleStrategy"),
            (&forgetful, &options, "durable_writes = true`"),
        ] {
            let error = datacenter(found, options).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_table_is_as_setup_makes_it() {
        let options = Options::default();
        let columns = COLUMNS.map(|[name, of, kind]| (name.to_owned(), of.to_owned(), kind.to_owned())).to_vec();
        let good = Found {
            columns: columns.clone(),
            compaction: "org.apache.cassandra.db.compaction.UnifiedCompactionStrategy".into(),
            gc_grace_s: 864_000,
            default_ttl_s: 0,
            read_repair: Some("BLOCKING".into()),
        };
        let fault = |table, found: &Found| fault(table, found, &options);
        assert_eq!(fault(Table::Cells, &good), None);
        assert_eq!(fault(Table::Cells, &Found { read_repair: None, ..good.clone() }), None, "ScyllaDB has no choice");
        let expiring = Found { default_ttl_s: 9, ..good.clone() };
        assert_eq!(fault(Table::Hours, &expiring), None, "each write of an hour says when it ends");
        let windows = "org.apache.cassandra.db.compaction.TimeWindowCompactionStrategy".to_owned();
        for (found, said) in [
            (
                Found { columns: columns[..2].to_vec(), ..good.clone() },
                "other columns (row blob partition_key, sort blob",
            ),
            (Found { compaction: windows, ..good.clone() }, "goes by the time of a write"),
            (Found { read_repair: Some("NONE".into()), ..good.clone() }, "WITH read_repair = 'BLOCKING'`"),
            (expiring, "WITH default_time_to_live = 0`"),
            (Found { gc_grace_s: 3_600, ..good.clone() }, "WITH gc_grace_seconds = 864000`"),
        ] {
            let error = fault(Table::Progress, &found).unwrap();
            assert!(error.contains(said) && error.starts_with("table flagstream.progress "), "{error}");
        }
    }
}
