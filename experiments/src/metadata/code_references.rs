//! The places in code of many flags, as a scan of source trees sends them: in parts, of which each is answered when it
//! is in force.
//!
//! Always true here: a flag whose number and places are so already gets no new version, so a scan sent again costs
//! little; one that changes says which scan found it so. Which scan was begun last, and whether all of it came, is a
//! definition of the project: it is begun before the first flag changes and finished after the last, and a scan that
//! was overtaken by another is refused, so "finished" is never said of numbers of two scans.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use counting::cells::Definition as DefinitionCell;
use schemas::wire::record::Definition;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::answers::{check_flag, check_project, fields_within, invalid, newest_of};
use super::said::definition;
use super::{Body, PARTITION, Said, cell_key, of_the_project, places};
use crate::Serve;
use crate::publisher::{Turn, publish_all};
use crate::reading::standings;
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};
use crate::stale::CodeScan;

/// The kind of definition that says how far a scan came; part of stored names, so it never changes.
const KIND: u8 = 3;
const KEY: &str = "code-references";
/// Longest body of a request, in bytes.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Flags of one request: each that changes is appended to every partition before the answer.
const FLAGS_MAX: usize = 500;
/// Flags of one scan.
const SCAN_FLAGS_MAX: u64 = 100_000;

/// How far the scan came that was begun last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Upload {
    #[serde(flatten)]
    pub(crate) scan: CodeScan,
    /// All that it sends.
    pub(crate) flags: u64,
    /// All of them came, and no other scan's meanwhile.
    pub(crate) finished: bool,
}

/// One part of a scan.
struct Part {
    scan: CodeScan,
    flags: u64,
    /// Flags sent in parts before.
    before: u64,
    /// What is told of each: fields of its metadata.
    told: BTreeMap<String, Map<String, Value>>,
}

/// `GET /v1/projects/{project}/code-references`: the scan that was begun last, as far as it is folded.
pub(crate) async fn show(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments(project): Segments<String>,
) -> Result<Response, Refusal> {
    check_project(&caller, &project)?;
    let standings = standings(&serve, PARTITION..PARTITION + 1).await?;
    let progress = standings.first().map(|standing| standing.progress(caller.now_ms));
    let (version, upload) = folded(&serve, &project).await?.unzip();
    json(&json!({
        "codeScan": upload, "version": version.unwrap_or(0), "asOf": progress.map_or(0, |progress| progress.as_of_ms),
        "complete": progress.is_some_and(|progress| progress.complete)
    }))
}

/// `PUT /v1/projects/{project}/code-references`: one part of a scan; the first says `before` 0, and the scan is
/// finished with the one that reaches its number of flags. Sent again it does no harm.
pub(crate) async fn put(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments(project): Segments<String>,
    request: Request,
) -> Result<Response, Refusal> {
    caller.admin()?;
    check_project(&caller, &project)?;
    let part = Part::read(&fields_within(request, REQUEST_BYTES_MAX).await?, caller.now_ms)?;
    let mut turn = serve.publisher.turn().await?;
    let begun = newest(&serve, &mut turn, &project).await?;
    let is_ours = begun.as_ref().is_some_and(|(_, begun)| begun.scan.id == part.scan.id);
    if part.before > 0 && !is_ours {
        return Err(overtaken(begun.as_ref().map(|(_, begun)| begun)));
    }
    let was_finished = is_ours && begun.as_ref().is_some_and(|(_, begun)| begun.finished);
    let changed = part.changed(&serve, &mut turn, &project, caller.now_ms).await?;
    let (count, unchanged) = (changed.len(), part.told.len() - changed.len());
    let is_last = part.before + part.told.len() as u64 == part.flags;
    let first = (!is_ours).then(|| part.upload(false));
    let last = (is_last && !was_finished).then(|| part.upload(true));
    let ahead = usize::from(first.is_some());
    let mut all = Vec::with_capacity(count + 2);
    all.extend(first.iter().map(|upload| upload.definition(&project)).collect::<Result<Vec<_>, _>>()?);
    all.extend(changed);
    all.extend(last.iter().map(|upload| upload.definition(&project)).collect::<Result<Vec<_>, _>>()?);
    let published = if all.is_empty() { Ok(0) } else { publish_all(&serve, turn, all).await };
    let version = published.map_err(|halted| {
        let in_force = halted.published.saturating_sub(ahead).min(count);
        let message = format!("{}; of {count} flags that change with this request {in_force} did", halted.why.message);
        Refusal::new(halted.why.status, halted.why.code, message)
    })?;
    let version = version.max(begun.map_or(0, |(version, _)| version));
    json(&json!({
        "changed": count, "unchanged": unchanged, "version": version, "codeScan": part.upload(is_last || was_finished)
    }))
}

impl Part {
    fn read(fields: &Map<String, Value>, now_ms: i64) -> Result<Self, Refusal> {
        const SCAN: &str =
            "{\"id\": 1 to 64 bytes, \"at\": a time, \"flags\": how many it sends in all, at most 100,000}";
        const TOLD: &str = "{\"flag-key\": {\"codeReferences\": 2, \"codePlaces\": [{\"file\": …, \"line\": …}]}, …}, \
                            1 to 500 flags, no more than the scan has";
        let wrong = |name: &str, allowed: &str| {
            invalid(&super::body::wrong(name, fields.get(name).unwrap_or(&Value::Null), allowed))
        };
        if let Some(other) = fields.keys().find(|name| !["scan", "before", "flags"].contains(&name.as_str())) {
            let other: String = other.chars().take(100).collect();
            return Err(invalid(&format!("there is no field {other:?}; allowed: scan, before, flags")));
        }
        let mut scan = fields.get("scan").and_then(Value::as_object).cloned().unwrap_or_default();
        let flags = scan.remove("flags").and_then(|flags| flags.as_u64()).filter(|flags| *flags <= SCAN_FLAGS_MAX);
        let scan = places::scan(&Value::Object(scan));
        let (scan, flags) = scan.zip(flags).ok_or_else(|| wrong("scan", SCAN))?;
        let before = fields.get("before").map_or(Some(0), Value::as_u64);
        let before =
            before.ok_or_else(|| wrong("before", "how many flags of the scan were sent before this request"))?;
        let told = fields.get("flags").and_then(Value::as_object).filter(|told| (1..=FLAGS_MAX).contains(&told.len()));
        let told = told.filter(|told| before.saturating_add(told.len() as u64) <= flags);
        let told = told.ok_or_else(|| wrong("flags", TOLD))?;
        let told = told.iter().map(|(flag, fields)| {
            let of_flag = |what: &str| invalid(&format!("flag {flag:?}: {what}"));
            check_flag(flag)?;
            let fields = fields.as_object().filter(|fields| fields.contains_key("codeReferences"));
            let mut fields = fields.ok_or_else(|| of_flag("field `codeReferences` is missing"))?.clone();
            if let Some(other) = fields.keys().find(|name| !["codeReferences", "codePlaces"].contains(&name.as_str())) {
                return Err(of_flag(&format!(
                    "field `{other}` is no part of a scan; allowed: codeReferences, codePlaces"
                )));
            }
            fields.insert("codeScan".to_owned(), json!(scan));
            Body::of_request(&fields, now_ms).map_err(|what| of_flag(&what))?;
            Ok((flag.clone(), fields))
        });
        let told = told.collect::<Result<_, Refusal>>()?;
        Ok(Self { scan, flags, before, told })
    }

    /// What is to be said anew, of those flags whose number or places change.
    async fn changed(
        &self,
        serve: &Serve,
        turn: &mut Turn,
        project: &str,
        now_ms: i64,
    ) -> Result<Vec<Definition>, Refusal> {
        let flags: Vec<&str> = self.told.keys().map(String::as_str).collect();
        let newest = newest_of(serve, turn, project, &flags).await?;
        let mut changed = Vec::new();
        for ((flag, fields), was) in self.told.iter().zip(newest) {
            let body = was.body.with(fields).map_err(|what| invalid(&what))?;
            if !was.is_something() || !body.has_places_of(&was.body) {
                changed.push(Said::now(body, now_ms).definition(project, flag)?);
            }
        }
        Ok(changed)
    }

    fn upload(&self, finished: bool) -> Upload {
        Upload { scan: self.scan.clone(), flags: self.flags, finished }
    }
}

impl Upload {
    fn definition(&self, project: &str) -> Result<Definition, Refusal> {
        let body = serde_json::to_value(self)
            .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()))?;
        Ok(definition(KIND, project, KEY, body.to_string()))
    }

    fn stored(body: &[u8]) -> Result<Self, Refusal> {
        let read = || {
            let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else { return None };
            let flags = fields.remove("flags")?.as_u64()?;
            let finished = fields.remove("finished")?.as_bool()?;
            Some(Self { scan: places::scan(&Value::Object(fields))?, flags, finished })
        };
        read().ok_or_else(|| Refusal::damaged(&"what is kept of the last scan of source trees cannot be read"))
    }
}

/// The scan that was begun last, as far as it is folded, and its version.
pub(crate) async fn folded(serve: &Serve, project: &str) -> Result<Option<(u64, Upload)>, Refusal> {
    let cell = serve.store.load(vec![cell_key(serve, project, KIND, KEY)]).await?.into_iter().next().flatten();
    let read = |cell: stores::StoredCell| {
        let definition = DefinitionCell::decode(&cell.value).map_err(|error| Refusal::damaged(&error))?;
        Ok((definition.version(), Upload::stored(definition.body())?))
    };
    cell.map(read).transpose()
}

/// The same, folded or not.
async fn newest(serve: &Serve, turn: &mut Turn, project: &str) -> Result<Option<(u64, Upload)>, Refusal> {
    let tail = turn.not_yet_folded(serve, &of_the_project(project), KIND, &[KEY.as_bytes()]).await?;
    match tail.into_iter().next().flatten() {
        Some(definition) => Ok(Some((definition.version, Upload::stored(&definition.body)?))),
        None => folded(serve, project).await,
    }
}

fn overtaken(by: Option<&Upload>) -> Refusal {
    let by = by.map_or("it was not begun here".to_owned(), |by| {
        format!("scan {:?} was begun after it", by.scan.id.chars().take(64).collect::<String>())
    });
    let message =
        format!("this scan cannot go on: {by}, so the numbers are of both; send one of them from its beginning");
    Refusal::new(StatusCode::CONFLICT, "overtaken", message)
}
