//! Real Kafka, DynamoDB Local, Cassandra, and servers of S3 and SQS for tests: found or started, asked whether they are ready,
//! stopped. `services/servers.rs` has the row of each; `services/up.rs` the order in which they are looked for.
//!
//! Always true here: addresses go to standard output and everything else to standard error, so that a shell can take
//! the addresses as they are.

use anyhow::{Context, Result, ensure};
use control::Deed;
use ports::Ports;
use servers::{SERVICES, Service};
use state::{Place, Source};
use std::time::Duration;

mod cassandra;
mod compose;
mod control;
mod dynamodb;
mod jars;
mod kafka;
mod launch;
mod ports;
mod process;
mod s3;
mod servers;
mod show;
mod sqs;
mod state;
mod up;
mod wire;

use crate::workspace;

const HELP: &str = "\
Each service is taken from the first of these that there is:
  1. its variable, if set, with one address or several. Never started or stopped here.
  2. Docker Compose with the repository's docker-compose.yml, if an engine answers.
  3. the published jars, fetched once by Maven (some 260 MB for all) and run by Java 17 or newer,
     on 127.0.0.1. The five that `up` starts take about 1.3 GiB of memory.
Data, logs and the record (services.json) lie in the target folder, apart for each clone, and stay
over `down` unless --wipe is given. Only processes that were started here are ever stopped.

Examples:
  cargo xtask services up                          all but the cluster
  eval \"$(cargo xtask services up kafka dynamodb)\"   … and their addresses into this shell
  cargo xtask services up kafka --brokers 3        three, beside a single one
  cargo xtask services up --json                   addresses for a program
  cargo xtask services status
  cargo xtask services stop kafka-2 --kill         as a power cut would; then `start kafka-2`
  cargo xtask services pause cassandra             it hangs; then `resume cassandra`
  cargo xtask services down --wipe                 end all, delete their data";

/// The services by name, and how they are found.
fn help() -> String {
    let row = |service: &&Service| {
        let variable = format!("{}={}HOST:PORT", service.variable, service.scheme);
        format!("  {:<14} {}\n{:<17}{variable}\n", service.name, service.what, "")
    };
    format!("Services:\n{}\n{HELP}", SERVICES.iter().map(row).collect::<String>())
}

/// What to do with the servers.
#[derive(clap::Args)]
#[command(after_help = help())]
pub(crate) struct Arguments {
    #[command(subcommand)]
    deed: Subcommand,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Brings services up, waits until each has answered a question, and prints their addresses
    #[command(after_help = help())]
    Up(Up),
    /// Ends what was started here, and waits until it is gone
    Down {
        /// Which (default: all that are up)
        services: Vec<String>,
        /// Delete their data as well
        #[arg(long)]
        wipe: bool,
    },
    /// Says how each is; fails unless all that should be up are ready
    Status {
        #[command(flatten)]
        form: Form,
    },
    /// Stops servers, which stay on record: kafka-2, cassandra, …
    Stop {
        #[arg(required = true)]
        servers: Vec<String>,
        /// By kill -9
        #[arg(long)]
        kill: bool,
    },
    /// Starts servers again that were stopped or have died, at their old addresses and with their data
    Start {
        #[arg(required = true)]
        servers: Vec<String>,
        /// Do not wait until they are ready: one broker of three alone never is
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        patience: Patience,
    },
    /// Lets servers stand still, with their ports and connections open
    Pause {
        #[arg(required = true)]
        servers: Vec<String>,
    },
    /// Lets servers go on that stood still
    Resume {
        #[arg(required = true)]
        servers: Vec<String>,
    },
    /// Fetches the jars anew and writes their sums into the source, after a version was changed there
    Pin {
        /// Which (default: all)
        services: Vec<String>,
    },
}

#[derive(clap::Args)]
struct Up {
    /// Which (default: kafka, dynamodb, cassandra, s3, sqs)
    services: Vec<String>,
    /// Kafka with one broker or three
    #[arg(long, value_name = "N", default_value = "1", value_parser = ["1", "3"])]
    brokers: String,
    /// Where they come from, if no variable names them (default: containers if an engine answers, else jars)
    #[arg(long, value_enum)]
    with: Option<With>,
    /// Which ports they listen on
    #[arg(long, value_enum, default_value = "usual")]
    ports: Ports,
    /// Begin with no data; one that is up is stopped first
    #[arg(long)]
    wipe: bool,
    #[command(flatten)]
    patience: Patience,
    /// A further option for Java, over ours: --java=-XX:TieredStopAtLevel=4 --java=-Xmx2g (repeatable)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    java: Vec<String>,
    #[command(flatten)]
    form: Form,
}

#[derive(clap::Args)]
struct Patience {
    /// How long they may take until they are ready
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    wait: u64,
}

#[derive(clap::Args)]
struct Form {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print `export VARIABLE='VALUE'` (what `up` prints anyway)
    #[arg(long, conflicts_with = "json")]
    exports: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum With {
    /// Docker Compose
    Compose,
    /// The published jars, with Maven and Java
    Jars,
}

/// Does it; false if what was asked for is not so.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let place = Place::here();
    if let Subcommand::Pin { services } = &arguments.deed {
        return pin(services);
    }
    if let Subcommand::Status { form } = &arguments.deed {
        return status(&place, form);
    }
    let _lock = place.lock()?;
    let mut state = place.read()?;
    match &arguments.deed {
        Subcommand::Up(wanted) => return bring_up(&place, &mut state, wanted),
        Subcommand::Down { services, wipe } => {
            let names: Vec<&str> = chosen(services, |_| true)?.iter().map(|service| service.name).collect();
            control::down(&place, &mut state, &names, *wipe)?;
        }
        Subcommand::Stop { servers, kill } => {
            let nodes = control::nodes_named(&state, servers)?;
            control::act(&place, &mut state, &nodes, if *kill { Deed::Kill } else { Deed::Stop })?;
        }
        Subcommand::Start { servers, no_wait, patience } => {
            let nodes = control::nodes_named(&state, servers)?;
            let wait = (!no_wait).then_some(Duration::from_secs(patience.wait));
            control::start(&place, &mut state, &nodes, wait, &[])?;
        }
        Subcommand::Pause { servers } => {
            let nodes = control::nodes_named(&state, servers)?;
            control::act(&place, &mut state, &nodes, Deed::Pause)?;
        }
        Subcommand::Resume { servers } => {
            let nodes = control::nodes_named(&state, servers)?;
            control::act(&place, &mut state, &nodes, Deed::Resume)?;
        }
        Subcommand::Status { .. } | Subcommand::Pin { .. } => {}
    }
    Ok(true)
}

/// The services that are on record as up.
pub(crate) fn are_up() -> Result<Vec<String>> {
    Ok(Place::here().read()?.services.into_keys().collect())
}

fn bring_up(place: &Place, state: &mut state::State, wanted: &Up) -> Result<bool> {
    let mut services = chosen(&wanted.services, |service| service.by_default)?;
    if wanted.brokers == "3" {
        let single = services.iter_mut().filter(|service| service.name == kafka::ONE.name);
        let replaced = single.map(|service| *service = &kafka::THREE).count();
        let named = services.iter().any(|service| service.name == kafka::THREE.name);
        ensure!(replaced > 0 || named, "--brokers 3 is for kafka, which is not among the services named");
    }
    let with = wanted.with.map(|with| match with {
        With::Compose => Source::Compose,
        With::Jars => Source::Jars,
    });
    let options = up::Options {
        with,
        ports: wanted.ports,
        wipe: wanted.wipe,
        wait: Duration::from_secs(wanted.patience.wait),
        java: wanted.java.clone(),
    };
    up::up(place, state, &services, &options)?;
    if wanted.form.json {
        show::json(place, state, &show::look(place, state))?;
    } else {
        show::exports(state);
    }
    Ok(true)
}

fn status(place: &Place, form: &Form) -> Result<bool> {
    let state = place.read()?;
    if form.exports {
        show::exports(&state);
        return Ok(true);
    }
    let shown = show::look(place, &state);
    if form.json {
        show::json(place, &state, &shown)?;
        return Ok(show::all_ready(&shown));
    }
    Ok(show::table(place, &shown))
}

fn pin(names: &[String]) -> Result<bool> {
    for service in chosen(names, |service| service.by_default)? {
        let path = workspace::root().join(format!("xtask/src/services/sums/{}.sha256", service.jars.name));
        std::fs::write(&path, jars::pin(service.jars)?).with_context(|| format!("write {}", path.display()))?;
        println!("{} written; look at the difference before you keep it", path.display());
    }
    Ok(true)
}

/// The services named, each once; those that `otherwise` picks if none is named.
fn chosen(names: &[String], otherwise: impl Fn(&Service) -> bool) -> Result<Vec<&'static Service>> {
    if names.is_empty() {
        return Ok(SERVICES.iter().copied().filter(|service| otherwise(service)).collect());
    }
    for name in names {
        servers::named(name)?;
    }
    Ok(SERVICES.iter().copied().filter(|service| names.iter().any(|name| name == service.name)).collect())
}
