//! How many crates the default build of the command compiles, for the page of figures.

use crate::workspace;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;

/// Prints the number of crates, ours apart from the others'.
pub(crate) fn run() -> Result<bool> {
    let mut tree = workspace::cargo();
    tree.args(["tree", "--package", "flagstream", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]);
    let output = tree.output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let (ours, others) = count(&String::from_utf8_lossy(&output.stdout));
    println!(
        "{} crates in the default build of flagstream: {ours} of the workspace, {others} from the registry",
        ours + others
    );
    Ok(true)
}

/// Distinct packages in the output of `cargo tree --prefix none`: (of the workspace, others). A crate in two versions
/// counts twice.
fn count(tree: &str) -> (usize, usize) {
    let packages: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)").trim_end_matches(" (proc-macro)").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let ours = packages.iter().filter(|package| package.contains(" (/") || package.contains(":\\")).count();
    (ours, packages.len() - ours)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn repeated_lines_count_once_and_versions_apart() {
        let tree = "flagstream v0.1.0 (/somewhere/flagstream)\nserde v1.0.1\nserde_derive v1.0.1 (proc-macro)\n\
                    syn v2.0.0\nsyn v3.0.0\nserde v1.0.1 (*)\nserde_derive v1.0.1 (proc-macro) (*)\n";
        assert_eq!(count(tree), (1, 4));
    }
}
