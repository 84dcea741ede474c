//! How Cassandra is reached, and what its errors mean.

use std::time::Duration;

use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::deserialize::row::DeserializeRow;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, ConnectionSetupRequestErrorKind, DbError, ExecutionError, MetadataError,
    NewSessionError, PrepareError, RequestAttemptError,
};
use scylla::policies::load_balancing::{DefaultPolicy, DefaultPolicyBuilder};
use scylla::response::query_result::QueryResult;
use scylla::statement::{Consistency, prepared::PreparedStatement};

use super::Options;
use crate::Error;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// So long a call may take, the library's own attempts on other nodes included.
const CALL_WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn connect(options: &Options) -> Result<Session, Error> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.contact_points)
        .connection_timeout(CONNECT_WITHIN)
        .hostname_resolution_timeout(Some(CONNECT_WITHIN))
        .keyspaces_to_fetch([&options.keyspace])
        .default_execution_profile_handle(profile(DefaultPolicy::builder()));
    if let Some(access) = &options.access {
        builder = builder.user(&access.user, &access.password);
    }
    builder.build().await.map_err(|error| not_connected(options, &error))
}

fn profile(policy: DefaultPolicyBuilder) -> ExecutionProfileHandle {
    let profile = ExecutionProfile::builder().consistency(Consistency::LocalQuorum).request_timeout(Some(CALL_WITHIN));
    profile.load_balancing_policy(policy.build()).build().into_handle()
}

/// A local quorum is one of the data centre whose node is asked, and two quorums of different data centres need have no
/// copy in common: nodes of this one alone are asked.
pub(super) fn only_in(datacenter: &str) -> ExecutionProfileHandle {
    profile(DefaultPolicy::builder().prefer_datacenter(datacenter.to_owned()).permit_dc_failover(false))
}

/// Prepares a statement that is written and read by quorum in one data centre, and may be sent again.
pub(super) async fn prepare(
    session: &Session,
    at: &ExecutionProfileHandle,
    statement: String,
) -> Result<PreparedStatement, Error> {
    let prepared = session.prepare(statement.as_str()).await;
    let mut prepared = prepared.map_err(|error| failed("prepare", &statement, &error.into()))?;
    prepared.set_execution_profile_handle(Some(at.clone()));
    prepared.set_consistency(Consistency::LocalQuorum);
    prepared.set_is_idempotent(true);
    Ok(prepared)
}

/// What Cassandra itself said, if it was asked at all.
pub(super) fn said(error: &ExecutionError) -> Option<(&DbError, &str)> {
    match error {
        ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, words))
        | ExecutionError::PrepareError(PrepareError::AllAttemptsFailed {
            first_attempt: RequestAttemptError::DbError(error, words),
        }) => Some((error, words)),
        _ => None,
    }
}

/// A call that failed. What Cassandra refuses it will refuse again; of all else nobody knows whether it took effect.
pub(super) fn failed(call: &str, what: &str, error: &ExecutionError) -> Error {
    match said(error) {
        Some((DbError::Unauthorized, words)) => Error::Setting(format!(
            "Cassandra does not let us {call} {what} ({words}); `flagstream setup --plan` prints what must be granted"
        )),
        Some((DbError::Invalid | DbError::SyntaxError | DbError::ConfigError, words)) => Error::Setting(format!(
            "Cassandra refuses to {call} {what}: {words}; look at `[store] keyspace`, run `flagstream setup`"
        )),
        Some((_, words)) => Error::Unavailable(format!("{call} {what}: {words}")),
        None => Error::Unavailable(format!("{call} {what}: {error}")),
    }
}

/// The rows of an answer, each of these columns.
pub(super) fn rows<R>(table: &str, answer: QueryResult) -> Result<Vec<R>, Error>
where
    R: for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let strange = |error: &dyn std::error::Error| Error::Damaged { place: table.to_owned(), what: error.to_string() };
    let rows = answer.into_rows_result().map_err(|error| strange(&error))?;
    let rows = rows.rows::<R>().map_err(|error| strange(&error))?;
    rows.collect::<Result<_, _>>().map_err(|error| strange(&error))
}

fn not_connected(options: &Options, error: &NewSessionError) -> Error {
    let at = options.contact_points.join(", ");
    match setup_error(error) {
        Some(ConnectionSetupRequestErrorKind::MissingAuthentication) => Error::Setting(format!(
            "Cassandra at {at} asks for a user and a password; set `[store] user` and `password`"
        )),
        Some(ConnectionSetupRequestErrorKind::DbError(DbError::AuthenticationError, words)) => Error::Setting(format!(
            "Cassandra at {at} does not know this user or password ({words}); look at `[store] user` and `password`"
        )),
        _ => Error::Unavailable(format!(
            "no Cassandra at {at}: {error}; look at `[store] contact_points`, and whether its port for CQL is open"
        )),
    }
}

fn setup_error(error: &NewSessionError) -> Option<&ConnectionSetupRequestErrorKind> {
    let NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
        last_connection_error: ConnectionError::ConnectionSetupRequestError(error),
    })) = error
    else {
        return None;
    };
    Some(&error.error)
}
