//! What was written: a TOML file and environment variables, as they stand.
//!
//! Always true here: a field that does not exist is refused; a secret never prints whole.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::{Config, Environment, File, FileFormat};
use schemas::id::{KEY_BYTES_MAX, check_key};
use serde::{Deserialize, Serialize, Serializer};

#[cfg(feature = "oldpath")]
use super::gate::{GateSection, JobsSection};
use super::kept::{LogSection, SnapshotsSection, StoreSection};
use super::stale::{OfEnvironment, Stale};
use super::variables;
use super::wrong::{explain, parse};

/// The whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// HOST:PORT; port 0 takes a free one and prints it.
    pub listen: String,
    /// The data directory.
    pub data: PathBuf,
    /// Keys that open every write, the pipeline's pages and reads of all environments.
    pub admin_keys: Vec<Secret>,
    /// The log.
    pub log: LogSection,
    /// The store.
    pub store: StoreSection,
    /// Copies of the processors' state.
    pub snapshots: SnapshotsSection,
    /// The flag between the old path and the new one.
    #[cfg(feature = "oldpath")]
    pub gate: GateSection,
    /// The old path's queue.
    #[cfg(feature = "oldpath")]
    pub jobs: JobsSection,
    /// Limits at the door.
    pub limits: ingest::limits::Limits,
    /// The numbers of the stale rule.
    pub stale: Stale,
    /// Environments and their keys.
    pub environment: Vec<EnvironmentKeys>,
}

/// `[[environment]]`, here and in `keys.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentKeys {
    /// Key of the project.
    pub project: String,
    /// Key of the environment.
    pub key: String,
    /// Keys of server SDKs, or `sha256:…`.
    pub server_keys: Vec<Secret>,
    /// Keys of mobile SDKs, or `sha256:…`.
    pub mobile_keys: Vec<Secret>,
    /// Client-side ids (they are public).
    pub client_side_ids: Vec<Secret>,
    /// Keys for this environment's reads.
    pub read_keys: Vec<Secret>,
    /// It is one of those that decide whether a flag is stale; where a project has none of them, all decide.
    pub critical: bool,
    /// The numbers of the stale rule that are others here.
    #[serde(skip_serializing_if = "OfEnvironment::is_empty")]
    pub stale: OfEnvironment,
}

/// Of a secret no longer than this nothing but its length is shown, in characters.
const SHORT_CHARS_MAX: usize = 8;

/// A key as written. It prints masked, so that no log or `--print-config` shows it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl Secret {
    fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// The last four characters behind dots, or of a short one its length alone; hashes stay as they are.
    #[must_use]
    pub fn masked(&self) -> String {
        if self.0.starts_with("sha256:") {
            return self.0.clone();
        }
        match self.0.chars().count() {
            1 => "… (1 character)".to_owned(),
            length @ 0..=SHORT_CHARS_MAX => format!("… ({length} characters)"),
            length => format!("…{}", self.0.chars().skip(length - 4).collect::<String>()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

impl Default for Written {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            data: PathBuf::from("flagstream-data"),
            admin_keys: Vec::new(),
            log: LogSection::default(),
            store: StoreSection::default(),
            snapshots: SnapshotsSection::default(),
            #[cfg(feature = "oldpath")]
            gate: GateSection::default(),
            #[cfg(feature = "oldpath")]
            jobs: JobsSection::default(),
            limits: ingest::limits::Limits::default(),
            stale: Stale::default(),
            environment: Vec::new(),
        }
    }
}

impl Written {
    /// Reads `file` when given, then the environment variables (`FLAGSTREAM_LOG__PARTITIONS=8`) over it.
    ///
    /// # Errors
    /// What is wrong, in which file or variable.
    pub fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = Config::builder();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
            parse::<toml::Table>(path, &text)?;
            builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
        }
        let variables = Environment::default()
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("admin_keys")
            .with_list_parse_key("store.contact_points")
            .source(Some(variables::taken(std::env::vars_os())?));
        let read = builder.add_source(variables).build().map_err(|error| explain(file, &error))?;
        read.try_deserialize().map_err(|error| explain(file, &error))
    }

    /// Checks the keys and environments, as far as they can be checked alone.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        check_admitted(&self.admin_keys, &self.environment)
    }

    /// The configuration in effect as TOML, secrets masked.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn print(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("cannot write the configuration as TOML")
    }
}

/// Checks admin keys and environments: keys that are keys, no pair twice, no empty credential.
///
/// # Errors
/// The first that is wrong.
pub fn check_admitted(admin_keys: &[Secret], environments: &[EnvironmentKeys]) -> anyhow::Result<()> {
    if admin_keys.iter().any(Secret::is_empty) {
        bail!("admin_keys (or FLAGSTREAM_ADMIN_KEYS) has an empty key; take it out, or write one");
    }
    let mut seen = Vec::new();
    for entry in environments {
        for (field, key) in [("project", &entry.project), ("key", &entry.key)] {
            check_key(key.as_bytes(), KEY_BYTES_MAX)
                .with_context(|| format!("[[environment]] {field} = {key:?} is no key"))?;
        }
        let pair = (&entry.project, &entry.key);
        if seen.contains(&pair) {
            bail!("[[environment]] {}/{} stands twice; put its keys into one", entry.project, entry.key);
        }
        seen.push(pair);
        if entry.secrets().any(Secret::is_empty) {
            bail!("[[environment]] {}/{} has an empty key", entry.project, entry.key);
        }
    }
    Ok(())
}

impl EnvironmentKeys {
    /// All of them, of every kind.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.server_keys, &self.mobile_keys, &self.client_side_ids, &self.read_keys].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Written> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Written::read(Some(file.path()))
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let written = read("[log]\npartitions = 8").unwrap();
        assert_eq!((written.log.partitions, written.log.generation), (8, 1));
        assert_eq!(written.listen, "127.0.0.1:8080");
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        let error = read("[log]\npartition = 8").unwrap_err().to_string();
        assert!(error.contains("partition"), "{error}");
    }

    #[cfg(not(feature = "oldpath"))]
    #[test]
    fn a_section_that_this_build_has_not_is_refused_as_such() {
        let error = read("[gate]\nflags = \"gate.json\"").unwrap_err().to_string();
        assert!(error.contains("[gate] is not in this build"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for (text, said) in [
            (
                "[[environment]]\nserver_keys = \"sdk-secret\"",
                "server_keys: of the wrong type or out of range, expected a sequence",
            ),
            ("[[environment]]\nserver_keys = [\"sdk-secret]", "line 2, column "),
            ("admin_keys = \"admin-secret\"", "admin_keys: of the wrong type"),
            ("admin_keys = [[\"admin-secret\"]]", "admin_keys[0]: of the wrong type"),
            ("log = \"secret\"", "log: of the wrong type"),
            ("[log]\npartitions = \"secret\"", "log.partitions: of the wrong type"),
            ("sdk-secret = 1", "unknown field, expected"),
            ("[log]\npartitions = -1", "log.partitions: of the wrong type"),
        ] {
            let error = read(text).unwrap_err();
            let shown = format!("{error:#}");
            assert!(shown.contains(said) && !shown.contains("secret"), "{text}: {shown}");
        }
    }

    #[test]
    fn secrets_never_print() {
        let text = "admin_keys = [\"admin-0123456789\"]\n[[environment]]\nproject = \"p\"\nkey = \"e\"\nserver_keys = [\"sdk-abcdefgh\", \"short\"]";
        let written = read(text).unwrap();
        let shown = format!("{written:?}{}", written.print().unwrap());
        for secret in ["admin-0123456789", "sdk-abcdefgh", "short"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("…6789") && shown.contains("…efgh"), "{shown}");
    }

    #[test]
    fn a_masked_key_still_tells_which_one_it_is() {
        for (key, shown) in [
            ("x", "… (1 character)"),
            ("sdk-12ab", "… (8 characters)"),
            ("sdk-123ab", "…23ab"),
            ("ключ-ключ", "…ключ"),
            ("sha256:00ff", "sha256:00ff"),
        ] {
            assert_eq!(Secret(key.to_owned()).masked(), shown);
        }
    }

    #[test]
    fn a_bad_environment_is_named() {
        let twice = "[[environment]]\nproject = \"p\"\nkey = \"e\"\n[[environment]]\nproject = \"p\"\nkey = \"e\"";
        let error = read(twice).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("p/e stands twice"), "{error}");
        let empty = "[[environment]]\nproject = \"p\"\nkey = \"e\"\nserver_keys = [\"\"]";
        let error = read(empty).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("empty key"), "{error}");
    }
}
