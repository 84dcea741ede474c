//! Lines for whoever reads standard output.
//!
//! Always true here: a reader that has gone away (`… | head`) is no error, and no reason for a server to end.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

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

/// A line beside the output. One that nobody can read is no reason to fail: the work does not depend on it.
pub fn aside(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A line beside the output that stands in the place of the one before, until the last.
pub fn progress(text: &str, is_last: bool) {
    let _ = write!(io::stderr().lock(), "\r{text}{}", if is_last { "\n" } else { "" });
}

/// An error with its causes, each said once: some errors have their cause in their own words already.
pub fn with_causes(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        match said.as_str() {
            "" => said = cause,
            before if before.ends_with(&cause) => {}
            before => said = format!("{before}: {cause}"),
        }
    }
    said
}

/// An error about a data directory: where the system denied it, or a file is in the way, with the directory and what to
/// do.
pub fn about_data(error: anyhow::Error, data: &Path) -> anyhow::Error {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let shown = absolute.display();
    if let Some(file) = absolute.ancestors().find(|place| place.exists() && !place.is_dir()) {
        let file = file.display();
        return error.context(format!(
            "the data directory {shown} cannot be made: {file} is a file; name another with --data DIR"
        ));
    }
    let is_denied =
        |cause: &io::Error| matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
    if !error.chain().any(|cause| cause.downcast_ref().is_some_and(is_denied)) {
        return error;
    }
    error.context(format!(
        "this user may not read and write the data directory {shown}; make it this user's own, or name another with --data DIR"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_denied_is_named() {
        let of = |kind| {
            let what = "opening log".to_owned();
            let error = anyhow::Error::new(eventlog::Error::Io { what, source: io::Error::from(kind) });
            with_causes(&about_data(error, Path::new("/srv/flags")))
        };
        let said = of(ErrorKind::PermissionDenied);
        assert!(said.contains("/srv/flags") && said.contains("--data DIR") && said.contains("opening log"), "{said}");
        assert!(!of(ErrorKind::StorageFull).contains("--data"));
    }

    #[test]
    fn a_cause_is_said_once() {
        let io = || std::io::Error::from(ErrorKind::PermissionDenied);
        let error = eventlog::Error::Io { what: "opening log".to_owned(), source: io() };
        assert_eq!(with_causes(&anyhow::Error::new(error)), format!("opening log: {}", io()));
        let error = anyhow::Error::new(io()).context("cannot read keys.toml").context("cannot start");
        assert_eq!(with_causes(&error), format!("cannot start: cannot read keys.toml: {}", io()));
    }
}
