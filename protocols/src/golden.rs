//! Captured runs of real SDKs, replayed: read a folder, send its requests, compare what was counted with what the
//! program did.
//!
//! Always true here: `golden/README.md` tells the format; a folder in that format is tested with no line of code; a
//! field that the format does not know fails. This module is for tests (feature `testing`), so it alone reads files. It
//! replays through this package ([`count`]) or, by the caller's hand, over HTTP ([`Captured::wire_body`],
//! [`Run::shift_ms`]).

mod capture;
mod counted;
mod expected;

pub use capture::{Captured, Run, runs_in};
pub use counted::{Counted, Flag, count};
pub use expected::{Expected, ExpectedCustom, ExpectedFlag, ExpectedMigrations, differences};
