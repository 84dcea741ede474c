//! What is done to servers that are up: `down`, and for tests that want trouble `stop`, `start`, `pause` and `resume`.
//!
//! Always true here: only what is on record as started here is touched, and only as long as it is the process that was
//! started.

use super::compose;
use super::jars;
use super::launch::{self, Launch};
use super::process::{Life, Process};
use super::servers::{SERVICES, Service, named};
use super::state::{NodeRecord, Place, Source, State};
use super::up;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

/// Cassandra flushes, and the first end of each writes an archive of classes.
const END_MAX: Duration = Duration::from_secs(60);

/// What may be done to a server that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// End it in good order, and wait.
    Stop,
    /// Kill it as a power cut would, and wait.
    Kill,
    /// Let it stand still, with its connections open.
    Pause,
    /// Let it go on.
    Resume,
}

/// Ends the services named, takes them off the record, and with `wipe` deletes their data, also of those that are down.
pub(crate) fn down(place: &Place, state: &mut State, names: &[&str], wipe: bool) -> Result<()> {
    let mut ending: Vec<(NodeRecord, Process)> = Vec::new();
    for name in names {
        let Some(record) = state.services.get(*name) else { continue };
        let nodes: Vec<&str> = record.nodes.iter().map(|node| node.name.as_str()).collect();
        match record.source {
            Source::Environment => eprintln!("{name}: was not started here, and is left alone"),
            Source::Compose if wipe => compose::wipe(place, state, &nodes)?,
            Source::Compose => compose::run(place, state, &[&["stop"][..], &nodes].concat())?,
            Source::Jars => {
                let ours = record.nodes.iter().filter_map(|node| Some((node.clone(), node.process.clone()?)));
                ending.extend(ours);
            }
        }
    }
    end(place, &ending)?;
    for name in names {
        state.services.remove(*name);
        if wipe {
            for node in named(name)?.nodes {
                wipe_data(place, node.name)?;
            }
        }
    }
    place.write(state)
}

/// Asks all to end, then waits for each: brokers of one cluster end more quickly together.
fn end(place: &Place, nodes: &[(NodeRecord, Process)]) -> Result<()> {
    let begun = Instant::now();
    let alive = |(node, _): &&(NodeRecord, Process)| place.life(node).is_some_and(|life| life != Life::Gone);
    let nodes: Vec<_> = nodes.iter().filter(alive).collect();
    for (node, process) in &nodes {
        let word = place.word(&node.name);
        process.signal(&word, Signal::TERM)?;
        process.signal(&word, Signal::CONT)?;
    }
    for (node, process) in nodes {
        let left = END_MAX.saturating_sub(begun.elapsed());
        if process.end(&place.word(&node.name), left)? {
            launch::keep_archive(&place.node(&node.name));
            eprintln!("{}: gone after {:.1} s", node.name, begun.elapsed().as_secs_f64());
        } else {
            eprintln!("{}: did not end within {} s and was killed", node.name, END_MAX.as_secs());
        }
    }
    Ok(())
}

fn wipe_data(place: &Place, node: &str) -> Result<()> {
    let data = place.node(node).join("data");
    match fs::remove_dir_all(&data) {
        Ok(()) => eprintln!("{node}: data deleted"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("delete {}", data.display())),
    }
    Ok(())
}

/// The servers that `names` mean: `kafka-2`, or all of `kafka-cluster`.
pub(crate) fn nodes_named(state: &State, names: &[String]) -> Result<Vec<(&'static Service, usize)>> {
    let mut found = Vec::new();
    for name in names {
        let places = SERVICES.iter().flat_map(|service| (0..service.nodes.len()).map(|index| (*service, index)));
        let meant: Vec<_> =
            places.filter(|(service, index)| service.name == name || service.nodes[*index].name == name).collect();
        if meant.is_empty() {
            let names: Vec<&str> = SERVICES.iter().flat_map(|service| service.nodes).map(|node| node.name).collect();
            bail!("no server `{name}`; there are: {}", names.join(", "));
        }
        for (service, index) in meant {
            let record = state.services.get(service.name);
            let record = record.with_context(|| format!("{name} is not up; `cargo xtask services up {name}`"))?;
            ensure!(record.source != Source::Environment, "{name} was not started here, and is left alone");
            if !found.iter().any(|(other, place): &(&Service, usize)| other.name == service.name && *place == index) {
                found.push((service, index));
            }
        }
    }
    Ok(found)
}

/// Does `deed` to each of `nodes`.
pub(crate) fn act(place: &Place, state: &mut State, nodes: &[(&'static Service, usize)], deed: Deed) -> Result<()> {
    for (service, index) in nodes {
        let record = &state.services[service.name];
        let node = record.nodes[*index].clone();
        if record.source == Source::Compose {
            let verb = match deed {
                Deed::Stop => "stop",
                Deed::Kill => "kill",
                Deed::Pause => "pause",
                Deed::Resume => "unpause",
            };
            compose::run(place, state, &[verb, &node.name])?;
        } else {
            let process = node.process.as_ref().filter(|_| place.life(&node) != Some(Life::Gone));
            let process = process.with_context(|| format!("{} does not run", node.name))?;
            act_on(place, &node, process, deed)?;
        }
        eprintln!("{}: {}", node.name, deed.done());
        if matches!(deed, Deed::Stop | Deed::Kill)
            && let Some(node) = state.services.get_mut(service.name).and_then(|record| record.nodes.get_mut(*index))
        {
            node.stopped = true;
        }
        place.write(state)?;
    }
    Ok(())
}

fn act_on(place: &Place, node: &NodeRecord, process: &Process, deed: Deed) -> Result<()> {
    let word = place.word(&node.name);
    match deed {
        Deed::Stop => end(place, &[(node.clone(), process.clone())])?,
        Deed::Kill => process.kill(&word)?,
        Deed::Pause => ensure!(process.signal(&word, Signal::STOP)?, "{} does not run", node.name),
        Deed::Resume => ensure!(process.signal(&word, Signal::CONT)?, "{} does not run", node.name),
    }
    Ok(())
}

impl Deed {
    fn done(self) -> &'static str {
        match self {
            Deed::Stop => "stopped",
            Deed::Kill => "killed",
            Deed::Pause => "stands still",
            Deed::Resume => "goes on",
        }
    }
}

/// Starts servers that were stopped or have died, at their old ports and with their data; waits until they are ready
/// unless `wait` is none, as one broker of three alone never is.
pub(crate) fn start(
    place: &Place,
    state: &mut State,
    nodes: &[(&'static Service, usize)],
    wait: Option<Duration>,
    options: &[String],
) -> Result<()> {
    for (service, index) in nodes {
        if state.services[service.name].source == Source::Compose {
            compose::run(place, state, &["start", service.nodes[*index].name])?;
            continue;
        }
        let (java, jars) = (jars::java()?, jars::get(service.jars)?);
        let launch = Launch { place, service, java: &java, jars: &jars, options };
        up::bring(&launch, state, *index)?;
    }
    wait.map_or(Ok(()), |limit| up::ready(place, state, nodes, limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::state::Record;

    fn state(name: &str, source: Source) -> State {
        let nodes = named(name).unwrap().nodes.iter();
        let nodes = nodes.map(|node| NodeRecord::at(node.name.to_owned(), "127.0.0.1:1".to_owned(), None)).collect();
        State { services: [(name.to_owned(), Record { source, nodes })].into(), ..State::default() }
    }

    #[test]
    fn a_server_is_named_by_itself_or_with_all_of_its_service() {
        let state = state("kafka-cluster", Source::Jars);
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = nodes_named(&state, &names).map_err(|error| error.to_string())?;
            Ok::<_, String>(found.iter().map(|(service, index)| service.nodes[*index].name).collect::<Vec<_>>())
        };
        assert_eq!(found(&["kafka-2"]).unwrap(), ["kafka-2"]);
        assert_eq!(found(&["kafka-3", "kafka-cluster"]).unwrap(), ["kafka-3", "kafka-1", "kafka-2"]);
        assert!(found(&["kafka-4"]).unwrap_err().starts_with("no server `kafka-4`; there are: kafka, kafka-1"));
        assert_eq!(found(&["sqs"]).unwrap_err(), "sqs is not up; `cargo xtask services up sqs`");
    }

    #[test]
    fn what_was_not_started_here_is_left_alone() {
        let state = state("sqs", Source::Environment);
        let error = nodes_named(&state, &["sqs".to_owned()]).err().unwrap().to_string();
        assert_eq!(error, "sqs was not started here, and is left alone");
    }
}
