//! `/flag`: one flag over time, by variation, application and SDK, who asked for it, and what the stale rule says of
//! it.
//!
//! Always true here: the flag's usage cells are read once; the verdict is that of the stale page.

mod askers;
mod breakdown;
pub(crate) mod counts;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemas::cell::CellName;
use schemas::id::Environment;

use self::breakdown::By;
use crate::asked::Asked;
use crate::page::range::{ALL, Range, buckets, tabs};
use crate::page::{Here, Page, Place, Script, chosen, environment, stale, text, whole};
use crate::parameters::Parameters;
use crate::reading::Reader;
use crate::refusal::Refusal;
use crate::request::Caller;
use crate::tally::{FlagTally, Grouping, count_in_ways, flags, last_minutes};
use crate::{Serve, metadata};

/// Where people look for a flag's page; there is nothing, and they are told so by a page.
pub(crate) const BELOW: &str = "/flag/";
/// What a page's own refresh sends: the verdict, which takes all flags to tell, is then left as it is.
const REFRESH: &str = "x-refresh";

pub(crate) async fn below() -> Refusal {
    Refusal::not_found("a flag's page is /flag?project=…&environment=…&key=…; the list of flags leads to each")
}

/// The page's address for a flag.
pub(crate) fn href(environment: &Environment, flag: &str, range: Option<Range>) -> String {
    let base = environment::href(environment, range);
    format!("/flag{}&key={}", &base[1..], utf8_percent_encode(flag, NON_ALPHANUMERIC))
}

pub(crate) async fn show(State(serve): State<Arc<Serve>>, caller: Caller, headers: HeaderMap) -> Result<Page, Refusal> {
    let mut given = Parameters::read(&caller.uri)?;
    let environment = chosen(&caller, given.text("project"), given.text("environment"))?;
    let range = Range::read(&mut given, ALL)?;
    let key = given.text("key").unwrap_or_default();
    given.end(&["project", "environment", "key", "range"])?;
    let reader = Reader::open(&serve, environment.clone(), caller.now_ms).await?;
    let name = CellName::Key(key.clone().into());
    let flag = flags(&reader, Some(&name)).await?.into_iter().next();
    let body = match flag {
        Some(flag) => counted(&reader, flag, range, caller.now_ms).await?,
        None if is_known(&serve, &caller, &environment, &key).await? => unseen(&environment),
        None => {
            return Err(Refusal::not_found(format!(
                "no event of flag {key:?} has been counted in this project, and nothing was told of it; keys are as SDKs \
                 report them, upper and lower case differ"
            )));
        }
    };
    let verdict = if headers.contains_key(REFRESH) {
        html! { section #verdict {} }
    } else {
        stale::card::card(&serve, &caller, &environment, &key).await
    };
    let here = Here::Flag(&environment);
    let place = Place { caller: &caller, here, progress: Some(reader.progress), now_ms: caller.now_ms };
    let body = html! {
        p.crumbs {
            a href=(environment::href(&environment, range.short())) {
                (text::foreign(environment.project_str())) span.slash { " / " } (text::foreign(environment.key_str()))
            }
        }
        div.head {
            h1.flag-key { (text::foreign(&key)) }
            div.switches {
                (environments(&caller, &environment, &key, range))
                (tabs(ALL, range, |range| href(&environment, &key, Some(range))))
            }
        }
        (super::comparison::in_charge(&serve, &environment))
        (verdict)
        (body)
    };
    Ok(whole(&key, Some(&place), Script::Refresh, &body))
}

/// The same flag in the other environments of the project.
fn environments(caller: &Caller, here: &Environment, key: &str, range: Range) -> Markup {
    let all = caller.access.visible(&caller.grant);
    let mine: Vec<_> = all.iter().filter(|environment| environment.project == here.project).collect();
    html! {
        @if mine.len() > 1 {
            nav.tabs aria-label="The flag's environment" {
                @for environment in mine {
                    a href=(href(environment, key, Some(range))) aria-current=[(environment == here).then_some("true")] {
                        (text::cut(environment.key_str(), 32))
                    }
                }
            }
        }
    }
}

async fn counted(reader: &Reader<'_>, flag: FlagTally, range: Range, now_ms: i64) -> Result<Markup, Refusal> {
    let by = |application: bool, sdk: bool, version: bool| Grouping {
        variation: !version,
        version,
        application,
        sdk,
        reason: false,
    };
    let ways = [Grouping::BY_VARIATION, by(false, false, true), by(true, false, false), by(false, true, false)];
    let span = range.span(now_ms)?;
    let [groups, by_version, by_application, by_sdk] = count_in_ways(reader, &flag, span, ways).await?;
    let flag = FlagTally { groups, ..flag };
    let hours: Vec<(CellName, u32)> =
        flag.groups.keys().filter_map(|group| Some((flag.name.clone(), flag.seen(group)?.1))).collect();
    let minutes = last_minutes(reader, &hours).await?;
    let last_count = flag.groups.values().filter_map(|tally| tally.series.keys().next_back()).max().copied();
    let buckets = buckets(span, now_ms, last_count);
    let marks = counts::versions(&flag, &by_version, span);
    let kind = Asked::of(&flag, span.interval, now_ms).kind(flag.total() > 0);
    Ok(html! {
        section.card {
            h2 { "Evaluations in " (range.title()) ": " span.num { (text::number(flag.total())) } }
            @if let Some(kind) = kind { p { (text::kind(kind)) span.muted { " " (kind.words().1) "." } } }
            @if flag.groups.is_empty() { @if kind.is_none() { p.muted { "None in this time." } } } @else {
                (counts::chart(&flag, &buckets, &marks))
                (counts::legend(&flag, now_ms, &minutes))
                @if !marks.is_empty() { p.muted { "A dashed line marks a new version of the flag: somebody changed its configuration." } }
            }
        }
        @if !flag.groups.is_empty() {
            div.columns.broad {
                (breakdown::card(&flag, By::Application, &by_application))
                (breakdown::card(&flag, By::Sdk, &by_sdk))
            }
        }
        div.columns { (askers::askers(&flag, now_ms)) (askers::facts(&flag)) }
    })
}

/// Whether another environment that the caller may read has seen it, or something was told of it.
async fn is_known(serve: &Serve, caller: &Caller, here: &Environment, key: &str) -> Result<bool, Refusal> {
    if key.is_empty() {
        return Ok(false);
    }
    Ok(metadata::answers::is_seen(serve, caller, here.project_str(), key).await?
        || metadata::of_flag(serve, here.project_str(), key).await?.is_some())
}

fn unseen(environment: &Environment) -> Markup {
    html! {
        section.card {
            h2 { "Never seen in " (text::foreign(environment.key_str())) }
            p { "No SDK has reported an evaluation of this flag from here. The other environments may have; if this one should, see
                that its SDK sends its events here and that the code that asks for the flag runs." }
        }
    }
}
