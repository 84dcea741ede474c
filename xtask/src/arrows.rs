//! The forbidden arrows. The table in `arrows/rows.rs` says who may import whom; here it is held against what cargo
//! says. Normal and build dependencies count, dev-dependencies are outside.

use crate::workspace;
use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata};
use rows::{HEAVY, IMPURE, Kind, ROWS, Row};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

mod rows;
mod sources;

/// The package whose default build is what people run, and the feature that it must not be built with.
const COMMAND: &str = "flagstream";
const TESTING: &str = "testing";
const TABLE: &str = "xtask/src/arrows/rows.rs";

/// What the check looks at, out of cargo's metadata.
#[derive(Default)]
struct Graph {
    /// Packages of the workspace with the crates that each names, and whether the dependency is optional.
    packages: BTreeMap<String, Vec<(String, bool)>>,
    /// What each crate, ours and others, is built with: the normal edges of the resolved graph.
    links: BTreeMap<String, BTreeSet<String>>,
}

/// Prints the table as it is, then one line for each broken arrow.
pub(crate) fn run() -> Result<bool> {
    let metadata = workspace::metadata(&workspace::root())?;
    let graph = Graph::from(&metadata);
    for (package, named) in &graph.packages {
        let imports: Vec<&str> =
            named.iter().map(|(name, _)| name.as_str()).filter(|name| graph.packages.contains_key(*name)).collect();
        let kind = ROWS
            .iter()
            .find(|row| row.package == package)
            .map_or("?", |row| if row.kind == Kind::Pure { "pure" } else { "" });
        println!("{package:<12} {kind:<5} → {}", if imports.is_empty() { "–".to_owned() } else { imports.join(", ") });
    }
    let mut violations = check(&graph, ROWS);
    for row in ROWS.iter().filter(|row| row.kind == Kind::Pure && graph.packages.contains_key(row.package)) {
        let shown = format!("{}/src", row.package);
        violations.extend(sources::check(&workspace::root().join(&shown), &shown).context("look at the pure sources")?);
    }
    violations.extend(testing(&built_with(&workspace::root())?));
    for violation in &violations {
        eprintln!("{violation}");
    }
    println!("{} packages, {} broken arrows", graph.packages.len(), violations.len());
    Ok(violations.is_empty())
}

impl Graph {
    fn from(metadata: &Metadata) -> Graph {
        let mut graph = Graph::default();
        for package in metadata.workspace_packages() {
            let named = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
            let named = named.map(|dependency| (dependency.name.clone(), dependency.optional)).collect();
            graph.packages.insert(package.name.to_string(), named);
        }
        let names: BTreeMap<_, _> =
            metadata.packages.iter().map(|package| (&package.id, package.name.to_string())).collect();
        for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
            let normal =
                node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
            let normal = normal.filter_map(|dep| names.get(&dep.pkg)).cloned();
            if let Some(name) = names.get(&node.id) {
                graph.links.entry(name.clone()).or_default().extend(normal);
            }
        }
        graph
    }

    /// The shortest way from `package` to a crate for which `wanted` holds, both ends included.
    fn way(&self, package: &str, wanted: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut ways = VecDeque::from([vec![package.to_owned()]]);
        let mut seen = BTreeSet::from([package.to_owned()]);
        while let Some(way) = ways.pop_front() {
            let last = way.last().map_or("", String::as_str);
            if way.len() > 1 && wanted(last) {
                return Some(way);
            }
            for next in self.links.get(last).into_iter().flatten().filter(|next| seen.insert((*next).clone())) {
                ways.push_back(way.iter().cloned().chain([next.clone()]).collect());
            }
        }
        None
    }
}

/// One line for each way in which `graph` differs from what `rows` allow.
fn check(graph: &Graph, rows: &[Row]) -> Vec<String> {
    let mut violations = Vec::new();
    for (package, named) in &graph.packages {
        let Some(row) = rows.iter().find(|row| row.package == package) else {
            violations.push(format!("{package}: has no row; add one to {TABLE} that says what it may import"));
            continue;
        };
        for (name, optional) in named {
            if graph.packages.contains_key(name) {
                if !row.imports.contains(&name.as_str()) {
                    violations.push(format!(
                        "{package} → {name}: not in the row of `{package}`; look at {package}/Cargo.toml and {TABLE}"
                    ));
                }
            } else if HEAVY.contains(&name.as_str()) {
                if !row.heavy.contains(&name.as_str()) {
                    violations.push(format!("{package} → {name}: a heavy crate that its row does not name; look at {package}/Cargo.toml and {TABLE}"));
                } else if !optional {
                    violations.push(format!("{package} → {name}: a heavy crate that is not behind a feature; make it optional in {package}/Cargo.toml"));
                }
            } else if row.kind == Kind::Pure && IMPURE.contains(&name.as_str()) {
                violations.push(format!(
                    "{package} → {name}: a pure package names a crate of the outer world; look at {package}/Cargo.toml"
                ));
            }
        }
        let reached = (row.kind == Kind::Pure).then(|| graph.way(package, |name| IMPURE.contains(&name))).flatten();
        if let Some(way) = reached.filter(|way| way.len() > 2) {
            violations.push(format!(
                "{package} → {}: a pure package is built with a crate of the outer world, by {}; look at the features in Cargo.toml",
                way.last().map_or("", String::as_str),
                way.join(" → ")
            ));
        }
    }
    violations
}

/// The crates of the default build of [`COMMAND`] in `folder`, a line each: name, version, place, and after `|` the
/// features.
fn built_with(folder: &Path) -> Result<String> {
    let mut cargo = workspace::cargo();
    cargo.current_dir(folder).args(["tree", "--package", COMMAND, "--edges", "normal,build", "--prefix", "none"]);
    let output = cargo.args(["--format", "{p}|{f}"]).output().context("cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree --package {COMMAND}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One line for each crate that is built with the feature of tests: what breaks a rule on purpose is in no release.
fn testing(tree: &str) -> Vec<String> {
    let built_for_tests = |line: &&str| {
        line.rsplit_once('|')
            .is_some_and(|(_, features)| features.trim_end_matches(" (*)").split(',').any(|f| f == TESTING))
    };
    let named = tree.lines().filter(built_for_tests).filter_map(|line| line.split(' ').next());
    let named: BTreeSet<&str> = named.collect();
    let told = |name| {
        format!(
            "{COMMAND} → {name}: built with the feature `{TESTING}`; only dev-dependencies and the simulation may ask for it"
        )
    };
    named.into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_feature_of_tests_in_the_default_build_is_named() {
        let tree = "flagstream v1.0.0 (/x)|default\ncounting v1.0.0 (/x)|testing\nstores v1.0.0 (/x)|a,testing (*)\nserde v1|testing-not\n";
        let found = testing(tree);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(
            found[0].starts_with("flagstream → counting: built with") && found[1].contains("→ stores:"),
            "{found:#?}"
        );
    }

    /// An empty package in a folder of its name.
    fn write_package(folder: &std::path::Path, name: &str, rest: &str) {
        let source = folder.join(name).join("src");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("lib.rs"), "").unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n{rest}");
        fs::write(folder.join(name).join("Cargo.toml"), manifest).unwrap();
    }

    #[test]
    fn what_cargo_builds_names_features_of_normal_dependencies_and_not_of_tests() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, rest: &str| write_package(folder.path(), name, rest);
        let members =
            "[workspace]\nresolver = \"3\"\nmembers = [\"flagstream\", \"counting\", \"stores\", \"schemas\"]";
        fs::write(folder.path().join("Cargo.toml"), members).unwrap();
        let asks = |name: &str| format!("{name} = {{ path = \"../{name}\", features = [\"testing\"] }}\n");
        for name in ["counting", "stores"] {
            package(name, "[features]\ntesting = []\n");
        }
        package("schemas", &format!("[dependencies]\n{}", asks("stores")));
        package(
            "flagstream",
            &format!("[dependencies]\nschemas.path = \"../schemas\"\n[dev-dependencies]\n{}", asks("counting")),
        );
        let found = testing(&built_with(folder.path()).unwrap());
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("flagstream → stores:"), "{found:#?}");
    }

    /// A graph of `package → crate` lines; a crate ending in `?` is optional.
    fn graph(packages: &[&str], arrows: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::default();
        for package in packages {
            graph.packages.insert((*package).to_owned(), Vec::new());
        }
        for (from, to) in arrows {
            let name = to.trim_end_matches('?').to_owned();
            if let Some(named) = graph.packages.get_mut(*from) {
                named.push((name.clone(), to.ends_with('?')));
            }
            graph.links.entry((*from).to_owned()).or_default().insert(name);
        }
        graph
    }

    /// What the check says of these arrows must begin with these words, line by line.
    #[track_caller]
    fn broken(packages: &[&str], arrows: &[(&str, &str)], expected: &[&str]) {
        let found = check(&graph(packages, arrows), ROWS);
        let begins =
            found.len() == expected.len() && found.iter().zip(expected).all(|(line, start)| line.starts_with(start));
        assert!(begins, "found {found:#?}, expected {expected:#?}");
    }

    #[test]
    fn what_the_table_allows_is_no_violation() {
        let arrows = [
            ("counting", "schemas"),
            ("eventlog", "schemas"),
            ("eventlog", "tokio"),
            ("eventlog", "rdkafka?"),
            ("schemas", "prost"),
            ("prost", "bytes"),
            ("flagstream", "counting"),
        ];
        broken(&["schemas", "counting", "eventlog", "flagstream"], &arrows, &[]);
    }

    #[test]
    fn an_import_that_is_not_in_the_row_is_named_with_both_ends() {
        broken(&["schemas", "counting"], &[("schemas", "counting")], &["schemas → counting: not in the row"]);
        broken(&["ingest", "processor"], &[("ingest", "processor")], &["ingest → processor: not in the row"]);
        broken(&["flagstream", "loadtest"], &[("flagstream", "loadtest")], &["flagstream → loadtest: not in the row"]);
    }

    #[test]
    fn a_package_without_a_row_is_named() {
        broken(&["helpers"], &[], &["helpers: has no row"]);
    }

    #[test]
    fn a_pure_package_names_no_crate_of_the_outer_world() {
        for pure in ["schemas", "protocols", "counting", "stats"] {
            broken(&[pure], &[(pure, "tokio")], &[&format!("{pure} → tokio: a pure package names")]);
        }
        broken(&["stores"], &[("stores", "tokio")], &[]);
    }

    #[test]
    fn a_pure_package_reaches_none_either_and_the_way_is_shown() {
        let arrows = [("counting", "quiet"), ("quiet", "deeper"), ("deeper", "getrandom")];
        let way = "counting → getrandom: a pure package is built with a crate of the outer world, by counting → quiet → deeper → getrandom";
        broken(&["counting"], &arrows, &[way]);
    }

    #[test]
    fn a_heavy_crate_is_named_by_its_row_alone_and_behind_a_feature() {
        broken(&["stores"], &[("stores", "rdkafka?")], &["stores → rdkafka: a heavy crate that its row does not name"]);
        broken(
            &["eventlog"],
            &[("eventlog", "rdkafka")],
            &["eventlog → rdkafka: a heavy crate that is not behind a feature"],
        );
    }

    #[test]
    fn the_table_names_only_packages_and_heavy_crates_that_it_knows() {
        for row in ROWS {
            for import in row.imports {
                assert!(ROWS.iter().any(|other| other.package == *import), "{} → {import}", row.package);
            }
            assert!(row.heavy.iter().all(|heavy| HEAVY.contains(heavy)), "{}: {:?}", row.package, row.heavy);
        }
    }

    #[test]
    fn what_cargo_says_becomes_the_graph_without_dev_dependencies() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, rest: &str| write_package(folder.path(), name, rest);
        let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"schemas\", \"counting\", \"stores\"]\nexclude = [\"tokio\", \"quiet\"]";
        fs::write(folder.path().join("Cargo.toml"), workspace).unwrap();
        package("schemas", "[dev-dependencies]\ncounting.path = \"../counting\"\ntokio.path = \"../tokio\"");
        package(
            "counting",
            "[dependencies]\nquiet.path = \"../quiet\"\n[build-dependencies]\nstores.path = \"../stores\"",
        );
        package("stores", "[dependencies]\nschemas.path = \"../schemas\"");
        package("tokio", "");
        package("quiet", "[dependencies]\ntokio.path = \"../tokio\"");
        let graph = Graph::from(&workspace::metadata(folder.path()).unwrap());
        let found = check(&graph, ROWS);
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found[0].starts_with("counting → stores: not in the row"), "{found:#?}");
        assert!(found[1].ends_with("by counting → quiet → tokio; look at the features in Cargo.toml"), "{found:#?}");
    }
}
