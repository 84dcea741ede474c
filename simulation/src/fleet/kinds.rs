//! The kinds of flags, a row each: what is true of such a flag, and what the report should say of it on the last day.
//!
//! Always true here: the truth of a kind follows from its story, never from what the rule says; the wait before a flag
//! counts as removable is the rule's own 30 days. What is known to be said otherwise stands in `missed`, beside what
//! would be right in `right`, and is counted as wrong.

use super::stories::{self, Draft};
use crate::chance::Chance;

/// What somebody who knows the team's plans would say of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It can go.
    Removable,
    /// It is needed.
    Kept,
    /// What was reported cannot tell: it was not all heard.
    Unknowable,
}

impl Truth {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Removable => "removable",
            Self::Kept => "kept",
            Self::Unknowable => "unknowable",
        }
    }
}

/// What the report says of a flag on the last day, as far as a kind fixes it.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// In the environment `production`: one of these.
    pub status: &'static [&'static str],
    /// Whether it is called stale.
    pub stale: bool,
    /// These reasons …
    pub reasons: &'static [&'static str],
    /// … and maybe these, and no others.
    pub may: &'static [&'static str],
    /// These blockers and no others.
    pub blockers: &'static [&'static str],
    /// Which conditions keep it from being stale: `permanent`, `archived`, `snoozed`, `young`.
    pub held: &'static [&'static str],
    /// What to do.
    pub advice: Option<&'static str>,
    /// The variation to put in its place.
    pub forward: Option<u64>,
}

/// What a kind is known to be told that is not right.
#[derive(Debug)]
pub struct Missed {
    /// This is said.
    pub told: Told,
    /// Where it comes from.
    pub by: By,
    /// In a sentence.
    pub why: &'static str,
}

/// Where a misjudgement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The rule's own text.
    Rule,
    /// A limit of ours that the rule does not know.
    Limit,
    /// SDKs report nothing that could tell.
    Silence,
}

impl By {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rule => "the rule's own text",
            Self::Limit => "a limit of ours",
            Self::Silence => "nothing is reported",
        }
    }
}

/// A kind.
#[derive(Debug)]
pub struct Kind {
    /// In a few words.
    pub name: &'static str,
    /// How many of a hundred flags, about.
    pub weight: usize,
    /// The project that its flags lie in.
    pub project: &'static str,
    /// On the last day.
    pub truth: Truth,
    /// What would be right to say.
    pub right: Told,
    /// What is known to be said instead.
    pub missed: Option<Missed>,
    /// Draws a flag.
    pub(super) story: fn(&mut Chance) -> Draft,
}

impl Kind {
    /// What the report is known to say.
    #[must_use]
    pub fn expected(&self) -> &Told {
        self.missed.as_ref().map_or(&self.right, |missed| &missed.told)
    }
}

const ALIVE: Told = Told {
    status: &["active"],
    stale: false,
    reasons: &[],
    may: &[],
    blockers: &[],
    held: &[],
    advice: None,
    forward: None,
};
/// Settled on variation 1 in all that is critical, by a flag of no type.
const SETTLED: Told = Told {
    status: &["launched"],
    stale: true,
    reasons: &["SINGLE_VARIATION"],
    advice: Some("READY_FOR_CODE_REMOVAL"),
    forward: Some(1),
    ..ALIVE
};
/// The same of a release flag that is older than such a flag should be.
const RELEASED: Told = Told { reasons: &["SINGLE_VARIATION", "PAST_LIFETIME"], ..SETTLED };
/// Settled, and not to be removed all the same.
const SETTLED_KEPT: Told = Told { stale: false, advice: None, forward: None, ..SETTLED };
const QUIET: Told =
    Told { status: &["inactive"], reasons: &["NO_EVALUATIONS"], advice: None, forward: None, ..SETTLED };
const QUIET_KEPT: Told = Told { stale: false, ..QUIET };
const UNKNOWN: Told = Told { status: &["unknown"], blockers: &["LOW_COVERAGE"], ..ALIVE };
const OLD: &[&str] = &["OLD_APP_VERSIONS_ONLY"];

const fn kind(name: &'static str, weight: usize, truth: Truth, right: Told, story: fn(&mut Chance) -> Draft) -> Kind {
    Kind { name, weight, project: "shop", truth, right, missed: None, story }
}

/// A kind of which something else is said than what is right.
const fn missed(kind: Kind, told: Told, by: By, why: &'static str) -> Kind {
    Kind { missed: Some(Missed { told, by, why }), ..kind }
}

const fn of(project: &'static str, kind: Kind) -> Kind {
    Kind { project, ..kind }
}

use By::{Limit, Rule, Silence};
use Truth::{Kept, Removable, Unknowable};

/// All kinds.
#[rustfmt::skip]
pub static KINDS: &[Kind] = &[
    kind("released and forgotten", 12, Removable, RELEASED, stories::released),
    kind("released, nothing told of it", 5, Removable, SETTLED, stories::released_untold),
    kind("released in web and app", 6, Removable, RELEASED, stories::released_client),
    kind("gone from the code", 5, Removable,
        Told { reasons: &["NO_EVALUATIONS", "NO_CODE_REFS"], advice: Some("READY_TO_ARCHIVE"), ..QUIET },
        stories::gone_from_code),
    kind("not asked for any more", 5, Removable, QUIET, stories::abandoned),
    kind("only bulk reads", 4, Removable, Told { status: &["inactive"], reasons: &["BULK_READ_ONLY"], ..QUIET },
        stories::bulk_only),
    kind("only old app versions", 3, Removable,
        Told { reasons: &["SINGLE_VARIATION", "PAST_LIFETIME", "OLD_APP_VERSIONS_ONLY"], ..RELEASED },
        stories::old_versions),
    kind("never evaluated", 3, Removable,
        Told { reasons: &["NEVER_EVALUATED", "PAST_LIFETIME", "NO_CODE_REFS"], advice: Some("READY_TO_ARCHIVE"), ..QUIET },
        stories::never_evaluated),
    missed(
        kind("only errors", 3, Removable, Told { reasons: &["ERRORS_ONLY"], stale: true, ..ALIVE }, stories::errors),
        Told { reasons: &["ERRORS_ONLY"], ..ALIVE },
        Rule, "errors alone are a supporting reason: the code still asks, and may wait for a flag that comes back"),
    missed(
        kind("released, service deployed twice a day", 2, Removable, RELEASED, stories::deployed_often),
        Told { reasons: &["PAST_LIFETIME"], ..ALIVE },
        Limit, "200 rows of last seen are full after some months of versions; what comes later has no variation"),
    missed(
        kind("released, asked for before the SDK is ready", 2, Removable, RELEASED, stories::released_unready),
        Told { status: &["launched"], reasons: &["PAST_LIFETIME"], ..ALIVE },
        Rule, "a caller's default within 30 days keeps a flag from being settled, and a service gives one at each start"),

    kind("in use, both variations", 10, Kept, ALIVE, stories::in_use),
    kind("toggled now and then", 4, Kept, Told { status: &["active", "launched"], ..ALIVE }, stories::toggled),
    kind("kill switch", 3, Kept, Told { held: &["permanent"], forward: None, ..SETTLED_KEPT }, stories::kill_switch),
    kind("kept on purpose", 3, Kept, Told { held: &["permanent"], ..SETTLED_KEPT }, stories::kept),
    kind("snoozed", 2, Kept, Told { held: &["snoozed"], reasons: RELEASED.reasons, ..SETTLED_KEPT }, stories::snoozed),
    kind("archived", 2, Kept, Told { held: &["archived"], ..QUIET_KEPT }, stories::archived),
    kind("in an experiment", 3, Kept,
        Told { blockers: &["EXPERIMENT_RUNNING"], reasons: RELEASED.reasons, ..SETTLED_KEPT }, stories::experiment),
    kind("others depend on it", 2, Kept, Told { blockers: &["DEPENDENTS"], reasons: RELEASED.reasons, ..SETTLED_KEPT },
        stories::dependents),
    kind("other value in each region", 3, Kept, Told { blockers: &["MIXED_VALUES"], ..SETTLED_KEPT }, stories::mixed),
    kind("young", 4, Kept, Told { reasons: &[], held: &["young"], ..SETTLED_KEPT }, stories::young),
    kind("young, not yet evaluated", 2, Kept,
        Told { status: &["new"], reasons: &["NEVER_EVALUATED"], held: &["young"], ..QUIET_KEPT }, stories::unborn),
    kind("weekly job", 2, Kept, Told { blockers: &["PERIODIC"], may: OLD, ..SETTLED_KEPT }, stories::weekly),
    kind("monthly job", 3, Kept,
        Told { status: &["launched", "inactive"], blockers: &["PERIODIC"], may: OLD, ..SETTLED_KEPT }, stories::monthly),
    kind("only default values", 2, Kept, Told { reasons: &["DEFAULTS_ONLY"], ..ALIVE }, stories::defaults),
    kind("old app versions, both variations", 2, Kept, Told { reasons: OLD, ..ALIVE }, stories::old_versions_in_use),
    kind("once a year, marked as kept", 2, Kept, Told { held: &["permanent"], ..QUIET_KEPT }, stories::yearly_kept),
    missed(
        kind("once a year", 2, Kept, QUIET_KEPT, stories::yearly), QUIET,
        Rule, "a season is not a rhythm of weeks or months; mark it (temporary: false) or snooze it"),
    missed(
        kind("once a quarter", 2, Kept, Told { status: &["inactive"], may: OLD, ..SETTLED_KEPT }, stories::quarterly),
        Told { status: &["inactive"], may: OLD, ..SETTLED },
        Rule, "the same"),
    missed(
        kind("monthly job, another day in each region", 2, Kept,
            Told { status: &["launched", "inactive"], blockers: &["PERIODIC"], may: OLD, ..SETTLED_KEPT },
            stories::monthly_by_region),
        Told { status: &["launched", "inactive"], may: OLD, ..SETTLED },
        Rule, "the days of all critical environments are taken together, and have two gaps a month"),
    missed(
        kind("kill switch, nothing told of it", 2, Kept, SETTLED_KEPT, stories::kill_switch_untold), 
        Told { forward: Some(0), ..SETTLED },
        Rule, "looks like a flag that was released; mark it (type: kill-switch, temporary: false)"),
    missed(
        kind("still in development", 2, Kept, QUIET_KEPT, stories::in_development), QUIET,
        Rule, "asked for in staging alone, for longer than 30 days; only critical environments decide"),
    missed(
        kind("read once beside all flags", 2, Kept, ALIVE, stories::beside_bulk),
        Told { reasons: &["BULK_READ_ONLY"], ..QUIET },
        Rule, "one read in the flush that has all flags makes 2 of it and 1 of the others: within the rule of a bulk read"),

    of("kiosk", missed(
        kind("small app, each flag once a load", 2, Kept, ALIVE, stories::small_app),
        Told { reasons: &["BULK_READ_ONLY"], ..QUIET },
        Rule, "an application that asks for each of its flags as often as for the others looks like a read of all of them")),

    missed(
        kind("live, read by allFlagsState alone", 2, Unknowable, Told { status: &["unknown"], ..ALIVE },
            stories::unreported),
        Told { reasons: &["NEVER_EVALUATED"], ..QUIET },
        Silence, "a server SDK reports nothing of allFlagsState, and nobody can hear that something was not said"),
    of("bank", kind("environment blind: in use", 5, Unknowable, UNKNOWN, stories::bank_in_use)),
    of("bank", kind("environment blind: released", 5, Unknowable,
        Told { reasons: RELEASED.reasons, ..UNKNOWN }, stories::bank_released)),
    of("post", kind("blind two months ago: in use", 2, Kept, ALIVE, stories::bank_in_use)),
    of("post", kind("blind two months ago: released", 2, Removable, RELEASED, stories::bank_released)),
    of("mill", kind("environment silent for good: in use", 3, Unknowable,
        Told { reasons: QUIET.reasons, ..UNKNOWN }, stories::bank_in_use)),
    of("mill", kind("environment silent for good: released", 3, Unknowable,
        Told { reasons: &["NO_EVALUATIONS", "PAST_LIFETIME"], ..UNKNOWN }, stories::bank_released)),

    kind("only full events: in use", 3, Kept, ALIVE, stories::full_events_in_use),
    kind("only full events: released", 3, Removable, RELEASED, stories::full_events_released),
    kind("only full events: not asked for any more", 3, Removable, QUIET, stories::full_events_abandoned),
];
