//! What is wrong with a file or a variable, in words that may stand in any log.
//!
//! Always true here: nothing that was written as a value is repeated, for it may be a key; only places, names of fields
//! and the library's own fixed texts are.

use std::path::Path;

use config::ConfigError;
use serde::de::DeserializeOwned;

/// Reads TOML.
///
/// # Errors
/// The file, line and column, and what is wrong there.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> anyhow::Result<T> {
    let place = |error: &toml::de::Error| match error.span() {
        Some(span) => format!("{}: {}", path.display(), position(text, span.start)),
        None => path.display().to_string(),
    };
    // The grammar's errors are fixed texts; those of types behind it quote the value.
    if let Err(error) = toml::from_str::<toml::Table>(text) {
        anyhow::bail!("{}: {}", place(&error), error.message());
    }
    toml::from_str(text).map_err(|error| anyhow::anyhow!("{}: {}", place(&error), without_value(error.message())))
}

fn position(text: &str, at: usize) -> String {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    format!("line {}, column {}", before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// What is wrong with the configuration as a whole, after [`parse`] has found its file to be TOML.
pub fn explain(file: Option<&Path>, error: &ConfigError) -> anyhow::Error {
    let (key, what) = walk(error);
    let field = key.as_deref().map(|key| key.split('[').next().unwrap_or(key));
    let variable = field.map(|field| format!("FLAGSTREAM_{}", field.replace('.', "__").to_uppercase()));
    // A variable stands over the file, so where there is one, it is what was read.
    let place = match (variable.filter(|variable| std::env::var_os(variable).is_some()), file) {
        (Some(variable), _) => format!("environment variable {variable}"),
        (None, Some(file)) => file.display().to_string(),
        (None, None) => "environment variables FLAGSTREAM_…".to_owned(),
    };
    match key {
        Some(key) => anyhow::anyhow!("{place}: {key}: {what}"),
        None => anyhow::anyhow!("{place}: {what}"),
    }
}

/// The path of the field that is wrong, if known, and what is wrong.
fn walk(error: &ConfigError) -> (Option<String>, String) {
    match error {
        ConfigError::At { error, key, .. } => {
            let (inner, what) = walk(error);
            (key.clone().or(inner), what)
        }
        ConfigError::Type { expected, key, .. } => (key.clone(), format!("of the wrong type, expected {expected}")),
        ConfigError::Message(message) => (None, without_value(message)),
        _ => (None, "of the wrong type or out of range".to_owned()),
    }
}

/// Serde's message with what it found taken out; what it expected is a fixed text.
fn without_value(message: &str) -> String {
    let expected = message.rfind(", expected ").map_or("", |at| &message[at..]);
    let unknown = message.strip_prefix("unknown field `").map(|rest| rest.split('`').next().unwrap_or(rest));
    match unknown {
        Some("gate" | "jobs") if !cfg!(feature = "oldpath") => {
            format!("[{}] is not in this build; take the section out", unknown.unwrap_or_default())
        }
        Some(field) if field.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            format!("unknown field `{field}`{expected}")
        }
        Some(_) => format!("unknown field{expected}"),
        None => format!("of the wrong type or out of range{expected}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::written::EnvironmentKeys;

    fn refused(text: &str) -> String {
        let error = parse::<EnvironmentKeys>(Path::new("keys.toml"), text).unwrap_err();
        format!("{error:#}")
    }

    #[test]
    fn the_place_is_named_and_no_value() {
        for (text, place) in [
            ("key = \"e\"\nserver_keys = [\"sdk-secret]\n", "keys.toml: line 2, column "),
            ("key = \"e\"\nserver_keys = [sdk-secret]\n", "keys.toml: line 2, column "),
            ("key = \"é\"\nproject = \"ééé\\q-secret\"", "line 2, column 16: "),
            (
                "server_keys = \"sdk-secret\"\n",
                "keys.toml: line 1, column 15: of the wrong type or out of range, expected",
            ),
            ("sdk-secret = [\"x\"]\n", "keys.toml: line 1, column 1: unknown field, expected"),
            ("server_key = [\"sdk-secret\"]\n", "keys.toml: line 1, column 1: unknown field `server_key`, expected"),
        ] {
            let said = refused(text);
            assert!(said.contains(place) && !said.contains("secret"), "{text}: {said}");
        }
    }
}
