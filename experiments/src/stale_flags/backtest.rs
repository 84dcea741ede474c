//! `GET /v1/projects/{project}/stale-flags/backtest`: what the rule would have said on past days, and what came of it.
//!
//! Always true here: last-seen cells and reports are read once each, in one range an environment, whatever the number
//! of days; usage in one range a flag and environment, and only where last seen alone cannot tell (`needs_usage`). What
//! is asked for is bounded before it is read, and what is read as it is read; both bounds depend on what is stored
//! alone, not on how fast this machine is.
//!
//! Where to go next: [`crate::backtest`] judges, [`read`] feeds it, [`answer`] writes what it says.

mod answer;
mod question;
mod read;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use self::answer::{Entry, Head};
use self::question::Question;
use super::{csv, document, environments, fleet};
use crate::Serve;
use crate::backtest::{Outcome, run};
use crate::paging::{self, List};
use crate::refusal::Refusal;
use crate::request::{Caller, Segments, json};

/// Flags judged in one request, each as often as there are days: a few seconds.
const JUDGED_MAX: usize = 500_000;

pub(crate) async fn backtest(
    State(serve): State<Arc<Serve>>,
    caller: Caller,
    Segments(project): Segments<String>,
) -> Result<Response, Refusal> {
    let named = environments(&caller, &project)?;
    let question = Question::read(&caller, &project)?;
    let mut now = fleet::read_with_past(&serve, &project, named.clone(), caller.now_ms).await?;
    now.decide_by(&question.critical);
    if let Some(part) = &question.part {
        now.fleet.flags.retain(|flag| flag.key.contains(part.as_str()));
    }
    let days = question.days(now.fleet.as_of_ms, &now.fleet.settings)?;
    bound(days.len(), now.fleet.flags.len())?;
    let (past, moments, counted) = read::past(&serve, &named, &mut now, &days, caller.now_ms).await?;
    let within = question.within;
    let outcome = tokio::task::spawn_blocking(move || run(past, moments, within)).await.map_err(|error| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the back-test ended early: {error}"))
    })?;
    let head = Head::of(project, &now, &outcome, within, counted);
    let (entries, total_count, next) = page(outcome, &question);
    let next = next.map(|token| paging::next(caller.uri.path(), &question.repeated, &token));
    if question.csv {
        let rows = entries.iter().map(Entry::row);
        return Ok(document(&now, csv::KIND, csv::table(answer::HEADER, rows)?, next));
    }
    json(&List::new(now.progress, head, entries, total_count, next))
}

fn bound(days: usize, flags: usize) -> Result<(), Refusal> {
    if days.saturating_mul(flags) <= JUDGED_MAX {
        return Ok(());
    }
    Err(Refusal::too_much(format!(
        "{flags} flags on {days} days are more than {JUDGED_MAX} verdicts; take a longer `step`, a later `from`, or a part of the \
         flags with `q`"
    )))
}

/// Flags that came alive again first, then by key.
fn page(outcome: Outcome, question: &Question) -> (Vec<Entry>, usize, Option<question::Token>) {
    let mut called = outcome.called;
    let place = |called: &crate::backtest::Called| (called.call.revival.is_none(), called.key.clone());
    called.retain(|called| question.revived.is_none_or(|revived| revived == called.call.revival.is_some()));
    let total_count = called.len();
    called.sort_by_cached_key(place);
    if let Some(question::Token(_, quiet, key)) = &question.behind {
        called.retain(|called| place(called) > (*quiet, key.clone()));
    }
    let is_full = question.limit.is_some_and(|limit| called.len() > limit);
    called.truncate(question.limit.unwrap_or(usize::MAX));
    let last = called.last().filter(|_| is_full).map(place);
    let next = last.map(|(quiet, key)| question::Token(question.now_ms, quiet, key));
    (called.iter().map(Entry::of).collect(), total_count, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_can_be_judged_in_time_says_what_to_take_instead() {
        assert!(bound(92, 5_000).is_ok() && bound(50, 10_000).is_ok() && bound(0, 0).is_ok());
        let said = bound(51, 10_000).unwrap_err();
        assert_eq!(said.code, "too_much");
        assert!(said.message.contains("10000 flags on 51 days") && said.message.contains("`step`"), "{}", said.message);
    }
}
