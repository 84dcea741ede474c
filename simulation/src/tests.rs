//! The simulation itself: that a seed is the same run wherever it is run, that what it says of faults is true, and the
//! seeds that once found something.

use crate::faults::{Fault, Tally};
use crate::noticed::Noticed;
use crate::run::{Failure, Many, Run, Summary};
use crate::stores::Model;
use crate::trace::Trace;

fn run(seed: u64, model: Model) -> Result<(), String> {
    Run { seed, model, mutant: None }.run(Trace::default()).result
}

#[test]
fn a_seed_is_the_same_run_whether_anybody_reads_it_or_not() {
    for seed in 0..20 {
        for &model in Model::ALL {
            let run = Run { seed, model, mutant: None };
            let (read, again, unread) = (run.run(Trace::on()), run.run(Trace::on()), run.run(Trace::default()));
            assert!(read.trace.lines.len() > 20, "seed {seed}: {} lines", read.trace.lines.len());
            assert_eq!(read.trace.lines, again.trace.lines, "seed {seed}");
            assert_eq!((read.tally, read.result), (unread.tally, unread.result), "seed {seed}");
        }
    }
}

#[test]
fn many_runs_find_what_one_run_finds_on_any_number_of_threads() {
    let mutant = crate::mutants::Mutant::named("unconditional put");
    let failed = |threads| {
        let models = Model::ALL.to_vec();
        let many = Many { from: 0, seeds: 40, models, mutant, failures_max: usize::MAX, noticed_by: None, threads };
        let summary = many.run(&|_, _, _| {});
        assert_eq!(summary.runs, 80);
        summary.failures.iter().map(|failure| (failure.run.seed, failure.what.clone())).collect::<Vec<_>>()
    };
    let one = failed(1);
    assert!(!one.is_empty());
    let sorted = |mut failures: Vec<_>| {
        failures.sort();
        failures
    };
    assert_eq!(sorted(one), sorted(failed(3)));
}

#[test]
fn fewer_faults_than_were_asked_for_are_told() {
    let mut tally = Tally::default();
    let few = Summary { runs: 20_000, tally: tally.clone(), ..Summary::default() };
    let asked_for = Fault::ALL.iter().filter(|fault| fault.least() > 0).count();
    assert_eq!(few.too_rare().len(), asked_for);
    let rare = |runs| Summary { runs, ..Summary::default() }.too_rare().len();
    assert_eq!(
        (rare(399), rare(400) > 20, rare(400) < asked_for),
        (0, true, true),
        "the frequent ones are judged first"
    );
    for fault in Fault::ALL {
        (0..10 * fault.least()).for_each(|_| tally.add(*fault));
    }
    let enough = Summary { runs: 20_000, tally, ..Summary::default() };
    assert_eq!(enough.too_rare(), []);
}

/// A seed that is left out proves nothing: some may be, by chance, and no more.
#[test]
fn more_seeds_left_out_than_may_be_are_told() {
    let with = |runs, times| {
        let mut tally = Tally::default();
        (0..times).for_each(|_| tally.add(Fault::TopicUntold));
        Summary { runs, tally, ..Summary::default() }.too_often()
    };
    assert_eq!((with(4_000, 3), with(4_000, 4)), (vec![], vec![(Fault::TopicUntold, 4, 3)]));
    assert_eq!((with(2_000_000, 43), with(2_000_000, 44)), (vec![], vec![(Fault::TopicUntold, 44, 43)]));
}

#[test]
fn a_panic_is_told_with_its_place() {
    let run = Run { seed: 0, model: Model::Conditional, mutant: None };
    assert_eq!(run.run(Trace::default()).result, Ok(()));
    let (line, told) = (line!(), crate::run::watched::<()>(|| panic!("odd: {}", 3)));
    assert_eq!(told, Err(format!("a panic at {}:{line}: odd: 3", file!())));
}

/// Each with what it was that went wrong, and words of its trace without which the seed is no more the run that it was.
const KEPT: &[(&str, &str, u64, Model)] = &[
    (
        "a topic made again while one reader still finds the checkpoint of its first record",
        "is not made again: a reader misses a checkpoint that another finds",
        2_016,
        Model::LastWriteWins,
    ),
    (
        "a record sent again takes its old place in the new topic, before the checkpoint",
        "cannot tell",
        213_654,
        Model::Conditional,
    ),
    ("so does one in a world of whole minutes", "cannot tell", 137_362, Model::Conditional),
];

#[test]
fn seeds_that_once_failed() {
    for &(what, needle, seed, model) in KEPT {
        let outcome = Run { seed, model, mutant: None }.run(Trace::on());
        assert_eq!(outcome.result, Ok(()), "{what}: seed {seed}");
        let found = outcome.trace.lines.iter().any(|line| line.contains(needle));
        assert!(found, "seed {seed} is no more the run that it was: nothing in it {needle:?}");
    }
}

#[test]
fn a_few_seeds_leave_every_number_right() {
    for seed in 0..60 {
        for &model in Model::ALL {
            assert_eq!(run(seed, model), Ok(()), "seed {seed}");
        }
    }
}

/// What is known of flags must decide both ways, or a wrong rule would be right.
#[test]
fn all_flags_are_read_at_once_and_nearly_all_as_well() {
    let mut tally = Tally::default();
    let seeds = 0..100;
    for seed in seeds.clone() {
        tally.merge(&Run { seed, model: Model::Conditional, mutant: None }.run(Trace::default()).tally);
    }
    let (bulk, nearly) = (tally.of(Fault::BulkRead), tally.of(Fault::NearlyBulkRead));
    println!("{bulk} bulk reads, {nearly} of many flags that are none, in {seeds:?}");
    assert!(bulk > 15 && nearly > 15, "{bulk} bulk reads, {nearly} of many flags that are none");
}

/// Both are told by a number, and soon.
#[test]
fn a_bulk_read_that_is_taken_for_use_is_noticed() {
    for name in ["bulk read counted as use", "client-side flags outside the state"] {
        let mutant = crate::mutants::Mutant::named(name);
        assert!(mutant.is_some(), "{name}");
        let run = |seed| Run { seed, model: Model::LastWriteWins, mutant };
        let failed = (0..400).map(run).find_map(|run| {
            let what = run.run(Trace::default()).result.err()?;
            Some(Failure { run, what })
        });
        let failure = failed.unwrap_or_else(|| panic!("{name}: 400 seeds do not notice it"));
        println!("{name}: {}", failure.run.command());
        assert_eq!(failure.noticed(), Noticed::Number, "{name}: {}", failure.what);
    }
}

/// Each of the rules about the gate, the old path and migrations.
#[test]
fn what_the_gate_and_the_old_path_did_is_told_right_or_noticed() {
    for name in [
        "new alone told as both",
        "old path's duplicates left out",
        "old path's late rows left out",
        "outcomes added twice",
        "gated told as not gated",
        "operations of migrations unsampled",
    ] {
        let mutant = crate::mutants::Mutant::named(name);
        assert!(mutant.is_some(), "{name}");
        let run = |seed| Run { seed, model: Model::Conditional, mutant };
        let failed = (0..200).map(run).find_map(|run| {
            let what = run.run(Trace::default()).result.err()?;
            Some(Failure { run, what })
        });
        let failure = failed.unwrap_or_else(|| panic!("{name}: 200 seeds do not notice it"));
        println!("{name}: {}", failure.run.command());
        assert_eq!(failure.noticed(), Noticed::Number, "{name}: {}", failure.what);
    }
}

/// A store that adds counts what is written twice twice: the number is too high, not merely another.
#[test]
fn adding_at_the_store_counts_too_much() {
    let mutant = crate::mutants::Mutant::named("ADD instead of put");
    let too_high = |line: &str| {
        let (_, numbers) = line.split_once(": found ")?;
        let (found, expected) = numbers.split_once(", expected ")?;
        Some(found.parse::<i128>().ok()? > expected.parse::<i128>().ok()?)
    };
    let run = |seed| Run { seed, model: Model::Conditional, mutant }.run(Trace::default()).result.err();
    let found = (0..100).filter_map(run).find(|what| what.lines().any(|line| too_high(line) == Some(true)));
    let found = found.unwrap_or_else(|| panic!("no number is too high in 100 seeds"));
    assert!(found.contains("kind: Books") || found.contains("kind: Events"), "{found}");
}

#[test]
fn small_worlds_leave_every_number_right() {
    // The command walks the pairs as well.
    let small = crate::small::run_all(false);
    assert_eq!(small.wrong, Vec::<String>::new());
    assert!(small.points > 50 && small.singles > 300, "{small:?}");
}
