//! `flagstream flags scan`: which keys to look for, what was found, and whether its numbers may be sent.
//!
//! Always true here: numbers are sent only where every file of text was looked at, or somebody said that the others may
//! be left out, since a number too low is a wrong reason to remove a flag.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::ensure;
use serde_json::{Value, json};

use super::scan::{self, Found, Place};
use super::{counted, named, read, upload};
use crate::cli::FlagsScan;
use crate::output::{aside, line};
use crate::read::{items, segment};

pub(super) fn find(command: &FlagsScan) -> anyhow::Result<()> {
    let keys: BTreeSet<String> = match &command.keys {
        Some(file) => read(file)?.lines().map(str::trim).filter(|key| !key.is_empty()).map(ToOwned::to_owned).collect(),
        None => {
            let flags = items(&command.reader, &format!("/v1/projects/{}/stale-flags", segment(&command.project)))?;
            flags.iter().filter_map(|flag| flag["key"].as_str().map(ToOwned::to_owned)).collect()
        }
    };
    ensure!(!keys.is_empty(), "there is no flag to look for: give keys with --keys FILE");
    let keys: Vec<String> = keys.into_iter().collect();
    let found = scan::scan(&command.directories, &keys)?;
    print(command, &found)?;
    aside(&format!(
        "{} looked at; passed over: {} binary, {} over 4 MiB, {} unreadable",
        counted(usize::try_from(found.files)?, "file"),
        found.binary.len(),
        found.large.len(),
        found.unreadable.len()
    ));
    if !command.upload {
        return Ok(());
    }
    check(command, &found)?;
    upload::upload(&command.reader, &command.project, &found)
}

/// Those that stand somewhere first, then those that stand nowhere; in both, keys rise.
fn found_first(found: &Found) -> (Vec<(&String, &Vec<Place>)>, Vec<&String>) {
    let somewhere = found.places.iter().filter(|(_, places)| !places.is_empty()).collect();
    let nowhere = found.places.iter().filter(|(_, places)| places.is_empty()).map(|(key, _)| key).collect();
    (somewhere, nowhere)
}

fn print(command: &FlagsScan, found: &Found) -> anyhow::Result<()> {
    let (somewhere, nowhere) = found_first(found);
    if command.reader.json {
        let told = |key: &String, places: &[Place]| {
            let places: Vec<_> = places.iter().map(place).collect();
            json!({ "key": key, "codeReferences": places.len(), "places": places })
        };
        let nowhere = nowhere.into_iter().map(|key| told(key, &[]));
        let flags: Vec<_> = somewhere.into_iter().map(|(key, places)| told(key, places)).chain(nowhere).collect();
        let passed_over = json!({
            "binary": found.binary.len(), "large": found.large.len(), "unreadable": found.unreadable.len()
        });
        return line(&json!({ "flags": flags, "files": found.files, "passedOver": passed_over }).to_string());
    }
    if !somewhere.is_empty() {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header(["flag", "file", "line", "as"]);
        // Debug's form, so that no control character of a name reaches the terminal.
        for (key, place) in somewhere.iter().flat_map(|(key, places)| places.iter().map(move |place| (key, place))) {
            table.add_row([
                key.escape_debug().to_string(),
                place.file.to_string_lossy().escape_debug().to_string(),
                place.line.to_string(),
                place.camel_case.as_ref().map_or(String::new(), |name| format!("{name} (useFlags)")),
            ]);
        }
        line(&table.to_string())?;
    }
    if nowhere.is_empty() {
        return Ok(());
    }
    line(&format!("{} nowhere:", counted(nowhere.len(), "flag")))?;
    nowhere.iter().try_for_each(|key| line(&format!("  {}", key.escape_debug())))
}

fn place(place: &Place) -> Value {
    let mut told = json!({ "file": place.file.to_string_lossy(), "line": place.line });
    if let Some(name) = &place.camel_case {
        told["camelCase"] = json!(name);
    }
    told
}

/// Whether the numbers are of everything that should have been looked at.
fn check(command: &FlagsScan, found: &Found) -> anyhow::Result<()> {
    let why = "so the numbers may be too low; nothing was sent";
    ensure!(
        found.unreadable.is_empty(),
        "{} could not be read, {why}: {}",
        counted(found.unreadable.len(), "place"),
        named(found.unreadable.iter().map(String::as_str))
    );
    let paths = |files: &[PathBuf]| {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        named(files.iter().map(String::as_str))
    };
    ensure!(
        found.empty.is_empty(),
        "there is no file to look at (or .gitignore leaves all out), {why}: {}; leave these directories out, or name what is \
         above them",
        paths(&found.empty)
    );
    // Binary files are told of above: a picture names no flag, and nearly every tree has one.
    ensure!(
        found.large.is_empty() || command.allow_passed_over,
        "{} over 4 MiB passed over, {why}: {}; name them in .gitignore or .ignore, or look through them and say \
         --allow-passed-over",
        counted(found.large.len(), "file"),
        paths(&found.large)
    );
    Ok(())
}
