//! Who asked for a flag: by variation, application, its version and SDK, first and last; and what else is known of it.
//!
//! Always true here: these are the rows of last seen as they are kept, bulk reads and errors apart.

use maud::{Markup, html};

use crate::cells::{self, Served};
use crate::interval::hour_ms;
use crate::page::environment::named;
use crate::page::{palette, text};
use crate::tally::{FlagTally, Group};

/// Rows of the table of who asked.
const ROWS_MAX: usize = 100;
/// Versions that are named.
const VERSIONS_MAX: usize = 10;

pub(super) fn askers(flag: &FlagTally, now_ms: i64) -> Markup {
    let mut rows: Vec<_> = flag.seen.rows().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.last));
    html! {
        section.card.wide {
            h2 { "Who asked, and when last" }
            div.scroll tabindex="0" role="region" aria-label="Who asked, and when last" { table.askers {
                thead { tr {
                    th scope="col" { "Variation" } th scope="col" { "Application" } th scope="col" { "Version" }
                    th scope="col" { "SDK" } th.num scope="col" { "First seen" } th.num scope="col" { "Last seen" }
                } }
                tbody { @for row in rows.iter().take(ROWS_MAX) { tr {
                    @if row.other { td.muted colspan="4" { "others (beyond the limit)" (tags(row.error, row.bulk)) } } @else {
                        @let group = Group { served: Some(Served::from(row.variation)), ..Group::default() };
                        td { (palette::label(flag, &group)) (tags(row.error, row.bulk)) }
                        td { (named(row.application)) }
                        td { @if row.application_version.is_empty() { span.muted { "–" } } @else { (text::cut(&cells::text(row.application_version), 40)) } }
                        @let sdk = cells::sdk_shown(&cells::text(row.sdk), &cells::text(row.sdk_version));
                        td { (named(sdk.as_bytes())) }
                    }
                    td.num { (text::hours_ago(hour_ms(row.first), now_ms)) }
                    td.num { (text::hours_ago(hour_ms(row.last), now_ms)) }
                } } }
            } }
            p.muted { "Kept by the hour." @if rows.len() > ROWS_MAX { " The newest " (ROWS_MAX) " of " (rows.len()) "." } }
        }
    }
}

fn tags(error: bool, bulk: bool) -> Markup {
    html! {
        @if error { " " span.tag.bad { "error" } }
        @if bulk { " " span.tag title="read along with all other flags: no sign of use" { "bulk read" } }
    }
}

pub(super) fn facts(flag: &FlagTally) -> Markup {
    let mut versions: Vec<(u64, u32)> = flag.seen.versions().collect();
    versions.reverse();
    html! {
        section.card {
            h2 { "About the flag" }
            dl.pairs {
                dt { "Days of use" } dd.num { (flag.seen.days().count()) }
                dt { "First seen (to the hour)" } dd { @if let Some(first) = flag.seen.first() { (text::minute(hour_ms(first))) } }
                dt { "Asked for by browsers or mobiles" } dd { (if flag.seen.client_side() { "yes" } else { "no" }) }
            }
            @if !versions.is_empty() {
                h3 { "Versions" }
                dl.pairs { @for (version, since) in versions.iter().take(VERSIONS_MAX) {
                    dt { (version) } dd { "since " (text::minute(hour_ms(*since))) }
                } }
            }
        }
    }
}
