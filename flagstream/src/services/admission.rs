//! Who is admitted: the keys that both services have, and reading them again while the process runs.
//!
//! Always true here: both services get the same environments from one reading; whether everything may be open is
//! decided once, by the bound address; a reading that is damaged, has lost its environments or would open what must not
//! be open changes nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use experiments::{Access, EnvironmentAccess, KeyHash, hash_key};
use ingest::Ingest;
use ingest::keys::{self as door, KeyTable};
use schemas::id::Environment;
use tokio::sync::watch;

use super::admitted;
use super::backend::now_ms;
use crate::config::written::{EnvironmentKeys, Secret, Written, check_admitted};
use crate::keys;

/// How often `keys.toml` and the configuration file are looked at.
const REREAD_EVERY: Duration = Duration::from_secs(1);

/// What the files say, each as of its last good reading.
#[derive(Debug, Clone)]
struct Sources {
    admin_keys: Vec<Secret>,
    configured: Vec<EnvironmentKeys>,
    added: Vec<EnvironmentKeys>,
}

/// Keys and environments as both services have them.
pub struct Keys {
    /// The door, where this process has one.
    ingest: Option<Ingest>,
    config: Option<PathBuf>,
    data: PathBuf,
    may_be_open: bool,
    grace_seconds: u64,
    held: Sources,
    seen: [Stamp; 2],
    access: Arc<RwLock<Arc<Access>>>,
}

/// What tells that a file was written again: its time and length. `None`: it cannot be looked at.
type Stamp = Option<(SystemTime, u64)>;

impl Keys {
    /// Reads `keys.toml` beside the configuration and gives all environments to both services. Without a read or admin
    /// key everything is open, which `may_be_open` allows (on loopback) or not.
    ///
    /// # Errors
    /// When a key cannot be taken, or there is none and there must be.
    pub fn admit(
        ingest: Option<Ingest>,
        data: &Path,
        (config, written): (Option<&Path>, &Written),
        may_be_open: bool,
    ) -> anyhow::Result<Self> {
        // Looked at before they are read: what is written in between is then read twice rather than never.
        let seen = [config.and_then(stamp), stamp(&keys::path(data))];
        let held = Sources {
            admin_keys: written.admin_keys.clone(),
            configured: written.environment.clone(),
            added: keys::read(data)?,
        };
        let keys = Self {
            ingest,
            config: config.map(Path::to_owned),
            data: data.to_owned(),
            may_be_open,
            grace_seconds: written.limits.revoked_grace_seconds,
            held,
            seen,
            access: Arc::default(),
        };
        let before = if keys.ingest.is_some() { admitted::read(data)? } else { None };
        keys.swap(&keys.held, before.as_ref())?;
        Ok(keys)
    }

    /// All environments with their keys.
    pub fn environments(&self) -> Vec<EnvironmentKeys> {
        self.held.environments()
    }

    /// What the read service asks at each request.
    pub fn access(&self) -> Arc<dyn Fn() -> Arc<Access> + Send + Sync> {
        let access = Arc::clone(&self.access);
        Arc::new(move || Arc::clone(&access.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// `before` are the keys of an earlier run.
    fn swap(&self, sources: &Sources, before: Option<&KeyTable>) -> anyhow::Result<()> {
        let (mut table, access) = sources.tables(self.may_be_open)?;
        if let Some(before) = before {
            table = table.after(before, now_ms(), self.grace_seconds);
        }
        if let Some(ingest) = &self.ingest {
            let table = ingest.keys().swap(table, now_ms(), self.grace_seconds);
            admitted::keep(&self.data, &table)?;
        }
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
        Ok(())
    }

    /// Reads again what was written since; an error names its file, and what it held stays.
    fn look(&mut self) {
        if let Some(file) = self.config.clone() {
            let now = stamp(&file);
            if std::mem::replace(&mut self.seen[0], now) != now {
                let read = self.held.with_configuration(&file);
                self.take(&file, "took its environments and admin_keys; other changes need a restart", read);
            }
        }
        let file = keys::path(&self.data);
        let now = stamp(&file);
        if std::mem::replace(&mut self.seen[1], now) != now {
            let read = self.held.with_keys(&self.data);
            self.take(&file, "read the keys again", read);
        }
    }

    fn take(&mut self, file: &Path, done: &str, read: anyhow::Result<Sources>) {
        match read.and_then(|sources| self.swap(&sources, None).map(|()| sources)) {
            Ok(sources) => {
                self.held = sources;
                tracing::info!(file = %file.display(), "{done}");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(file = %file.display(), error, "cannot take the keys again; the old keys stay");
            }
        }
    }
}

impl Sources {
    fn environments(&self) -> Vec<EnvironmentKeys> {
        keys::merged(self.configured.clone(), self.added.clone())
    }

    /// A half-written or lost file would silence every SDK that its environments admitted, so it is none.
    fn with_configuration(&self, file: &Path) -> anyhow::Result<Self> {
        let written = Written::read(Some(file))?;
        ensure!(
            !written.environment.is_empty() || self.configured.is_empty(),
            "no [[environment]] is left in it; to admit nobody, stop the server"
        );
        Ok(Self { admin_keys: written.admin_keys, configured: written.environment, added: self.added.clone() })
    }

    fn with_keys(&self, data: &Path) -> anyhow::Result<Self> {
        let added = keys::read(data)?;
        ensure!(
            !added.is_empty() || self.added.is_empty(),
            "it is gone, or no [[environment]] is left in it; to admit nobody, stop the server"
        );
        Ok(Self { added, ..self.clone() })
    }

    /// What ingest and the read service go by.
    fn tables(&self, may_be_open: bool) -> anyhow::Result<(KeyTable, Access)> {
        let environments = self.environments();
        check_admitted(&self.admin_keys, &environments)?;
        let mut table = Vec::new();
        let admin_keys = self.admin_keys.iter().map(read_hash).collect::<anyhow::Result<_>>()?;
        let mut access = Access { environments: Vec::new(), admin_keys };
        for entry in &environments {
            let environment = Environment::new(&entry.project, &entry.key)
                .with_context(|| format!("environment {}/{}", entry.project, entry.key))?;
            let plain = |secrets: &[Secret]| secrets.iter().map(|secret| secret.0.clone()).collect();
            table.push(door::EnvironmentKeys {
                environment: environment.clone(),
                server_keys: plain(&entry.server_keys),
                mobile_keys: plain(&entry.mobile_keys),
                client_side_ids: plain(&entry.client_side_ids),
            });
            let read_keys = entry.read_keys.iter().map(read_hash).collect::<anyhow::Result<_>>()?;
            access.environments.push(EnvironmentAccess { environment, read_keys });
        }
        if access.is_open() && !may_be_open {
            bail!(
                "without read keys anyone who reaches this address could read everything; add to the configuration\n\n\
                 admin_keys = [\"admin-…\"]\n\nor set FLAGSTREAM_ADMIN_KEYS, or listen on 127.0.0.1"
            );
        }
        Ok((KeyTable::new(&table)?, access))
    }
}

/// Whether [`Keys::admit`] could take these environments, `added` being those of `keys.toml`.
///
/// # Errors
/// When a key cannot be taken, or there is none and there must be.
pub fn check(written: &Written, added: Vec<EnvironmentKeys>, may_be_open: bool) -> anyhow::Result<()> {
    let (admin_keys, configured) = (written.admin_keys.clone(), written.environment.clone());
    Sources { admin_keys, configured, added }.tables(may_be_open).map(drop)
}

/// The hash of a read or admin key, which may be configured as `sha256:…`.
fn read_hash(secret: &Secret) -> anyhow::Result<KeyHash> {
    let Some(digits) = secret.0.strip_prefix("sha256:") else { return Ok(hash_key(&secret.0)) };
    read_digits(digits).context("a key that begins with sha256: needs 64 hexadecimal digits behind it")
}

/// A hash from its 64 hexadecimal digits; `None` = they are none.
pub fn read_digits(digits: &str) -> Option<KeyHash> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = KeyHash::default();
    for (place, slot) in hash.iter_mut().enumerate() {
        *slot = u8::from_str_radix(digits.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(hash)
}

fn stamp(file: &Path) -> Stamp {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Looks at the files again whenever they change, until `stop`.
pub async fn reread(mut keys: Keys, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REREAD_EVERY) => keys.look(),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(admin: &[&str], read: &[&str]) -> Sources {
        let secrets = |keys: &[&str]| keys.iter().map(|key| Secret((*key).to_owned())).collect::<Vec<_>>();
        let environment = EnvironmentKeys {
            project: "default".to_owned(),
            key: "development".to_owned(),
            server_keys: secrets(&["sdk-1"]),
            read_keys: secrets(read),
            ..EnvironmentKeys::default()
        };
        Sources { admin_keys: secrets(admin), configured: Vec::new(), added: vec![environment] }
    }

    #[test]
    fn open_is_only_what_may_be() {
        assert!(sources(&[], &[]).tables(true).unwrap().1.is_open());
        let error = sources(&[], &[]).tables(false).err().unwrap().to_string();
        assert!(error.contains("admin_keys"), "{error}");
        for closed in [sources(&["admin-1"], &[]), sources(&[], &["read-1"])] {
            assert!(!closed.tables(false).unwrap().1.is_open());
        }
    }

    #[test]
    fn an_empty_key_closes_nothing_and_is_refused() {
        for (empty, field) in [(sources(&[""], &[]), "admin_keys"), (sources(&[" "], &["read-1"]), "admin_keys")] {
            let error = empty.tables(true).err().unwrap().to_string();
            assert!(error.contains(field), "{error}");
        }
        let error = sources(&[], &[""]).tables(false).err().unwrap().to_string();
        assert!(error.contains("default/development has an empty key"), "{error}");
    }

    #[test]
    fn a_file_that_lost_its_environments_is_not_taken() {
        let data = tempfile::tempdir().unwrap();
        let held = sources(&[], &[]);
        assert!(held.with_keys(data.path()).is_err(), "a missing file");
        std::fs::write(keys::path(data.path()), "# all gone\n").unwrap();
        assert!(held.with_keys(data.path()).is_err(), "an empty file");
        let none = Sources { added: Vec::new(), ..held.clone() };
        assert!(none.with_keys(data.path()).unwrap().added.is_empty(), "nothing was there to lose");

        let file = data.path().join("flagstream.toml");
        std::fs::write(&file, "").unwrap();
        let configured = Sources { configured: held.added.clone(), ..none };
        assert!(configured.with_configuration(&file).is_err(), "an empty configuration");
        std::fs::write(&file, "admin_keys = [\"a\"]\n[[environment]]\nproject = \"p\"\nkey = \"e\"").unwrap();
        let taken = configured.with_configuration(&file).unwrap();
        assert_eq!((taken.admin_keys.len(), taken.configured[0].project.as_str()), (1, "p"));
    }
}
