//! `GET /v1/projects/{project}/stale-flags`: the rule's verdict on every flag of a project, with the numbers it used.
//!
//! Always true here: a caller's verdicts are of the environments that it may read, and of these only. Those that are
//! configured as critical decide, or those that `critical` names instead; where none is configured, all do. Where one
//! that decides is hidden from the caller, no flag is stale, and a note says why. `environment` chooses whose status,
//! coverage and last request are told and changes no verdict, since a flag is removed from the code of all environments
//! at once.
//!
//! Where to go next: [`fleet`] reads cells for [`crate::stale`], [`hours`] tells coverage, [`entry`] writes a verdict.

pub(crate) mod backtest;
mod csv;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod fleet;
mod gate;
pub(crate) mod hours;
mod markdown;
mod order;
pub(crate) mod question;
pub(crate) mod rule;
pub(crate) mod shown;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemas::id::Environment;
use serde::Serialize;

use self::entry::Entry;
use self::fleet::Read;
use self::hours::Reporter;
use self::question::{Format, Question};
use self::rule::Rule;
use crate::Serve;
use crate::metadata::code_references::Upload;
use crate::paging::{self, List};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};
use crate::stale::{Verdict, judge};

/// Names in one note.
const NAMED_MAX: usize = 10;
/// Whether everything answered 2xx is in the verdicts, and what is [`found`] among them, of forms that are no JSON.
const COMPLETE: HeaderName = HeaderName::from_static("x-flagstream-complete");
const FOUND: HeaderName = HeaderName::from_static("x-flagstream-found");

#[derive(Serialize)]
struct Head {
    project: String,
    /// Those that were looked at.
    environments: Vec<String>,
    /// Flags judged, whether the question wants them or not.
    judged: usize,
    /// The settings that the verdicts were made with.
    rule: Rule,
    notes: Vec<String>,
    /// The scan of source trees that was begun last.
    #[serde(rename = "codeScan", skip_serializing_if = "Option::is_none")]
    code_scan: Option<Upload>,
}

pub(crate) async fn stale_flags(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments(project): Segments<String>,
) -> Result<Response, Refusal> {
    let environments = environments(&caller, &project)?;
    let question = Question::read(&caller, &project)?;
    let as_of_ms = question.behind.as_ref().map(|token| token.as_of_ms);
    let mut read = fleet::read(&serve, &project, environments, caller.now_ms, as_of_ms).await?;
    read.decide_by(&question.critical);
    let head = Head {
        project,
        environments: read.fleet.environments.keys().cloned().collect(),
        judged: read.fleet.flags.len(),
        rule: Rule::of(&read.fleet),
        notes: notes(&read),
        code_scan: read.code_scan.clone(),
    };
    let (mut verdicts, read) = judged(read).await?;
    verdicts.retain(|verdict| question.filter.wants(verdict));
    let total_count = verdicts.len();
    let (page, next) = question.sort.page(verdicts, question.behind.as_ref(), question.limit, caller.now_ms);
    let shown = question.filter.environment.as_deref();
    let entries: Vec<Entry> =
        page.iter().map(|verdict| Entry::of(verdict, read.metadata(&verdict.key), shown)).collect();
    let next = next.map(|token| paging::next(caller.uri.path(), &question.repeated, &token));
    match question.format {
        Format::Json => json(&List::new(read.progress, head, entries, total_count, next)),
        Format::Csv => Ok((found(&entries), document(&read, csv::KIND, csv::write(&entries)?, next)).into_response()),
        Format::Markdown => {
            Ok((found(&entries), document(&read, markdown::KIND, markdown::write(&entries), next)).into_response())
        }
    }
}

/// The verdicts, in the fleet's order. Of many flags they take long enough to keep other requests of a thread waiting,
/// so they are made beside those that answer.
pub(crate) async fn judged(read: Read) -> Result<(Vec<Verdict>, Read), Refusal> {
    let judged = tokio::task::spawn_blocking(move || (judge(&read.fleet), read)).await;
    judged.map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the judging ended early: {error}"))
    })
}

/// The project's environments that the caller may read; at least one.
pub(crate) fn environments(caller: &Caller, project: &str) -> Result<Vec<Environment>, Refusal> {
    let all = caller.access.visible(&caller.grant);
    let named: Vec<_> = all.into_iter().filter(|environment| environment.project_str() == project).collect();
    if named.is_empty() {
        return Err(Refusal::not_found(format!(
            "no project `{}` with an environment that this caller may read; environments are configured",
            project.escape_debug()
        )));
    }
    Ok(named)
}

/// What whoever reads the list should know and cannot see in it.
pub(crate) fn notes(read: &Read) -> Vec<String> {
    let silent = read.silent.iter().map(|name| {
        let name = name.escape_debug();
        format!(
            "no flag was ever seen in environment `{name}`: point an SDK's events address here, or name the environments \
             that should decide with `critical`"
        )
    });
    let beyond = read.beyond.iter().map(|name| {
        let name = name.escape_debug();
        format!("environment `{name}` has more flags than its limit: those beyond it are not in this list")
    });
    let lagging = (!read.progress.complete)
        .then(|| "the numbers lag the log, so a flag may have been asked for since `asOf`".to_owned());
    let hidden = read.fleet.hidden_deciding;
    let hidden = (hidden > 0).then(|| {
        format!(
            "environments that decide are not open to this key ({hidden}), so no flag is called stale: ask with a key that may \
             read them, or name with `critical` those that should decide instead"
        )
    });
    let quiet = read.quiet.iter().map(|(name, reporters)| quiet_note(name, reporters));
    let crowded = read.crowded.iter().map(|(name, keys)| crowded_note(name, keys));
    let scan = read.code_scan.as_ref().filter(|upload| !upload.finished).map(scan_note);
    silent.chain(beyond).chain(quiet).chain(crowded).chain(hidden).chain(scan).chain(lagging).collect()
}

fn scan_note(upload: &Upload) -> String {
    format!(
        "the upload of the scan of {} ({} flags) is not finished, so places in code are those of more than one scan: run its \
         `flagstream flags scan … --upload` again",
        shown::time(upload.scan.at),
        upload.flags
    )
}

fn quiet_note(environment: &str, reporters: &[Reporter]) -> String {
    let named = named(reporters.iter().map(Reporter::name));
    format!(
        "in environment `{}` {} reported as a rule and not of late: {named}; a flag that nobody else asks for looks unused",
        environment.escape_debug(),
        if reporters.len() == 1 { "1 application".to_owned() } else { format!("{} applications", reporters.len()) },
    )
}

fn crowded_note(environment: &str, keys: &[String]) -> String {
    let named = named(keys.iter().map(String::as_str));
    format!(
        "in environment `{}` more askers than are kept apart saw {}: {named}; the others are told as one, and while they ask, \
         such a flag is never settled (application versions that change with each deploy fill the rows)",
        environment.escape_debug(),
        if keys.len() == 1 { "1 flag".to_owned() } else { format!("{} flags", keys.len()) },
    )
}

/// Foreign names, the first of many.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown: Vec<String> = names.take(NAMED_MAX).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// `stale`, and the advices and reasons of stale flags: what `flagstream stale --fail-on` looks for.
fn found(entries: &[Entry]) -> [(HeaderName, String); 1] {
    let mut words = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.stale) {
        words.insert("stale");
        words.extend(entry.advice);
        words.extend(entry.reasons.iter().map(|reason| reason.code));
    }
    [(FOUND, words.into_iter().collect::<Vec<_>>().join(","))]
}

/// An answer that is no JSON; whether it is complete, and the next page where one was asked for, stand in headers.
fn document(read: &Read, kind: &'static str, text: String, next: Option<String>) -> Response {
    let complete = if read.progress.complete { "true" } else { "false" };
    let mut response = ([(header::CONTENT_TYPE, kind), (COMPLETE, complete)], text).into_response();
    let link = next.and_then(|href| HeaderValue::from_str(&format!("<{href}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}
