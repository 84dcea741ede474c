//! The cells of a row of `flagstream stale`: why, what to put in the flag's place, who asked last.
//!
//! Always true here: codes are told in the rule's own words, the same as on the page; foreign text is cut and harmless.

use experiments::stale::{BlockerCode, ReasonCode};

use crate::read::answer::Json;
use crate::read::words::{cut, shown, text, time};

/// Columns of the terminal that a value takes at most.
const VALUE_CHARS_MAX: usize = 40;

/// Reasons in words, and what speaks against them; where no reason holds, what it is instead.
pub(super) fn why(item: &Json) -> String {
    let reasons = item["reasons"].items().iter().map(|reason| {
        let since =
            if reason["since"] == Json::Null { String::new() } else { format!(" since {}", day(&reason["since"])) };
        let names_it = reason["evidence"].has("codeReferences") && said_of(reason, "NEVER_EVALUATED");
        let in_code =
            if names_it { format!(", though code names it{}", in_code(&reason["evidence"])) } else { String::new() };
        format!("{}{since}{in_code}", reason_said(&reason["code"]))
    });
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        return "–".to_owned();
    }
    let blockers = item["blockers"].items().iter().map(|blocker| blocker_said(&blocker["code"]));
    let conditions = &item["conditions"];
    let kept = [
        (conditions.has("temporary") && !conditions["temporary"].is_true(), "meant to stay"),
        (conditions["archived"].is_true(), "archived already"),
        (conditions["snoozed"].is_true(), "snoozed"),
        (conditions.has("oldEnough") && !conditions["oldEnough"].is_true(), "too young"),
    ];
    let kept = kept.iter().filter(|(holds, _)| *holds).map(|(_, said)| (*said).to_owned());
    let against: Vec<String> = blockers.chain(kept).collect();
    let against = if against.is_empty() { String::new() } else { format!("; but {}", against.join(", ")) };
    reasons.join("; ") + &against
}

/// The first of the places that are told, and how many others there are.
fn in_code(evidence: &Json) -> String {
    let Some(first) = evidence["codePlaces"].items().first() else { return String::new() };
    let others = match text(&evidence["codeReferences"]).parse::<u64>().map_or(0, |number| number.saturating_sub(1)) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(" ({}{others})", cut(&text(first), VALUE_CHARS_MAX))
}

fn said_of(reason: &Json, code: &str) -> bool {
    reason["code"] == Json::Text(code.to_owned())
}

/// A code of the rule in its words; one that this build does not know, as it is.
pub(super) fn reason_said(code: &Json) -> String {
    words(code, &ReasonCode::ALL, ReasonCode::as_str, ReasonCode::words)
}

/// As [`reason_said`].
pub(super) fn blocker_said(code: &Json) -> String {
    words(code, &BlockerCode::ALL, BlockerCode::as_str, BlockerCode::words)
}

fn words<T: Copy>(code: &Json, all: &[T], as_str: fn(T) -> &'static str, words: fn(T) -> &'static str) -> String {
    let said = text(code);
    let known = all.iter().copied().find(|known| as_str(*known) == said);
    known.map_or(said, |known| words(known).to_owned())
}

/// The variation to put in the flag's place, with its value; else what else to do, or what was served last.
pub(super) fn forward(item: &Json) -> String {
    match (&item["advice"], &item["forwardVariation"]) {
        (Json::Text(advice), _) if advice == "READY_TO_ARCHIVE" => "nothing: archive it".to_owned(),
        (_, Json::Null) => last_served(item),
        (_, variation) => valued(variation, &item["forwardValue"]),
    }
}

/// Of a flag that nobody asks for, what was served last, and how many other variations were before.
fn last_served(item: &Json) -> String {
    let all = item["lastServed"].items();
    let Some(last) = all.first() else { return "–".to_owned() };
    let bulk = if last["bulk"].is_true() { " in bulk" } else { "" };
    let before = match all.len() {
        1 => String::new(),
        number => format!(", {} before", number - 1),
    };
    format!("last served {}{bulk} on {}{before}", valued(&last["variation"], &last["value"]), day(&last["lastSeen"]))
}

fn valued(variation: &Json, value: &Json) -> String {
    let variation = cut(&text(variation), VALUE_CHARS_MAX);
    match value {
        Json::Null => format!("variation {variation}"),
        value => format!("{} (variation {variation})", cut(&shown(&value.to_string()), VALUE_CHARS_MAX)),
    }
}

/// The day when it was last asked for, and by which application, or by which SDK where none was told.
pub(super) fn last(item: &Json) -> String {
    if item["lastRequested"] == Json::Null {
        return "never".to_owned();
    }
    let by = ["application", "sdk"].map(|field| &item["lastRequestedBy"][field]);
    let told = by.into_iter().find(|name| !matches!(name, Json::Null) && **name != Json::Text(String::new()));
    let by = told.map_or_else(String::new, |name| format!(" by {}", text(name)));
    format!("{}{by}", day(&item["lastRequested"]))
}

pub(super) fn day(value: &Json) -> String {
    time(value).chars().take(10).collect()
}
