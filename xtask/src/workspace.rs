//! Where the repository lies, where its builds go, and how its programs are run. Builds go outside the clone unless the
//! caller says otherwise.

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The folder with the workspace's `Cargo.toml`: of the clone in which cargo runs us, for another clone that shares the
/// target folder may have built us.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = Path::new(&here);
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or the user's cache folder.
pub(crate) fn target_dir() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CARGO_TARGET_DIR").unwrap_or_else(|| {
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        cache.unwrap_or_else(std::env::temp_dir).join("flagstream").join("target")
    })
}

/// `program`, to be run in the repository's root with the target folder set.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("CARGO_TARGET_DIR", target_dir());
    command
}

/// The cargo that runs us, or the one on the path.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// What cargo knows of the workspace in `folder` and its dependencies on this platform.
pub(crate) fn metadata(folder: &Path) -> Result<Metadata> {
    let version = command("rustc").arg("-vV").output().context("rustc -vV: is Rust installed?")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    MetadataCommand::new()
        .current_dir(folder)
        .other_options(["--filter-platform".to_owned(), host.to_owned()])
        .exec()
        .context("cargo metadata")
}

/// Waits for `child` to end, at most `limit`, then kills it. `each_minute` is told the minutes that have passed.
pub(crate) fn wait(child: &mut Child, limit: Duration, mut each_minute: impl FnMut(u64)) -> Result<ExitStatus> {
    let started = Instant::now();
    let mut minutes = 0;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let passed = started.elapsed();
        if passed > limit {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {} s and was killed", limit.as_secs());
        }
        if passed.as_secs() / 60 > minutes {
            minutes = passed.as_secs() / 60;
            each_minute(minutes);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
