//! Checks in headless Chromium (`loadtest/browsers`): real browser SDKs whose page reads all flags, and our own pages
//! full of hostile names. One server a check. Without a browser nothing is skipped: it is installed, or this fails.

use crate::sdks::{self, install, run_to_end, server::Server};
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SDK_KEY: &str = "sdk-12345678-browsers";
const CLIENT_SIDE_ID: &str = "id-12345678-browsers";
const CHECK_WAIT: Duration = Duration::from_secs(180);
const NODE_MIN: u32 = 20;

/// A check's program and what holds when it passes.
const CHECKS: &[(&str, &str)] =
    &[("bulk.mjs", "a page that reads all flags makes bulk reads"), ("pages.mjs", "hostile names act on no page")];

/// What to run the checks against.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server's binary (default: built now)
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Build and use the release build
    #[arg(long, conflicts_with = "binary")]
    release: bool,
    /// Run this check alone, such as `pages.mjs`
    #[arg(long, value_name = "FILE")]
    only: Option<String>,
}

/// Runs every check; true when all pass.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let chosen = choose(arguments.only.as_deref())?;
    let chromium = chromium()?;
    let binary = match &arguments.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => sdks::build(arguments.release)?,
    };
    let folder = installed()?;
    let (mut passed, mut failed) = (0, 0);
    for (file, what) in chosen {
        match check(file, &folder, &binary, &chromium) {
            Ok(said) => {
                passed += 1;
                println!("passed: {what}\n{said}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED: {what}: {error:#}");
            }
        }
    }
    println!("{passed} checks in Chromium passed, {failed} failed");
    Ok(failed == 0)
}

fn choose(only: Option<&str>) -> Result<Vec<&'static (&'static str, &'static str)>> {
    let chosen: Vec<_> = CHECKS.iter().filter(|(file, _)| only.is_none_or(|only| only == *file)).collect();
    let names: Vec<&str> = CHECKS.iter().map(|(file, _)| *file).collect();
    ensure!(!chosen.is_empty(), "no check `{}`; there are: {}", only.unwrap_or_default(), names.join(", "));
    Ok(chosen)
}

fn check(file: &str, folder: &Path, binary: &Path, chromium: &Path) -> Result<String> {
    let server = Server::configured(
        binary,
        &format!(
            "[[environment]]\nproject = 'default'\nkey = 'development'\nserver_keys = ['{SDK_KEY}']\nclient_side_ids = ['{CLIENT_SIDE_ID}']\n"
        ),
    )?;
    let pictures = folder.join("pictures");
    std::fs::create_dir_all(&pictures)?;
    let mut command = Command::new("node");
    command.arg(file).current_dir(folder).env("CHROME_PATH", chromium).env("FLAGSTREAM_PICTURES", pictures);
    command.env("FLAGSTREAM_URL", format!("http://{}", server.address)).env("FLAGSTREAM_SDK_KEY", SDK_KEY);
    command.env("FLAGSTREAM_CLIENT_SIDE_ID", CLIENT_SIDE_ID);
    run_to_end(command, CHECK_WAIT).with_context(|| server.words())
}

/// The programs with what they need, under the target folder; asks the registry only when a pin changed.
fn installed() -> Result<PathBuf> {
    let version = Command::new("node").arg("--version").output().context("node: is it installed?")?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(major >= Some(NODE_MIN), "node is {version}; these checks need {NODE_MIN} or newer");
    let folder = workspace::target_dir().join("browsers");
    install::copy_files(&workspace::root().join("loadtest").join("browsers"), &folder)?;
    install::once(&folder, &["package.json", "package-lock.json"], "node", || {
        println!("installing the browser SDKs and the driver by their lock file");
        install::succeed(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(&folder))
    })?;
    Ok(folder)
}

/// Where the browser is; installs Debian's package where there is none and that can be done.
fn chromium() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME_PATH").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "CHROME_PATH is {}, which is no file", path.display());
        return Ok(path);
    }
    if let Some(found) = on_path() {
        return Ok(found);
    }
    println!("no chromium on the path and no CHROME_PATH: installing Debian's package with apt-get");
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--no-install-recommends", "chromium"]).env("DEBIAN_FRONTEND", "noninteractive");
    let advice = "install Chromium, or set CHROME_PATH to a Chrome or Chromium of your own";
    install::succeed(&mut command).context(advice)?;
    match on_path() {
        Some(found) => Ok(found),
        None => bail!("apt-get installed no `chromium` on the path; {advice}"),
    }
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_its_program_and_an_unknown_one_is_refused() {
        for (file, _) in choose(None).unwrap() {
            assert!(workspace::root().join("loadtest/browsers").join(file).is_file(), "{file}");
        }
        assert_eq!(choose(Some("pages.mjs")).unwrap().len(), 1);
        assert_eq!(choose(Some("page")).unwrap_err().to_string(), "no check `page`; there are: bulk.mjs, pages.mjs");
    }
}
