//! What is told of the servers: a table for people, JSON and lines for the shell.
//!
//! Always true here: a server is called ready only after it has answered a question just now.

use super::process::Life;
use super::servers::{SERVICES, Service};
use super::state::{NodeRecord, Place, Record, Source, State};
use super::up;
use anyhow::Result;
use serde::Serialize;

/// How one server is.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    service: &'static str,
    server: String,
    state: &'static str,
    source: Source,
    address: String,
    /// What it answered, or why it is not ready.
    said: String,
    pid: Option<i32>,
    memory_mib: Option<u64>,
    log: Option<std::path::PathBuf>,
}

/// Everything on record, as it is now.
pub(crate) fn look(place: &Place, state: &State) -> Vec<Shown> {
    let services = SERVICES.iter().filter_map(|service| Some((*service, state.services.get(service.name)?)));
    let nodes = services.flat_map(|(service, record)| record.nodes.iter().map(move |node| (service, record, node)));
    nodes.map(|(service, record, node)| shown(place, service, record, node)).collect()
}

fn shown(place: &Place, service: &'static Service, record: &Record, node: &NodeRecord) -> Shown {
    let life = place.life(node);
    let running = node.process.as_ref().filter(|_| life != Some(Life::Gone));
    let asked = up::asked(place, service, record, node);
    let state = match (&asked, life) {
        (Ok(_), _) => "ready",
        (_, Some(Life::Paused)) => "paused",
        (_, Some(Life::Gone)) if node.stopped => "stopped",
        (_, Some(Life::Gone)) => "died",
        (_, None) if node.stopped => "stopped",
        _ => "no answer",
    };
    let said = match &asked {
        Ok(said) => said.clone(),
        Err(_) if state == "died" => "its process is gone; `cargo xtask services up` starts it again".to_owned(),
        Err(_) if state == "stopped" => "`cargo xtask services start` starts it again".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    Shown {
        service: service.name,
        server: node.name.clone(),
        state,
        source: record.source,
        address: node.address.clone(),
        said,
        pid: running.map(|process| process.pid),
        memory_mib: running.and_then(super::process::Process::memory_mib),
        log: node.log.clone(),
    }
}

/// Prints the table; true when all are ready.
pub(crate) fn table(place: &Place, shown: &[Shown]) -> bool {
    if shown.is_empty() {
        println!("nothing is up; `cargo xtask services up`");
        return true;
    }
    for row in shown {
        let memory = row.memory_mib.map_or(String::new(), |mib| format!(", {mib} MiB"));
        let pid = row.pid.map_or(String::new(), |pid| format!(", process {pid}"));
        let source = match row.source {
            Source::Environment => "named by the environment",
            Source::Compose => "container",
            Source::Jars => "jars",
        };
        println!("{:<10} {:<9} {:<16} {source}{pid}{memory}: {}", row.server, row.state, row.address, row.said);
    }
    println!("on record in {}", place.file().display());
    all_ready(shown)
}

/// Whether each is ready.
pub(crate) fn all_ready(shown: &[Shown]) -> bool {
    shown.iter().all(|row| row.state == "ready")
}

/// Prints one JSON object: where the record is, the environment for tests, each server.
pub(crate) fn json(place: &Place, state: &State, shown: &[Shown]) -> Result<()> {
    #[derive(Serialize)]
    struct All<'a> {
        file: std::path::PathBuf,
        environment: &'a std::collections::BTreeMap<String, String>,
        servers: &'a [Shown],
    }
    let all = All { file: place.file(), environment: &state.environment, servers: shown };
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}

/// Prints a line of shell for each variable: `eval "$(cargo xtask services up)"`.
pub(crate) fn exports(state: &State) {
    for (variable, value) in &state.environment {
        println!("{}", export(variable, value));
    }
}

fn export(variable: &str, value: &str) -> String {
    format!("export {variable}='{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::process::Process;
    use super::*;

    #[test]
    fn a_value_is_one_word_to_the_shell() {
        assert_eq!(export("A", "h:1,h:2"), "export A='h:1,h:2'");
        assert_eq!(export("A", "it's"), r"export A='it'\''s'");
    }

    #[test]
    fn one_that_died_is_told_from_one_that_was_stopped() {
        let place = Place { folder: "/nowhere".into() };
        let mut node = NodeRecord::at("sqs".to_owned(), "127.0.0.1:1".to_owned(), None);
        let record = Record { source: Source::Jars, nodes: Vec::new() };
        let state = |node: &NodeRecord| shown(&place, &super::super::sqs::SQS, &record, node).state;
        assert_eq!(state(&node), "no answer");
        // A process that is there, and is not the one that was started.
        let me = i32::try_from(std::process::id()).unwrap();
        node.process = Some(Process { pid: me, started: "never".to_owned() });
        assert_eq!(state(&node), "died");
        node.stopped = true;
        assert_eq!(state(&node), "stopped");
    }
}
