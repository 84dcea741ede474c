//! `keys.toml` in the data directory: the keys that `up` made or was given.
//!
//! Always true here: the file has mode 0600 and is replaced whole; nowhere else does a key stand in the clear.

mod command;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cli::KeyKind;
use crate::config::Written;
use crate::config::written::{EnvironmentKeys, Secret};
use crate::config::wrong::parse;

pub use self::command::run;

/// The project that `up` makes without a configuration.
pub const PROJECT: &str = "default";
/// Its environment.
pub const ENVIRONMENT: &str = "development";

const HEAD: &str = "# Keys that Flagstream made or was given. `flagstream keys add` and `remove` change it; a running server reads this file again.\n\n";

/// The file's content. (A key prints masked, so the file has a form of its own.)
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeysFile {
    #[serde(default)]
    environment: Vec<Row>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Row {
    project: String,
    key: String,
    server_keys: Vec<String>,
    mobile_keys: Vec<String>,
    client_side_ids: Vec<String>,
    read_keys: Vec<String>,
}

/// Where the keys lie.
#[must_use]
pub fn path(data: &Path) -> PathBuf {
    data.join("keys.toml")
}

/// The environments of `keys.toml`; none when it is missing.
///
/// # Errors
/// When `keys.toml` cannot be read.
pub fn read(data: &Path) -> anyhow::Result<Vec<EnvironmentKeys>> {
    Ok(rows(&load(data)?))
}

fn rows(file: &KeysFile) -> Vec<EnvironmentKeys> {
    file.environment.iter().cloned().map(EnvironmentKeys::from).collect()
}

/// A key that SDKs send belongs to one environment: were it written for two, no server could start with the file.
fn refuse_shared(
    all: &[EnvironmentKeys],
    project: &str,
    environment: &str,
    kind: KeyKind,
    key: &str,
) -> anyhow::Result<()> {
    let others = all.iter().filter(|entry| (entry.project.as_str(), entry.key.as_str()) != (project, environment));
    for other in others {
        let list = match kind {
            KeyKind::Server => &other.server_keys,
            KeyKind::Mobile => &other.mobile_keys,
            KeyKind::ClientSide => &other.client_side_ids,
            KeyKind::Read => return Ok(()),
        };
        if list.iter().any(|known| known.0 == key) {
            let (project, environment) = (other.project.escape_debug(), other.key.escape_debug());
            bail!("key {} belongs to {project}/{environment} already; give each environment its own", mask(key));
        }
    }
    Ok(())
}

/// All environments: those of the configuration, with the keys of `keys.toml` added.
#[must_use]
pub fn merged(configured: Vec<EnvironmentKeys>, added: Vec<EnvironmentKeys>) -> Vec<EnvironmentKeys> {
    let mut all = configured;
    for added in added {
        match all.iter_mut().find(|entry| entry.project == added.project && entry.key == added.key) {
            Some(entry) => {
                entry.server_keys.extend(added.server_keys);
                entry.mobile_keys.extend(added.mobile_keys);
                entry.client_side_ids.extend(added.client_side_ids);
                entry.read_keys.extend(added.read_keys);
            }
            None => all.push(added),
        }
    }
    all
}

/// The environments that `keys.toml` would have after [`prepare`]; nothing is written.
///
/// # Errors
/// When `keys.toml` cannot be read, or a given key cannot be taken.
pub fn prepared(data: &Path, written: &Written, given: &[String]) -> anyhow::Result<Vec<EnvironmentKeys>> {
    Ok(rows(&plan(data, written, given)?.0))
}

/// Makes project `default`, environment `development` with keys, when nothing is configured and none are there;
/// and admits the keys given on the command line.
///
/// # Errors
/// When `keys.toml` cannot be read or written, or a given key cannot be taken.
pub fn prepare(data: &Path, written: &Written, given: &[String]) -> anyhow::Result<()> {
    let (file, changed) = plan(data, written, given)?;
    if changed { save(data, &file) } else { Ok(()) }
}

/// What `keys.toml` should say, and whether it says something else.
fn plan(data: &Path, written: &Written, given: &[String]) -> anyhow::Result<(KeysFile, bool)> {
    let mut file = load(data)?;
    let mut changed = false;
    if written.environment.is_empty() && file.environment.is_empty() {
        file.environment.push(Row {
            project: PROJECT.to_owned(),
            key: ENVIRONMENT.to_owned(),
            server_keys: vec![made("sdk-")?],
            mobile_keys: vec![made("mob-")?],
            client_side_ids: vec![made("")?],
            ..Row::default()
        });
        changed = true;
    }
    for key in given {
        let key = key.trim();
        ensure!(!key.is_empty(), "--sdk-key is empty");
        ensure!(!key.contains(char::is_whitespace), "--sdk-key has white space in it; give one key at a time");
        refuse_shared(&merged(written.environment.clone(), rows(&file)), PROJECT, ENVIRONMENT, KeyKind::Server, key)?;
        changed |= file.add(PROJECT, ENVIRONMENT, KeyKind::Server, key);
    }
    Ok((file, changed))
}

/// What to type to admit a key to the server that works in `data`: it runs from any directory.
#[must_use]
pub fn admit_command(config: Option<&Path>, data: &Path) -> String {
    let absolute = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
        let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@%,:".contains(&byte));
        if is_plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
    };
    let config = config.map_or_else(String::new, |config| format!(" --config {}", absolute(config)));
    format!("echo \"$KEY\" | flagstream keys add --environment ENVIRONMENT --data {}{config}", absolute(data))
}

fn mask(key: &str) -> String {
    Secret(key.to_owned()).masked()
}

impl KeysFile {
    /// Adds a key unless it is there; tells whether it did.
    fn add(&mut self, project: &str, environment: &str, kind: KeyKind, key: &str) -> bool {
        let place = self.environment.iter().position(|row| row.project == project && row.key == environment);
        let place = place.unwrap_or_else(|| {
            self.environment.push(Row { project: project.to_owned(), key: environment.to_owned(), ..Row::default() });
            self.environment.len() - 1
        });
        let list = self.environment[place].list(kind);
        let new = !list.iter().any(|known| known == key);
        if new {
            list.push(key.to_owned());
        }
        new
    }

    /// Takes keys out of an environment, which stays; tells which were there.
    fn remove(
        &mut self,
        project: &str,
        environment: &str,
        kind: KeyKind,
        is_meant: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let Some(row) = self.environment.iter_mut().find(|row| row.project == project && row.key == environment) else {
            return Vec::new();
        };
        row.list(kind).extract_if(.., |key| is_meant(key)).collect()
    }
}

impl Row {
    fn list(&mut self, kind: KeyKind) -> &mut Vec<String> {
        match kind {
            KeyKind::Server => &mut self.server_keys,
            KeyKind::Mobile => &mut self.mobile_keys,
            KeyKind::ClientSide => &mut self.client_side_ids,
            KeyKind::Read => &mut self.read_keys,
        }
    }
}

impl From<Row> for EnvironmentKeys {
    fn from(row: Row) -> Self {
        let secrets = |keys: Vec<String>| keys.into_iter().map(Secret).collect();
        Self {
            project: row.project,
            key: row.key,
            server_keys: secrets(row.server_keys),
            mobile_keys: secrets(row.mobile_keys),
            client_side_ids: secrets(row.client_side_ids),
            read_keys: secrets(row.read_keys),
            ..Self::default()
        }
    }
}

fn load(data: &Path) -> anyhow::Result<KeysFile> {
    let path = path(data);
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KeysFile::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn save(data: &Path, file: &KeysFile) -> anyhow::Result<()> {
    let text = format!("{HEAD}{}", toml::to_string_pretty(file).context("cannot write keys as TOML")?);
    write_privately(&path(data), &text)
}

/// Writes beside it and renames: a reader sees the old file or the new one. Its owner alone may read it.
///
/// # Errors
/// When it cannot be written.
pub fn write_privately(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut temporary = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        temporary.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        temporary.write_all(text.as_bytes())?;
        temporary.as_file().sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A key with 160 random bits.
fn made(prefix: &str) -> anyhow::Result<String> {
    let mut bytes = [0_u8; 20];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes to make a key from: {error}"))?;
    Ok(bytes.iter().fold(prefix.to_owned(), |key, byte| format!("{key}{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_admits_names_the_place_for_a_shell() {
        let said = admit_command(Some(Path::new("/etc/flagstream.toml")), Path::new("/srv/it's here"));
        assert_eq!(
            said,
            "echo \"$KEY\" | flagstream keys add --environment ENVIRONMENT --data '/srv/it'\\''s here' \
             --config /etc/flagstream.toml"
        );
    }

    #[test]
    fn keys_are_made_once_and_kept() {
        let data = tempfile::tempdir().unwrap();
        let written = Written::default();
        prepare(data.path(), &written, &[]).unwrap();
        let first = std::fs::read_to_string(path(data.path())).unwrap();
        prepare(data.path(), &written, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(path(data.path())).unwrap(), first);
        let mode = std::fs::metadata(path(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let all = read(data.path()).unwrap();
        assert_eq!((all.len(), all[0].server_keys.len()), (1, 1));
        assert_eq!(all[0].server_keys[0].0.len(), 44);
    }

    #[test]
    fn a_given_key_is_admitted_once_beside_the_made_one() {
        let data = tempfile::tempdir().unwrap();
        let written = Written::default();
        for _ in 0..2 {
            prepare(data.path(), &written, &["sdk-mine".to_owned()]).unwrap();
        }
        let all = read(data.path()).unwrap();
        assert_eq!(all[0].server_keys.len(), 2);
        assert_eq!(all[0].server_keys[1].0, "sdk-mine");
    }

    #[test]
    fn a_key_of_another_environment_is_refused_before_anything_is_written() {
        let data = tempfile::tempdir().unwrap();
        let mut file = KeysFile::default();
        file.add("default", "production", KeyKind::Server, "sdk-production");
        save(data.path(), &file).unwrap();
        let error = prepare(data.path(), &Written::default(), &["sdk-production".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("default/production") && !error.contains("sdk-production"), "{error}");
        assert_eq!(read(data.path()).unwrap().len(), 1);
        prepare(data.path(), &Written::default(), &["sdk-development".to_owned()]).unwrap();
        assert_eq!(read(data.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_broken_file_is_named_and_not_written_over() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(path(data.path()), "[[[").unwrap();
        let error = prepare(data.path(), &Written::default(), &[]).unwrap_err();
        assert!(format!("{error:#}").contains("keys.toml"), "{error:#}");
        assert_eq!(std::fs::read_to_string(path(data.path())).unwrap(), "[[[");
    }
}
