//! The command line of `flagstream flags`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::Reader;
use crate::flags::{self, End};

/// `flags`
#[derive(Debug, Subcommand)]
pub enum Flags {
    /// Send what a file says about flags; what it does not name stays as it is.
    #[command(after_help = "Examples:\n  \
        flagstream flags import flags.csv --dry-run          what would change, and which flags nobody has seen\n  \
        echo '{\"checkout\": {\"type\": \"release\"}}' | flagstream flags import -\n\n\
        A JSON list of {\"key\": …, …}, a JSON object by flag, or CSV with a header (key, owner, …;\n\
        lists with ; between). Fields: createdAt, temporary, type, archived, snoozedUntil, dependents,\n\
        prerequisites, runningExperiment, codeReferences, owner; times are dates (2026-01-31, which is\n\
        00:00 UTC), RFC 3339 or Unix milliseconds; codeReferences is a number or a list of file:line, of\n\
        which the first 20 are kept. At most 10,000 rows.\n\n\
        A field that is not named, or whose cell is empty, stays as it is; null (in JSON, or as a cell)\n\
        ends what was known. Sending a file again changes nothing. It ends when the answers have it, or\n\
        says after 10 s that they lag. A flag that was mistyped is judged like any other: look through the\n\
        names that nobody has seen, and `flags remove` those that are wrong.")]
    Import(FlagsImport),
    /// Keep a flag out of the list of stale flags for a time.
    #[command(after_help = "Examples:\n  \
        flagstream flags snooze checkout --for 30d\n  \
        flagstream flags snooze checkout --until 2026-12-31\n  \
        flagstream flags snooze checkout --until now         end the snooze\n\n\
        A flag that was never evaluated, and of which nothing was said, is taken for a mistyped one\n\
        (--new snoozes it).\n\n\
        Exit codes: 0 done; 1 the flag is not known, or the server could not be asked, or refused;\n\
        2 a wrong command line.")]
    Snooze(FlagsSnooze),
    /// Find flag keys in source trees: whole words, by file and line.
    #[command(after_help = "Examples:\n  \
        flagstream flags scan .                            the keys that the server has seen\n  \
        flagstream flags scan src --keys keys.txt --json   keys from a file, one a line; asks no server\n  \
        flagstream flags scan web api --upload             keep numbers and first places of each flag\n\n\
        An upload replaces the numbers of the whole project: a flag that stands in none of the named\n\
        directories gets 0, which is a reason to remove it. Name all source trees in one command; of two\n\
        uploads the second undoes the first. Flags that were so already are not written again; where an\n\
        upload is interrupted, it says how far it came, `stale` says so too, and the same command continues.\n\n\
        Found are the key (also behind or before . and -, where no longer key stands there) and the name\n\
        that React's useFlags() makes of it (newCheckout for new-checkout), told as such. .gitignore is\n\
        respected; hidden files, binary files and files over 4 MiB are passed over, and with large\n\
        ones nothing is uploaded unless --allow-passed-over says so.\n\n\
        Exit codes: 0 done; 1 something is wrong, or not all was sent; 2 a wrong command line; 130 interrupted.")]
    Scan(FlagsScan),
    /// Show what was said about a flag.
    #[command(after_help = "Examples:\n  flagstream flags show checkout\n  flagstream flags show checkout --json")]
    Show(FlagsShow),
    /// Take back all that was said about a flag; one that was never evaluated is forgotten.
    #[command(after_help = "Examples:\n  \
        flagstream flags remove chekcout                   an import had it mistyped\n\n\
        Of a flag that was evaluated its numbers stay, and it is judged by them alone. To say something anew\n\
        is possible at any time.\n\n\
        Exit codes: 0 nothing is said of it any more; 1 nothing ever was, or the server could not be asked,\n\
        or refused; 2 a wrong command line.")]
    Remove(FlagsRemove),
}

/// `flags import`
#[derive(Debug, Args)]
pub struct FlagsImport {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// JSON or CSV; `-` = standard input.
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Send the good rows though others are bad.
    #[arg(long)]
    pub skip_bad: bool,
    /// Check every row, ask the server what would be new or change, and send nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `flags scan`
#[derive(Debug, Args)]
pub struct FlagsScan {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The source trees, counted together; a file below two of them counts once.
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Flag keys, one a line [default: those that the server knows].
    #[arg(long, value_name = "FILE")]
    pub keys: Option<String>,
    /// Keep the number of lines as `codeReferences` of each flag, 0 for those that are nowhere, and the first 20 of them:
    /// replaces those of the whole project.
    #[arg(long)]
    pub upload: bool,
    /// Upload though files over 4 MiB were passed over.
    #[arg(long, requires = "upload")]
    pub allow_passed_over: bool,
}

/// `flags snooze`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("end").args(["until", "for_"]).required(true)))]
pub struct FlagsSnooze {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The flag.
    pub flag: String,
    /// Until when: a date, RFC 3339 or Unix milliseconds, at most 1 year ahead; `now` ends the snooze.
    #[arg(long, value_name = "DATE", value_parser = flags::end)]
    pub until: Option<End>,
    /// For how long, in milliseconds; given as 30d or 12h.
    #[arg(long = "for", value_name = "TIME", value_parser = flags::duration_ms, help = "For how long: 30d, 12h")]
    pub for_: Option<i64>,
    /// Snooze it though it was never evaluated and nothing was said of it.
    #[arg(long)]
    pub new: bool,
}

/// `flags show`
#[derive(Debug, Args)]
pub struct FlagsShow {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The flag.
    pub flag: String,
}

/// `flags remove`
#[derive(Debug, Args)]
pub struct FlagsRemove {
    /// The server.
    #[command(flatten)]
    pub reader: Reader,
    /// The project.
    #[arg(long, default_value = "default")]
    pub project: String,
    /// The flag.
    pub flag: String,
}
