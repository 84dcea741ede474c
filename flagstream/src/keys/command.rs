//! `flagstream keys …`: what each says and does.
//!
//! Always true here: a key comes on standard input, never as an argument, and is shown masked.

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use eventlog::files::create_private_durably;

use super::{load, mask, merged, path, read, refuse_shared, rows, save};
use crate::cli::{Configured, KeyKind, Keys, KeysAdd, KeysRemove};
use crate::config::Settings;
use crate::config::written::EnvironmentKeys;
use crate::output;

/// Fewer last characters of a key would take others by chance.
const ENDING_MIN: usize = 4;

/// `flagstream keys …`
///
/// # Errors
/// A message for the person who called.
pub fn run(command: &Keys) -> anyhow::Result<()> {
    let configured = match command {
        Keys::Add(command) => &command.configured,
        Keys::Remove(command) => &command.configured,
        Keys::List(configured) => configured,
    };
    let settings = settings(configured)?;
    let done = match command {
        Keys::Add(command) => add(command, &settings),
        Keys::Remove(command) => remove(command, &settings),
        Keys::List(_) => list(&settings),
    };
    done.map_err(|error| output::about_data(error, &settings.data))
}

fn list(settings: &Settings) -> anyhow::Result<()> {
    let environments = merged(settings.written.environment.clone(), read(&settings.data)?);
    if !settings.data.exists() {
        let data = std::path::absolute(&settings.data).unwrap_or_else(|_| settings.data.clone());
        let data = data.display();
        ensure!(
            !environments.is_empty(),
            "there is no data directory {data}, and so no keys; name another with --data DIR"
        );
        output::line(&format!("There is no data directory {data}; these are of the configuration alone."))?;
    }
    print_list(&environments)
}

fn add(add: &KeysAdd, settings: &Settings) -> anyhow::Result<()> {
    schemas::id::Environment::new(&add.project, &add.environment).context("--project or --environment is no key")?;
    let key = read_key(&format!("flagstream keys add --environment {}", add.environment))?;
    let key = key.as_str();
    let is_new = !settings.data.exists();
    let mut file = load(&settings.data)?;
    let all = merged(settings.written.environment.clone(), rows(&file));
    refuse_shared(&all, &add.project, &add.environment, add.kind, key)?;
    let place = place(settings);
    let is_new_environment = !all.iter().any(|entry| entry.project == add.project && entry.key == add.environment);
    let (project, environment) = (add.project.escape_debug(), add.environment.escape_debug());
    if !file.add(&add.project, &add.environment, add.kind, key) {
        return output::line(&format!("{place}: key {} is there already.", mask(key)));
    }
    create_private_durably(&settings.data)
        .with_context(|| format!("cannot make the data directory {}", settings.data.display()))?;
    save(&settings.data, &file)?;
    let new = if is_new_environment { ", a new environment" } else { "" };
    output::line(&format!("{place}: key {} admitted to {project}/{environment}{new}.", mask(key)))?;
    output::line(if is_new {
        "The data directory is new: no server works there yet. Name the one of your server with --data DIR if that is not meant."
    } else {
        "A server that works there takes it within seconds; restart the application that sent it (a 401 has silenced it)."
    })?;
    let is_first_read_key = add.kind == KeyKind::Read && all.iter().all(|entry| entry.read_keys.is_empty());
    if is_first_read_key && settings.written.admin_keys.is_empty() {
        output::line(
            "From now on every read needs a key, the page too, and this one opens its environment alone; \
             admin_keys in the configuration (or FLAGSTREAM_ADMIN_KEYS) open the rest.",
        )?;
    }
    Ok(())
}

fn remove(remove: &KeysRemove, settings: &Settings) -> anyhow::Result<()> {
    let (project, environment) = (remove.project.as_str(), remove.environment.as_str());
    let given = match &remove.ending {
        Some(ending) => ending.clone(),
        None => read_key(&format!("flagstream keys remove --environment {environment}"))?,
    };
    ensure!(
        remove.ending.is_none() || given.chars().count() >= ENDING_MIN,
        "--ending needs at least the {ENDING_MIN} characters that `flagstream keys list` shows"
    );
    let is_meant = |key: &str| if remove.ending.is_some() { key.ends_with(&given) } else { key == given };
    let mut file = load(&settings.data)?;
    let kinds = remove.kind.map_or_else(|| KeyKind::value_variants().to_vec(), |kind| vec![kind]);
    let mut removed = Vec::new();
    for kind in kinds {
        removed.extend(file.remove(project, environment, kind, is_meant).into_iter().map(|key| (key, kind)));
    }
    let (place, whose) = (place(settings), format!("{}/{}", project.escape_debug(), environment.escape_debug()));
    let different: BTreeSet<&str> = removed.iter().map(|(key, _)| key.as_str()).collect();
    let Some(key) = different.first() else {
        bail!(
            "{place}: {whose} has no such key; `flagstream keys list` shows them; those of the configuration are taken out there"
        );
    };
    ensure!(different.len() == 1, "{} keys of {whose} end so; give the whole key on standard input", different.len());
    save(&settings.data, &file)?;
    output::line(&format!("{place}: key {} removed from {whose}.", mask(key)))?;
    let left = merged(settings.written.environment.clone(), rows(&file));
    let is_there = |entry: &EnvironmentKeys| entry.secrets().any(|secret| secret.0 == *key);
    if left.iter().any(|entry| entry.project == project && entry.key == environment && is_there(entry)) {
        return output::line("It stands there elsewhere too, and so is still admitted: see `flagstream keys list`.");
    }
    let was_read = removed.iter().any(|(_, kind)| *kind == KeyKind::Read);
    let was_sent = removed.iter().any(|(_, kind)| *kind != KeyKind::Read);
    tell_removed(settings, was_sent, was_read && left.iter().all(|entry| entry.read_keys.is_empty()))
}

/// What follows for SDKs that sent the key, and for reads where no read key is left.
fn tell_removed(settings: &Settings, was_sent: bool, was_last_to_read: bool) -> anyhow::Result<()> {
    output::line("A server that works there takes it within seconds.")?;
    if was_sent {
        let seconds = settings.written.limits.revoked_grace_seconds;
        output::line(&format!(
            "What an SDK sends with it is discarded from then on: answered 202 for {seconds} s (until a restart at most), \
             401 after that."
        ))?;
    }
    if was_last_to_read && settings.written.admin_keys.is_empty() {
        output::line(
            "No read or admin key is left: on this machine every read is open; a server that listens beyond it refuses to \
             start, and one that runs keeps the old keys.",
        )?;
    }
    Ok(())
}

/// The key on standard input; `command` is what should have been given one.
fn read_key(command: &str) -> anyhow::Result<String> {
    let mut key = String::new();
    std::io::stdin().take(4096).read_to_string(&mut key).context("cannot read the key from standard input")?;
    let key = key.trim();
    ensure!(!key.is_empty(), "no key on standard input; say: echo \"$KEY\" | {command}");
    ensure!(!key.contains(char::is_whitespace), "the key has white space in it; give one key at a time");
    Ok(key.to_owned())
}

fn settings(configured: &Configured) -> anyhow::Result<Settings> {
    Settings::read(configured.config.as_deref(), None, configured.data.as_deref())
}

/// Where the file lies, for people in any directory.
fn place(settings: &Settings) -> String {
    let place = path(&settings.data);
    std::path::absolute(&place).unwrap_or(place).display().to_string()
}

fn print_list(environments: &[EnvironmentKeys]) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["project", "environment", "kind", "key"]);
    for entry in environments {
        let kinds = [
            ("server", &entry.server_keys),
            ("mobile", &entry.mobile_keys),
            ("client-side", &entry.client_side_ids),
            ("read", &entry.read_keys),
        ];
        for (kind, secrets) in kinds {
            for secret in secrets {
                let (project, key) = (entry.project.escape_debug(), entry.key.escape_debug());
                table.add_row([project.to_string(), key.to_string(), kind.to_owned(), secret.masked()]);
            }
        }
    }
    output::line(&table.to_string())
}
