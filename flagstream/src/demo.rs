//! `flagstream demo`: the whole migration from the old path to the new one in two minutes, without a server, with the
//! store in trouble on the way, and known truth beside both paths.
//!
//! Always true here: what runs is the product ([`house`]), not a model of it, and it is asked as anybody may ask it;
//! the exit code is 0 only if the new path is exact to the last evaluation, nothing is unexplained, and the old path is
//! not exact.
//!
//! Where to go next: [`script`] is what is played, [`mod@play`] plays it, [`traffic`] is who sends, [`verdict`] is what
//! is judged.

mod dice;
mod house;
mod http;
mod payload;
mod play;
mod report;
mod script;
mod state;
mod told;
mod traffic;
mod truth;
mod verdict;
mod view;

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::sync::watch;

use self::house::{House, SDK_KEY};
use self::play::{Ended, Play};
use self::script::Script;
use self::traffic::Traffic;
use crate::cli::Demo;
use crate::output::{aside, line};
use crate::{logging, services};

/// Exit code where it was stopped, and nothing judged: what a shell says of a command that Ctrl-C ended.
const STOPPED: u8 = 130;
/// `flagstream demo`
///
/// # Errors
/// What kept it from being played to its end.
pub fn run(command: &Demo) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    // Before there is a folder, so that a stop always takes it away.
    let stop = runtime.block_on(async { services::on_signals() })?;
    let folder = tempfile::Builder::new().prefix("flagstream-demo-").tempdir().context("cannot make a folder")?;
    logging::start_in(File::create(folder.path().join("log.txt"))?);
    let played = runtime.block_on(play(command, folder.path(), stop));
    if command.keep {
        aside(&format!("kept: {}", folder.keep().display()));
    }
    let Some(Ended { truth, told, verdict }) = played? else {
        aside("stopped before its end: nothing was judged");
        return Ok(ExitCode::from(STOPPED));
    };
    let report = report::text(&truth, &told, &verdict);
    match command.json {
        true => {
            aside(&report);
            line(&serde_json::to_string(&verdict.numbers)?)?;
        }
        false => line(&report)?,
    }
    Ok(if verdict.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays it; `None` = it was stopped.
async fn play(command: &Demo, folder: &Path, mut stop: watch::Receiver<bool>) -> anyhow::Result<Option<Ended>> {
    let script = Script { is_quick: command.quick };
    let mut house = House::start(folder, &command.listen, command.seed, script.job_visibility()).await?;
    welcome(house.address, script, command.seed);
    let traffic = Traffic::start(house.address, SDK_KEY, script.clients(), command.seed);
    let play = Play::new(script, house.address, house.controls.clone(), traffic);
    let ended = tokio::select! {
        ended = play.finish() => ended.map(Some),
        error = house.ended() => return Err(error),
        _ = stop.wait_for(|stop| *stop) => Ok(None),
    };
    let stopped = house.stop().await;
    let ended = ended?;
    stopped?;
    Ok(ended)
}

fn welcome(address: SocketAddr, script: Script, seed: u64) {
    aside(&format!(
        "Flagstream's demo: from the old path to the new one, about {} s, seed {seed}; Ctrl-C ends it\n\
         page:        http://{address}/\n\
         comparison:  http://{address}/pipeline/comparison\n",
        script.lasts().as_secs()
    ));
}
