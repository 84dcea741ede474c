//! `flagstream flags import`: a file's rows, sent one by one.
//!
//! Always true here: every row of a file is checked before the first is sent; a field that a row does not name stays as
//! it is; a flag of which everything was said so already gets no new version.

use std::io::IsTerminal as _;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::rows::{self, Row};
use super::{counted, flag_path, now_ms, read, until_shown};
use crate::cli::FlagsImport;
use crate::output::{aside, line, progress};
use crate::read::patch;

/// Bad rows named one by one.
const BAD_SHOWN_MAX: usize = 100;
/// Flags from one word of progress to the next, where nobody watches it change.
const TOLD_EVERY: usize = 1000;

/// What became of the rows.
#[derive(Default)]
struct Sent {
    changed: usize,
    unchanged: usize,
    never_evaluated: usize,
    /// The newest version there is, and the path of its flag.
    newest: Option<(u64, String)>,
    /// Whether the answers have it.
    shown: bool,
}

pub(super) fn import(command: &FlagsImport) -> anyhow::Result<()> {
    let text = read(&command.file)?;
    let rows = rows::read(&text, &command.file, now_ms()?).with_context(|| format!("cannot read {}", command.file))?;
    let (good, bad): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.said.is_ok());
    tell_bad(command, &bad);
    let refused = !bad.is_empty() && !command.skip_bad;
    let mut sent = Sent { shown: true, ..Sent::default() };
    if !refused && !command.dry_run {
        send(command, &good, &mut sent)?;
        if let Some((version, path)) = &sent.newest {
            sent.shown = until_shown(&command.reader, path, *version)?;
        }
    }
    if command.reader.json {
        line(&report(command, good.len(), &bad, &sent).to_string())?;
    }
    let bad_rows = counted(bad.len(), "bad row");
    if refused {
        bail!("{bad_rows} of {}; nothing was sent (--skip-bad sends the others)", bad.len() + good.len());
    }
    match (command.reader.json, command.dry_run) {
        (true, _) => Ok(()),
        (false, true) => line(&format!("{} would be sent, {bad_rows} would be skipped", counted(good.len(), "flag"))),
        (false, false) => line(&format!(
            "{} sent: {} changed, {} unchanged; {} never evaluated; {bad_rows} skipped",
            counted(good.len(), "flag"),
            sent.changed,
            sent.unchanged,
            sent.never_evaluated
        )),
    }
}

fn tell_bad(command: &FlagsImport, bad: &[Row]) {
    for row in bad.iter().take(BAD_SHOWN_MAX) {
        let flag = if row.key.is_empty() { String::new() } else { format!("flag {:?}: ", row.key) };
        aside(&format!("{}:{}: {flag}{}", command.file, row.line, row.said.as_ref().err().map_or("", |what| what)));
    }
    if bad.len() > BAD_SHOWN_MAX {
        aside(&format!("… and {} more", bad.len() - BAD_SHOWN_MAX));
    }
}

fn send(command: &FlagsImport, good: &[Row], sent: &mut Sent) -> anyhow::Result<()> {
    let watched = std::io::stderr().is_terminal();
    for (before, row) in good.iter().enumerate() {
        let Ok(fields) = &row.said else { continue };
        let path = flag_path(&command.project, &row.key);
        let answer = patch(&command.reader, &path, &Value::Object(fields.clone())).with_context(|| {
            format!("{}:{}: flag {:?}: {} sent before it", command.file, row.line, row.key, counted(before, "flag"))
        })?;
        if answer["changed"] == true {
            sent.changed += 1
        } else {
            sent.unchanged += 1
        }
        sent.never_evaluated += usize::from(answer["seen"] == false);
        let version = answer["version"].as_u64().unwrap_or(0);
        if sent.newest.as_ref().is_none_or(|(newest, _)| version > *newest) {
            sent.newest = Some((version, path));
        }
        let done = before + 1;
        if watched && (done.is_multiple_of(20) || done == good.len()) {
            progress(&format!("{done} of {} flags", good.len()), done == good.len());
        } else if !watched && done.is_multiple_of(TOLD_EVERY) {
            aside(&format!("{done} of {} flags", good.len()));
        }
    }
    Ok(())
}

fn report(command: &FlagsImport, good: usize, bad: &[Row], sent: &Sent) -> Value {
    let bad: Vec<Value> =
        bad.iter().map(|row| json!({ "line": row.line, "key": row.key, "error": row.said.as_ref().err() })).collect();
    json!({ "good": good, "bad": bad, "dryRun": command.dry_run, "sent": sent.changed + sent.unchanged,
        "changed": sent.changed, "unchanged": sent.unchanged, "neverEvaluated": sent.never_evaluated, "shown": sent.shown })
}
