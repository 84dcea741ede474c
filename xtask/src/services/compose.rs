//! The servers as containers, by Docker Compose and the repository's `docker-compose.yml`, in a project of this clone's
//! own.
//!
//! Always true here: a server is called there as it is called here, and `NAME_PORT` is the port for its clients.

use super::servers::Service;
use super::state::{NodeRecord, Place, Source, State};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::process::{Command, Stdio};
use std::time::Duration;

/// An engine that takes longer to say that it is there is taken for none.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Whether an engine answers and has Compose.
pub(crate) fn answers() -> bool {
    let succeeds = |arguments: &[&str]| {
        let mut docker = Command::new("docker");
        docker.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = docker.spawn().ok()?;
        workspace::wait(&mut child, ANSWER_MAX, |_| ()).ok()
    };
    let there = |arguments: &[&str]| succeeds(arguments).is_some_and(|status| status.success());
    there(&["compose", "version"]) && there(&["info"])
}

/// Makes and starts the containers of `services`.
pub(crate) fn start(place: &Place, state: &State, services: &[&'static Service]) -> Result<()> {
    let nodes: Vec<&str> = services.iter().flat_map(|service| service.nodes).map(|node| node.name).collect();
    eprintln!("containers: {}", nodes.join(", "));
    run(place, state, &[&["up", "--detach"][..], &nodes].concat())
}

/// `docker compose ARGUMENTS` in this clone's project.
pub(crate) fn run(place: &Place, state: &State, arguments: &[&str]) -> Result<()> {
    let mut docker = workspace::command("docker");
    docker.args(["compose", "--project-name", &project(place)]).args(arguments);
    docker.envs(variables(state)).stdin(Stdio::null());
    // What it says is progress, and standard output is for who reads addresses.
    let output = docker.stdout(Stdio::piped()).stderr(Stdio::inherit()).output().context("run docker")?;
    eprint!("{}", String::from_utf8_lossy(&output.stdout));
    ensure!(output.status.success(), "docker compose {}: {}", arguments.join(" "), output.status);
    Ok(())
}

/// Deletes the containers of these servers with their data.
pub(crate) fn wipe(place: &Place, state: &State, nodes: &[&str]) -> Result<()> {
    run(place, state, &[&["rm", "--stop", "--force", "--volumes"][..], nodes].concat())?;
    // Compose deletes volumes that have a name only with the whole project.
    let volumes = nodes.iter().map(|node| format!("{}_{node}", project(place)));
    let status = Command::new("docker").args(["volume", "rm", "--force"]).args(volumes).stdout(Stdio::null()).status();
    ensure!(status.context("run docker")?.success(), "docker volume rm failed");
    Ok(())
}

/// The command that shows what a container said.
pub(crate) fn logs(place: &Place, node: &str) -> String {
    format!("docker compose --project-name {} logs {node}", project(place))
}

fn project(place: &Place) -> String {
    let name = place.folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let allowed = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    format!("flagstream-{}", name.chars().filter(allowed).collect::<String>())
}

/// The ports of all containers on record, and what the file wants of its other services.
fn variables(state: &State) -> Vec<(String, String)> {
    let records = state.services.values().filter(|record| record.source == Source::Compose);
    let port = |node: &NodeRecord| {
        let name = format!("{}_PORT", node.name.replace('-', "_").to_uppercase());
        node.ports.map(|ports| (name, ports.clients.to_string()))
    };
    let mut variables: Vec<_> = records.flat_map(|record| &record.nodes).filter_map(port).collect();
    // Asked for by the service `flagstream`, which is not started here.
    variables.push(("FLAGSTREAM_ADMIN_KEYS".to_owned(), "not-used".to_owned()));
    variables
}

#[cfg(test)]
mod tests {
    use super::super::servers::SERVICES;
    use super::*;

    fn file() -> String {
        std::fs::read_to_string(workspace::root().join("docker-compose.yml")).unwrap()
    }

    /// The lines of the service `name` in the file.
    fn section(name: &str) -> String {
        let file = file();
        let begun = file.lines().skip_while(|line| *line != format!("  {name}:"));
        begun.skip(1).take_while(|line| line.is_empty() || line.starts_with("   ")).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_file_has_each_server_with_its_profile_and_its_port() {
        for service in SERVICES {
            for node in service.nodes {
                let section = section(node.name);
                let variable = format!("{}_PORT", node.name.replace('-', "_").to_uppercase());
                let port = format!("127.0.0.1:${{{variable}:-{}}}:", node.ports.clients);
                assert!(section.contains(&port), "{}: {port} in\n{section}", node.name);
                let profile = format!("profiles: [{}", service.name);
                assert!(section.contains(&profile), "{}: {profile} in\n{section}", node.name);
            }
        }
    }

    #[test]
    fn containers_have_the_versions_of_the_jars() {
        for service in SERVICES {
            let tag = format!(":{}\n", service.jars.version());
            let (file, version) = (file(), service.jars.version());
            let images = file.lines().filter(|line| line.contains("image: ")).map(|line| format!("{line}\n"));
            assert!(images.filter(|line| line.ends_with(&tag)).count() >= 1, "{} {version}", service.name);
        }
    }
}
