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
pub(crate) mod heard;
pub(crate) mod hours;
pub(crate) mod markdown;
pub(crate) mod notes;
mod order;
pub(crate) mod outcome;
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
use self::heard::{Heard, heard};
use self::notes::{For, notes};
use self::question::{Format, Question};
use self::rule::Rule;
use crate::Serve;
use crate::metadata::code_references::Upload;
use crate::paging::{self, List};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};
use crate::stale::{Verdict, judge};

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
    heard: Vec<Heard>,
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
        heard: heard(&read.fleet),
        rule: Rule::of(&read.fleet),
        notes: notes(&read, For::Program),
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
            let rows = page.iter().map(|verdict| (verdict, read.metadata(&verdict.key)));
            let text = markdown::write(rows, shown, &read);
            Ok((found(&entries), document(&read, markdown::KIND, text, next)).into_response())
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
