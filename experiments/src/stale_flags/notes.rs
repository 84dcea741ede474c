//! What whoever reads the list should know and cannot see in it.
//!
//! Always true here: a note for a program names the parameters and fields that a program has, one for people on the
//! page names none; foreign names stand in backticks, and none of them can act.

use super::fleet::Read;
use super::hours::Reporter;
use super::shown;
use crate::metadata::code_references::Upload;
use crate::page::text::number;

/// Names in one note.
const NAMED_MAX: usize = 10;

/// Who reads the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// One that sends parameters and reads fields.
    Program,
    /// Somebody who looks at the page.
    People,
}

/// All notes on what was read.
pub(crate) fn notes(read: &Read, reader: For) -> Vec<String> {
    let silent = read.silent.iter().map(|name| silent_note(name, reader));
    let beyond = read.beyond.iter().map(|name| {
        let name = name.escape_debug();
        format!("environment `{name}` has more flags than its limit: those beyond it are not in this list")
    });
    let quiet = read.quiet.iter().map(|(name, reporters)| quiet_note(name, reporters));
    let crowded = read.crowded.iter().map(|(name, keys)| crowded_note(name, keys));
    let unheard = read.unheard.iter().take(NAMED_MAX).map(|(name, by)| unheard_note(name, by));
    let more = read.unheard.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| format!("{more} more prerequisites were never heard of nor described"));
    let scan = read.code_scan.as_ref().filter(|upload| !upload.finished).map(scan_note);
    let hidden = (read.fleet.hidden_deciding > 0).then(|| hidden_note(read.fleet.hidden_deciding, reader));
    let lagging = (!read.progress.complete).then(|| lagging_note(reader));
    let all = silent.chain(beyond).chain(quiet).chain(crowded).chain(unheard).chain(more);
    all.chain(hidden).chain(scan).chain(lagging).collect()
}

fn silent_note(environment: &str, reader: For) -> String {
    let environment = environment.escape_debug();
    let or = match reader {
        For::Program => "or name the environments that should decide with `critical`",
        For::People => "or say in the configuration which environments decide",
    };
    format!("no flag was ever seen in environment `{environment}`: point an SDK's events address here, {or}")
}

fn quiet_note(environment: &str, reporters: &[Reporter]) -> String {
    let named = named(reporters.iter().map(Reporter::name));
    format!(
        "in environment `{}` {} reported as a rule and not of late: {named}; a flag that nobody else asks for looks unused",
        environment.escape_debug(),
        if reporters.len() == 1 { "1 application".to_owned() } else { format!("{} applications", reporters.len()) },
    )
}

fn crowded_note(environment: &str, keys: &[String]) -> String {
    let named = named(keys.iter().map(String::as_str));
    format!(
        "in environment `{}` more askers than are kept apart saw {}: {named}; the others are told as one, and while they ask, \
         such a flag is never settled (application versions that change with each deploy fill the rows)",
        environment.escape_debug(),
        if keys.len() == 1 { "1 flag".to_owned() } else { format!("{} flags", keys.len()) },
    )
}

fn unheard_note(prerequisite: &str, dependents: &[String]) -> String {
    format!(
        "prerequisite `{}` was never heard of nor described, so it is not in this list: {} {} it; mend the key there, or \
         describe the flag",
        prerequisite.escape_debug(),
        named(dependents.iter().map(String::as_str)),
        if dependents.len() == 1 { "names" } else { "name" },
    )
}

fn scan_note(upload: &Upload) -> String {
    format!(
        "the upload of the scan of {} ({} flags) is not finished, so places in code are those of more than one scan: run its \
         `flagstream flags scan … --upload` again",
        shown::time(upload.scan.at),
        number(upload.flags)
    )
}

fn hidden_note(environments: usize, reader: For) -> String {
    let or = match reader {
        For::Program => "ask with a key that may read them, or name with `critical` those that should decide instead",
        For::People => "log in with a key that may read them",
    };
    format!("environments that decide are not open to this key ({environments}), so no flag is called stale: {or}")
}

fn lagging_note(reader: For) -> String {
    let since = match reader {
        For::Program => "since `asOf`",
        For::People => "since the time to which they are complete",
    };
    format!("the numbers lag the log, so a flag may have been asked for {since}")
}

/// Foreign names, the first of many.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let shown: Vec<String> = names.take(NAMED_MAX).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}
