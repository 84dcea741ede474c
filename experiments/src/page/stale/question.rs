//! What the address of the stale page asks for, and the addresses of its neighbours: other pages, orders and filters.
//!
//! Always true here: whatever was asked for is kept in a neighbour's address but for what the neighbour changes; an
//! address that asks for something unknown is refused by name.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::order::Column;
use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::stale_flags::filter::{self, Filter};
use crate::stale_flags::question::now_alone;

pub(super) const LIMIT_USUAL: usize = 100;
const LIMIT_MAX: usize = 500;
const KNOWN: [&str; 7] = ["project", "sort", "order", "page", "limit", "flag", "asOf"];

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) project: String,
    pub(super) filter: Filter,
    pub(super) sort: Column,
    pub(super) falling: bool,
    /// From 1.
    pub(super) page: usize,
    pub(super) limit: usize,
    /// The flag whose evidence is shown.
    pub(super) flag: Option<String>,
}

impl Question {
    /// All flags of a project, those to act on first.
    pub(crate) fn of_project(project: &str) -> Self {
        Self {
            project: project.to_owned(),
            filter: Filter::default(),
            sort: Column::Advice,
            falling: Column::Advice.falls_first(),
            page: 1,
            limit: LIMIT_USUAL,
            flag: None,
        }
    }

    pub(super) fn read(caller: &Caller) -> Result<Self, Refusal> {
        let mut given = Parameters::read(&caller.uri)?;
        let project = match given.text("project") {
            Some(project) => project,
            None => first_project(caller)?,
        };
        let filter = Filter::read(&mut given)?;
        if let Some(name) = &filter.environment {
            caller.find(&project, name)?;
        }
        let sort = given.choice("sort", Column::Advice, &Column::ALL)?;
        now_alone(given.time("asOf")?.as_ref(), caller.now_ms)?;
        let question = Self {
            project,
            filter,
            sort,
            falling: given.choice("order", sort.falls_first(), &[("rising", false), ("falling", true)])?,
            page: given.number("page", 1, usize::MAX)?,
            limit: given.number("limit", LIMIT_USUAL, LIMIT_MAX)?,
            flag: given.text("flag"),
        };
        given.end(&[&KNOWN[..], &filter::KNOWN].concat())?;
        Ok(question)
    }

    /// The address with something changed.
    pub(super) fn href(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut other = self.clone();
        change(&mut other);
        other.address("/stale")
    }

    /// The address of this question at a path.
    pub(super) fn address(&self, path: &str) -> String {
        let mut pairs = vec![("project", self.project.clone())];
        pairs.extend(self.filters());
        if (self.sort, self.falling) != (Column::Advice, Column::Advice.falls_first()) {
            pairs.push(("sort", self.sort.word().to_owned()));
            pairs.push(("order", if self.falling { "falling" } else { "rising" }.to_owned()));
        }
        if self.page > 1 {
            pairs.push(("page", self.page.to_string()));
        }
        if self.limit != LIMIT_USUAL {
            pairs.push(("limit", self.limit.to_string()));
        }
        pairs.extend(self.flag.clone().map(|flag| ("flag", flag)));
        format!("{path}?{}", query(&pairs))
    }

    /// The same flags as CSV, all pages.
    pub(super) fn csv(&self) -> String {
        let mut pairs = vec![("format", "csv".to_owned())];
        pairs.extend(self.filters());
        format!("/v1/projects/{}/stale-flags?{}", encoded(&self.project), query(&pairs))
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let Filter { environment, statuses, reasons, advices, stale, part } = &self.filter;
        let words = |words: Vec<&str>| (!words.is_empty()).then(|| words.join(","));
        let given = [
            ("environment", environment.clone()),
            ("status", words(statuses.iter().map(|status| status.as_str()).collect())),
            ("reason", words(reasons.iter().map(|reason| reason.as_str()).collect())),
            ("advice", words(advices.iter().map(|advice| advice.as_str()).collect())),
            ("stale", stale.map(|stale| stale.to_string())),
            ("q", part.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.filters().iter().any(|(name, _)| *name != "environment")
    }
}

/// The address of a flag's evidence, or of all of a project's flags.
pub(crate) fn href(project: &str, environment: Option<&str>, flag: Option<&str>) -> String {
    let fragment = if flag.is_some() { "#evidence" } else { "" };
    Question::of_project(project).href(|other| {
        other.filter.environment = environment.map(str::to_owned);
        other.flag = flag.map(str::to_owned);
    }) + fragment
}

fn first_project(caller: &Caller) -> Result<String, Refusal> {
    let first = caller.access.visible(&caller.grant).into_iter().next();
    first
        .map(|environment| environment.project_str().to_owned())
        .ok_or_else(|| Refusal::not_found("no environment to show; add one with `flagstream keys add --environment E`"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn query(pairs: &[(&str, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}
