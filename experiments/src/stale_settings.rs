//! The stale rule's settings as the configuration has them, for all projects.
//!
//! Always true here: the most specific setting wins, number by number: what is set for flags of a type in an
//! environment, then what is set for the environment, then for the type, then for all. This is kept by the order of
//! overrides alone, of which the last that fits wins.

use std::collections::BTreeSet;

use schemas::id::Environment;

use crate::stale::{Override, Settings};

/// What is configured of the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaleSettings {
    /// For all environments; its overrides are those of flag types.
    pub everywhere: Settings,
    /// For one environment each.
    pub environments: Vec<EnvironmentStale>,
}

/// What is configured for one environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentStale {
    /// The environment.
    pub environment: Environment,
    /// It is one of those that decide; where a project has none, all decide.
    pub critical: bool,
    /// For all flags first, then for those of a type; the environment is put in from above.
    pub overrides: Vec<Override>,
}

impl StaleSettings {
    /// The rule's settings in a project.
    pub(crate) fn of_project(&self, project: &str) -> Settings {
        let mut settings = self.everywhere.clone();
        for of in self.of(project) {
            let named =
                |held: &Override| Override { environment: Some(of.environment.key_str().to_owned()), ..held.clone() };
            settings.overrides.extend(of.overrides.iter().map(named));
        }
        settings
    }

    /// The names of the project's environments that are marked as deciding.
    pub(crate) fn critical(&self, project: &str) -> BTreeSet<String> {
        self.of(project).filter(|of| of.critical).map(|of| of.environment.key_str().to_owned()).collect()
    }

    fn of(&self, project: &str) -> impl Iterator<Item = &EnvironmentStale> {
        self.environments.iter().filter(move |of| of.environment.project_str() == project)
    }
}
