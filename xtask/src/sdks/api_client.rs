//! The vendor's own API client reads our answers: `loadtest/sdks/python/api_client.py` sends, and says what must be
//! read.

use super::install::Installed;
use super::server::Server;
use super::{PROGRAM_WAIT, SDK_KEY, run_to_end};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;

const SDK_KEY_STAGING: &str = "sdk-12345678-staging";

/// Runs the program against a server with two environments; the last line of what it says.
pub(crate) fn run(binary: &Path, installed: &Installed) -> Result<String> {
    let environment = |key: &str, sdk_key: &str| {
        format!("[[environment]]\nproject = 'default'\nkey = '{key}'\nserver_keys = ['{sdk_key}']\n")
    };
    let server =
        Server::configured(binary, &(environment("production", SDK_KEY) + &environment("staging", SDK_KEY_STAGING)))?;
    let mut command = Command::new(installed.python.join("venv/bin/python"));
    command.arg("api_client.py").current_dir(&installed.python);
    command.env("FLAGSTREAM_URL", format!("http://{}", server.address));
    command.env("FLAGSTREAM_SDK_KEY", SDK_KEY).env("FLAGSTREAM_SDK_KEY_STAGING", SDK_KEY_STAGING);
    let said = run_to_end(command, PROGRAM_WAIT).with_context(|| server.words())?;
    Ok(said.lines().last().context("the program said nothing")?.to_owned())
}
