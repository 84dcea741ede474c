//! `GET /v1/pipeline/comparison` and `GET /v1/pipeline/gate`: what this path and another counted, why they differ, and
//! which of them is in charge. Admin keys only.
//!
//! Always true here: a comparison is whole or says that it is not (`complete`); what is unexplained is never rounded,
//! hidden or taken for a cause. Where no other path is there, so are neither of the addresses.
//!
//! Where to go next: [`mod@gather`] reads, [`rows`] brings together, [`causes`] says why; [`mod@line`] compares in the
//! background, for the gate and the page.

pub(crate) mod causes;
pub(crate) mod gather;
pub(crate) mod line;
pub(crate) mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use self::causes::Cause;
use self::gather::{Asked, gather};
use self::rows::Row;
use crate::Serve;
use crate::cells::Served;
use crate::interval::{DAY_MS, HOUR_MS, Interval, hour_ms};
use crate::other_path::{Counts, EnvironmentStage, OtherPath};
use crate::paging::List;
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::request::{Caller, json};

/// Its address, whose answers may take long: all that is in the log is waited for.
pub(crate) const PATH: &str = "/v1/pipeline/comparison";
/// A comparison waits so long until all is counted: more than a flush.
const PATIENCE: Duration = Duration::from_secs(75);
/// Rows of an answer at most; the totals are of all.
const ROWS_MAX: usize = 10_000;
const ROWS: usize = 1_000;
const KNOWN: [&str; 6] = ["project", "environment", "from", "to", "flag", "limit"];

/// A comparison.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) as_of_ms: i64,
    pub(crate) complete: bool,
    pub(crate) interval: Interval,
    /// What matters most comes first: the unexplained, then the greatest differences.
    pub(crate) rows: Vec<Row>,
    pub(crate) totals: Totals,
}

/// Numbers of a row, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) old: u64,
    pub(crate) new: u64,
    pub(crate) difference: i64,
    pub(crate) low: u64,
    pub(crate) high: u64,
    pub(crate) causes: Vec<Cause>,
    pub(crate) unexplained: u64,
}

/// Compares what both counted in an environment.
pub(crate) async fn compare(
    serve: &Serve,
    other: &dyn OtherPath,
    asked: &Asked,
    interval: Interval,
) -> Result<Comparison, Refusal> {
    let taken = gather(serve, other, asked).await?;
    let mut rows = taken.gathered.rows();
    let mut totals = Totals::default();
    for row in &rows {
        totals.add(&Totals::of(row));
    }
    rows.sort_by_key(|row| {
        let difference = difference(row.old, row.new).unsigned_abs();
        std::cmp::Reverse((row.judged.unexplained, difference))
    });
    Ok(Comparison { as_of_ms: taken.as_of_ms, complete: taken.complete, interval, rows, totals })
}

impl Totals {
    pub(crate) fn of(row: &Row) -> Self {
        let judged = &row.judged;
        Self {
            old: row.old,
            new: row.new,
            difference: difference(row.old, row.new),
            low: judged.low,
            high: judged.high,
            causes: judged.causes.clone(),
            unexplained: judged.unexplained,
        }
    }

    fn add(&mut self, more: &Self) {
        self.old = self.old.saturating_add(more.old);
        self.new = self.new.saturating_add(more.new);
        self.difference = self.difference.saturating_add(more.difference);
        self.low = self.low.saturating_add(more.low);
        self.high = self.high.saturating_add(more.high);
        self.unexplained = self.unexplained.saturating_add(more.unexplained);
        causes::add(&mut self.causes, &more.causes);
    }
}

fn difference(old: u64, new: u64) -> i64 {
    let size = i64::try_from(old.abs_diff(new)).unwrap_or(i64::MAX);
    if old >= new { size } else { -size }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    from: i64,
    to: i64,
    project: &'a str,
    environment: &'a str,
    stage: Option<&'static str>,
    totals: &'a Totals,
}

#[derive(Serialize)]
struct Item {
    kind: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    flag: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variation: Option<Served>,
    default: bool,
    /// All variations together, or all beyond a limit.
    other: bool,
    hour: i64,
    #[serde(flatten)]
    numbers: Totals,
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    let other = other(&serve)?;
    let mut given = Parameters::read(&caller.uri)?;
    let needed = |name: &str, value: Option<String>| {
        value.ok_or_else(|| Refusal::parameter(name, "", "the key of one: a comparison is of one environment"))
    };
    let (project, key) = (given.text("project"), given.text("environment"));
    let environment = caller.find(&needed("project", project)?, &needed("environment", key)?)?;
    let flag = given.text("flag");
    let limit = given.number("limit", ROWS, ROWS_MAX)?;
    let (from, to) = (given.time("from")?, given.time("to")?);
    given.end(&KNOWN)?;
    let interval = Interval::ask(from, to, caller.now_ms, DAY_MS, HOUR_MS)?;
    let asked = Asked { environment: environment.clone(), hours: interval.hours(), flag, patience: PATIENCE };
    let found = compare(&serve, &*other, &asked, interval).await?;
    let stages = other.stages();
    let (project, key) = (environment.project_str(), environment.key_str());
    let head = Head {
        from: interval.from_ms,
        to: interval.to_ms,
        project,
        environment: key,
        stage: stages
            .iter()
            .find(|stage| stage.project == project && stage.environment == key)
            .map(|found| found.stage),
        totals: &found.totals,
    };
    let total_count = found.rows.len();
    let items: Vec<Item> = found.rows.iter().take(limit).map(Item::of).collect();
    let progress = crate::reading::Progress { complete: found.complete, as_of_ms: found.as_of_ms };
    json(&List::new(progress, head, items, total_count, None))
}

impl Item {
    fn of(row: &Row) -> Self {
        let key = row.place.key.clone();
        let (flag, key) = match row.place.counts {
            Counts::Evaluations => (Some(key), None),
            Counts::Events => (None, Some(key)),
        };
        let is_of_flag = flag.is_some();
        Self {
            kind: row.place.counts,
            flag,
            key,
            variation: row.served.clone().filter(|_| is_of_flag),
            default: is_of_flag && row.served == Some(Served::Default),
            other: row.served.is_none(),
            hour: hour_ms(row.place.hour),
            numbers: Totals::of(row),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    #[serde(flatten)]
    stage: EnvironmentStage,
    /// By the newest comparison; null = none was made yet.
    unexplained: Option<u64>,
    /// When that was, Unix milliseconds.
    compared: Option<i64>,
}

#[derive(Serialize)]
struct NoMore {}

pub(crate) async fn gate(State(serve): State<Arc<Serve>>, caller: Caller) -> Result<Response, Refusal> {
    caller.admin()?;
    let other = other(&serve)?;
    let mut given = Parameters::read(&caller.uri)?;
    let limit = given.number("limit", ROWS, ROWS_MAX)?;
    given.end(&["limit"])?;
    let stages = other.stages();
    let total = stages.len();
    let items: Vec<Stage> = stages
        .into_iter()
        .take(limit)
        .map(|stage| {
            let newest = serve.comparisons.newest(&stage.project, &stage.environment);
            let unexplained = newest.as_ref().map(|newest| newest.totals.unexplained);
            Stage { stage, unexplained, compared: newest.map(|newest| newest.as_of_ms) }
        })
        .collect();
    let now = crate::reading::Progress { complete: true, as_of_ms: caller.now_ms };
    json(&List::new(now, NoMore {}, items, total, None))
}

/// The other path, where there is one.
pub(crate) fn other(serve: &Serve) -> Result<Arc<dyn OtherPath>, Refusal> {
    serve.other_path.clone().ok_or_else(|| {
        Refusal::not_found("no gate is configured here ([gate] flags), so there is no other path to compare with")
    })
}
