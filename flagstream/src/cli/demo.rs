//! `flagstream demo`.

use clap::Args;

/// `demo`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    flagstream demo\n  \
    flagstream demo --quick --json                          half a minute, and a line for programs\n  \
    flagstream demo --seed 7 --keep                         other traffic, and everything stays to be looked at\n\n\
    The product itself runs in this process: log, processor, gate, old path, API and page, on an address that is told at the\n\
    beginning. Clients send what SDKs send, and what they sent is known exactly. The gate goes from off to shadow, live and\n\
    complete; in shadow the store of both paths is throttled and then down, in live it is down again. At the end a table says\n\
    what each path counted and why they differ. No configuration is read.\n\n\
    --json ends with {sent, old, new, duplicate, lost, unexplained}: evaluations sent in shadow and live, each payload once;\n\
    old = new + duplicate - lost. Nothing else goes to standard output then.\n\n\
    Exit codes: 0 the new path is exact, nothing is unexplained, and the old path differs; 1 it is not so, or something is\n\
    wrong; 2 a wrong command line; 130 stopped before its end, and nothing was judged.")]
pub struct Demo {
    /// HOST:PORT of API and page while it plays; port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Which traffic, and which calls of the store are refused; the order in which they come is not the seed's.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A few seconds of each scene: half a minute in all.
    #[arg(long)]
    pub quick: bool,
    /// End with a line of JSON; what people read goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// Keep the folder in which it was played, with log, stores, flag file and the server's own log lines.
    #[arg(long)]
    pub keep: bool,
}
