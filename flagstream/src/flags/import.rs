//! `flagstream flags import`: a file's rows, sent one by one; or what sending them would change.
//!
//! Always true here: every row of a file is checked before the first is sent; a field that a row does not name stays as
//! it is; a flag of which everything was said so already gets no new version.

use std::io::IsTerminal as _;

use anyhow::{Context, bail};
use experiments::would_change;
use serde_json::{Map, Value, json};

use super::rows::{self, Row};
use super::{counted, flag_path, named, now_ms, read, until_shown};
use crate::cli::FlagsImport;
use crate::output::{aside, line, progress};
use crate::read::{patch, told};

/// Bad rows named one by one.
const BAD_SHOWN_MAX: usize = 100;
/// Flags from one word of progress to the next, where nobody watches it change.
const TOLD_EVERY: usize = 1000;

/// What became of the rows, or would.
#[derive(Default)]
struct Sent<'a> {
    /// Flags of which nothing was said before.
    new: usize,
    changed: usize,
    unchanged: usize,
    never_evaluated: Vec<&'a str>,
    /// The newest version there is, and the path of its flag.
    newest: Option<(u64, String)>,
    /// Whether the answers have it.
    shown: bool,
    /// Whether all that was said before was known.
    complete: bool,
}

pub(super) fn import(command: &FlagsImport) -> anyhow::Result<()> {
    let text = read(&command.file)?;
    let rows = rows::read(&text, &command.file, now_ms()?).with_context(|| format!("cannot read {}", command.file))?;
    let (good, bad): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.said.is_ok());
    tell_bad(command, &bad);
    let refused = !bad.is_empty() && !command.skip_bad;
    let mut sent = Sent { shown: true, complete: true, ..Sent::default() };
    if !refused {
        each(command, &good, &mut sent)?;
    }
    if let Some((version, path)) = &sent.newest {
        sent.shown = until_shown(&command.reader, path, *version)?;
    }
    if command.reader.json {
        line(&report(command, good.len(), &bad, &sent).to_string())?;
    }
    let bad_rows = counted(bad.len(), "bad row");
    if refused {
        bail!("{bad_rows} of {}; nothing was sent (--skip-bad sends the others)", bad.len() + good.len());
    }
    if !sent.never_evaluated.is_empty() {
        aside(&format!(
            "never seen in events: {}; mistyped ones are forgotten by `flagstream flags remove FLAG`",
            named(sent.never_evaluated.iter().copied())
        ));
    }
    if command.reader.json {
        return Ok(());
    }
    let flags = counted(good.len(), "flag");
    let (new, changed, unchanged, unseen) = (sent.new, sent.changed, sent.unchanged, sent.never_evaluated.len());
    if command.dry_run {
        line(&format!(
            "{flags} would be sent: {new} new, {changed} changed, {unchanged} unchanged; {unseen} never evaluated; {bad_rows} \
             would be skipped"
        ))
    } else {
        line(&format!(
            "{flags} sent: {changed} changed, {unchanged} unchanged; {unseen} never evaluated; {bad_rows} skipped"
        ))
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

fn each<'a>(command: &FlagsImport, good: &'a [Row], sent: &mut Sent<'a>) -> anyhow::Result<()> {
    let watched = std::io::stderr().is_terminal();
    for (before, row) in good.iter().enumerate() {
        let Ok(fields) = &row.said else { continue };
        let one = if command.dry_run { compare } else { send };
        one(command, row, fields, sent).with_context(|| {
            let done = if command.dry_run {
                "nothing was sent".to_owned()
            } else {
                format!("{} sent before it", counted(before, "flag"))
            };
            format!("{}:{}: flag {:?}: {done}", command.file, row.line, row.key)
        })?;
        let done = before + 1;
        if watched && (done.is_multiple_of(20) || done == good.len()) {
            progress(&format!("{done} of {} flags", good.len()), done == good.len());
        } else if !watched && done.is_multiple_of(TOLD_EVERY) {
            aside(&format!("{done} of {} flags", good.len()));
        }
    }
    if !sent.complete {
        aside("note: the server lags; what was said last may not be known to it yet");
    }
    Ok(())
}

fn send<'a>(
    command: &FlagsImport,
    row: &'a Row,
    fields: &Map<String, Value>,
    sent: &mut Sent<'a>,
) -> anyhow::Result<()> {
    let path = flag_path(&command.project, &row.key);
    let answer = patch(&command.reader, &path, &Value::Object(fields.clone()))?;
    if answer["changed"] == true {
        sent.changed += 1
    } else {
        sent.unchanged += 1
    }
    sent.never_evaluated.extend((answer["seen"] == false).then_some(row.key.as_str()));
    let version = answer["version"].as_u64().unwrap_or(0);
    if sent.newest.as_ref().is_none_or(|(newest, _)| version > *newest) {
        sent.newest = Some((version, path));
    }
    Ok(())
}

/// What [`send`] would do, by what is known now.
fn compare<'a>(
    command: &FlagsImport,
    row: &'a Row,
    fields: &Map<String, Value>,
    sent: &mut Sent<'a>,
) -> anyhow::Result<()> {
    let answer = told(&command.reader, &flag_path(&command.project, &row.key))?;
    let known =
        answer["metadata"].as_object().context("the answer has no metadata; is the server older than this command?")?;
    if answer["version"] == 0 || answer["withdrawn"] == true {
        sent.new += 1;
    } else if would_change(known, fields).map_err(anyhow::Error::msg)? {
        sent.changed += 1;
    } else {
        sent.unchanged += 1;
    }
    sent.never_evaluated.extend((answer["seen"] == false).then_some(row.key.as_str()));
    sent.complete &= answer["complete"] == true;
    Ok(())
}

fn report(command: &FlagsImport, good: usize, bad: &[Row], sent: &Sent<'_>) -> Value {
    let bad: Vec<Value> =
        bad.iter().map(|row| json!({ "line": row.line, "key": row.key, "error": row.said.as_ref().err() })).collect();
    let mut report = json!({ "good": good, "bad": bad, "dryRun": command.dry_run, "changed": sent.changed,
        "unchanged": sent.unchanged, "neverEvaluated": sent.never_evaluated.len(), "neverEvaluatedKeys": sent.never_evaluated,
        "sent": if command.dry_run { 0 } else { sent.changed + sent.unchanged }, "shown": sent.shown });
    if command.dry_run {
        report["new"] = sent.new.into();
    }
    report
}
