//! Lines for whoever reads standard output.
//!
//! Always true here: a reader that has gone away (`… | head`) is no error, and no reason for a server to end.

use std::io::{ErrorKind, Write};

use anyhow::Context;

/// Prints a line.
///
/// # Errors
/// When it cannot be written though somebody still reads.
pub fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot print"),
    }
}

/// Prints a line that the work does not depend on.
pub fn tell(text: &str) {
    if let Err(error) = line(text) {
        tracing::warn!(error = format!("{error:#}"), "cannot tell the news");
    }
}
