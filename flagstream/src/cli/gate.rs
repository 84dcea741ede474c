//! `flagstream gate` and `flagstream compare`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use ingest::gate::Stage;

use super::{Environment, Reader, Window};

/// `gate`
#[derive(Debug, Subcommand)]
pub enum Gate {
    /// Show the stage of each environment, since when, what the flag asks for, and the last changes.
    #[command(after_help = "Examples:\n  \
        flagstream gate show\n  \
        flagstream gate show --json --key admin-…")]
    Show(Reader),
    /// Move an environment to a stage: changes the flag file, and waits until the stage is in force.
    Set(GateSet),
}

/// `gate set`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream gate set shadow --environment production --flags gate.json\n  \
    flagstream gate set live --environment production --flags gate.json\n  \
    flagstream gate set off --environment production --flags gate.json      back, from anywhere, within a second\n\n\
    Stages: off (old path alone), shadow (both, old in charge), live (both, new in charge), complete (new path alone). A longer\n\
    move walks the stages between, 2 s each. From shadow on no step forward is made while the comparison has anything\n\
    unexplained. Of the file only this environment's rule is changed; it is made where there is none.\n\n\
    Exit codes: 0 the stage is in force; 1 something is wrong; 2 a wrong command line; 3 held back, something is unexplained;\n\
    4 nobody can tell yet, for the numbers lag.")]
pub struct GateSet {
    /// off, shadow, live or complete.
    #[arg(value_name = "STAGE", value_parser = PossibleValuesParser::new(Stage::ALL.map(Stage::name))
        .map(|name| Stage::from_name(&name).unwrap_or(Stage::Off)))]
    pub stage: Stage,
    /// The flag file, that of `gate.flags` in the configuration.
    #[arg(long, value_name = "FILE")]
    pub flags: PathBuf,
    /// Which environment.
    #[command(flatten)]
    pub environment: Environment,
    /// Step forward though something is unexplained; does not ask the server before.
    #[arg(long)]
    pub force: bool,
    /// The server, asked with an admin key.
    #[command(flatten)]
    pub reader: Reader,
}

/// `compare`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream compare --environment production\n  \
    flagstream compare --environment production --flag checkout --from 2026-01-01T00:00:00Z\n  \
    flagstream compare --json && echo explained\n\n\
    old − new is told by cause, each from a record made when it happened; what is left is unexplained, and should be 0.\n\n\
    Exit codes: 0 all is explained; 1 something is wrong; 2 a wrong command line; 3 something is unexplained; 4 nobody can tell\n\
    yet, for the numbers lag.")]
pub struct Compare {
    /// Server, environment and time; whole hours are compared.
    #[command(flatten)]
    pub window: Window,
    /// Only this flag.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub flag: Option<String>,
}
