//! Environment variables named `FLAGSTREAM_…`: which are configuration, which belong to something else, which are
//! misspelt.
//!
//! Always true here: a name that is nearly one of ours is refused with the one that was meant; another that nobody
//! knows is told of and passed over, since a platform may set such names itself (Kubernetes does, for a service
//! `flagstream`); no value is repeated.

use std::collections::HashMap;
use std::ffi::OsString;

use anyhow::{Context, bail};

use super::Written;
use super::kept::{LogSection, SnapshotsSection, StoreSection};

const PREFIX: &str = "FLAGSTREAM_";
/// Top-level names that may come as variables.
const TOP: &[&str] = &[
    "listen",
    "data",
    "admin_keys",
    "log",
    "store",
    "snapshots",
    #[cfg(feature = "oldpath")]
    "gate",
    #[cfg(feature = "oldpath")]
    "jobs",
    "limits",
    "stale",
];
/// Names of this program that are no configuration: of the commands that read, and of logging.
const OTHERS: [&str; 3] = ["server", "key", "log_format"];
/// Names of this repository's tests and first programs, which may stand in the same shell.
const TESTS: [&str; 6] = ["sdk_key", "url", "gzip", "seeds", "rounds", "rewrite"];
/// Sections of a build that has more.
const ABSENT: &[&str] = if cfg!(feature = "oldpath") { &[] } else { &["gate", "jobs"] };

/// The variables that are configuration, by name without the prefix, in lower case.
///
/// # Errors
/// A value that is not UTF-8, a name that is nearly one of ours.
pub fn taken(all: impl Iterator<Item = (OsString, OsString)>) -> anyhow::Result<HashMap<String, String>> {
    let mut taken = HashMap::new();
    for (name, value) in all {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let lower = name.to_lowercase();
        if TOP.contains(&top(&lower)) {
            let value = value.into_string().ok().with_context(|| format!("{PREFIX}{name} is not UTF-8"))?;
            taken.insert(lower, value);
        } else if ABSENT.contains(&top(&lower)) {
            bail!("environment variable {PREFIX}{name}: [{}] is not in this build; unset it", top(&lower));
        } else if let Some((nearest, distance)) = nearest(&lower)
            && distance <= (nearest.len() / 3).min(2)
        {
            let nearest = nearest.to_uppercase();
            bail!("environment variable {PREFIX}{name} is unknown; is {PREFIX}{nearest} meant? rename it, or unset it");
        }
    }
    Ok(taken)
}

/// Variables with our prefix that nobody knows, each with the nearest name that is known.
pub fn unknown(all: impl Iterator<Item = OsString>) -> Vec<(String, String)> {
    let mut unknown = Vec::new();
    for name in all {
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let lower = name.to_lowercase();
        if !TOP.contains(&top(&lower))
            && let Some((nearest, _)) = nearest(&lower)
        {
            unknown.push((format!("{PREFIX}{name}"), format!("{PREFIX}{}", nearest.to_uppercase())));
        }
    }
    unknown.sort();
    unknown
}

fn top(name: &str) -> &str {
    name.split("__").next().unwrap_or(name)
}

/// The name of this program that is nearest to one that nobody knows, and how many letters differ.
fn nearest(name: &str) -> Option<(String, usize)> {
    if OTHERS.contains(&name) || TESTS.contains(&name) {
        return None;
    }
    let whole = Written {
        log: LogSection::with_all(),
        store: StoreSection::with_all(),
        snapshots: SnapshotsSection::with_all(),
        #[cfg(feature = "oldpath")]
        gate: super::gate::GateSection::with_all(),
        #[cfg(feature = "oldpath")]
        jobs: super::gate::JobsSection::with_all(),
        ..Written::default()
    };
    let ours = toml::Table::try_from(whole).unwrap_or_default();
    let ours = ours.iter().filter(|(top, _)| TOP.contains(&top.as_str())).flat_map(|(top, value)| match value {
        toml::Value::Table(fields) => fields.keys().map(|field| format!("{top}__{field}")).collect(),
        _ => vec![top.clone()],
    });
    let all = ours.chain(OTHERS.map(str::to_owned));
    all.map(|known| (distance(name, &known), known)).min().map(|(distance, known)| (known, distance))
}

/// Letters to add, drop or change to make one of the other (Levenshtein's distance, a row at a time).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(name: &str) -> anyhow::Result<HashMap<String, String>> {
        taken([(name.into(), "secret".into())].into_iter())
    }

    #[test]
    fn only_names_of_the_configuration_are_taken() {
        let all = [("FLAGSTREAM_LOG__PARTITIONS", "2"), ("FLAGSTREAM_SERVER", "x"), ("PATH", "y")];
        let taken = taken(all.iter().map(|(name, value)| (name.into(), value.into()))).unwrap();
        assert_eq!(taken, HashMap::from([("log__partitions".to_owned(), "2".to_owned())]));
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_one_that_was_meant() {
        for (wrong, meant) in [
            ("FLAGSTREAM_ADMIN_KEY", "FLAGSTREAM_ADMIN_KEYS"),
            ("FLAGSTREAM_LOG_PARTITIONS", "FLAGSTREAM_LOG__PARTITIONS"),
            ("FLAGSTREAM_LITSEN", "FLAGSTREAM_LISTEN"),
            ("FLAGSTREAM_STORES__FLUSH_SECONDS", "FLAGSTREAM_STORE__FLUSH_SECONDS"),
            ("FLAGSTREAM_DATE", "FLAGSTREAM_DATA"),
            ("FLAGSTREAM_SNAPSHOT__URL", "FLAGSTREAM_SNAPSHOTS__URL"),
            ("FLAGSTREAM_SERVERS", "FLAGSTREAM_SERVER"),
            ("FLAGSTREAM_STALE_STALE_DAYS", "FLAGSTREAM_STALE__STALE_DAYS"),
        ] {
            let said = take(wrong).unwrap_err().to_string();
            assert!(said.contains(&format!("{wrong} is")) && said.contains(&format!("is {meant} meant")), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[cfg(not(feature = "oldpath"))]
    #[test]
    fn a_section_that_this_build_has_not_is_refused_as_such() {
        let said = take("FLAGSTREAM_GATE__FLAGS").unwrap_err().to_string();
        assert!(said.contains("[gate] is not in this build"), "{said}");
    }

    #[cfg(feature = "oldpath")]
    #[test]
    fn the_gate_comes_as_a_variable_too() {
        assert_eq!(take("FLAGSTREAM_GATE__FLAGS").unwrap().len(), 1);
        let said = take("FLAGSTREAM_GATE__FLAG").map(|taken| taken.len());
        assert_eq!(said.unwrap(), 1, "its section is known, so the configuration refuses it by name");
    }

    #[test]
    fn a_name_of_something_else_is_passed_over_and_told_of() {
        let known = ["SERVER", "KEY", "SEEDS", "ROUNDS", "REWRITE", "LOG_FORMAT", "SDK_KEY", "URL", "GZIP"];
        let platforms = ["SERVICE_HOST", "SERVICE_PORT", "PORT", "PORT_8080_TCP_ADDR", "BOGUS_NAME", "URI"];
        for name in known.iter().chain(&platforms) {
            assert!(take(&format!("{PREFIX}{name}")).unwrap().is_empty(), "{name}");
        }
        let names = known.iter().chain(&platforms).chain(&["LISTEN", "LOG__KIND"]);
        let told = unknown(names.map(|name| format!("{PREFIX}{name}").into()));
        let told: Vec<_> = told.iter().map(|(name, _)| &name[PREFIX.len()..]).collect();
        assert_eq!(told, ["BOGUS_NAME", "PORT", "PORT_8080_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "URI"]);
    }
}
