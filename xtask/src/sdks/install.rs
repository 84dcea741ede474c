//! Puts the SDKs and the programs that use them under the target folder. Installed anew only when a pin or the
//! language's version changed; the programs are copied each time.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs lie, ready to run.
pub(crate) struct Installed {
    pub(crate) node: PathBuf,
    pub(crate) python: PathBuf,
}

/// Copies and installs, and says which it installs, since that asks the registries.
pub(crate) fn install() -> Result<Installed> {
    let source = workspace::root().join("loadtest").join("sdks");
    let target = workspace::target_dir().join("sdks");
    let installed = Installed { node: target.join("node"), python: target.join("python") };
    for folder in ["", "node", "python"] {
        copy_files(&source.join(folder), &target.join(folder))?;
    }
    once(&installed.node, &["package.json", "package-lock.json"], "node", || {
        println!("installing the Node SDK by its lock file");
        succeed(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(&installed.node))
    })?;
    once(&installed.python, &["requirements.txt"], "python3", || {
        println!("installing the Python SDK by its pins");
        python_packages(&installed.python)
    })?;
    Ok(installed)
}

/// A new virtual environment `venv` in `folder` with what its `requirements.txt` pins.
pub(crate) fn python_packages(folder: &Path) -> Result<()> {
    succeed(Command::new("python3").args(["-m", "venv", "--clear", "venv"]).current_dir(folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", "requirements.txt"];
    succeed(Command::new(folder.join("venv/bin/python")).args(pip).current_dir(folder))
}

/// Runs `work` unless it was done for the same pins and the same version of `language`.
pub(crate) fn once(folder: &Path, pins: &[&str], language: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let version =
        Command::new(language).arg("--version").output().with_context(|| format!("{language}: is it installed?"))?;
    let mut wanted = String::from_utf8_lossy(&version.stdout).into_owned();
    for pin in pins {
        wanted.push_str(&fs::read_to_string(folder.join(pin)).with_context(|| format!("read {pin}"))?);
    }
    let stamp = folder.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    fs::remove_file(&stamp).ok();
    work()?;
    fs::write(&stamp, wanted).with_context(|| format!("write {}", stamp.display()))
}

/// The files of one folder, not of those in it.
pub(crate) fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))
                .with_context(|| format!("copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Runs a command that must succeed; an error has all that it said.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_done_again_when_a_pin_changed_or_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let mut done = 0;
        let mut install = |pins: &str, fails: bool| {
            fs::write(folder.path().join("pins"), pins).unwrap();
            let outcome = once(folder.path(), &["pins"], "cargo", || {
                done += 1;
                if fails { bail!("the registry is away") } else { Ok(()) }
            });
            (outcome.is_ok(), done)
        };
        assert_eq!(install("a 1", false), (true, 1));
        assert_eq!(install("a 1", false), (true, 1));
        assert_eq!(install("a 2", true), (false, 2));
        assert_eq!(install("a 2", false), (true, 3));
        assert_eq!(install("a 1", false), (true, 4));
    }
}
