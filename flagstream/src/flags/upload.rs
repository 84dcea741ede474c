//! `flagstream flags scan`: which keys to look for, what was found, and the numbers sent.
//!
//! Always true here: numbers are sent only where every file could be read, since a number too low is a wrong reason to remove
//! a flag; nothing else that was said of a flag changes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::json;

use super::{counted, flag_path, read, scan, until_shown};
use crate::cli::FlagsScan;
use crate::output::{aside, line};
use crate::read::{items, patch, segment};

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
    let found = scan::scan(&command.directory, &keys)?;
    print(command, &found)?;
    aside(&format!(
        "{} looked at; passed over: {} binary, {} over 4 MiB, {} unreadable",
        counted(usize::try_from(found.files)?, "file"),
        found.binary,
        found.large,
        found.unreadable
    ));
    if command.upload { upload(command, &found) } else { Ok(()) }
}

fn print(command: &FlagsScan, found: &scan::Found) -> anyhow::Result<()> {
    if command.reader.json {
        let places = |(key, places): (&String, &Vec<(PathBuf, u64)>)| {
            let places: Vec<_> =
                places.iter().map(|(file, line)| json!({ "file": file.to_string_lossy(), "line": line })).collect();
            json!({ "key": key, "codeReferences": places.len(), "places": places })
        };
        let flags: Vec<_> = found.places.iter().map(places).collect();
        let passed_over = json!({ "binary": found.binary, "large": found.large, "unreadable": found.unreadable });
        return line(&json!({ "flags": flags, "files": found.files, "passedOver": passed_over }).to_string());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header(["flag", "file", "line"]);
    // Debug's form, so that no control character of a name reaches the terminal.
    for (key, places) in &found.places {
        for (file, at) in places {
            table.add_row([
                key.escape_debug().to_string(),
                file.to_string_lossy().escape_debug().to_string(),
                at.to_string(),
            ]);
        }
        if places.is_empty() {
            table.add_row([&key.escape_debug().to_string(), "nowhere", ""]);
        }
    }
    line(&table.to_string())
}

fn upload(command: &FlagsScan, found: &scan::Found) -> anyhow::Result<()> {
    ensure!(found.unreadable == 0, "some files could not be read, so the numbers may be too low; nothing was sent");
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
