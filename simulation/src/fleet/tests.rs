//! A small fleet of every kind, through the whole pipeline, and that mistakes show in it.

use super::kinds::{KINDS, Truth};
use super::places::SILENT_FROM;
use super::score::{Row, Score, Share};
use super::{DAYS, Fleet, Mistake, Outcome, shown};

const FLAGS: usize = 60;
/// Days of silence in the environment that is silent for good: within the window, at both sides of its end and beyond,
/// where what is usual must be told from before the silence.
const SILENT_DAYS: [u32; 6] = [5, 29, 30, 34, 35, 49];

fn run(seed: u64, mistakes: Vec<Mistake>) -> Outcome {
    let ask_on = SILENT_DAYS.iter().map(|silent| SILENT_FROM + silent).chain([DAYS]).collect();
    Fleet { seed, flags: FLAGS, ask_on, mistakes }.run(&|_| ()).unwrap()
}

fn is_told_as_it_should_be(seed: u64) {
    let outcome = run(seed, Vec::new());
    let score = Score::of(&outcome);
    assert!(score.is_as_expected(), "seed {seed}:\n{}", shown::surprises(&score));
    let last = score.days.last().unwrap();
    assert_eq!((last.day, last.flags), (DAYS, FLAGS));
    assert!(score.misjudged_beside_the_known(DAYS).is_empty(), "{:?}", score.misses);
    for flag in outcome.flags.iter().filter(|flag| flag.kind.project == "mill") {
        for answers in &outcome.answers {
            let said = answers.of(&flag.key).unwrap();
            assert!(said.unknown && !said.stale, "seed {seed}, day {}: {}: {said:?}", answers.day, flag.kind.name);
        }
    }
}

/// What is told of a kind stands in the documentation too: whoever changes one changes the other.
#[test]
fn the_documentation_has_each_kind_with_its_truth_and_what_it_is_told_by() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/stale-fleet.md")).unwrap();
    for kind in KINDS {
        let begin = format!("| {} | {} |", kind.name, kind.truth.name());
        let row = page.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("no row `{begin}`"));
        assert!(row.ends_with(&format!("| {} |", shown::told_by(kind))), "{row}");
    }
}

#[test]
fn fleets_are_added_up() {
    let outcome = Outcome { flags: super::flags::draw(1, FLAGS), answers: Vec::new(), payloads: 7 };
    let (mut sum, share) = (Score::of(&outcome), Share { right: 1, said: 2, so: 4 });
    sum.rows[0].stale = share;
    sum.rows[0].right = 3;
    let mut other = Score::of(&outcome);
    other.rows[0].stale = Share { right: 1, said: 1, so: 1 };
    other.rows[0].right = 2;
    sum.merge(other);
    assert_eq!((sum.flags, sum.payloads, sum.rows[0].right), (2 * FLAGS, 14, 5));
    assert_eq!(sum.rows[0].stale, Share { right: 2, said: 3, so: 5 });
    assert_eq!((sum.rows[0].stale.precision(), sum.rows[0].stale.recall()), (Some(666), Some(400)));
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
    let by_bulk = ["only bulk reads", "read once beside all flags", "small app, each flag once a load"];
    let by_blindness = [
        "environment blind: in use",
        "environment blind: released",
        "environment silent for good: in use",
        "environment silent for good: released",
    ];
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
fn what_is_known_to_be_missed_is_counted_as_wrong() {
    for kind in KINDS {
        let Some(told) = kind.missed.as_ref().map(|missed| &missed.told) else { continue };
        let wrong = told.stale != (kind.truth == Truth::Removable)
            || told.status.contains(&"unknown") != (kind.truth == Truth::Unknowable);
        assert!(wrong, "{} is told right", kind.name);
    }
}
