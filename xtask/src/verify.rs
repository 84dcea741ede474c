//! Runs a list of steps, each with a line that says how it went and how long it took. Nothing is skipped in silence: a
//! step whose requirement failed counts as failed, ignored tests are numbered, and seeds that no test tried fail the
//! step that asked for them. The last line is `N passed, N failed`.

use crate::steps::{Program, SEEDS, Step, testing_features};
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

const LINES_SHOWN: usize = 80;

/// Which steps to run.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run this step alone (repeatable)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Print the steps with their commands, and run none
    #[arg(long)]
    list: bool,
}

/// Runs `steps`, or those that `arguments` name; true when all passed.
pub(crate) fn run(steps: &[Step], arguments: &Arguments) -> Result<bool> {
    let testing = testing_features()?;
    if arguments.list {
        for step in steps {
            println!("{:<14} {}\n{:14} {}", step.name, step.what, "", step.typed(&testing));
        }
        return Ok(true);
    }
    let chosen = choose(steps, &arguments.only)?;
    let logs = workspace::target_dir().join("verify");
    fs::create_dir_all(&logs).with_context(|| format!("make {}", logs.display()))?;
    println!("building in {}, logs in {}", workspace::target_dir().display(), logs.display());
    let begun = Instant::now();
    let mut failed: Vec<&str> = Vec::new();
    for (place, step) in chosen.iter().enumerate() {
        let number = format!("[{}/{}]", place + 1, chosen.len());
        if let Some(needed) = step.needs.filter(|needed| failed.contains(needed)) {
            println!("{number} {:<14} FAILED: not run, since `{needed}` failed", step.name);
            failed.push(step.name);
            continue;
        }
        println!("{number} {:<14} {}", step.name, step.what);
        let started = Instant::now();
        let log = logs.join(format!("{}.log", step.name));
        let outcome = run_step(step, &testing, &log);
        let seconds = started.elapsed().as_secs_f64();
        let text = read(&log);
        let outcome = outcome.and_then(|()| seeds_tried(step, &text));
        match outcome {
            Ok(_) if step.program == Program::Xtask => println!("      passed in {seconds:.1} s{}", last_line(&log)),
            Ok(seeds) => println!("      passed in {seconds:.1} s{}{seeds}", tests_told(&text)),
            Err(error) => {
                failed.push(step.name);
                let lines: Vec<&str> = text.lines().collect();
                println!("{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n"));
                println!(
                    "      FAILED in {seconds:.1} s{}: {error:#}; the whole log: {}",
                    tests_told(&text),
                    log.display()
                );
            }
        }
    }
    for name in &failed {
        let typed = chosen.iter().find(|step| step.name == *name).map(|step| step.typed(&testing));
        println!("failed: {name}: {}", typed.unwrap_or_default());
    }
    println!("{:.1} min", begun.elapsed().as_secs_f64() / 60.0);
    println!("{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    Ok(failed.is_empty())
}

fn choose<'a>(steps: &'a [Step], only: &[String]) -> Result<Vec<&'a Step>> {
    if let Some(unknown) = only.iter().find(|name| steps.iter().all(|step| step.name != *name)) {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        bail!("no step `{unknown}`; there are: {}", names.join(", "));
    }
    Ok(steps.iter().filter(|step| only.is_empty() || only.iter().any(|name| step.name == *name)).collect())
}

fn run_step(step: &Step, testing: &[String], log: &PathBuf) -> Result<()> {
    let file = File::create(log).with_context(|| format!("write {}", log.display()))?;
    let mut command = step.command(testing)?;
    let mut child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn().context("start it")?;
    let limit = Duration::from_secs(step.minutes_max * 60);
    let status = workspace::wait(&mut child, limit, |minutes| println!("      … {minutes} min{}", last_line(log)))?;
    if !status.success() {
        bail!("{status}");
    }
    Ok(())
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

fn last_line(log: &Path) -> String {
    read(log).lines().rfind(|line| !line.trim().is_empty()).map_or(String::new(), |line| format!(": {line}"))
}

/// How many tests say that they tried as many seeds as the step asked for; empty for one that asks for none.
fn seeds_tried(step: &Step, log: &str) -> Result<String> {
    let Some((_, seeds)) = step.environment.iter().find(|(name, _)| *name == SEEDS) else { return Ok(String::new()) };
    let said = format!(": {seeds} seeds");
    match log.lines().filter(|line| line.ends_with(&said)).count() {
        0 => bail!("no test says that it tried {seeds} seeds: nobody reads {SEEDS}"),
        tests => Ok(format!(", {tests} of them with {seeds} seeds")),
    }
}

/// How many tests the log of a step tells of, if any.
fn tests_told(log: &str) -> String {
    let (mut passed, mut failed, mut ignored) = (0_u64, 0_u64, 0_u64);
    for line in log.lines().filter(|line| line.starts_with("test result:")) {
        for part in line.split(['.', ';']).map(str::trim) {
            let number = |word: &str| part.strip_suffix(word).and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0);
            passed += number("passed");
            failed += number("failed");
            ignored += number("ignored");
        }
    }
    if passed + failed + ignored == 0 {
        return String::new();
    }
    format!(" ({passed} tests passed, {failed} failed, {ignored} ignored)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{LONG, VERIFY};

    #[test]
    fn the_numbers_of_all_test_binaries_are_added() {
        let log = "running 2 tests\ntest a ... ok\n\
                   test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
                   test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        assert_eq!(tests_told(log), " (5 tests passed, 4 failed, 1 ignored)");
        assert_eq!(tests_told("Finished"), "");
    }

    #[test]
    fn seeds_that_nobody_tried_fail_their_step() {
        let long = LONG.iter().find(|step| step.name == "stores-long").unwrap();
        let log = "power_cut::whole: 12000 seeds\npower_cut::breakage: 12000 seeds\nother: 1200 seeds\n";
        assert_eq!(seeds_tried(long, log).unwrap(), ", 2 of them with 12000 seeds");
        let error = seeds_tried(long, "power_cut::whole: 1200 seeds\nok").unwrap_err().to_string();
        assert_eq!(error, "no test says that it tried 12000 seeds: nobody reads FLAGSTREAM_SEEDS");
        assert_eq!(seeds_tried(&VERIFY[1], log).unwrap(), "");
    }

    #[test]
    fn an_unknown_step_is_refused_with_the_names_there_are() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
            choose(VERIFY, &only).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["sdks", "arrows"]).unwrap(), ["arrows", "sdks"]);
        assert_eq!(names(&[]).unwrap().len(), VERIFY.len());
        assert!(names(&["sdk"]).unwrap_err().to_string().starts_with("no step `sdk`; there are: tools, format"));
    }

    #[test]
    fn a_command_that_fails_fails_its_step_and_leaves_its_words_in_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("step.log");
        let mut step = VERIFY[1].clone();
        step.arguments = &["--version"];
        run_step(&step, &[], &log).unwrap();
        step.arguments = &["no-such-command"];
        assert!(run_step(&step, &[], &log).is_err());
        assert!(
            last_line(&log).contains("no-such-command")
                || fs::read_to_string(&log).unwrap().contains("no-such-command")
        );
    }
}
