//! The last good stages on disk: they hold over a restart while the flag cannot be read.
//!
//! Always true here: the file is replaced whole (written beside it, fsynced, renamed), so it is either the one before
//! or the new one; a file that cannot be understood is an error, never `off` by accident.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use schemas::id::Environment;
use serde::{Deserialize, Serialize};

use super::GateError;
use super::stages::{Past, Stage};

/// Name of the file in the data directory.
pub(super) const FILE: &str = "gate-stages.json";
/// Changes kept of each environment: the newest.
pub(super) const HISTORY_MAX: usize = 20;
/// The form that this build writes and reads.
const VERSION: u32 = 1;

/// A change of stage, with time and cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The stage before; `None` = none was ever in force.
    #[serde(with = "optional_name")]
    pub from: Option<Stage>,
    /// The stage from then on.
    #[serde(with = "name")]
    pub to: Stage,
    /// Why.
    pub cause: String,
}

/// What is kept of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) environment: Environment,
    pub(super) past: Past,
    /// Oldest first.
    pub(super) history: VecDeque<Moved>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    environments: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    project: String,
    environment: String,
    #[serde(with = "name")]
    stage: Stage,
    since_ms: i64,
    #[serde(with = "name")]
    asked: Stage,
    history: VecDeque<Moved>,
}

/// Reads what was kept in `data`; nothing, where the file was never written.
///
/// # Errors
/// [`GateError::Damaged`] where it cannot be understood, [`GateError::Io`] where it cannot be read.
pub(super) fn read(data: &Path) -> Result<Vec<Kept>, GateError> {
    let path = data.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(GateError::Io { path, source }),
    };
    understand(&text).map_err(|why| GateError::Damaged { path, why })
}

fn understand(text: &[u8]) -> Result<Vec<Kept>, String> {
    let written: Written = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if written.version != VERSION {
        return Err(format!("it has version {}, this build reads {VERSION}", written.version));
    }
    let keep = |row: Row| {
        let environment = Environment::new(&row.project, &row.environment).map_err(|error| error.to_string())?;
        let past = Past { stage: row.stage, since_ms: row.since_ms, asked: row.asked };
        Ok(Kept { environment, past, history: row.history })
    };
    written.environments.into_iter().map(keep).collect()
}

/// Replaces what is kept in `data`. It is on disk when this comes back.
///
/// # Errors
/// [`GateError::Io`]; what was kept before is then as it was.
pub(super) fn write(data: &Path, kept: &[Kept]) -> Result<(), GateError> {
    let row = |kept: &Kept| Row {
        project: kept.environment.project_str().to_owned(),
        environment: kept.environment.key_str().to_owned(),
        stage: kept.past.stage,
        since_ms: kept.past.since_ms,
        asked: kept.past.asked,
        history: kept.history.clone(),
    };
    let written = Written { version: VERSION, environments: kept.iter().map(row).collect() };
    let path = data.join(FILE);
    let replace = || {
        let beside = data.join(format!("{FILE}.new"));
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(&written)?)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(data)?.sync_all()
    };
    replace().map_err(|source| GateError::Io { path: PathBuf::from(&path), source })
}

/// A stage by its name.
mod name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Stage;

    pub(super) fn serialize<S: Serializer>(stage: &Stage, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(stage.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Stage, D::Error> {
        let name = String::deserialize(from)?;
        Stage::from_name(&name).ok_or_else(|| D::Error::custom(format!("`{name}` is no stage")))
    }
}

/// A stage by its name, or null.
mod optional_name {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Stage, name};

    pub(super) fn serialize<S: Serializer>(stage: &Option<Stage>, to: S) -> Result<S::Ok, S::Error> {
        match stage {
            Some(stage) => name::serialize(stage, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Stage>, D::Error> {
        #[derive(Deserialize)]
        struct Named(#[serde(with = "name")] Stage);
        Ok(Option::<Named>::deserialize(from)?.map(|named| named.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Vec<Kept> {
        let moved = |from, to| Moved { at_ms: 5, from, to, cause: "the flag says so".into() };
        let row = |key: &str, stage| Kept {
            environment: Environment::new("a \"project\"/\u{1}", key).unwrap(),
            past: Past { stage, since_ms: 7, asked: Stage::Complete },
            history: [moved(None, Stage::Off), moved(Some(Stage::Off), Stage::Shadow)].into(),
        };
        vec![row("one", Stage::Shadow), row("two", Stage::Off)]
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        write(folder.path(), &kept()[..1]).unwrap();
        write(folder.path(), &kept()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), kept());
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(files, [FILE]);
    }

    #[test]
    fn a_file_half_written_beside_it_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &kept()).unwrap();
        fs::write(folder.path().join(format!("{FILE}.new")), "{").unwrap();
        assert_eq!(read(folder.path()).unwrap(), kept());
        write(folder.path(), &[]).unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
    }

    #[test]
    fn a_damaged_file_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &kept()).unwrap();
        let good = fs::read_to_string(folder.path().join(FILE)).unwrap();
        let bad = [
            String::new(),
            good[..good.len() / 2].to_owned(),
            good.replace("shadow", "shade"),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("\"stage\"", "\"stages\""),
            good.replace("\"one\"", "\"\""),
        ];
        for text in bad {
            assert_ne!(text, good);
            fs::write(folder.path().join(FILE), &text).unwrap();
            let error = read(folder.path()).unwrap_err();
            assert!(matches!(error, GateError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("or delete it"), "{error}");
        }
    }
}
