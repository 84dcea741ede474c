//! `admitted.toml` in the data directory: which keys were admitted last, by their hashes, so that a key that left while
//! the process was down, or shortly before, has its grace all the same.
//!
//! Always true here: no key stands in it, only hashes; it is replaced whole; without it every key begins anew.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ingest::keys::{KeyTable, Remembered};
use schemas::event::Credential;
use schemas::id::Environment;
use serde::{Deserialize, Serialize};

use crate::config::wrong::parse;
use crate::keys::write_privately;

const HEAD: &str = "# Hashes of the keys that Flagstream admits, and of those that left a little while ago. The server writes this file.\n\n";

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct AdmittedFile {
    #[serde(default)]
    key: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    project: String,
    environment: String,
    kind: String,
    sha256: String,
    /// Unix milliseconds up to which its payloads are discarded kindly; missing = it is admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    discarded_until_ms: Option<i64>,
}

const KINDS: [(&str, Credential); 3] =
    [("server", Credential::Server), ("mobile", Credential::Mobile), ("client-side", Credential::ClientSide)];

fn path(data: &Path) -> PathBuf {
    data.join("admitted.toml")
}

/// The table of the run before; `None` = there was none.
///
/// # Errors
/// When the file cannot be read.
pub fn read(data: &Path) -> anyhow::Result<Option<KeyTable>> {
    let path = path(data);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let file: AdmittedFile = parse(&path, &text)?;
    let remembered: anyhow::Result<Vec<_>> = file.key.iter().map(Row::remembered).collect();
    let remembered = remembered.with_context(|| {
        format!("cannot take {}; without it, keys that left lately are refused at once", path.display())
    })?;
    Ok(Some(KeyTable::of_remembered(&remembered)))
}

/// Keeps the table for the next run; writes nothing when the file says so already.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(data: &Path, table: &KeyTable) -> anyhow::Result<()> {
    let file = AdmittedFile { key: table.remembered().iter().map(Row::of).collect() };
    let text = format!("{HEAD}{}", toml::to_string_pretty(&file).context("cannot write hashes as TOML")?);
    let path = path(data);
    if std::fs::read_to_string(&path).is_ok_and(|held| held == text) {
        return Ok(());
    }
    write_privately(&path, &text)
}

impl Row {
    fn of(remembered: &Remembered) -> Self {
        let Remembered { environment, kind, hash, revoked_until_ms } = remembered;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            project: text(&environment.project),
            environment: text(&environment.key),
            kind: KINDS.iter().find(|(_, known)| known == kind).map_or("server", |(name, _)| name).to_owned(),
            sha256: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            discarded_until_ms: *revoked_until_ms,
        }
    }

    fn remembered(&self) -> anyhow::Result<Remembered> {
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == self.kind) else {
            bail!("a key has the kind `{}`; there are server, mobile and client-side", self.kind.escape_debug());
        };
        let hash = super::admission::read_digits(&self.sha256).context("sha256 needs 64 hexadecimal digits")?;
        let environment = Environment::new(&self.project, &self.environment)
            .with_context(|| format!("environment {}/{}", self.project, self.environment))?;
        Ok(Remembered { environment, kind: *kind, hash, revoked_until_ms: self.discarded_until_ms })
    }
}

#[cfg(test)]
mod tests {
    use ingest::keys::EnvironmentKeys;

    use super::*;

    fn table(server_keys: &[&str]) -> KeyTable {
        let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        KeyTable::new(&[EnvironmentKeys {
            environment: Environment::new("p", "e").unwrap(),
            server_keys: list(server_keys),
            mobile_keys: list(&["mob-1"]),
            client_side_ids: list(&["id-1"]),
        }])
        .unwrap()
    }

    #[test]
    fn what_is_kept_is_read_again_and_tells_no_key() {
        let data = tempfile::tempdir().unwrap();
        assert!(read(data.path()).unwrap().is_none());
        let kept = table(&["sdk-new"]).after(&table(&["sdk-old"]), 1_000, 60);
        keep(data.path(), &kept).unwrap();
        let text = std::fs::read_to_string(path(data.path())).unwrap();
        assert!(!text.contains("sdk-") && !text.contains("mob-1"), "{text}");
        assert_eq!(text.matches("discarded_until_ms = 61000").count(), 1, "{text}");
        let again = read(data.path()).unwrap().unwrap();
        assert_eq!(again.remembered(), kept.remembered());
        assert_eq!(kept.remembered().len(), 4);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let data = tempfile::tempdir().unwrap();
        let row = "[[key]]\nproject = 'p'\nenvironment = 'e'\nkind = 'server'\nsha256 = '12'\n";
        for (text, word) in [("[[[", "admitted.toml"), (row, "64 hexadecimal"), (&row.replace("server", "x"), "`x`")] {
            std::fs::write(path(data.path()), text).unwrap();
            let error = format!("{:#}", read(data.path()).unwrap_err());
            assert!(error.contains(word) && error.contains("admitted.toml"), "{error}");
        }
    }
}
