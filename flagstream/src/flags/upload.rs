//! `flagstream flags scan`: which keys to look for, what was found, and the numbers sent.
//!
//! Always true here: numbers are sent only where every file of text was looked at, or somebody said that the others may
//! be left out, since a number too low is a wrong reason to remove a flag; nothing else that was said of a flag
//! changes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::scan::{self, Found, Place};
use super::{counted, flag_path, read, until_shown};
use crate::cli::FlagsScan;
use crate::output::{aside, line};
use crate::read::{items, patch, segment};

/// So many files are named where something is wrong with more.
const NAMED_MAX: usize = 10;

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
    if command.upload { upload(command, &found) } else { Ok(()) }
}

fn print(command: &FlagsScan, found: &Found) -> anyhow::Result<()> {
    if command.reader.json {
        let places = |(key, places): (&String, &Vec<Place>)| {
            let places: Vec<_> = places.iter().map(place).collect();
            json!({ "key": key, "codeReferences": places.len(), "places": places })
        };
        let flags: Vec<_> = found.places.iter().map(places).collect();
        let passed_over = json!({
            "binary": found.binary.len(), "large": found.large.len(), "unreadable": found.unreadable.len()
        });
        return line(&json!({ "flags": flags, "files": found.files, "passedOver": passed_over }).to_string());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header(["flag", "file", "line", "as"]);
    // Debug's form, so that no control character of a name reaches the terminal.
    for (key, places) in &found.places {
        for place in places {
            table.add_row([
                key.escape_debug().to_string(),
                place.file.to_string_lossy().escape_debug().to_string(),
                place.line.to_string(),
                place.camel_case.as_ref().map_or(String::new(), |name| format!("{name} (useFlags)")),
            ]);
        }
        if places.is_empty() {
            table.add_row([&key.escape_debug().to_string(), "nowhere", "", ""]);
        }
    }
    line(&table.to_string())
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
        named(&found.unreadable)
    );
    let paths = |files: &[PathBuf]| named(&files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>());
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

fn named(things: &[String]) -> String {
    // Debug's form, so that no control character of a name reaches the terminal.
    let mut named: Vec<_> = things.iter().take(NAMED_MAX).map(|thing| thing.escape_debug().to_string()).collect();
    if things.len() > NAMED_MAX {
        named.push(format!("and {} more", things.len() - NAMED_MAX));
    }
    named.join(", ")
}

fn upload(command: &FlagsScan, found: &Found) -> anyhow::Result<()> {
    check(command, found)?;
    let (mut changed, mut newest) = (0, None);
    for (key, places) in &found.places {
        let path = flag_path(&command.project, key);
        let answer = patch(&command.reader, &path, &json!({ "codeReferences": places.len() }))
            .with_context(|| format!("flag {key:?}"))?;
        changed += usize::from(answer["changed"] == true);
        newest = newest.max(answer["version"].as_u64().map(|version| (version, path)));
    }
    if let Some((version, path)) = newest {
        until_shown(&command.reader, &path, version)?;
    }
    aside(&format!(
        "{} sent: {changed} changed, {} unchanged",
        counted(found.places.len(), "flag"),
        found.places.len() - changed
    ));
    Ok(())
}
