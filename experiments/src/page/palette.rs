//! Which colour a variation has, and how it is named: the same in table, chart and legend.
//!
//! Always true here: a variation by index has the colour of its index, whatever else was served.

use maud::{Markup, html};

use crate::cells::Served;
use crate::page::text;
use crate::tally::{FlagTally, Group};

/// Colours for variations; further ones begin anew.
const COLOURS: u32 = 7;

/// The class that gives a group its colour.
pub(crate) fn colour(group: &Group) -> String {
    match (&group.served, group.other) {
        (_, true) | (None, _) => "co".to_owned(),
        (Some(Served::Default), _) => "cd".to_owned(),
        (Some(Served::Index(index)), _) => format!("c{}", index % COLOURS),
        (Some(Served::Name(name)), _) => {
            let sum = name.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            format!("c{}", sum % COLOURS)
        }
    }
}

/// A variation in plain words, for titles: `true (variation 0)`.
pub(crate) fn words(flag: &FlagTally, group: &Group) -> String {
    let value = group.served.as_ref().and_then(|served| flag.value(served));
    let value = value.map(|value| value.chars().take(60).collect::<String>());
    match (&group.served, value) {
        (None, _) => "other variations".to_owned(),
        (Some(Served::Default), Some(value)) => format!("{value} (the caller's default)"),
        (Some(Served::Default), None) => "the caller's default".to_owned(),
        (Some(Served::Index(index)), Some(value)) => format!("{value} (variation {index})"),
        (Some(Served::Index(index)), None) => format!("variation {index}"),
        (Some(Served::Name(name)), Some(value)) => format!("{value} ({name})"),
        (Some(Served::Name(name)), None) => name.clone(),
    }
}

/// A variation with its value first: `true #0`.
pub(crate) fn label(flag: &FlagTally, group: &Group) -> Markup {
    let value = group.served.as_ref().and_then(|served| flag.value(served));
    html! {
        span class={ "swatch " (colour(group)) } {}
        @match &group.served {
            None => span.name { "other variations" },
            Some(served) => {
                @if let Some(value) = value { code.value { (text::cut(&value, 40)) } " " }
                @match served {
                    Served::Index(index) => span.muted { "#" (index) },
                    Served::Name(name) => span.name { (text::cut(name, 40)) },
                    Served::Default => span.muted { "default" },
                }
            }
        }
    }
}
