//! What was refused, and what was only left out, by reason.
//!
//! Always true here: a metric value out of range refuses nothing: its event is counted without it, and is told apart.

use maud::{Markup, html};
use schemas::rejection::{Rejection, Rejections};

use crate::page::text;

/// Refusals by reason under `refused` (or `none`, when there are none), and below them the values that were left out.
pub(crate) fn reasons(numbers: &Rejections, refused: &str, none: &str) -> Markup {
    let left_out = numbers.of(Rejection::MetricOutOfRange);
    html! {
        @if numbers.refused() > 0 {
            p { (refused) }
            dl.pairs {
                @for (reason, number) in numbers.iter().filter(|(reason, _)| *reason != Rejection::MetricOutOfRange) {
                    dt { code { (reason.code()) } } dd.num { (text::number(number)) }
                }
            }
        } @else if !none.is_empty() { p.muted { (none) } }
        @if left_out > 0 {
            p {
                "Counted without their metric value, which was no number or out of range ("
                code { (Rejection::MetricOutOfRange.code()) } "): " (text::counted(left_out, "event")) "."
            }
        }
    }
}
