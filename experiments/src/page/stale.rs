//! `/stale`: which flags of a project are dead, as a table to filter and sort, with the evidence of one flag beside it.
//!
//! Always true here: verdicts are those of [`crate::stale_flags`], judged once a request; counts at the top are of all
//! flags, rows of one page are all that is rendered; everything can be done without a script.
//!
//! Where to go next: [`question`] is the address, [`list`] the table, [`evidence`] the drawer, [`snooze`] the one thing
//! that changes anything.

pub(crate) mod card;
mod evidence;
mod filters;
mod inputs;
mod list;
mod order;
mod question;
pub(crate) mod snooze;
mod strip;
mod ticket;
mod words;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::html;

use self::evidence::Drawer;
use self::list::Table;
use self::question::Question;
use self::snooze::Taken;
use crate::page::{Here, Place, Script, text, whole};
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::stale::{Flag, Verdict};
use crate::stale_flags::fleet::{self, Read};
use crate::stale_flags::notes::{For, notes};
use crate::stale_flags::{environments, judged};
use crate::{Serve, metadata};

pub(crate) use self::question::href;

/// All verdicts of a project and what they were made of.
struct Report {
    read: Read,
    verdicts: Vec<Verdict>,
}

impl Report {
    async fn of(serve: &Serve, caller: &Caller, project: &str) -> Result<Self, Refusal> {
        let read = fleet::read(serve, project, environments(caller, project)?, caller.now_ms, None).await?;
        let (verdicts, read) = judged(read).await?;
        Ok(Self { read, verdicts })
    }

    /// A flag and its verdict.
    fn flag(&self, key: &str) -> Option<(&Flag, &Verdict)> {
        // Verdicts stand in the fleet's order.
        self.read.fleet.flags.iter().zip(&self.verdicts).find(|(flag, _)| flag.key == key)
    }
}

pub(crate) async fn show(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let question = Question::read(&caller)?;
    let report = Report::of(&serve, &caller, &question.project).await?;
    let mut status = StatusCode::OK;
    let drawer = match &question.flag {
        None => None,
        Some(key) => {
            let said = metadata::of_flag(&serve, &question.project, key).await?.unwrap_or_default();
            let taken = Taken::read(&headers, &question.project, key);
            let drawer =
                Drawer { serve: &serve, caller: &caller, question: &question, report: &report, said: &said, taken };
            let found = report.flag(key);
            status = if found.is_some() { status } else { StatusCode::NOT_FOUND };
            Some(match found {
                Some((flag, verdict)) => drawer.show(flag, verdict),
                None => drawer.unknown(key),
            })
        }
    };
    let here = Here::Stale { project: &question.project, environment: question.filter.environment.as_deref() };
    let place = Place { caller: &caller, here, progress: Some(report.read.progress), now_ms: caller.now_ms };
    let table = Table { question: &question, report: &report, now_ms: caller.now_ms };
    let body = html! {
        div.head {
            h1 { "Stale flags" span.slash { " of " } (text::foreign(&question.project)) }
            (filters::environments(&question, &report))
        }
        (filters::tiles(&question, &report))
        (filters::coverage(&report, &notes(&report.read, For::People)))
        @if let Some(drawer) = &drawer { (drawer) }
        (table.show(&caller))
    };
    let title = format!("Stale flags of {}", question.project);
    Ok((status, whole(&title, Some(&place), Script::Evidence, &body)).into_response())
}
