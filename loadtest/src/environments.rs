//! Whose payloads are sent: environments, each with its SDK key.
//!
//! Always true here: the names are a function of the number, so that the configuration of a server, the load and the
//! check agree without a file between them.

use clap::Args;
use std::sync::Arc;

/// The environment that `flagstream up` makes by itself, as `project/environment`.
pub(crate) const DEFAULT: &str = "default/development";
/// Most environments of a load.
pub(crate) const ENVIRONMENTS_MAX: u32 = 1_000;

/// An environment and the SDK key by which it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As `project/environment`.
    pub(crate) environment: Arc<str>,
    pub(crate) key: Arc<str>,
}

impl Target {
    /// The environment that `up` makes by itself, under this key.
    pub(crate) fn default_under(key: &str) -> Self {
        Self { environment: DEFAULT.into(), key: key.into() }
    }

    /// Environment `number` of a load, from 1.
    pub(crate) fn numbered(number: u32) -> Self {
        Self { environment: format!("load/environment-{number}").into(), key: format!("sdk-load-{number}").into() }
    }

    /// Project and environment.
    pub(crate) fn names(environment: &str) -> (&str, &str) {
        environment.split_once('/').unwrap_or((environment, ""))
    }
}

/// Prints the environments of `loadtest send` as a part of a server's configuration
///
/// Environment n is `load/environment-n` with the SDK key `sdk-load-n`.
#[derive(Args)]
#[command(after_help = "Example:
  loadtest environments --environments 20 > flagstream.toml
  flagstream up --config flagstream.toml --data /tmp/try
  loadtest send --environments 20 --events-per-second 10000 --seconds 30 --ledger /tmp/ledger.jsonl")]
pub(crate) struct Arguments {
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(ENVIRONMENTS_MAX)))]
    environments: u32,
}

/// Prints them.
pub(crate) fn run(arguments: &Arguments) {
    print!("{}", configuration(arguments.environments));
}

fn configuration(environments: u32) -> String {
    let row = |number| {
        let Target { environment, key } = Target::numbered(number);
        let (project, environment) = Target::names(&environment);
        format!("[[environment]]\nproject = \"{project}\"\nkey = \"{environment}\"\nserver_keys = [\"{key}\"]\n")
    };
    (1..=environments).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_what_is_sent() {
        let text = configuration(2);
        assert_eq!(text.matches("[[environment]]").count(), 2);
        assert!(text.ends_with(
            "[[environment]]\nproject = \"load\"\nkey = \"environment-2\"\nserver_keys = [\"sdk-load-2\"]\n"
        ));
        assert_eq!(Target::names(&Target::numbered(7).environment), ("load", "environment-7"));
    }
}
