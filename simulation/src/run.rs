//! Seeds, run: one, or many on all cores.
//!
//! Always true here: a seed's outcome depends on the seed, the store model and the mutant alone, not on the machine,
//! the threads or the seeds beside it; a panic anywhere is a failure of its seed.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::faults::{Fault, Tally};
use crate::mutants::Mutant;
use crate::noticed::Noticed;
use crate::stores::Model;
use crate::trace::Trace;
use crate::world::{Setup, World};

/// One run: its dice, its store, its mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// What decides all that happens.
    pub seed: u64,
    /// How the store keeps cells.
    pub model: Model,
    /// The mistake that is switched on, if any.
    pub mutant: Option<&'static Mutant>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Faults that happened.
    pub tally: Tally,
    /// The lines, where they were asked for.
    pub trace: Trace,
    /// What was wrong, if anything.
    pub result: Result<(), String>,
}

impl Run {
    /// Runs it.
    #[must_use]
    pub fn run(self, trace: Trace) -> Outcome {
        remember_where_it_panics();
        let ran = watched(|| {
            let mut chance = Chance::new(self.seed);
            let setup = Setup::throw(self.model, &mut chance);
            Ok(World::new(setup, self.mutant, chance, trace).run())
        });
        match ran {
            Ok((chance, trace, result)) => Outcome { tally: chance.tally, trace, result },
            Err(what) => Outcome { tally: Tally::default(), trace: Trace::default(), result: Err(what) },
        }
    }

    /// What a person types to see it again.
    #[must_use]
    pub fn command(&self) -> String {
        let mutant = self.mutant.map(|mutant| format!(" --mutant {:?}", mutant.name)).unwrap_or_default();
        format!("cargo xtask sim --seed {} --model {}{mutant}", self.seed, self.model.name())
    }
}

/// A run that found something wrong.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub run: Run,
    /// What was wrong.
    pub what: String,
}

impl Failure {
    /// What noticed it, by what was said of it.
    #[must_use]
    pub fn noticed(&self) -> Noticed {
        Noticed::by(&self.what)
    }
}

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// Runs made.
    pub runs: u64,
    /// Faults that happened in them.
    pub tally: Tally,
    /// Runs that found something wrong, by rising seed; no more than were asked for.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Summary {
    /// How often a fault must have happened in so many runs; `None` = they are too few to tell.
    #[must_use]
    pub fn least(&self, fault: Fault) -> Option<u64> {
        let least = fault.least() * self.runs / 2_000;
        (self.runs >= JUDGED_RUNS_MIN && least >= JUDGED_LEAST_MIN).then_some(least)
    }

    /// Faults that happened less often than they must in so many runs, and how often they must.
    #[must_use]
    pub fn too_rare(&self) -> Vec<(Fault, u64, u64)> {
        let judged = Fault::ALL.iter().filter_map(|fault| Some((*fault, self.tally.of(*fault), self.least(*fault)?)));
        judged.filter(|(_, found, least)| found < least).collect()
    }

    /// What took more runs out of the judgement than it may.
    #[must_use]
    pub fn too_often(&self) -> Vec<(Fault, u64, u64)> {
        let most = |fault: Fault| fault.most().map(|most| MOST_BESIDES + most * self.runs / 2_000_000);
        let found = Fault::ALL.iter().filter_map(|fault| Some((*fault, self.tally.of(*fault), most(*fault)?)));
        found.filter(|(_, found, most)| found > most).collect()
    }
}

/// Fewer runs than this differ too much from each other for a fault to be called rare …
const JUDGED_RUNS_MIN: u64 = 400;
/// … and so do fewer times than this, which dice may miss.
const JUDGED_LEAST_MIN: u64 = 20;

/// More than a most that dice may exceed by chance, however few the seeds.
const MOST_BESIDES: u64 = 3;

/// Many runs.
#[derive(Debug, Clone)]
pub struct Many {
    /// First seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// Under which store models each seed is run.
    pub models: Vec<Model>,
    /// The mistake, if any.
    pub mutant: Option<&'static Mutant>,
    /// Failures after which it ends …
    pub failures_max: usize,
    /// … of those that this noticed, where only they are asked for.
    pub noticed_by: Option<Noticed>,
    /// Threads.
    pub threads: usize,
}

impl Many {
    /// Runs them all; `progress` hears after every few runs how many were made, and at once which of them were wrong.
    #[must_use]
    pub fn run(&self, progress: &(dyn Fn(u64, Duration, &[Failure]) + Sync)) -> Summary {
        let began = Instant::now();
        let runs = self.seeds * self.models.len() as u64;
        let (next, made, enough) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let summary = Mutex::new(Summary::default());
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while !enough.load(Ordering::Relaxed) {
                        let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                        if first >= runs {
                            break;
                        }
                        let part = self.chunk(first, runs.min(first + CHUNK), &enough);
                        let so_far = made.fetch_add(part.runs, Ordering::Relaxed) + part.runs;
                        progress(so_far, began.elapsed(), &part.failures);
                        let mut all = summary.lock().unwrap_or_else(PoisonError::into_inner);
                        all.runs += part.runs;
                        all.tally.merge(&part.tally);
                        all.failures.extend(part.failures);
                        if all.failures.iter().filter(|failure| self.asks_for(failure)).count() >= self.failures_max {
                            enough.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
        summary.failures.sort_by_key(|failure| failure.run.seed);
        summary.took = began.elapsed();
        summary
    }

    fn asks_for(&self, failure: &Failure) -> bool {
        self.noticed_by.is_none_or(|noticed| noticed == failure.noticed())
    }

    fn chunk(&self, from: u64, to: u64, enough: &AtomicBool) -> Summary {
        let mut part = Summary::default();
        for number in from..to {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            let models = self.models.len() as u64;
            let model = self.models[usize::try_from(number % models).unwrap_or(0)];
            let run = Run { seed: self.from + number / models, model, mutant: self.mutant };
            let outcome = run.run(Trace::default());
            part.runs += 1;
            part.tally.merge(&outcome.tally);
            part.failures.extend(outcome.result.err().map(|what| Failure { run, what }));
        }
        part
    }
}

/// Runs that a thread takes at a time.
const CHUNK: u64 = 32;

/// How a panic is told.
pub(crate) const PANIC: &str = "a panic";

thread_local! {
    /// Where this thread panicked last.
    static PANICKED_AT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics that a seed asks for print nothing, nor do others here, for each becomes the failure of its seed: what the
/// hook knows and the failure does not is where it was.
pub(crate) fn remember_where_it_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            PANICKED_AT.set(place);
        }));
    });
}

/// Runs what may panic; a panic is a failure in words, with the place where it was.
///
/// # Errors
/// What `run` answers, or what the panic said.
pub(crate) fn watched<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words");
        Err(format!("{PANIC} at {}: {said}", PANICKED_AT.take()))
    })
}
