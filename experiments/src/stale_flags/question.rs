//! What is asked of the stale flags: which of them, in which order, in which form.
//!
//! Always true here: a word that is not known is refused with those that are; environments are looked up by the
//! caller's right to read them, so that one of others cannot be told from none.

use super::filter::{self, Filter};
use super::order::{Sort, Token};
use crate::paging;
use crate::parameters::{Asked, Parameters};
use crate::refusal::Refusal;
use crate::request::Caller;

/// Beside those of [`filter::KNOWN`].
const KNOWN: [&str; 6] = ["critical", "sort", "asOf", "limit", "continuationToken", "format"];
const HOUR_MS: i64 = crate::interval::HOUR_MS;

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Markdown,
}

impl Format {
    const WORDS: [(&str, Self); 3] = [("json", Self::Json), ("csv", Self::Csv), ("markdown", Self::Markdown)];
}

/// What was asked.
#[derive(Debug)]
pub(super) struct Question {
    /// Which flags; its environment is also the one whose status is told.
    pub(super) filter: Filter,
    /// Those that decide; empty = all.
    pub(super) critical: Vec<String>,
    pub(super) sort: Sort,
    pub(super) format: Format,
    /// `None` = all, in the forms that have no pages.
    pub(super) limit: Option<usize>,
    pub(super) behind: Option<Token>,
    /// Parameters to be repeated in the link to the next page.
    pub(super) repeated: String,
}

impl Question {
    pub(super) fn read(caller: &Caller, project: &str) -> Result<Self, Refusal> {
        let mut given = Parameters::read(&caller.uri)?;
        let repeated = paging::repeated(&given, &["asOf"]);
        let filter = Filter::read(&mut given)?;
        let critical = list(given.text("critical"));
        for name in filter.environment.iter().chain(&critical) {
            caller.find(project, name)?;
        }
        let format = given.choice("format", Format::Json, &Format::WORDS)?;
        let is_limited = given.given().any(|(name, value)| name == "limit" && !value.is_empty());
        let limit = paging::limit(&mut given)?;
        now_alone(given.time("asOf")?.as_ref(), caller.now_ms)?;
        let question = Self {
            filter,
            critical,
            sort: given.choice("sort", Sort::Score, &Sort::WORDS)?,
            format,
            limit: (format == Format::Json || is_limited).then_some(limit),
            behind: token(&mut given, caller.now_ms)?,
            repeated,
        };
        given.end(&[&filter::KNOWN[..], &KNOWN].concat())?;
        Ok(question)
    }
}

/// Cells tell when a flag was last seen by now, not by an earlier day.
pub(crate) fn now_alone(asked: Option<&Asked>, now_ms: i64) -> Result<(), Refusal> {
    let Some(asked) = asked.filter(|asked| asked.ms != now_ms) else { return Ok(()) };
    let allowed = if asked.ms > now_ms {
        "now, which is the default: this time is in the future"
    } else {
        "now, which is the default: what would have been said in the past is a back-test: ask …/stale-flags/backtest with \
         this `asOf`, or `flagstream stale --backtest`"
    };
    Err(Refusal::parameter("asOf", &asked.typed, allowed))
}

fn token(given: &mut Parameters, now_ms: i64) -> Result<Option<Token>, Refusal> {
    let token: Option<Token> = paging::token(given)?;
    let Some(Token { begun_ms, as_of_ms, .. }) = &token else { return Ok(None) };
    let lately = now_ms.saturating_sub(HOUR_MS)..=now_ms;
    if lately.contains(begun_ms) && as_of_ms <= begun_ms {
        return Ok(token);
    }
    Err(Refusal::parameter(
        "continuationToken",
        &begun_ms.to_string(),
        "one of a list that was begun within the last hour; begin the list again without it",
    ))
}

fn list(text: Option<String>) -> Vec<String> {
    text.map_or_else(Vec::new, |text| text.split(',').map(str::to_owned).collect())
}
