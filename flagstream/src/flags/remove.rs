//! `flagstream flags remove`: what was said of a flag is taken back.
//!
//! Always true here: a name of which nothing was ever said is taken for a mistyped one; to remove twice is to remove
//! once.

use anyhow::ensure;
use experiments::visible;

use super::{flag_path, until_shown};
use crate::cli::FlagsRemove;
use crate::output::line;
use crate::read::delete;

pub(super) fn remove(command: &FlagsRemove) -> anyhow::Result<()> {
    let path = flag_path(&command.project, &command.flag);
    let answer = delete(&command.reader, &path)?;
    let version = answer["version"].as_u64().unwrap_or(0);
    ensure!(
        version > 0,
        "nothing was ever said of flag {:?} in project {:?}, so there is nothing to remove; is the name right?",
        command.flag,
        command.project
    );
    until_shown(&command.reader, &path, version)?;
    if command.reader.json {
        return line(&answer.to_string());
    }
    let before =
        if answer["changed"] == true { "what was said of it is taken back" } else { "nothing is said of it any more" };
    let stays = if answer["seen"] == true {
        "it was evaluated, so it stays in the report, by its numbers alone"
    } else {
        "it was never evaluated, so it is forgotten"
    };
    line(&format!("flag {}: {before}; {stays}", visible(&command.flag)))
}
