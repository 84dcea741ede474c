//! The story of each kind: who asks for such a flag, when, and what they get.
//!
//! Always true here: days and shares come from the seed's dice, what a story is about does not.

use std::ops::Range;

use serde_json::{Value, json};

use super::places::{
    CHECKOUT, CHECKOUT_EU, CHECKOUT_STAGING, DAYS, GATEWAY, IOS, IOS_OLD, KIOSK, WAIT_DAYS, WEB, WORKER, day_ms,
};
use crate::chance::Chance;

/// What is served.
#[derive(Debug, Clone, Copy)]
pub(super) enum Serve {
    /// This variation.
    One(u32),
    /// Both.
    Both,
    /// Both before this day, variation 1 from then on.
    Released(u32),
    /// The other one with each version.
    ByVersion,
    /// The flag is unknown: the caller's default, as an error.
    Error,
    /// The caller's default.
    Default,
}

/// When it is asked for.
#[derive(Debug, Clone)]
pub(super) enum When {
    /// In so many of a thousand hours.
    Often(usize),
    /// On these days, in this hour.
    On(Vec<u32>, u32),
}

/// Somebody asks.
#[derive(Debug, Clone)]
pub(super) struct Use {
    /// An index into [`super::places::APPS`].
    pub(super) app: usize,
    pub(super) days: Range<u32>,
    pub(super) when: When,
    pub(super) serve: Serve,
}

/// A flag without a name.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// The day of its creation.
    pub(super) created: u32,
    /// What is told of it on that day.
    pub(super) told: Option<Value>,
    /// Whoever reads all flags in a browser or an app gets it; the number is how often it is counted beside them.
    pub(super) in_bulk: Option<u64>,
    /// Its SDKs keep it out of summaries and send a full event for each evaluation.
    pub(super) full_events_only: bool,
    /// Days on which its version changes.
    pub(super) changes: Vec<u32>,
    pub(super) uses: Vec<Use>,
    /// The day from which it could go, where its kind can.
    pub(super) removable_from: u32,
}

const OFTEN: When = When::Often(150);
const SELDOM: When = When::Often(50);
const DEFAULT_CREATED: u32 = 0;

fn between(chance: &mut Chance, from: u32, to: u32) -> u32 {
    from + u32::try_from(chance.below((to - from) as usize)).unwrap_or(0)
}

fn draft(created: u32) -> Draft {
    Draft {
        created,
        told: None,
        in_bulk: None,
        full_events_only: false,
        changes: Vec::new(),
        uses: Vec::new(),
        removable_from: 0,
    }
}

impl Draft {
    fn told(mut self, mut told: Value) -> Self {
        told["createdAt"] = json!(day_ms(self.created));
        self.told = Some(told);
        self
    }

    fn asked(mut self, app: usize, when: When, serve: Serve) -> Self {
        self.uses.push(Use { app, days: self.created..DAYS, when, serve });
        self
    }

    /// As [`Draft::asked`], in all environments of the shop, by its server.
    fn asked_everywhere(self, serve: Serve) -> Self {
        self.asked(CHECKOUT, OFTEN, serve).asked(CHECKOUT_EU, OFTEN, serve).asked(CHECKOUT_STAGING, SELDOM, serve)
    }

    fn until(mut self, day: u32) -> Self {
        self.uses.iter_mut().for_each(|asked| asked.days.end = day);
        self.removable_from = day + WAIT_DAYS;
        self
    }

    fn bulk(mut self) -> Self {
        self.in_bulk = Some(1);
        self
    }

    fn released_on(mut self, day: u32) -> Self {
        self.changes.push(day);
        // Its first hours belong to the day before the wait.
        self.removable_from = day + 1 + WAIT_DAYS;
        self
    }
}

fn release() -> Value {
    json!({ "temporary": true, "type": "release" })
}

fn permanent() -> Value {
    json!({ "temporary": false })
}

/// A flag that was rolled out to everybody on some day, asked for by these.
fn rolled_out(chance: &mut Chance, apps: &[(usize, When)]) -> Draft {
    let created = between(chance, 0, 15);
    let day = between(chance, 25, 70);
    let begin = draft(created).released_on(day);
    apps.iter().fold(begin, |draft, (app, when)| draft.asked(*app, when.clone(), Serve::Released(day)))
}

const SHOP: [(usize, When); 3] = [(CHECKOUT, OFTEN), (CHECKOUT_EU, OFTEN), (CHECKOUT_STAGING, SELDOM)];

pub(super) fn released(chance: &mut Chance) -> Draft {
    rolled_out(chance, &SHOP).told(release())
}

/// One service asks now and then before its SDK has any flag.
pub(super) fn released_unready(chance: &mut Chance) -> Draft {
    rolled_out(chance, &SHOP).asked(WORKER, When::Often(20), Serve::Default).told(release())
}

pub(super) fn released_untold(chance: &mut Chance) -> Draft {
    rolled_out(chance, &SHOP)
}

pub(super) fn released_client(chance: &mut Chance) -> Draft {
    rolled_out(chance, &[(WEB, OFTEN), (IOS, OFTEN)]).bulk().told(release())
}

pub(super) fn gone_from_code(chance: &mut Chance) -> Draft {
    let last = between(chance, 30, 80);
    draft(between(chance, 0, 15)).asked_everywhere(Serve::Both).until(last).told(json!({ "codeReferences": 0 }))
}

pub(super) fn abandoned(chance: &mut Chance) -> Draft {
    let last = between(chance, 30, 80);
    draft(between(chance, 0, 15)).asked_everywhere(Serve::Both).until(last)
}

pub(super) fn bulk_only(chance: &mut Chance) -> Draft {
    let last = between(chance, 20, 70);
    draft(between(chance, 0, 10)).asked(WEB, OFTEN, Serve::Both).until(last).bulk()
}

/// The app asked for it until some day; who never updated still does.
fn old_app(last: u32, serve: Serve) -> Draft {
    draft(DEFAULT_CREATED).asked(IOS, OFTEN, serve).until(last).asked(IOS_OLD, OFTEN, serve).bulk()
}

/// Rolled out, and left out of the app's next version.
pub(super) fn old_versions(chance: &mut Chance) -> Draft {
    let last = between(chance, 30, 60);
    old_app(last, Serve::Released(last)).released_on(last).told(release())
}

pub(super) fn old_versions_in_use(chance: &mut Chance) -> Draft {
    old_app(between(chance, 30, 60), Serve::Both)
}

pub(super) fn never_evaluated(chance: &mut Chance) -> Draft {
    let mut told = release();
    told["codeReferences"] = json!(0);
    let created = between(chance, 5, 40);
    Draft { removable_from: created + WAIT_DAYS, ..draft(created).told(told) }
}

pub(super) fn errors(chance: &mut Chance) -> Draft {
    let created = between(chance, 0, 40);
    Draft { removable_from: created + WAIT_DAYS, ..draft(created).asked_everywhere(Serve::Error) }
}

pub(super) fn deployed_often(chance: &mut Chance) -> Draft {
    rolled_out(chance, &[(GATEWAY, When::Often(500))]).told(release())
}

pub(super) fn in_use(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 60)).asked_everywhere(Serve::Both)
}

pub(super) fn toggled(chance: &mut Chance) -> Draft {
    let mut draft = draft(DEFAULT_CREATED).asked_everywhere(Serve::ByVersion);
    let mut day = between(chance, 3, 10);
    while day < DAYS {
        draft.changes.push(day);
        day += between(chance, 5, 12);
    }
    draft
}

pub(super) fn kill_switch(_: &mut Chance) -> Draft {
    let told = json!({ "temporary": false, "type": "kill-switch" });
    draft(DEFAULT_CREATED).asked_everywhere(Serve::One(0)).told(told)
}

pub(super) fn kill_switch_untold(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 60)).asked_everywhere(Serve::One(0))
}

pub(super) fn kept(chance: &mut Chance) -> Draft {
    rolled_out(chance, &SHOP).told(json!({ "temporary": false, "type": "permission" }))
}

pub(super) fn snoozed(chance: &mut Chance) -> Draft {
    let mut told = release();
    told["snoozedUntil"] = json!(day_ms(DAYS + 30));
    rolled_out(chance, &SHOP).told(told)
}

pub(super) fn archived(chance: &mut Chance) -> Draft {
    let last = between(chance, 30, 80);
    draft(DEFAULT_CREATED).asked_everywhere(Serve::Both).until(last).told(json!({ "archived": true }))
}

pub(super) fn experiment(chance: &mut Chance) -> Draft {
    let mut told = release();
    told["runningExperiment"] = json!(true);
    rolled_out(chance, &SHOP).told(told)
}

pub(super) fn dependents(chance: &mut Chance) -> Draft {
    let mut told = release();
    told["dependents"] = json!(["another-flag"]);
    rolled_out(chance, &SHOP).told(told)
}

pub(super) fn mixed(chance: &mut Chance) -> Draft {
    let draft = draft(between(chance, 0, 60)).asked(CHECKOUT, OFTEN, Serve::One(1));
    draft.asked(CHECKOUT_EU, OFTEN, Serve::One(0)).asked(CHECKOUT_STAGING, SELDOM, Serve::Both)
}

pub(super) fn young(chance: &mut Chance) -> Draft {
    draft(between(chance, 93, 110)).asked_everywhere(Serve::One(1))
}

pub(super) fn unborn(chance: &mut Chance) -> Draft {
    draft(between(chance, 114, 119)).told(json!({ "temporary": true }))
}

fn job(days: Vec<u32>, app: usize, chance: &mut Chance) -> Use {
    Use { app, days: 0..DAYS, when: When::On(days, between(chance, 0, 24)), serve: Serve::One(1) }
}

pub(super) fn weekly(chance: &mut Chance) -> Draft {
    let first = between(chance, 0, 7);
    Draft { uses: vec![job((first..DAYS).step_by(7).collect(), WORKER, chance)], ..draft(DEFAULT_CREATED) }
}

/// The same day of March, April, May and June; the 2nd of March is day 0.
fn monthly_days(day_of_month: u32) -> Vec<u32> {
    vec![day_of_month - 2, day_of_month + 29, day_of_month + 59, day_of_month + 90]
}

pub(super) fn monthly(chance: &mut Chance) -> Draft {
    let days = monthly_days(between(chance, 2, 28));
    Draft { uses: vec![job(days, WORKER, chance)], ..draft(DEFAULT_CREATED) }
}

pub(super) fn monthly_by_region(chance: &mut Chance) -> Draft {
    let day = between(chance, 2, 16);
    let here = job(monthly_days(day), WORKER, chance);
    let there = job(monthly_days(day + 11), CHECKOUT_EU, chance);
    Draft { uses: vec![here, there], ..draft(DEFAULT_CREATED) }
}

pub(super) fn defaults(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 40)).asked_everywhere(Serve::Default)
}

pub(super) fn yearly(chance: &mut Chance) -> Draft {
    let last = between(chance, 15, 30);
    draft(DEFAULT_CREATED).asked_everywhere(Serve::One(1)).until(last)
}

pub(super) fn yearly_kept(chance: &mut Chance) -> Draft {
    yearly(chance).told(permanent())
}

pub(super) fn quarterly(chance: &mut Chance) -> Draft {
    let first = between(chance, 3, 8);
    let days = [first..first + 5, first + 91..first + 96].into_iter().flatten().collect();
    Draft { uses: vec![job(days, CHECKOUT, chance)], ..draft(DEFAULT_CREATED) }
}

pub(super) fn in_development(chance: &mut Chance) -> Draft {
    draft(between(chance, 5, 60)).asked(CHECKOUT_STAGING, OFTEN, Serve::Both)
}

pub(super) fn beside_bulk(chance: &mut Chance) -> Draft {
    Draft { in_bulk: Some(2), ..draft(between(chance, 0, 20)) }
}

/// The same story, told by full events.
fn by_full_events(draft: Draft) -> Draft {
    Draft { full_events_only: true, ..draft }
}

pub(super) fn full_events_in_use(chance: &mut Chance) -> Draft {
    by_full_events(in_use(chance))
}

pub(super) fn full_events_released(chance: &mut Chance) -> Draft {
    by_full_events(released(chance))
}

pub(super) fn full_events_abandoned(chance: &mut Chance) -> Draft {
    by_full_events(abandoned(chance))
}

/// An application with few flags asks for each of them once, whenever it is loaded.
pub(super) fn small_app(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 60)).asked(KIOSK, When::Often(1000), Serve::Both)
}

pub(super) fn unreported(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 40)).told(json!({ "temporary": true, "codeReferences": 2 }))
}

pub(super) fn bank_in_use(chance: &mut Chance) -> Draft {
    draft(between(chance, 0, 40)).asked(TELLER, OFTEN, Serve::Both).asked(TELLER_STAGING, SELDOM, Serve::Both)
}

pub(super) fn bank_released(chance: &mut Chance) -> Draft {
    rolled_out(chance, &[(TELLER, OFTEN), (TELLER_STAGING, SELDOM)]).told(release())
}

/// Of whichever project the flag is of; see [`super::flags::draw`].
pub(super) const TELLER: usize = usize::MAX;
pub(super) const TELLER_STAGING: usize = usize::MAX - 1;
