//! The numbers and places of a scan, sent in parts.
//!
//! Always true here: whoever looks knows how many flags were sent, also where it ends early; what was sent is in force,
//! and the same command sends the rest, since a flag that is so already is not written again. Nothing else that was
//! said of a flag changes.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::scan::{Found, Place};
use super::{counted, grouped, now_ms, until_shown};
use crate::cli::Reader;
use crate::output::{aside, progress};
use crate::read::{put, segment};

/// Flags of one request: a second or so, for each that changes is appended to every partition.
const PART_FLAGS: usize = 100;
/// Places sent of a flag; the number is of all.
const PLACES_MAX: usize = 20;
/// What a process ends with that Ctrl-C or a termination ended.
const INTERRUPTED: i32 = 130;

/// How many flags were sent, for those who want to know when it ends early.
#[derive(Debug, Clone)]
struct Sent {
    flags: Arc<AtomicUsize>,
    all: usize,
    /// Somebody sees the line of progress change.
    watched: bool,
}

impl Sent {
    fn told(&self) -> String {
        format!("sent {} of {}", grouped(self.flags.load(Ordering::SeqCst)), counted(self.all, "flag"))
    }

    /// What is told next begins a line.
    fn end_line(&self) {
        if self.watched {
            progress(&self.told(), true);
        }
    }

    fn ended_early(&self) -> String {
        format!("{}; the others have the places of an earlier scan, or none; the same command continues", self.told())
    }
}

pub(super) fn upload(reader: &Reader, project: &str, found: &Found) -> anyhow::Result<()> {
    let watched = std::io::stderr().is_terminal();
    let sent = Sent { flags: Arc::default(), all: found.places.len(), watched };
    tell_when_interrupted(sent.clone())?;
    let path = format!("/v1/projects/{}/code-references", segment(project));
    let scan = json!({ "id": id()?, "at": now_ms()?, "flags": sent.all });
    aside(&format!("sending {}", counted(sent.all, "flag")));
    let (mut changed, mut version) = (0, 0);
    let flags: Vec<_> = found.places.iter().collect();
    for part in flags.chunks(PART_FLAGS) {
        let told: Map<_, _> = part.iter().map(|(key, places)| ((*key).clone(), in_code(places))).collect();
        let before = sent.flags.load(Ordering::SeqCst);
        let body = json!({ "scan": scan, "before": before, "flags": told });
        let answer = put(reader, &path, &body).inspect_err(|_| sent.end_line()).with_context(|| sent.ended_early())?;
        changed += usize::try_from(answer["changed"].as_u64().unwrap_or(0))?;
        version = version.max(answer["version"].as_u64().unwrap_or(0));
        let done = sent.flags.fetch_add(part.len(), Ordering::SeqCst) + part.len();
        if watched { progress(&sent.told(), done == sent.all) } else { aside(&sent.told()) }
    }
    until_shown(reader, &path, version)?;
    let unchanged = sent.all.saturating_sub(changed);
    aside(&format!(
        "{} sent: {} changed, {} unchanged",
        counted(sent.all, "flag"),
        grouped(changed),
        grouped(unchanged)
    ));
    Ok(())
}

/// A flag's number, and the first of its places.
fn in_code(places: &[Place]) -> Value {
    let first = places.iter().take(PLACES_MAX);
    let first: Vec<_> =
        first.map(|place| json!({ "file": place.file.to_string_lossy(), "line": place.line })).collect();
    json!({ "codeReferences": places.len(), "codePlaces": first })
}

/// What tells this scan from others.
fn id() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes to name the scan with: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// From now on Ctrl-C and SIGTERM end the process with what was sent until then.
fn tell_when_interrupted(sent: Sent) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.context("cannot listen for Ctrl-C")?;
    let listening = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)))
    };
    let (mut interrupt, mut terminate) = listening.context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        let is_all = sent.flags.load(Ordering::SeqCst) == sent.all;
        sent.end_line();
        aside(&format!("flagstream: interrupted: {}", if is_all { sent.told() } else { sent.ended_early() }));
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}
