//! What is asked of a back-test: which past days, of which flags, and which of those called stale to list.
//!
//! Always true here: a day is the beginning of a UTC day and not in the future; days reach no further back than what is
//! kept of use can tell of.

use serde::{Deserialize, Serialize};

use crate::backtest::{DAY_MS, day_of};
use crate::paging;
use crate::parameters::{Asked, Parameters};
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::stale::{FlagType, Settings};
use crate::stale_flags::shown::time;

const KNOWN: [&str; 11] =
    ["asOf", "from", "to", "step", "within", "revived", "critical", "q", "limit", "continuationToken", "format"];
/// Days back when no `from` is given.
const BACK_DAYS: u32 = 90;
const STEP_DAYS: usize = 7;
/// Past days of one request.
const DAYS_MAX: u32 = 92;
const WITHIN_DAYS: usize = 30;
/// Days of use that cells keep.
const KEPT_DAYS: u32 = counting::cells::DAYS_MAX;
const HOUR_MS: i64 = crate::interval::HOUR_MS;

/// When the list was begun, and the place of the page's last flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token(pub(super) i64, pub(super) bool, pub(super) String);

/// What was asked.
#[derive(Debug)]
pub(super) struct Question {
    as_of: Option<Asked>,
    from: Option<Asked>,
    to: Option<Asked>,
    step_days: u32,
    pub(super) within: u32,
    pub(super) revived: Option<bool>,
    /// Those that decide; empty = as configured.
    pub(super) critical: Vec<String>,
    /// A part of the key.
    pub(super) part: Option<String>,
    /// As CSV, of flags alone.
    pub(super) csv: bool,
    /// `None` = all, in CSV.
    pub(super) limit: Option<usize>,
    pub(super) behind: Option<Token>,
    /// When the list was begun.
    pub(super) now_ms: i64,
    /// Parameters to be repeated in the link to the next page.
    pub(super) repeated: String,
}

impl Question {
    pub(super) fn read(caller: &Caller, project: &str) -> Result<Self, Refusal> {
        let mut given = Parameters::read(&caller.uri)?;
        let repeated = paging::repeated(&given, &[]);
        let critical: Vec<String> =
            given.text("critical").map_or_else(Vec::new, |names| names.split(',').map(str::to_owned).collect());
        for name in &critical {
            caller.find(project, name)?;
        }
        let behind: Option<Token> = paging::token(&mut given)?;
        let now_ms = behind.as_ref().map_or(caller.now_ms, |token| token.0);
        if !(caller.now_ms.saturating_sub(HOUR_MS)..=caller.now_ms).contains(&now_ms) {
            let allowed = "one of a list that was begun within the last hour; begin the list again without it";
            return Err(Refusal::parameter("continuationToken", &now_ms.to_string(), allowed));
        }
        let mut past = |name: &str| -> Result<Option<Asked>, Refusal> {
            let asked = given.time(name)?;
            match asked.as_ref().filter(|asked| asked.ms > now_ms) {
                Some(asked) => {
                    let allowed = format!(
                        "now ({}) or earlier: this time is in the future; what is so now is at …/stale-flags",
                        time(now_ms)
                    );
                    Err(Refusal::parameter(name, &asked.typed, &allowed))
                }
                None => Ok(asked),
            }
        };
        let (as_of, from, to) = (past("asOf")?, past("from")?, past("to")?);
        if let (Some(as_of), true) = (&as_of, from.is_some() || to.is_some()) {
            return Err(Refusal::parameter(
                "asOf",
                &as_of.typed,
                "one day alone, without `from` and `to`; or these without `asOf`",
            ));
        }
        let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let is_limited = given.given().any(|(name, value)| name == "limit" && !value.is_empty());
        let limit = paging::limit(&mut given)?;
        let csv = given.choice("format", false, &[("json", false), ("csv", true)])?;
        let question = Self {
            as_of,
            from,
            to,
            step_days: whole(given.number("step", STEP_DAYS, KEPT_DAYS as usize)?),
            within: whole(given.number("within", WITHIN_DAYS, KEPT_DAYS as usize)?),
            revived: given.choice("revived", None, &[("true", Some(true)), ("false", Some(false))])?,
            critical,
            part: given.text("q"),
            csv,
            limit: (!csv || is_limited).then_some(limit),
            behind,
            now_ms,
            repeated,
        };
        given.end(&KNOWN)?;
        Ok(question)
    }

    /// The days to judge at the beginning of, from the newest to the oldest. `reaches_ms`: how far the numbers reach.
    pub(super) fn days(&self, reaches_ms: i64, settings: &Settings) -> Result<Vec<u32>, Refusal> {
        let newest = day_of(reaches_ms.min(self.now_ms));
        let day = |asked: &Option<Asked>| asked.as_ref().map(|asked| day_of(asked.ms));
        let to = day(&self.as_of).or(day(&self.to)).unwrap_or(newest).min(newest);
        let from = day(&self.as_of).or(day(&self.from)).unwrap_or(to.saturating_sub(BACK_DAYS)).min(newest);
        let typed =
            self.as_of.as_ref().map(|asked| ("asOf", asked)).or(self.from.as_ref().map(|asked| ("from", asked)));
        let refused = |allowed: String| {
            let (name, typed) = typed.map_or(("from", String::new()), |(name, asked)| (name, asked.typed.clone()));
            Err(Refusal::parameter(name, &typed, &allowed))
        };
        if from > to {
            return refused("a day before `to`".to_owned());
        }
        let types = [None].into_iter().chain(FlagType::ALL.map(Some));
        let own = settings.overrides.iter().filter_map(|held| held.stale_days);
        let longest =
            types.map(|flag_type| settings.thresholds(None, flag_type).stale_days).chain(own).max().unwrap_or(0);
        let earliest = newest.saturating_sub(KEPT_DAYS.saturating_sub(longest));
        if from < earliest {
            let earliest = time(i64::from(earliest) * DAY_MS);
            return refused(format!(
                "{earliest} or later: days of use are kept for {KEPT_DAYS} days, and the rule looks back {longest}"
            ));
        }
        if (to - from) / self.step_days >= DAYS_MAX {
            return refused(format!(
                "at most {DAYS_MAX} days of verdicts: from this to `to` in steps of {} days are {}; take a longer `step`",
                self.step_days,
                (to - from) / self.step_days + 1
            ));
        }
        Ok((0..=(to - from) / self.step_days).map(|step| to - step * self.step_days).collect())
    }
}
