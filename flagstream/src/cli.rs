//! The command line: what can be asked of `flagstream`, and its help.

#[cfg(feature = "oldpath")]
mod demo;
mod flags;
#[cfg(feature = "oldpath")]
mod gate;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "oldpath")]
pub use self::demo::Demo;
pub use self::flags::{Flags, FlagsImport, FlagsRemove, FlagsScan, FlagsShow, FlagsSnooze};
#[cfg(feature = "oldpath")]
pub use self::gate::{Compare, Gate, GateSet};
use crate::read::FailOn;

/// Analytics behind feature flags: how often was each variation served, by whom, when last.
#[derive(Debug, Parser)]
#[command(
    name = "flagstream",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        flagstream up                                  start everything on this machine, with keys made for you\n  \
        flagstream up --sdk-key sdk-…                  admit the key that your application already sends\n  \
        flagstream evaluations                         what was served in the last 24 hours, as a table\n  \
        flagstream evaluations --flag checkout --granularity minute --json\n  \
        flagstream events                              custom events, with the exact sum of their values\n  \
        flagstream books --day 2026-01-31              whether everything accepted is accounted for\n  \
        flagstream stale                               which flags are dead, and why\n  \
        flagstream flags scan .                        where the flags stand in this source tree\n  \
        flagstream flags import flags.csv              tell owner, type and age of flags\n  \
        flagstream pipeline                            how far the numbers are behind the log\n  \
        flagstream health                              ready? the exit code says so\n\n\
        Commands that read ask the server at --server (FLAGSTREAM_SERVER), with --key (FLAGSTREAM_KEY) where it wants one.\n\
        `flagstream COMMAND --help` has examples of each."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start ingest, processor, API and page in one process, on the embedded log and store unless the configuration says
    /// otherwise.
    Up(Up),
    /// Start ingest alone: HTTP in, log out. It goes on while the store is away.
    #[command(after_help = "Examples:\n  \
        flagstream ingest --config flagstream.toml --listen 0.0.0.0:8080\n\n\
        The log must be one that processes share: log.kind = \"kafka\", set up once by `flagstream setup`. Run as many as you like.")]
    Ingest(Service),
    /// Start a processor alone: log in, store out. Several share the partitions.
    #[command(after_help = "Examples:\n  \
        flagstream process --config flagstream.toml --data /var/lib/flagstream --listen 127.0.0.1:8081\n\n\
        Each needs a data directory of its own, and all of them one folder or bucket for snapshots ([snapshots] url). Killed,\n\
        paused or cut off, one does no harm: another takes its partitions over. --listen serves /livez, /readyz and /metrics.")]
    Process(Service),
    /// Start API and page alone: store in, answers out.
    #[command(after_help = "Examples:\n  \
        flagstream serve --config flagstream.toml --listen 127.0.0.1:8082\n\n\
        It may be stormed or killed without effect on ingest.")]
    Serve(Service),
    /// Start a worker of the old path alone: takes jobs from its queue, does them, deletes them.
    #[cfg(feature = "oldpath")]
    #[command(after_help = "Examples:\n  \
        flagstream worker --config flagstream.toml --listen 127.0.0.1:8083\n\n\
        Needs [gate] and [jobs] in the configuration; docs/migrating.md says what it is for. Run as many as you like: a job that a\n\
        killed one had in hand comes again. --listen serves /livez, /readyz and /metrics.")]
    Worker(Service),
    /// Make topic, tables and first records; safe to run twice.
    #[command(after_help = "Examples:\n  \
        flagstream setup --config flagstream.toml\n  \
        flagstream setup --config flagstream.toml --plan       what an administrator may run instead; changes nothing")]
    Setup(Setup),
    /// Add, remove or list the keys that SDKs send.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        flagstream keys list\n  \
        echo \"$LD_SDK_KEY\" | flagstream keys add --environment development\n  \
        flagstream keys remove --environment production --ending 3f9c"
    )]
    Keys(Keys),
    /// Tell the server about flags (owner, type, age, snooze), and find them in source code.
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        flagstream flags import flags.csv                    owner, type, age, … of many flags\n  \
        flagstream flags scan . --upload                     where flags stand in this source tree\n  \
        flagstream flags snooze checkout --for 30d\n  \
        flagstream flags show checkout\n  \
        flagstream flags remove chekcout                     forget a mistyped one"
    )]
    Flags(Flags),
    /// Compare the old path with the new one, by cause; exit code 3 where something is unexplained.
    #[cfg(feature = "oldpath")]
    Compare(Compare),
    /// Show which path is in charge of each environment, or move one on.
    #[cfg(feature = "oldpath")]
    #[command(
        subcommand,
        after_help = "Examples:\n  \
        flagstream gate show\n  \
        flagstream gate set shadow --environment production --flags gate.json\n\n\
        docs/migrating.md takes an environment across, step by step."
    )]
    Gate(Gate),
    /// See it all in two minutes, without a server: an environment is taken from the old path to the new one, with the
    /// store throttled and down on the way.
    #[cfg(feature = "oldpath")]
    Demo(Demo),
    /// Show how often each variation was served.
    Evaluations(Evaluations),
    /// Show custom events: how many, and the sum of their metric values.
    #[command(after_help = "Examples:\n  \
        flagstream events\n  \
        flagstream events --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --environment production --json\n\n\
        Sums are exact, in up to 6 decimals; read them from --json as decimals, not as floating point.")]
    Events(Window),
    /// Show the books of a day: accepted = counted + duplicate + late + poison.
    Books(Books),
    /// Show which flags are dead, why, and what to put in their place.
    Stale(Stale),
    /// Show how far the numbers are behind the log.
    #[command(after_help = "Examples:\n  \
        flagstream pipeline\n  \
        flagstream pipeline --json --key admin-…                lag by partition, for monitoring\n\n\
        Lag 0: everything answered 2xx is in the numbers. Numbers of payloads refused whole are best effort: they follow within\n\
        10 s, and a crash may lose them.")]
    Pipeline(Reader),
    /// Ask whether a server is ready; exit code 0 if it is (for container health checks).
    #[command(after_help = "Examples:\n  \
        flagstream health && echo ready\n  \
        flagstream health --server http://127.0.0.1:9090        no key is needed")]
    Health(Reader),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub struct Configured {
    /// A TOML file; environment variables (FLAGSTREAM_LOG__PARTITIONS=8) stand over it, options over both.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where log, state and keys lie [default: flagstream-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `ingest`, `process`, `serve`, and what `up` has of them.
#[derive(Debug, Args)]
pub struct Service {
    /// Configuration and data directory.
    #[command(flatten)]
    pub configured: Configured,
    /// HOST:PORT to listen on; port 0 takes a free one and prints it [default: 127.0.0.1:8080].
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Print the configuration in effect and stop.
    #[arg(long)]
    pub print_config: bool,
}

/// `setup`
#[derive(Debug, Args)]
pub struct Setup {
    /// Configuration and data directory.
    #[command(flatten)]
    pub configured: Configured,
    /// Print the commands and permissions that do the same, and change nothing.
    #[arg(long)]
    pub plan: bool,
}

/// `up`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream up\n  \
    flagstream up --listen 127.0.0.1:0 --data /tmp/try     take a free port and print it\n  \
    flagstream up --print-config                           show the configuration in effect, secrets masked\n\n\
    A graceful stop (Ctrl-C or SIGTERM) answers what was accepted. Killed without it, nothing acknowledged is lost either.")]
pub struct Up {
    /// Configuration, data directory and address.
    #[command(flatten)]
    pub service: Service,
    /// A server SDK's key to admit in project `default`, environment `development` (may be repeated).
    #[arg(long = "sdk-key", value_name = "KEY")]
    pub sdk_keys: Vec<String>,
}

/// `keys`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Admit a key, read from standard input, so that it stands in no shell history. A running server takes it within
    /// seconds.
    #[command(
        after_help = "Examples:\n  echo \"$READ_KEY\" | flagstream keys add --environment production --kind read\n  echo \"$LD_SDK_KEY\" | flagstream keys add --environment development"
    )]
    Add(KeysAdd),
    /// Take a key away: by its last characters, as `keys list` shows them, or whole from standard input.
    #[command(
        after_help = "Examples:\n  flagstream keys remove --environment production --ending 3f9c\n  echo \"$OLD_KEY\" | flagstream keys remove --environment development"
    )]
    Remove(KeysRemove),
    /// List environments and their keys, masked.
    List(Configured),
}

/// `keys add`
#[derive(Debug, Args)]
pub struct KeysAdd {
    /// Configuration and data directory.
    #[command(flatten)]
    pub configured: Configured,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The environment.
    #[arg(long)]
    pub environment: String,
    /// What kind of key it is.
    #[arg(long, value_enum, default_value_t = KeyKind::Server)]
    pub kind: KeyKind,
}

/// `keys remove`
#[derive(Debug, Args)]
pub struct KeysRemove {
    /// Configuration and data directory.
    #[command(flatten)]
    pub configured: Configured,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The environment.
    #[arg(long)]
    pub environment: String,
    /// What kind of key it is [default: any].
    #[arg(long, value_enum)]
    pub kind: Option<KeyKind>,
    /// The key's last characters, 4 at least [default: the whole key comes on standard input].
    #[arg(long, value_name = "CHARACTERS", allow_hyphen_values = true)]
    pub ending: Option<String>,
}

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// Of a server SDK.
    Server,
    /// Of a mobile SDK.
    Mobile,
    /// A client-side id, as browsers send it in the path.
    ClientSide,
    /// For reading this environment's numbers.
    Read,
}

/// Which server to ask, and how to print.
#[derive(Debug, Clone, Args)]
pub struct Reader {
    /// Address of the server.
    #[arg(long, value_name = "URL", env = "FLAGSTREAM_SERVER", default_value = "http://127.0.0.1:8080")]
    pub server: String,
    /// A read or admin key, when the server asks for one.
    #[arg(long, value_name = "KEY", env = "FLAGSTREAM_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Print JSON for programs instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Which environment.
#[derive(Debug, Clone, Args)]
pub struct Environment {
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The environment.
    #[arg(long, default_value = "development")]
    pub environment: String,
}

/// An environment and a time.
#[derive(Debug, Clone, Args)]
pub struct Window {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The environment.
    #[command(flatten)]
    pub environment: Environment,
    /// From when on: RFC 3339 or Unix milliseconds [default: 24 h ago, rounded down]. Rounded to the minute, or hour
    /// where only hours are kept; the answer says what it covers.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Until before when: RFC 3339 or Unix milliseconds [default: now + 5 min, rounded up].
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

/// `evaluations`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream evaluations --flag checkout\n  \
    flagstream evaluations --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --group-by variation,version\n  \
    flagstream evaluations --group-by application,sdk --granularity hour --json")]
pub struct Evaluations {
    /// Server, environment and time.
    #[command(flatten)]
    pub window: Window,
    /// Only this flag.
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub flag: Option<String>,
    /// total, minute, hour or day.
    #[arg(long, default_value = "total")]
    pub granularity: String,
    /// By what, commas between: variation and version together, or variation, application and sdk together (by whole
    /// hours), or reason alone (full events only).
    #[arg(long, default_value = "variation")]
    pub group_by: String,
}

/// `books`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream books\n  \
    flagstream books --day 2026-01-31 --environment production --json\n\n\
    accepted = counted + duplicate + late + poison, exactly; what was rejected at the door stands below by reason.")]
pub struct Books {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The environment.
    #[command(flatten)]
    pub environment: Environment,
    /// The UTC day of receipt, YYYY-MM-DD [default: today].
    #[arg(long)]
    pub day: Option<String>,
}

/// `stale`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream stale\n  \
    flagstream stale --all --critical production           only production decides\n  \
    flagstream stale --markdown > stale.md                 the flags of the table, in words; --all: every flag\n  \
    flagstream stale --fail-on READY_FOR_CODE_REMOVAL      in a pipeline: exit code 3 when there is one\n  \
    flagstream stale --backtest                            how often the rule was wrong: every week of the last 90 days\n  \
    flagstream stale --backtest --as-of 2026-01-31T00:00:00Z --json\n\n\
    A back-test judges past days with today's settings and with what was seen until then, and looks which flags called stale\n\
    came alive again. Try settings in a copy of the configuration ([stale] stale_days = 45) and compare the rates.\n\n\
    Exit codes: 0 done; 1 the server could not be asked, or refused; 2 a wrong command line; 3 --fail-on matched;\n\
    4 --fail-on cannot tell, for the numbers lag.")]
pub struct Stale {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// Whose status and last request to show; verdicts stay those of the project [default: where the flag is
    /// liveliest].
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub environment: Option<String>,
    /// Environments that decide, commas between [default: those configured as critical, else all that the key may
    /// read].
    #[arg(long, value_name = "ENVIRONMENTS", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub critical: Option<String>,
    /// Show flags that are not stale too; JSON always has them.
    #[arg(long)]
    pub all: bool,
    /// Exit with 3 when a stale flag has this advice or reason, or with `stale` when there is any (commas between, or
    /// repeated); waits up to 10 s for numbers that have all that was answered 2xx, and exits with 4 when they lag.
    #[arg(long, value_name = "WORD", value_delimiter = ',', value_enum, ignore_case = true)]
    pub fail_on: Vec<FailOn>,
    /// Print CSV for spreadsheets instead of a table.
    #[arg(long, conflicts_with_all = ["json", "markdown"])]
    pub csv: bool,
    /// Print Markdown instead of a table.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Show what would have been said on past days, and which flags came alive again after it.
    #[arg(long, conflicts_with_all = ["environment", "markdown", "fail_on"])]
    pub backtest: bool,
    /// Judge this one past day: RFC 3339 or Unix milliseconds, rounded down to its beginning in UTC.
    #[arg(long, value_name = "TIME", requires = "backtest", conflicts_with_all = ["from", "to", "step"])]
    pub as_of: Option<String>,
    /// The earliest day to judge [default: 90 days before --to].
    #[arg(long, value_name = "TIME", requires = "backtest")]
    pub from: Option<String>,
    /// The last day to judge [default: today].
    #[arg(long, value_name = "TIME", requires = "backtest")]
    pub to: Option<String>,
    /// Days from one verdict to the next [default: 7]; at most 92 verdicts.
    #[arg(long, value_name = "DAYS", requires = "backtest")]
    pub step: Option<u32>,
    /// Coming alive again within so many days counts as soon [default: 30].
    #[arg(long, value_name = "DAYS", requires = "backtest")]
    pub within: Option<u32>,
}
