//! A small fleet of every kind, through the whole pipeline, and that mistakes show in it.

use super::kinds::{KINDS, Truth};
use super::score::{Row, Score};
use super::{DAYS, Fleet, Mistake, Outcome};

const FLAGS: usize = 60;

fn run(seed: u64, mistakes: Vec<Mistake>) -> Outcome {
    Fleet { seed, flags: FLAGS, ask_on: vec![DAYS], mistakes }.run(&|_| ()).unwrap()
}

fn is_told_as_it_should_be(seed: u64) {
    let outcome = run(seed, Vec::new());
    let score = Score::of(&outcome);
    assert!(score.is_as_expected(), "seed {seed}:\n{}", super::shown::table(&outcome, &score));
    let last = score.days.last().unwrap();
    assert_eq!(
        (last.flags, last.stale_of_others.precision(), last.stale_of_others.recall()),
        (60, Some(1000), Some(1000))
    );
    assert!(last.misjudged.is_empty());
}

#[test]
fn every_kind_is_told_as_it_should_be() {
    is_told_as_it_should_be(1);
}

#[test]
fn so_is_another_fleet() {
    is_told_as_it_should_be(2);
}

/// All at once: each mistake touches kinds that no other one does.
#[test]
fn mistakes_show_in_the_kinds_that_they_touch() {
    let outcome = run(1, vec![Mistake::BulkAsUse, Mistake::BlindnessUnseen, Mistake::NothingTold]);
    let score = Score::of(&outcome);
    let noticed = |row: &&Row| row.surprises.len() == row.flags;
    let touched: Vec<_> = score.rows.iter().filter(noticed).map(|row| row.kind.name).collect();
    let by_bulk = ["only bulk reads", "read once beside all flags"];
    let by_blindness = ["environment blind: in use", "environment blind: released"];
    let by_silence = [
        "gone from the code",
        "never evaluated",
        "kill switch",
        "kept on purpose",
        "snoozed",
        "archived",
        "in an experiment",
        "others depend on it",
        "young, not yet evaluated",
        "once a year, marked as kept",
        "live, read by allFlagsState alone",
    ];
    for kind in by_bulk.iter().chain(&by_blindness).chain(&by_silence) {
        assert!(touched.contains(kind), "{kind} is told as ever; touched: {touched:?}");
    }
    for kind in ["in use, both variations", "other value in each region", "weekly job", "monthly job", "young"] {
        assert!(!touched.contains(&kind), "{kind} is told otherwise, though no mistake touches it");
    }
}

#[test]
fn what_the_rule_is_known_to_miss_is_counted_as_wrong() {
    for kind in KINDS {
        let Some((told, _)) = &kind.rule else { continue };
        let wrong = told.stale != (kind.truth == Truth::Removable)
            || told.status.contains(&"unknown") != (kind.truth == Truth::Unknowable);
        assert!(wrong, "{} is told right", kind.name);
    }
}
