//! Makes keyspace and tables, and checks at each start that they fit.
//!
//! Always true here: a keyspace or table that exists is never altered; what an administrator may run instead is made
//! from the same list.

use scylla::client::session::Session;
use scylla::errors::ExecutionError;

use super::client::{connect, failed};
use super::{Options, schema};
use crate::Error;
use crate::table::Table;

/// Makes the keyspace and the tables that are missing; answers their names.
///
/// # Errors
/// [`Error::Setting`] with what Cassandra refused, or what of that which exists does not fit; [`Error::Unavailable`]
/// when nobody answers.
pub async fn set_up(options: &Options) -> Result<Vec<String>, Error> {
    let session = connect(options).await?;
    let mut made = Vec::new();
    if schema::keyspace(&session, options).await?.is_none() {
        let datacenter = place(&nodes(&session), options).map_err(Error::Setting)?;
        make(&session, "the keyspace", &schema::create_keyspace(options, &datacenter)).await?;
        made.push(options.keyspace.clone());
    }
    for table in Table::ALL {
        if schema::table(&session, options, table).await?.is_none() {
            let name = format!("{}.{}", options.keyspace, table.name());
            make(&session, &name, &schema::create_table(options, table)).await?;
            made.push(name);
        }
    }
    check(&session, options).await?;
    Ok(made)
}

async fn make(session: &Session, what: &str, statement: &str) -> Result<(), Error> {
    match session.query_unpaged(statement, ()).await {
        Ok(_) => Ok(()),
        Err(error @ ExecutionError::SchemaAgreementError(_)) => {
            Err(Error::Unavailable(format!("make {what}: not all nodes have it yet: {error}")))
        }
        Err(error) => Err(failed("make", what, &error)),
    }
}

/// Data centres, each with how many nodes it has.
fn nodes(session: &Session) -> Vec<(String, usize)> {
    let mut centres: Vec<(String, usize)> = Vec::new();
    for node in session.get_cluster_state().get_nodes_info() {
        let name = node.datacenter.clone().unwrap_or_default();
        match centres.iter_mut().find(|(centre, _)| *centre == name) {
            Some((_, nodes)) => *nodes += 1,
            None => centres.push((name, 1)),
        }
    }
    centres.sort();
    centres
}

/// The data centre in which the keyspace is to be made.
fn place(centres: &[(String, usize)], options: &Options) -> Result<String, String> {
    let told: Vec<String> = centres.iter().map(|(name, nodes)| format!("{name} with {nodes}")).collect();
    let told = told.join(", ");
    let (name, nodes) = match (&options.datacenter, centres) {
        (None, [only]) => only,
        (None, _) => {
            return Err(format!(
                "Cassandra has nodes in several data centres ({told}); set `[store] datacenter` to one"
            ));
        }
        (Some(wanted), centres) => match centres.iter().find(|(name, _)| name == wanted) {
            Some(found) => found,
            None => {
                return Err(format!("Cassandra has no data centre {wanted} ({told}); look at `[store] datacenter`"));
            }
        },
    };
    if *nodes < options.replication as usize {
        return Err(format!(
            "`[store] replication` = {} asks for more copies than data centre {name} has nodes ({nodes}); add nodes, or \
             lower it: 1 copy is for trials",
            options.replication
        ));
    }
    Ok(name.clone())
}

/// The statements with which an administrator makes keyspace and tables.
#[must_use]
pub fn plan(options: &Options) -> Vec<String> {
    let datacenter = options.datacenter.as_deref().unwrap_or("datacenter1");
    let tables = Table::ALL.map(|table| schema::create_table(options, table));
    [schema::create_keyspace(options, datacenter)].into_iter().chain(tables).map(|made| made + ";").collect()
}

/// The grants that allow what the processes do, and nothing else. `ingest` needs none of it, `serve` no `MODIFY`.
#[must_use]
pub fn permissions(options: &Options) -> Vec<String> {
    let user = options.access.as_ref().map_or("flagstream", |access| &access.user).replace('\'', "''");
    let grant = |what: &str| format!("GRANT {what} ON KEYSPACE {} TO '{user}';", options.keyspace);
    vec![
        format!("CREATE ROLE IF NOT EXISTS '{user}' WITH LOGIN = true AND PASSWORD = '…';"),
        grant("SELECT"),
        grant("MODIFY"),
    ]
}

/// Fails with what does not fit; answers the data centre whose copies are written and read.
pub(super) async fn check(session: &Session, options: &Options) -> Result<String, Error> {
    let missing = |what: &str| {
        let hint = "make it with `flagstream setup`, or look at `[store] keyspace` and `contact_points`";
        Error::Setting(format!("there is no {what}; {hint}"))
    };
    let keyspace = &options.keyspace;
    let found = schema::keyspace(session, options).await?;
    let found = found.ok_or_else(|| missing(&format!("keyspace {keyspace}")))?;
    let datacenter = schema::datacenter(&found, options).map_err(Error::Setting)?;
    for table in Table::ALL {
        let found = schema::table(session, options, table).await?;
        let found = found.ok_or_else(|| missing(&format!("table {keyspace}.{}", table.name())))?;
        if let Some(fault) = schema::fault(table, &found, options) {
            return Err(Error::Setting(fault));
        }
    }
    Ok(datacenter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn centres(told: &[(&str, usize)]) -> Vec<(String, usize)> {
        told.iter().map(|(name, nodes)| ((*name).to_owned(), *nodes)).collect()
    }

    #[test]
    fn a_keyspace_is_made_where_there_are_nodes_for_it() {
        let options = Options::default();
        let in_west = Options { datacenter: Some("west".into()), ..Options::default() };
        assert_eq!(place(&centres(&[("east", 3)]), &options), Ok("east".to_owned()));
        assert_eq!(place(&centres(&[("east", 1), ("west", 5)]), &in_west), Ok("west".to_owned()));
        for (found, options, said) in [
            (
                centres(&[("east", 1)]),
                &options,
                "replication` = 3 asks for more copies than data centre east has nodes (1)",
            ),
            (centres(&[("east", 3), ("west", 3)]), &options, "several data centres (east with 3, west with 3)"),
            (centres(&[("east", 3)]), &in_west, "no data centre west (east with 3)"),
        ] {
            let error = place(&found, options).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_administrator_reads_what_setup_would_do() {
        let told = plan(&Options { keyspace: "flags".into(), ..Options::default() });
        assert_eq!(
            told[0],
            "CREATE KEYSPACE IF NOT EXISTS flags WITH replication = {'class': 'NetworkTopologyStrategy', 'datacenter1': 3};"
        );
        assert_eq!(told.len(), 4);
        for (statement, table) in told[1..].iter().zip(["hours", "cells", "progress"]) {
            let made = format!(
                "CREATE TABLE IF NOT EXISTS flags.{table} (row blob, sort blob, v blob, PRIMARY KEY (row, sort))"
            );
            assert!(statement.starts_with(&made), "{statement}");
        }
        let granted = permissions(&Options { keyspace: "flags".into(), ..Options::default() });
        assert_eq!(
            granted[1..],
            ["SELECT", "MODIFY"].map(|what| format!("GRANT {what} ON KEYSPACE flags TO 'flagstream';"))
        );
    }
}
