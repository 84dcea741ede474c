//! The rule's codes and figures in sentences.
//!
//! Always true here: a sentence says nothing that is not in the verdict.

use crate::page::sentence::Sentence;
use crate::page::text;
use crate::stale::{Blocker, BlockerCode, Dead, EnvironmentVerdict, Evidence, Figure, Reason, ReasonCode, Variation};

const DAY_MS: i64 = crate::interval::DAY_MS;
/// Places in code that a sentence names.
const PLACES_SHOWN_MAX: usize = 5;

/// Whole days.
pub(super) fn days(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

pub(super) fn variation(variation: &Variation) -> Sentence {
    match variation {
        Variation::Index(index) => Sentence::new(format!("variation {index}")),
        Variation::Name(name) => Sentence::new("variation ").foreign(name),
    }
}

/// In how many places of code, and the first of them.
pub(super) fn referenced(number: u64, places: &[String]) -> Sentence {
    let sentence = Sentence::new(format!("referenced in {}", text::counted(number, "place")));
    let shown = places.get(..PLACES_SHOWN_MAX).unwrap_or(places);
    let sentence = if shown.is_empty() { sentence } else { sentence.own(": ") };
    let sentence = shown.iter().enumerate().fold(sentence, |sentence, (at, place)| {
        let sentence = if at > 0 { sentence.own(", ") } else { sentence };
        sentence.foreign(place)
    });
    if !shown.is_empty() && (shown.len() as u64) < number { sentence.own(", …") } else { sentence }
}

/// Why the reason holds, with its figures.
pub(super) fn reason(reason: &Reason) -> Sentence {
    let evidence = &reason.evidence;
    let within = format!("within {} days", number(evidence, "staleDays").unwrap_or_default());
    match reason.code {
        ReasonCode::NeverEvaluated => {
            let sentence = Sentence::new("No evaluation of it was ever reported, in ");
            let age_ms = number(evidence, "ageMs").unwrap_or_default();
            let sentence = sentence.names(names(evidence, "environments"));
            let sentence = if age_ms > 0 {
                sentence.own(format!("; it is {} days old.", days(age_ms)))
            } else {
                sentence.own(".")
            };
            match number(evidence, "codeReferences") {
                Some(number) => sentence
                    .own(" It is ")
                    .and(referenced(number.unsigned_abs(), names(evidence, "codePlaces")))
                    .own(
                        "; code there may read it, for a server's SDK that reads all flags at once (allFlagsState) reports none of them.",
                    ),
                None => sentence,
            }
        }
        ReasonCode::NoEvaluations => {
            let last = number(evidence, "lastMs").map(|ms| format!("; the last time was {}", text::hour(ms)));
            Sentence::new(format!(
                "Nobody asked for it {within} where it matters{}.",
                last.unwrap_or_else(|| "; it is asked for elsewhere only".to_owned())
            ))
        }
        ReasonCode::BulkReadOnly => {
            let bulk = number(evidence, "lastBulkMs").map(text::hour).unwrap_or_default();
            let by_name = match number(evidence, "lastIntentionalMs") {
                Some(ms) => format!("by name the last time was {}", text::hour(ms)),
                None => "never by name".to_owned(),
            };
            Sentence::new(format!("It is read only along with all other flags (last {bulk}), {by_name}."))
        }
        ReasonCode::SingleVariation => {
            let sentence = Sentence::new(format!("All who asked {within} got the same variation in "));
            let sentence = sentence.names(names(evidence, "settled"));
            match names(evidence, "quiet") {
                [] => sentence.own("."),
                quiet => sentence.own("; nobody asked in ").names(quiet).own("."),
            }
        }
        ReasonCode::PastLifetime => Sentence::new(format!(
            "It is {} days old, and flags of its type are meant to live {}.",
            days(number(evidence, "ageMs").unwrap_or_default()),
            number(evidence, "lifetimeDays").unwrap_or_default()
        )),
        ReasonCode::NoCodeRefs => Sentence::new("Code was looked through, and none names it."),
        ReasonCode::ErrorsOnly => Sentence::new(format!("All that was told of it {within} are errors.")),
        ReasonCode::DefaultsOnly => {
            Sentence::new(format!("All who asked {within} got their own default: no flag of this key answers them."))
        }
        ReasonCode::OldAppVersionsOnly => Sentence::new("Only overtaken versions of applications still ask: ")
            .names(names(evidence, "versions"))
            .own("."),
    }
}

/// Why the blocker holds, with its figures.
pub(super) fn blocker(blocker: &Blocker) -> Sentence {
    let evidence = &blocker.evidence;
    match blocker.code {
        BlockerCode::Dependents => Sentence::new("It is a prerequisite of ")
            .names(names(evidence, "dependents"))
            .own(": these have to go first."),
        BlockerCode::ExperimentRunning => Sentence::new("An experiment on it is running: let it end."),
        BlockerCode::MixedValues => Sentence::new("Everybody gets the same in each of ")
            .names(names(evidence, "environments"))
            .own(", but not the same in all of them."),
        BlockerCode::LowCoverage => Sentence::new("Too little was heard from ")
            .names(names(evidence, "environments"))
            .own(": that nobody asked is not known."),
        BlockerCode::Periodic => {
            let figure = |name| number(evidence, name).unwrap_or_default();
            let (least, greatest) = (figure("gapMinDays"), figure("gapMaxDays"));
            let gap = if least == greatest { least.to_string() } else { format!("{least} to {greatest}") };
            Sentence::new(format!(
                "It is used in a rhythm, each {gap} days: {} days of use, the last {} days ago.",
                figure("daysOfUse"),
                figure("lastDaysAgo")
            ))
        }
    }
}

/// How the flag is in an environment.
pub(super) fn dead(place: &EnvironmentVerdict) -> Sentence {
    match &place.dead {
        Some(Dead::Quiet) => Sentence::new(format!("quiet: nobody asked within {} days", place.thresholds.stale_days)),
        Some(Dead::Settled { variation: settled, since_ms }) => {
            Sentence::new("settled on ").and(variation(settled)).own(format!(" since {}", text::day(*since_ms)))
        }
        None => Sentence::new("alive"),
    }
}

fn number(evidence: &Evidence, name: &str) -> Option<i64> {
    match evidence.get(name) {
        Some(Figure::Number(number)) => Some(*number),
        _ => None,
    }
}

fn names<'a>(evidence: &'a Evidence, name: &str) -> &'a [String] {
    match evidence.get(name) {
        Some(Figure::Names(names)) => names,
        _ => &[],
    }
}
