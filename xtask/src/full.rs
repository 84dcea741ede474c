//! `cargo xtask full`: all of `verify`, and then the steps that take too long for every change: seeds by the thousand,
//! ten times the kills, the release build. About half an hour on two cores.

use crate::steps::{LONG, Step, VERIFY};

/// The steps of both, in order.
pub(crate) fn steps() -> Vec<Step> {
    VERIFY.iter().chain(LONG).cloned().collect()
}
