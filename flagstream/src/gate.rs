//! `flagstream gate`: which path is in charge of each environment, and how one is moved on.
//!
//! Always true here: the flag file alone moves an environment; before a step forward that the old path was compared in,
//! the server is asked whether everything is explained, unless it is forced; whether the stage is in force is what the
//! server says, not what was written.

pub mod file;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ingest::gate::Stage;
use schemas::id::Environment;
use serde_json::Value;

use crate::cli::{Gate, GateSet, Reader};
use crate::output::{aside, line};
use crate::read::{self, segment, told};

/// So long a stage is waited for; a step forward waits for a comparison.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(100);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Exit code where a step is refused for what is unexplained.
pub const UNEXPLAINED: u8 = 3;
/// Exit code where nobody can tell.
pub const UNKNOWN: u8 = 4;

/// `flagstream gate`
///
/// # Errors
/// What the server said, or that it could not be reached; what is wrong with the flag file.
pub fn run(command: &Gate) -> anyhow::Result<ExitCode> {
    match command {
        Gate::Show(reader) => read::gate(reader).map(|()| ExitCode::SUCCESS),
        Gate::Set(command) => set(command),
    }
}

fn set(command: &GateSet) -> anyhow::Result<ExitCode> {
    let named = &command.environment;
    let environment = Environment::new(&named.project, &named.environment).context("no such environment can be")?;
    if !command.force
        && let Some(refusal) = refusal(&command.reader, &environment, command.stage)?
    {
        aside(&format!("flagstream: {}; --force goes on all the same", refusal.why));
        return Ok(ExitCode::from(refusal.code));
    }
    file::set(&command.flags, &environment, command.stage, command.force)?;
    wait(command, &environment)
}

struct Refusal {
    why: String,
    code: u8,
}

/// Why this step must not be made now.
fn refusal(reader: &Reader, environment: &Environment, to: Stage) -> anyhow::Result<Option<Refusal>> {
    let from = state(reader, environment)?.map_or(Stage::Off, |state| stage(&state));
    if from == Stage::Off || to as u8 <= from as u8 {
        return Ok(None);
    }
    let (project, key) = (segment(environment.project_str()), segment(environment.key_str()));
    let answer = told(reader, &format!("/v1/pipeline/comparison?project={project}&environment={key}&limit=1"))?;
    let unexplained = answer["totals"]["unexplained"].as_u64().context("the server's comparison has no totals")?;
    let see = format!("see `flagstream compare --project {project} --environment {key}`");
    if unexplained > 0 {
        let why = format!("{unexplained} evaluations or events are unexplained; {see}");
        return Ok(Some(Refusal { why, code: UNEXPLAINED }));
    }
    if answer["complete"] != true {
        let why = format!("the numbers lag, so nobody can tell yet whether all is explained; {see}");
        return Ok(Some(Refusal { why, code: UNKNOWN }));
    }
    Ok(None)
}

/// What the server knows of an environment's stage; `None` where it has not met it.
fn state(reader: &Reader, environment: &Environment) -> anyhow::Result<Option<Value>> {
    let answer = told(reader, "/v1/pipeline/gate")?;
    let items = answer["items"].as_array().context("the server's answer has no list of environments")?;
    let is_it =
        |item: &&Value| item["project"] == environment.project_str() && item["environment"] == environment.key_str();
    Ok(items.iter().find(is_it).cloned())
}

fn stage(state: &Value) -> Stage {
    state["stage"].as_str().and_then(Stage::from_name).unwrap_or(Stage::Off)
}

/// Waits until the stage is in force, and says what happened.
fn wait(command: &GateSet, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (to, shown) = (command.stage, command.flags.display());
    let begun = Instant::now();
    let (mut last, mut held_back) = (None, None);
    while begun.elapsed() < IN_FORCE_WITHIN {
        let state = state(&command.reader, environment)?.unwrap_or_default();
        let now = stage(&state);
        if last != Some(now) {
            line(&format!("{environment} is in {}", now.name()))?;
            last = Some(now);
        }
        if now == to {
            return Ok(ExitCode::SUCCESS);
        }
        let why = state["heldBack"].as_str().map(str::to_owned);
        if let Some(why) = why.as_ref().filter(|_| why != held_back) {
            aside(&format!("waiting: {shown} says {to}, and the gate does not go on yet: {why}"));
        }
        held_back = why;
        std::thread::sleep(LOOK_EVERY);
    }
    if let Some(why) = held_back {
        aside(&format!("flagstream: {shown} says {to}, and the gate did not go on within {IN_FORCE_WITHIN:?}: {why}"));
        return Ok(ExitCode::from(UNEXPLAINED));
    }
    ensure!(
        last == Some(to),
        "{shown} says {to}, and {environment} did not get there within {IN_FORCE_WITHIN:?}; is it the file of [gate] flags?"
    );
    Ok(ExitCode::SUCCESS)
}
