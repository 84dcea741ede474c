//! A flag's counts by application and by SDK, each with its variations.
//!
//! Always true here: these are of whole hours, for no less is kept by application and SDK.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::counts::{per_mille, share};
use crate::page::{chart, palette, text};
use crate::tally::{FlagTally, Group, Tally};

/// Rows of a table; what is beyond is told as one number.
const ROWS_MAX: usize = 12;

/// What counts are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Application,
    Sdk,
}

/// A name, and its variations with their counts.
type Part = (Option<String>, Vec<(Group, u64)>);

/// The card; `None` of a name = beyond the limit of rows.
pub(super) fn card(flag: &FlagTally, by: By, groups: &BTreeMap<Group, Tally>) -> Markup {
    let mut parts: BTreeMap<Option<String>, Vec<(Group, u64)>> = BTreeMap::new();
    for (group, tally) in groups {
        let name = match by {
            _ if group.other => None,
            By::Application => group.application.clone(),
            By::Sdk => group.sdk.as_ref().map(|(name, version)| crate::cells::sdk_shown(name, version)),
        };
        let served = Group { served: group.served.clone(), other: group.other, ..Group::default() };
        parts.entry(name).or_default().push((served, tally.count));
    }
    let mut parts: Vec<Part> = parts.into_iter().collect();
    parts.sort_by_key(|(_, served)| std::cmp::Reverse(total(served)));
    let shares = per_mille(&parts.iter().map(|(_, served)| total(served)).collect::<Vec<_>>());
    let title = match by {
        By::Application => "By application",
        By::Sdk => "By SDK",
    };
    html! {
        section.card {
            h2 { (title) }
            @if parts.is_empty() { p.muted { "None in this time." } } @else {
                div.scroll tabindex="0" role="region" aria-label=(title) { table.breakdown {
                    thead { tr {
                        th scope="col" { (if by == By::Sdk { "SDK" } else { "Application" }) } th scope="col" { "Variations" }
                        th.num scope="col" { "Count" } th.num scope="col" { "Share" }
                    } }
                    tbody { @for ((name, served), per_mille) in parts.iter().zip(shares).take(ROWS_MAX) { tr {
                        th scope="row" { (named(name.as_deref())) }
                        td.split { (split(flag, served)) }
                        td.num.total { (text::number(total(served))) }
                        td.num { (share(per_mille)) }
                    } } }
                } }
                p.muted { "By whole hours." @if parts.len() > ROWS_MAX { " The first " (ROWS_MAX) " of " (parts.len()) "." } }
            }
        }
    }
}

fn named(name: Option<&str>) -> Markup {
    html! {
        @match name {
            None => span.muted { "others (beyond the limit)" },
            Some("") => span.muted { "not told" },
            Some(name) => (text::cut(name, 64)),
        }
    }
}

fn total(served: &[(Group, u64)]) -> u64 {
    served.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

/// The variations as one bar, and in words for those who do not see it.
fn split(flag: &FlagTally, served: &[(Group, u64)]) -> Markup {
    let parts: Vec<(String, u64)> = served.iter().map(|(group, count)| (palette::colour(group), *count)).collect();
    let words =
        served.iter().map(|(group, count)| format!("{}: {}", palette::words(flag, group), text::number(*count)));
    let words = text::visible(&words.collect::<Vec<_>>().join(", "));
    html! { div title=(words) { (chart::shares(&parts)) span.unseen { (words) } } }
}
