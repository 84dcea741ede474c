//! The gate's flag file, as `flagstream gate set` changes it: a flagd flag file with a rule of its own for each
//! environment that was set, before whatever else decides.
//!
//! Always true here: of a file only the gate's flag is changed, and of that only the rule of one environment and
//! whether a step is forced; a file is there whole, the old one or the new one; what is not understood is left alone.

use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ingest::gate::{FLAG_KEY, Stage};
use schemas::id::Environment;
use serde_json::{Value, json};

/// Sets an environment's stage in the file, which is made where there is none; every environment that it does not name
/// is then in `off`. A forced step is not held back by what is unexplained.
///
/// # Errors
/// When the file is no flagd flag file, or cannot be read or written.
pub fn set(path: &Path, environment: &Environment, stage: Stage, is_forced: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let mut file = match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{shown} is no JSON; mend it first: a gate that cannot read it moves nothing"))?,
        Err(error) if error.kind() == ErrorKind::NotFound => json!({ "flags": {} }),
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
    };
    change(&mut file, environment, stage, is_forced).with_context(|| format!("{shown} is no flagd flag file"))?;
    write(path, &format!("{file:#}\n")).with_context(|| format!("cannot write {shown}"))
}

/// A file beside it takes its place, with its permissions.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    // Where it is a link, what it leads to is changed.
    let path = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let folder = path.parent().context("it has no folder")?;
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    beside.as_file().sync_all()?;
    match std::fs::metadata(&path) {
        Ok(metadata) => beside.as_file().set_permissions(metadata.permissions())?,
        // Others may run the gate that reads it.
        Err(_) => beside.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?,
    }
    beside.persist(&path)?;
    Ok(())
}

fn change(file: &mut Value, environment: &Environment, stage: Stage, is_forced: bool) -> anyhow::Result<()> {
    let flags = file.get_mut("flags").and_then(Value::as_object_mut).context("it has no object `flags`")?;
    let flag = flags
        .entry(FLAG_KEY)
        .or_insert_with(|| json!({ "state": "ENABLED", "variants": {}, "defaultVariant": Stage::Off.name() }));
    let flag = flag.as_object_mut().with_context(|| format!("its flag `{FLAG_KEY}` is no object"))?;
    ensure!(
        flag.get("state").and_then(Value::as_str) == Some("ENABLED"),
        "its flag `{FLAG_KEY}` is not ENABLED, so that no rule of it counts"
    );
    let variants = flag.entry("variants").or_insert_with(|| json!({}));
    let variants = variants.as_object_mut().with_context(|| format!("variants of `{FLAG_KEY}` are no object"))?;
    for stage in Stage::ALL {
        variants.entry(stage.name()).or_insert_with(|| json!(stage.name()));
    }
    let key = format!("{}/{}", environment.project_str(), environment.key_str());
    let targeting = flag.remove("targeting").unwrap_or(Value::Null);
    flag.insert("targeting".to_owned(), with_rule(targeting, &key, stage)?);
    set_forced(flag, &key, is_forced)
}

/// The rule of one environment stands before the others; one that is there is changed.
fn with_rule(targeting: Value, key: &str, stage: Stage) -> anyhow::Result<Value> {
    let condition = json!({ "==": [{ "var": "targetingKey" }, key] });
    let rules = match targeting {
        Value::Null => vec![Value::Null],
        Value::Object(object) if object.is_empty() => vec![Value::Null],
        Value::Object(mut object) if object.len() == 1 && object.get("if").is_some_and(Value::is_array) => {
            match object.remove("if") {
                Some(Value::Array(rules)) => rules,
                _ => Vec::new(),
            }
        }
        other @ Value::Object(_) => vec![other],
        _ => bail!("targeting of `{FLAG_KEY}` is no object"),
    };
    let mut rules = rules;
    let place = (0..rules.len().saturating_sub(1)).step_by(2).find(|place| rules[*place] == condition);
    match place {
        Some(place) => rules[place + 1] = json!(stage.name()),
        None => drop(rules.splice(0..0, [condition, json!(stage.name())])),
    }
    Ok(json!({ "if": rules }))
}

/// `force` in the flag's metadata names the one environment that is not held back.
fn set_forced(flag: &mut serde_json::Map<String, Value>, key: &str, is_forced: bool) -> anyhow::Result<()> {
    let metadata = flag.entry("metadata").or_insert_with(|| json!({}));
    let metadata = metadata.as_object_mut().with_context(|| format!("metadata of `{FLAG_KEY}` are no object"))?;
    if is_forced {
        metadata.insert("force".to_owned(), json!(key));
    } else if metadata.get("force").is_some_and(|force| force == key) {
        metadata.remove("force");
    }
    if metadata.is_empty() {
        flag.remove("metadata");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(key: &str) -> Environment {
        Environment::new("shop", key).unwrap()
    }

    fn changed(mut file: Value, key: &str, stage: Stage) -> Value {
        change(&mut file, &environment(key), stage, false).unwrap();
        file["flags"][FLAG_KEY].take()
    }

    fn rule(key: &str) -> Value {
        json!({ "==": [{ "var": "targetingKey" }, format!("shop/{key}")] })
    }

    #[test]
    fn a_new_file_has_all_stages_and_leaves_all_others_off() {
        let flag = changed(json!({ "flags": {} }), "production", Stage::Shadow);
        assert_eq!(flag["defaultVariant"], "off");
        assert_eq!(flag["targeting"], json!({ "if": [rule("production"), "shadow", null] }));
        for stage in Stage::ALL {
            assert_eq!(flag["variants"][stage.name()], stage.name());
        }
    }

    #[test]
    fn a_rule_is_changed_where_it_stands_and_a_new_one_comes_first() {
        let file = |targeting: Value| {
            json!({ "flags": { "another": 1, FLAG_KEY: {
                "state": "ENABLED", "variants": { "off": "off" }, "defaultVariant": "off", "targeting": targeting } } })
        };
        let two = json!({ "if": [rule("a"), "shadow", rule("b"), "live", "off"] });
        let share = json!({ "fractional": [["shadow", 10], ["off", 90]] });
        for (targeting, expected) in [
            (two.clone(), json!({ "if": [rule("a"), "shadow", rule("b"), "complete", "off"] })),
            (json!({}), json!({ "if": [rule("b"), "complete", null] })),
            (share.clone(), json!({ "if": [rule("b"), "complete", share] })),
            (json!({ "if": [rule("a"), "shadow"] }), json!({ "if": [rule("b"), "complete", rule("a"), "shadow"] })),
        ] {
            assert_eq!(changed(file(targeting), "b", Stage::Complete)["targeting"], expected);
        }
    }

    #[test]
    fn force_names_one_environment_until_it_is_set_again() {
        let mut file = json!({ "flags": {} });
        let force = |file: &Value| file["flags"][FLAG_KEY]["metadata"]["force"].clone();
        change(&mut file, &environment("a"), Stage::Live, true).unwrap();
        assert_eq!(force(&file), "shop/a");
        change(&mut file, &environment("b"), Stage::Live, false).unwrap();
        assert_eq!(force(&file), "shop/a", "another's");
        change(&mut file, &environment("a"), Stage::Complete, false).unwrap();
        assert_eq!(force(&file), Value::Null);
    }

    #[test]
    fn what_is_no_flag_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.json");
        for (text, said) in [
            ("{", "is no JSON"),
            ("{}", "no object `flags`"),
            (r#"{"flags":{"flagstream-path":{"state":"DISABLED"}}}"#, "is not ENABLED"),
            (r#"{"flags":{"flagstream-path":{"state":"ENABLED","targeting":[]}}}"#, "is no object"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = set(&path, &environment("a"), Stage::Shadow, false).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn the_file_is_replaced_whole_through_a_link_too() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("gate.json"));
        std::fs::write(&real, r#"{"flags":{}}"#).unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        set(&link, &environment("a"), Stage::Shadow, false).unwrap();
        assert!(std::fs::read_to_string(&real).unwrap().contains("shop/a"));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    }
}
