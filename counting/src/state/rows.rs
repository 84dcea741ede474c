//! A partition's state as rows: what each key and value is.
//!
//! Always true here: keys begin with a tag; remembered ids sort by offset; parts of keys are written with their length.
//! The first row says in which form the rest is; a form this build does not know is refused.

use bytes::Bytes;
use schemas::id::{Environment, push_part, take_part};
use schemas::record::RecordId;

use super::StateError;
use super::names::{NameKind, NameSeen};

/// The form that this build writes and reads. 2: a flag's row says whether a mobile or client-side SDK asked for it.
/// 3: units of experiments.
pub(crate) const FORM: u8 = 3;

const TAG_HEAD: u8 = 0;
const TAG_ID: u8 = 1;
const TAG_FLAG: u8 = 2;
const TAG_EVENT: u8 = 3;
const TAG_DEFINITION: u8 = 4;
/// After the definitions, so that a unit's definition is read before it.
const TAG_UNIT: u8 = 5;
#[cfg(any(test, feature = "testing"))]
pub(super) const TAG_SUBJECT: u8 = 200;

/// The value of a flag's row, where a mobile or client-side SDK asked for it; all other names have none.
const CLIENT_SIDE: &[u8] = &[1];

/// A row, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// Running log time and highest definition version.
    Head { log_time_ms: i64, definition_version: u64 },
    /// A remembered id at its offset.
    Id(u64, RecordId),
    /// A name seen, and whether it is a flag that a mobile or client-side SDK asked for.
    Name(Environment, NameKind, Bytes, bool),
    /// The newest version of a definition.
    Definition(DefinitionKey, u64, Bytes),
    /// A unit of an experiment.
    Unit(UnitRow),
    /// A subject of a stand-in experiment; it is known by the key as it is.
    #[cfg(any(test, feature = "testing"))]
    Subject(crate::stand_in::Subject),
}

/// A unit of an experiment, as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitRow {
    pub(crate) environment: Environment,
    pub(crate) experiment: Bytes,
    pub(crate) iteration: u32,
    pub(crate) key: Bytes,
    pub(crate) bytes: Bytes,
}

/// What tells a definition from others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DefinitionKey {
    pub(crate) environment: Environment,
    pub(crate) kind: u8,
    pub(crate) key: Bytes,
}

pub(crate) fn head(log_time_ms: i64, definition_version: u64) -> (Bytes, Bytes) {
    let mut value = vec![FORM];
    value.extend_from_slice(&log_time_ms.to_be_bytes());
    value.extend_from_slice(&definition_version.to_be_bytes());
    (Bytes::from_static(&[TAG_HEAD]), value.into())
}

pub(crate) fn id_key(offset: u64) -> Bytes {
    let mut key = Vec::with_capacity(9);
    key.push(TAG_ID);
    key.extend_from_slice(&offset.to_be_bytes());
    key.into()
}

pub(crate) fn name(environment: &Environment, seen: NameSeen<'_>) -> (Bytes, Bytes) {
    let tag = match seen.kind {
        NameKind::Flag => TAG_FLAG,
        NameKind::Event => TAG_EVENT,
    };
    let mut key = vec![tag];
    push_part(&mut key, &environment.project);
    push_part(&mut key, &environment.key);
    key.extend_from_slice(seen.name);
    (key.into(), Bytes::from_static(if seen.client_side { CLIENT_SIDE } else { &[] }))
}

/// Whether this is the key of a name seen.
pub(crate) fn is_name(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(TAG_FLAG | TAG_EVENT)))
}

pub(crate) fn definition(key: &DefinitionKey, version: u64, body: &[u8]) -> (Bytes, Bytes) {
    let mut row = vec![TAG_DEFINITION, key.kind];
    push_part(&mut row, &key.environment.project);
    push_part(&mut row, &key.environment.key);
    row.extend_from_slice(&key.key);
    let mut value = version.to_be_bytes().to_vec();
    value.extend_from_slice(body);
    (row.into(), value.into())
}

pub(crate) fn unit_key(environment: &Environment, experiment: &[u8], iteration: u32, unit: &[u8]) -> Bytes {
    let mut row = vec![TAG_UNIT];
    for part in [&environment.project, &environment.key, experiment] {
        push_part(&mut row, part);
    }
    row.extend_from_slice(&iteration.to_be_bytes());
    row.extend_from_slice(unit);
    row.into()
}

pub(crate) fn read(key: &[u8], value: &[u8]) -> Result<Row, StateError> {
    let unreadable = || StateError::Row { key: key.to_vec() };
    let (&tag, rest) = key.split_first().ok_or_else(unreadable)?;
    match tag {
        TAG_HEAD => read_head(value),
        TAG_ID => {
            let offset = rest.try_into().map_err(|_| unreadable())?;
            let id = value.try_into().map_err(|_| unreadable())?;
            Ok(Row::Id(u64::from_be_bytes(offset), RecordId(id)))
        }
        TAG_FLAG => read_name(rest, value, NameKind::Flag).ok_or_else(unreadable),
        TAG_EVENT => read_name(rest, value, NameKind::Event).ok_or_else(unreadable),
        TAG_DEFINITION => read_definition(rest, value).ok_or_else(unreadable),
        TAG_UNIT => read_unit(rest, value).ok_or_else(unreadable),
        #[cfg(any(test, feature = "testing"))]
        TAG_SUBJECT => crate::stand_in::Subject::decode(value).map(Row::Subject).ok_or_else(unreadable),
        _ => Err(unreadable()),
    }
}

fn read_head(value: &[u8]) -> Result<Row, StateError> {
    let (&form, rest) = value.split_first().unwrap_or((&0, &[]));
    let unknown = StateError::Form(form);
    if form != FORM {
        return Err(unknown);
    }
    let Some((log_time, version)) = rest.split_first_chunk::<8>() else { return Err(unknown) };
    let version = version.try_into().map_err(|_| unknown)?;
    Ok(Row::Head { log_time_ms: i64::from_be_bytes(*log_time), definition_version: u64::from_be_bytes(version) })
}

fn read_environment(rest: &mut &[u8]) -> Option<Environment> {
    let project = Bytes::copy_from_slice(take_part(rest)?);
    let key = Bytes::copy_from_slice(take_part(rest)?);
    Some(Environment { project, key })
}

fn read_name(mut rest: &[u8], value: &[u8], kind: NameKind) -> Option<Row> {
    let environment = read_environment(&mut rest)?;
    let client_side = match value {
        [] => false,
        CLIENT_SIDE if kind == NameKind::Flag => true,
        _ => return None,
    };
    Some(Row::Name(environment, kind, Bytes::copy_from_slice(rest), client_side))
}

fn read_definition(key: &[u8], value: &[u8]) -> Option<Row> {
    let (&kind, mut rest) = key.split_first()?;
    let environment = read_environment(&mut rest)?;
    let key = DefinitionKey { environment, kind, key: Bytes::copy_from_slice(rest) };
    let (version, body) = value.split_first_chunk::<8>()?;
    Some(Row::Definition(key, u64::from_be_bytes(*version), Bytes::copy_from_slice(body)))
}

fn read_unit(mut rest: &[u8], value: &[u8]) -> Option<Row> {
    let environment = read_environment(&mut rest)?;
    let experiment = Bytes::copy_from_slice(take_part(&mut rest)?);
    let (iteration, key) = rest.split_first_chunk::<4>()?;
    let (key, bytes) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    Some(Row::Unit(UnitRow { environment, experiment, iteration: u32::from_be_bytes(*iteration), key, bytes }))
}
