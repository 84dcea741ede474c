//! The simulation's command: seeds, one seed as a trace, the mutants, the small worlds, the fleet.
//!
//! Always true here: it ends with 1 when a number was wrong, a mutant went unseen, a fault was too rare or too many
//! seeds were left out; whatever fails
//! is told with the command that shows it again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use simulation::faults::Fault;
use simulation::hunt::hunt;
use simulation::mutants::{self, Mutant};
use simulation::run::{Failure, Many, Run, Summary};
use simulation::small;
use simulation::stores::Model;
use simulation::trace::{COLUMNS, Trace};

/// Within so many seeds every mistake must be caught.
const SEEDS: u64 = 20_000;

/// Proof by seed: crashes, zombies, lost answers and torn writes against the product's own counting, held against a
/// naive oracle.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim", after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// How many seeds, each under each store model; with --mutants, at most so many for each mistake
    #[arg(long, default_value_t = SEEDS, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed, told step by step
    #[arg(long, conflicts_with_all = ["seeds", "from", "mutants", "small"])]
    seed: Option<u64>,
    #[arg(long, value_enum, conflicts_with = "small", help = "The store model; both unless told [not with --mutants]")]
    model: Option<Models>,
    /// Every deliberate mistake, each until the check that is there for it notices it or the seeds are used up
    #[arg(long, conflicts_with_all = ["mutant", "small"])]
    mutants: bool,
    /// With this mistake switched on (a name from --mutants)
    #[arg(long)]
    mutant: Option<String>,
    /// Every crash of small scripts, and pairs of crashes (the second loses no disk, and reaches all replicas or none);
    /// on one thread
    #[arg(long, conflicts_with_all = ["seeds", "from", "mutant", "threads"])]
    small: bool,
    /// Threads; all cores unless told
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "seed")]
    threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Flags with a known story through the whole pipeline, and what the stale report says of each
    Fleet(simulation::fleet::command::Arguments),
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask sim --seeds 20000            both store models; ends with the faults that happened
  cargo xtask sim --from 40000 --seeds 100 any range again
  cargo xtask sim --seed 7 --model conditional     one seed, a line a step
  cargo xtask sim --mutants                each mistake must be caught: N/N caught
  cargo xtask sim --mutant 'start at latest' --seed 0
  cargo xtask sim --small                  every crash of small scripts, and pairs of them
  cargo xtask sim fleet --help             the stale report on flags with a known story";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Models {
    Both,
    Conditional,
    LastWriteWins,
}

impl Models {
    fn list(self) -> Vec<Model> {
        match self {
            Self::Both => vec![Model::Conditional, Model::LastWriteWins],
            Self::Conditional => vec![Model::Conditional],
            Self::LastWriteWins => vec![Model::LastWriteWins],
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Fleet(fleet)) = &arguments.command {
        return match fleet.run() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(2)
            }
        };
    }
    if let Some(why) = arguments.refused() {
        eprintln!("error: {why}");
        return ExitCode::from(2);
    }
    let mutant = match arguments.mutant.as_deref().map(|name| (name, Mutant::named(name))) {
        Some((name, None)) => {
            let names: Vec<String> = mutants::ALL.iter().map(|mutant| format!("  {}", mutant.name)).collect();
            eprintln!("no mutant is called {name:?}; there are\n{}", names.join("\n"));
            return ExitCode::from(2);
        }
        Some((_, found)) => found,
        None => None,
    };
    let right = match (arguments.seed, arguments.small, arguments.mutants) {
        (Some(seed), ..) => one(seed, arguments.models(), mutant),
        (None, true, _) => every_small_world(),
        (None, false, true) => every_mutant(&arguments),
        (None, false, false) => many(&arguments, mutant),
    };
    if right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Arguments {
    fn models(&self) -> Models {
        self.model.unwrap_or(Models::Both)
    }

    fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(cores, usize::from)
    }

    /// Why these cannot be done together; `None` = they can.
    fn refused(&self) -> Option<String> {
        if self.mutants && self.model.is_some() {
            let why = "some mistakes can show under one store model alone";
            return Some(format!(
                "--mutants runs under both store models, for {why}; leave --model out, or name one --mutant"
            ));
        }
        // The last seed must be a number, and so must the number of runs.
        if self.from.checked_add(self.seeds).is_none() || self.seeds.checked_mul(2).is_none() {
            return Some(format!(
                "--from {} and --seeds {} together are more seeds than there are",
                self.from, self.seeds
            ));
        }
        None
    }
}

/// One seed, a line a step.
fn one(seed: u64, models: Models, mutant: Option<&'static Mutant>) -> bool {
    let mut right = true;
    for model in models.list() {
        let outcome = Run { seed, model, mutant }.run(Trace::on());
        println!("seed {seed}, {}\n{COLUMNS}", model.name());
        outcome.trace.lines.iter().for_each(|line| println!("{line}"));
        match &outcome.result {
            Ok(()) => println!("seed {seed}, {}: every number is right", model.name()),
            Err(what) => println!("seed {seed}, {}: WRONG: {what}", model.name()),
        }
        right &= outcome.result.is_ok();
    }
    right
}

fn many(arguments: &Arguments, mutant: Option<&'static Mutant>) -> bool {
    let (from, seeds) = (arguments.from, arguments.seeds);
    let models = arguments.models().list();
    let runs = seeds * models.len() as u64;
    let many = Many { from, seeds, models, mutant, failures_max: 10, noticed_by: None, threads: arguments.threads() };
    let told = AtomicU64::new(0);
    let summary = many.run(&|made, since: Duration, failures: &[Failure]| {
        for failure in failures {
            println!("WRONG: {}\n  again: {}", failure.what, failure.run.command());
        }
        let seconds = since.as_secs() / 5;
        if told.fetch_max(seconds, Ordering::Relaxed) < seconds {
            eprintln!("… {made} of {runs} runs, {} a second", per_second(made, since));
        }
    });
    tell_faults(&summary);
    let both = arguments.models() == Models::Both;
    let rare = if both { summary.too_rare() } else { Vec::new() };
    let unjudged = Fault::ALL.iter().filter(|fault| fault.least() > 0 && (!both || summary.least(**fault).is_none()));
    match unjudged.count() {
        0 => {}
        some => {
            println!("{some} of {} faults are judged in more seeds only, under both store models", Fault::ALL.len())
        }
    }
    for (fault, found, least) in &rare {
        println!("TOO RARE: {}: {found}, at least {least} were asked for", fault.name());
    }
    let often = summary.too_often();
    for (fault, found, most) in &often {
        println!("TOO OFTEN: {}: {found}, at most {most} may be", fault.name());
    }
    println!(
        "seeds {from} to {}: {} runs, {} wrong, {:.1} s, {} runs a second",
        from + seeds.saturating_sub(1),
        summary.runs,
        summary.failures.len(),
        summary.took.as_secs_f64(),
        per_second(summary.runs, summary.took)
    );
    summary.failures.is_empty() && rare.is_empty() && often.is_empty()
}

fn tell_faults(summary: &Summary) {
    println!("{:>12}  fault", "times");
    for fault in Fault::ALL {
        println!("{:>12}  {}", summary.tally.of(*fault), fault.name());
    }
}

fn per_second(runs: u64, since: Duration) -> u64 {
    let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1);
    runs.saturating_mul(1000) / ms
}

/// Each mutant, until the check that is there for it notices it.
fn every_mutant(arguments: &Arguments) -> bool {
    let many = Many {
        from: arguments.from,
        seeds: arguments.seeds,
        models: arguments.models().list(),
        mutant: None,
        failures_max: 1,
        noticed_by: None,
        threads: arguments.threads(),
    };
    let mut caught = 0;
    for mutant in mutants::ALL {
        let found = hunt(mutant, &many);
        caught += usize::from(found.caught.is_some());
        println!("{}", found.told(mutant));
    }
    if caught < mutants::ALL.len() && arguments.seeds < SEEDS {
        println!("only {} seeds were tried; with {SEEDS} each must be caught", arguments.seeds);
    }
    println!("{caught}/{} caught", mutants::ALL.len());
    caught == mutants::ALL.len()
}

fn every_small_world() -> bool {
    let summary = small::run_all(true);
    for wrong in summary.wrong.iter().take(10) {
        println!("WRONG: {wrong}\n  again: cargo xtask sim --small");
    }
    println!(
        "small worlds: {} crash points, {} single crashes, {} pairs, {} wrong",
        summary.points,
        summary.singles,
        summary.pairs,
        summary.wrong.len()
    );
    summary.wrong.is_empty()
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn what_would_be_ignored_is_refused() {
        for (line, kind) in [
            ("--small --seeds 5", ErrorKind::ArgumentConflict),
            ("--small --from 5", ErrorKind::ArgumentConflict),
            ("--small --model conditional", ErrorKind::ArgumentConflict),
            ("--small --threads 1", ErrorKind::ArgumentConflict),
            ("--small --mutants", ErrorKind::ArgumentConflict),
            ("--mutants --mutant x", ErrorKind::ArgumentConflict),
            ("--seed 1 --seeds 5", ErrorKind::ArgumentConflict),
            ("--seed 1 --threads 2", ErrorKind::ArgumentConflict),
            ("--threads 0", ErrorKind::ValueValidation),
            ("--seeds 0", ErrorKind::ValueValidation),
        ] {
            let refused = Arguments::try_parse_from(std::iter::once("sim").chain(line.split(' '))).map(|_| ());
            assert_eq!(refused.map_err(|error| error.kind()), Err(kind), "{line}");
        }
        let parsed = |line: &str| Arguments::try_parse_from(std::iter::once("sim").chain(line.split(' '))).unwrap();
        let refused = parsed("--mutants --model conditional").refused().unwrap();
        assert!(refused.starts_with("--mutants runs under both store models"), "{refused}");
        assert!(parsed(&format!("--from {} --seeds 1", u64::MAX)).refused().is_some());
        assert_eq!(parsed("--mutant x --model conditional").refused(), None);
        let help = <Arguments as clap::CommandFactory>::command().render_usage().to_string();
        assert!(help.contains("cargo xtask sim"), "{help}");
    }
}
