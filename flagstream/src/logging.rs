//! Where log lines go: standard error, at `info` unless `RUST_LOG` says otherwise; JSON with
//! `FLAGSTREAM_LOG_FORMAT=json`.
//!
//! Always true here: a line that nobody can read is left out, and no reason for a server to end.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Cassandra's library tells of each connection; what it cannot do comes to us as an error, and is told by us.
const DEFAULT: &str = "info,scylla=warn";

/// Starts logging for this process.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let lines = lines.with_target(false).with_ansi(colours);
    // It would tell of them on standard error too, and panic when that cannot be written.
    let lines = lines.log_internal_errors(false);
    match std::env::var("FLAGSTREAM_LOG_FORMAT").as_deref() {
        Ok("json") => lines.json().init(),
        _ => lines.compact().init(),
    }
}

/// Starts logging for this process into a file, where the terminal shows something else.
#[cfg(feature = "oldpath")]
pub fn start_in(file: std::fs::File) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::sync::Mutex::new(file));
    lines.with_target(false).with_ansi(false).log_internal_errors(false).compact().init();
}
