//! What people said about flags: definitions of the project, read from partition 0, which alone keeps their cells.
//!
//! Always true here: what is shown is the newest version that is folded; a body that cannot be read refuses the request
//! and names its flag, so that nobody gets a verdict from half of what was said.
//!
//! [`body`] has the fields and what each may hold; [`answers`] is what can be asked of a flag, [`code_references`] what
//! a scan of source trees sends of many.

pub(crate) mod answers;
mod body;
pub(crate) mod code_references;
mod places;
mod said;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use counting::cells::Definition;
use schemas::cell::{CellKey, CellKind, CellName, CellRange};
use schemas::id::{Environment, KEY_BYTES_MAX, check_key_text};
use stores::StoredCell;

pub(crate) use body::Body;
pub use places::shorten_code_references;
pub(crate) use said::Said;

use crate::Serve;
use crate::refusal::Refusal;
use crate::stale::Metadata;

/// The kind of definition that flag metadata is; part of stored names, so it never changes.
pub(crate) const KIND: u8 = 1;
/// Only this partition has cells of definitions.
pub(crate) const PARTITION: u32 = 0;
/// Cells of one page: each may hold 16 KiB.
const PAGE_CELLS: usize = 256;

/// What people said of a project's flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfProject {
    /// By key; flags that nobody described are missing.
    pub(crate) flags: BTreeMap<String, Metadata>,
    /// Prerequisites that nobody described, each with the flags that name it: unless one was seen, it is no flag.
    pub(crate) named: BTreeMap<String, Vec<String>>,
}

/// What is known of each flag of a project. A flag that names another as its prerequisite is among that one's
/// dependents, unless it is archived: nothing asks for that one on its behalf any more. What was
/// withdrawn was never said.
pub(crate) async fn of_project(serve: &Serve, project: &str) -> Result<OfProject, Refusal> {
    let mut all = OfProject::default();
    let mut needs: BTreeSet<(String, String)> = BTreeSet::new();
    let told = said(serve, project).await?.into_iter().filter(|(_, said)| said.is_something());
    for (flag, said) in told {
        let metadata = said.body.metadata();
        if metadata.archived != Some(true) {
            needs.extend(said.body.prerequisites.iter().map(|prerequisite| (prerequisite.clone(), flag.clone())));
        }
        all.flags.insert(flag, metadata);
    }
    for (prerequisite, dependent) in needs {
        match all.flags.get_mut(&prerequisite) {
            Some(metadata) => metadata.dependents.push(dependent),
            None => all.named.entry(prerequisite).or_default().push(dependent),
        }
    }
    for metadata in all.flags.values_mut() {
        metadata.dependents.sort_unstable();
        metadata.dependents.dedup();
    }
    Ok(all)
}

/// What was said about each flag of a project, by key.
async fn said(serve: &Serve, project: &str) -> Result<BTreeMap<String, Said>, Refusal> {
    let environment = of_the_project(project);
    let all = CellRange::names(serve.generation, PARTITION, CellKind::Definition, &environment);
    let mut range = all.names_from(&CellName::Key(Bytes::from_static(&[KIND])));
    let mut flags = BTreeMap::new();
    loop {
        let page = serve.store.range(range.clone(), PAGE_CELLS).await?;
        for (key, cell) in page.cells {
            let Some(flag) = flag_of(&key.name) else { return Ok(flags) };
            let said = read(&flag, &cell.value)?;
            flags.insert(flag, said);
        }
        match page.next {
            Some(next) => range.from = next,
            None => return Ok(flags),
        }
    }
}

/// What was said about one flag; `None` = nothing that is folded.
pub(crate) async fn of_flag(serve: &Serve, project: &str, flag: &str) -> Result<Option<Said>, Refusal> {
    Ok(of_flags(serve, project, &[flag]).await?.into_iter().next().flatten())
}

/// What was said about each of these flags, in their order; `None` = nothing that is folded.
async fn of_flags(serve: &Serve, project: &str, flags: &[&str]) -> Result<Vec<Option<Said>>, Refusal> {
    let keys = flags.iter().map(|flag| cell_key(serve, project, KIND, flag)).collect();
    let cells = serve.store.load(keys).await?;
    let read = |(flag, cell): (&&str, Option<StoredCell>)| cell.map(|cell| read(flag, &cell.value)).transpose();
    flags.iter().zip(cells).map(read).collect()
}

/// Where a definition of the project lies.
fn cell_key(serve: &Serve, project: &str, kind: u8, key: &str) -> CellKey {
    CellKey {
        generation: serve.generation,
        partition: PARTITION,
        kind: CellKind::Definition,
        environment: of_the_project(project),
        name: CellName::Key([&[kind], key.as_bytes()].concat().into()),
        window: 0,
    }
}

/// Where definitions of a whole project lie: no environment has an empty key.
pub(crate) fn of_the_project(project: &str) -> Environment {
    Environment { project: Bytes::copy_from_slice(project.as_bytes()), key: Bytes::new() }
}

/// The flag that a definition's name is about; `None` = it is about something else.
fn flag_of(name: &CellName) -> Option<String> {
    let CellName::Key(name) = name else { return None };
    let (_, flag) = name.split_first().filter(|(kind, _)| **kind == KIND)?;
    Some(crate::cells::text(flag).into_owned())
}

fn read(flag: &str, cell: &[u8]) -> Result<Said, Refusal> {
    let definition = Definition::decode(cell).map_err(|error| Refusal::damaged(&error))?;
    read_body(flag, definition.version(), definition.body())
}

/// Reads a definition's body.
pub(crate) fn read_body(flag: &str, version: u64, body: &[u8]) -> Result<Said, Refusal> {
    Said::stored(version, body).map_err(|what| {
        let flag: String = flag.chars().take(100).collect();
        let what = format!("metadata of flag {flag:?} (version {version}) cannot be read: {what}; `PUT` it anew");
        Refusal::damaged(&what)
    })
}

/// Whether these fields may be said of a flag at `now_ms` (Unix milliseconds).
///
/// # Errors
/// Which field is wrong, its value, and what is allowed.
pub fn check_flag_metadata(
    flag: &str,
    fields: &serde_json::Map<String, serde_json::Value>,
    now_ms: i64,
) -> Result<(), String> {
    check_key_text(flag, KEY_BYTES_MAX).map_err(|error| format!("no flag can have this name: {error}"))?;
    Body::of_request(fields, now_ms).map(|_| ())
}

/// Whether these fields, put in the place of what is known of a flag (as its metadata is answered), would change it.
///
/// # Errors
/// Which field is wrong, its value, and what is allowed.
pub fn would_change(
    known: &serde_json::Map<String, serde_json::Value>,
    fields: &serde_json::Map<String, serde_json::Value>,
) -> Result<bool, String> {
    let known = Body::of_fields(known)?;
    Ok(known.with(fields)? != known)
}

/// Unix milliseconds of a time as people write it: RFC 3339, or a date, which is its beginning in UTC.
pub fn time_ms(text: &str) -> Option<i64> {
    body::time_of(text)
}
