//! What the steps need beyond cargo, asked for before anything runs: a missing tool is a failure that says what to
//! install.

use crate::workspace;
use anyhow::Result;

/// A tool, the arguments that show it is there, and what to install where it is not.
const TOOLS: &[(&str, &[&str], &str)] = &[
    ("cargo", &["fmt", "--version"], "rustfmt: `rustup component add rustfmt`"),
    ("cargo", &["clippy", "--version"], "clippy: `rustup component add clippy`"),
    ("node", &["--version"], "Node.js, 18 or newer"),
    ("npm", &["--version"], "npm, which comes with Node.js"),
    ("python3", &["-c", "import sys; assert sys.version_info >= (3, 10), sys.version"], "Python, 3.10 or newer"),
    ("python3", &["-c", "import ensurepip, venv"], "Python's venv module: on Debian `apt-get install python3-venv`"),
    ("java", &["--version"], "Java 17 or newer, a JDK: Kafka, DynamoDB Local and Cassandra run on it"),
    ("javac", &["--version"], "a JDK of Java 17 or newer: DynamoDB Local is started by a class of ours"),
    ("mvn", &["--version"], "Maven, which fetches the servers' jars"),
    ("make", &["--version"], "make and a C compiler, which build Kafka's client"),
];

/// Prints one line a tool.
pub(crate) fn run() -> Result<bool> {
    Ok(check(TOOLS))
}

fn check(tools: &[(&str, &[&str], &str)]) -> bool {
    let mut all_there = true;
    for (program, arguments, install) in tools {
        let outcome = workspace::command(program).args(*arguments).output();
        let there = outcome.as_ref().is_ok_and(|output| output.status.success());
        let shown = format!("{program} {}", arguments.join(" "));
        if there {
            println!("found: {shown}");
        } else {
            println!("missing: `{shown}` fails; install {install}");
        }
        all_there &= there;
    }
    all_there
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_tool_that_is_not_there_or_fails_is_missing() {
        assert!(check(&[("cargo", &["--version"], "Rust")]));
        assert!(!check(&[("no-such-tool-anywhere", &[], "it")]));
        assert!(!check(&[("cargo", &["--version"], "Rust"), ("cargo", &["no-such-command"], "it")]));
    }
}
