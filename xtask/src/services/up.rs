//! `up`: addresses from the environment if they are set, else containers if an engine answers, else the published jars;
//! and a service that is up already is left as it is.
//!
//! Always true here: when it says that a server is ready, that server, and not another on the same port, has answered a
//! question.

use super::compose;
use super::jars;
use super::launch::Launch;
use super::ports::{Choice, Ports as How, listens};
use super::process::Life;
use super::servers::{Ports, Service};
use super::state::{NodeRecord, Place, Record, Source, State};
use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use std::fs;
use std::time::{Duration, Instant};

const LINES_SHOWN: usize = 30;
const END_MAX: Duration = Duration::from_secs(60);

/// How services are brought up.
pub(crate) struct Options {
    pub(crate) with: Option<Source>,
    pub(crate) ports: How,
    pub(crate) wipe: bool,
    pub(crate) wait: Duration,
    pub(crate) java: Vec<String>,
}

/// Brings `services` up and waits until all are ready.
pub(crate) fn up(place: &Place, state: &mut State, services: &[&'static Service], options: &Options) -> Result<()> {
    let mut engine = None;
    let mut chosen = Vec::new();
    for service in services {
        let source = source(place, state, service, options, &mut engine)?;
        chosen.push((*service, source));
    }
    let of = |source| chosen.iter().filter(move |(_, of)| *of == source).map(|(service, _)| *service);
    if options.wipe {
        let wiped: Vec<&str> = of(Source::Jars).chain(of(Source::Compose)).map(|service| service.name).collect();
        super::control::down(place, state, &wiped, true)?;
    }
    let mut choice = Choice::new(options.ports, place.seed())?;
    for service in of(Source::Environment) {
        given(place, state, service)?;
    }
    let containers: Vec<_> = of(Source::Compose).collect();
    for service in &containers {
        let nodes = ground(place, state, service, &mut choice)?;
        state.services.insert(service.name.to_owned(), Record { source: Source::Compose, nodes });
    }
    if !containers.is_empty() {
        place.write(state)?;
        compose::start(place, state, &containers)?;
    }
    from_jars(place, state, &of(Source::Jars).collect::<Vec<_>>(), &mut choice, options)?;
    let ours: Vec<_> = of(Source::Compose).chain(of(Source::Jars)).collect();
    let nodes = ours.iter().flat_map(|service| (0..service.nodes.len()).map(|index| (*service, index)));
    ready(place, state, &nodes.collect::<Vec<_>>(), options.wait)
}

/// Where `service` comes from this time.
fn source(
    place: &Place,
    state: &State,
    service: &Service,
    options: &Options,
    engine: &mut Option<bool>,
) -> Result<Source> {
    let record = state.services.get(service.name).filter(|record| record.source != Source::Environment);
    let own = record.map(|record| record.value(service));
    let set = std::env::var(service.variable).ok().filter(|value| !value.trim().is_empty());
    // What an earlier `up` told the shell is no address from elsewhere.
    if let Some(value) = set.as_ref().filter(|value| Some(*value) != own.as_ref()) {
        let alive = record.is_some_and(|record| record.nodes.iter().any(|node| alive(place, node)));
        ensure!(
            !alive,
            "{} is `{value}`, and {} runs here at `{}`; unset the variable, or `cargo xtask services down {}` first",
            service.variable,
            service.name,
            own.unwrap_or_default(),
            service.name
        );
        return Ok(Source::Environment);
    }
    let recorded = record.map(|record| record.source);
    if let (Some(recorded), Some(wanted)) = (recorded, options.with) {
        ensure!(
            recorded == wanted,
            "{} is up already, from {}; `cargo xtask services down {}` first",
            service.name,
            if recorded == Source::Compose { "a container" } else { "its jars" },
            service.name
        );
    }
    Ok(recorded
        .or(options.with)
        .unwrap_or_else(|| if *engine.get_or_insert_with(compose::answers) { Source::Compose } else { Source::Jars }))
}

fn alive(place: &Place, node: &NodeRecord) -> bool {
    place.life(node).is_some_and(|life| life != Life::Gone)
}

/// Takes the addresses from the environment, if somebody answers there.
fn given(place: &Place, state: &mut State, service: &Service) -> Result<()> {
    let value = std::env::var(service.variable).with_context(|| format!("read {}", service.variable))?;
    let mut nodes = Vec::new();
    for (index, address) in service.addresses(&value)?.into_iter().enumerate() {
        let said = (service.ask)(&address, 0).with_context(|| {
            format!("{} is `{value}`; start what should answer there, or unset it", service.variable)
        })?;
        let name = if index == 0 { service.name.to_owned() } else { format!("{}:{index}", service.name) };
        eprintln!("{name}: ready at {address}, which {} names: {said}", service.variable);
        nodes.push(NodeRecord::at(name, address, None));
    }
    state.services.insert(service.name.to_owned(), Record { source: Source::Environment, nodes });
    place.write(state)
}

/// The records of a service's servers, with the ports that they have or are to have: clients hold on to those that they
/// know, so that a port is kept where it can be.
fn ground(place: &Place, state: &State, service: &Service, choice: &mut Choice) -> Result<Vec<NodeRecord>> {
    let before = state.services.get(service.name).filter(|record| record.source != Source::Environment);
    let container = before.is_some_and(|record| record.source == Source::Compose);
    let before = before.map_or(&[][..], |record| &record.nodes);
    let in_use = before.iter().any(|node| alive(place, node));
    let mut nodes = Vec::new();
    for (index, node) in service.nodes.iter().enumerate() {
        let known = before.get(index).and_then(|node| Some((node, node.ports?)));
        // Those that live are told of each other's ports; a container's are its engine's matter.
        if let Some((before, _)) = known.filter(|_| in_use || container) {
            nodes.push(before.clone());
            continue;
        }
        let wanted = known.map_or(node.ports, |(_, ports)| ports);
        let ports = Ports {
            clients: choice.take(wanted.clients).with_context(|| node.name)?,
            servers: wanted.servers.map(|port| choice.take(port).with_context(|| node.name)).transpose()?,
        };
        let address = format!("127.0.0.1:{}", ports.clients);
        if ports.clients != node.ports.clients {
            eprintln!("{}: at port {}, not at the usual {}", node.name, ports.clients, node.ports.clients);
        }
        nodes.push(NodeRecord::at(node.name.to_owned(), address, Some(ports)));
    }
    Ok(nodes)
}

fn from_jars(
    place: &Place,
    state: &mut State,
    services: &[&'static Service],
    choice: &mut Choice,
    options: &Options,
) -> Result<()> {
    if services.is_empty() {
        return Ok(());
    }
    let java = jars::java()?;
    for service in services {
        let jars = jars::get(service.jars)?;
        let nodes = ground(place, state, service, choice)?;
        state.services.insert(service.name.to_owned(), Record { source: Source::Jars, nodes });
        let launch = Launch { place, service, java: &java, jars: &jars, options: &options.java };
        for index in 0..service.nodes.len() {
            bring(&launch, state, index)?;
        }
    }
    Ok(())
}

/// Starts one server unless it runs as it should.
pub(crate) fn bring(launch: &Launch, state: &mut State, index: usize) -> Result<()> {
    let Launch { place, service, .. } = launch;
    let record = state.services.get_mut(service.name).with_context(|| format!("{} is not up", service.name))?;
    let wanted = launch.fingerprint(&record.nodes, index);
    let node = &record.nodes[index];
    let word = place.word(&node.name);
    match (place.life(node), &node.process) {
        (Some(Life::Running), _) if node.plan == wanted => {
            eprintln!("{}: runs already", node.name);
            return Ok(());
        }
        (Some(Life::Paused), Some(process)) if node.plan == wanted => {
            eprintln!("{}: was paused and goes on", node.name);
            process.signal(&word, Signal::CONT)?;
            return Ok(());
        }
        (Some(Life::Running | Life::Paused), Some(process)) => {
            eprintln!("{}: runs with another version or configuration, and is started again", node.name);
            process.end(&word, END_MAX)?;
        }
        _ => eprintln!("{}: starting at {}", node.name, node.address),
    }
    let started = launch.start(&mut record.nodes, index);
    place.write(state)?;
    started
}

/// Waits until all of `nodes` have answered, and says so of each. One that fails is ended.
pub(crate) fn ready(
    place: &Place,
    state: &mut State,
    nodes: &[(&'static Service, usize)],
    limit: Duration,
) -> Result<()> {
    let begun = Instant::now();
    let mut told = 0;
    let mut waiting: Vec<_> = nodes.iter().map(|(service, index)| (*service, *index, Instant::now(), None)).collect();
    while !waiting.is_empty() {
        let mut left = Vec::new();
        for (service, index, since, before) in std::mem::take(&mut waiting) {
            let record = &state.services[service.name];
            let node = &record.nodes[index];
            let seconds = begun.elapsed().as_secs_f64();
            match asked(place, service, record, node) {
                Ok(said) if node.fresh && before.as_ref() != Some(&said) && !service.settles.is_zero() => {
                    left.push((service, index, Instant::now(), Some(said)));
                }
                Ok(_) if node.fresh && since.elapsed() < service.settles => left.push((service, index, since, before)),
                Ok(said) => eprintln!("{}: ready after {seconds:.1} s at {}: {said}", node.name, node.address),
                Err(error) if node.process.is_some() && !alive(place, node) => {
                    return Err(failed(place, node, error.context(format!("{} has ended", node.name))));
                }
                Err(error) if begun.elapsed() > limit => {
                    let late = format!("{} is not ready after {} s (--wait)", node.name, limit.as_secs());
                    return Err(failed(place, node, error.context(late)));
                }
                Err(_) => left.push((service, index, since, None)),
            }
        }
        waiting = left;
        if begun.elapsed().as_secs() >= told + 5 && !waiting.is_empty() {
            told = begun.elapsed().as_secs();
            let names: Vec<&str> = waiting.iter().map(|(service, index, ..)| service.nodes[*index].name).collect();
            eprintln!("waiting for {} ({told} s)", names.join(", "));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What this server, and not another on the same port, says of itself.
pub(crate) fn asked(place: &Place, service: &Service, record: &Record, node: &NodeRecord) -> Result<String> {
    if let Some(process) = &node.process {
        match place.life(node) {
            Some(Life::Running) => {}
            Some(Life::Paused) => bail!("is paused"),
            _ => bail!("process {} is gone", process.pid),
        }
        let port = node.ports.map_or(0, |ports| ports.clients);
        ensure!(listens(process.pid, port) != Some(false), "does not listen on port {port} yet");
    }
    let runs = |node: &&NodeRecord| match node.process {
        Some(_) => place.life(node) == Some(Life::Running),
        None => record.source == Source::Compose && !node.stopped,
    };
    (service.ask)(&node.address, record.nodes.iter().filter(runs).count())
}

/// Ends a server that failed, and gives its last words.
fn failed(place: &Place, node: &NodeRecord, error: anyhow::Error) -> anyhow::Error {
    if let Some(process) = &node.process {
        process.kill(&place.word(&node.name)).ok();
    }
    let Some(log) = &node.log else {
        return error.context(format!("see `{}`", compose::logs(place, &node.name)));
    };
    let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let tail = jars::tail(&text, LINES_SHOWN);
    anyhow::anyhow!("{error:#}; the last lines of {}:\n{tail}", log.display())
}
