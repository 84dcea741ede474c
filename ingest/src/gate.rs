//! The gate: which path writes an environment's payloads, and which path is in charge of it.
//!
//! Always true here: a payload has one stage from its decoding to the last of its writes; the old path is written only
//! after the log has every record of the payload, except in `off`, where the log has none; what the old path cannot
//! take in time is told to it as refused, never dropped in silence.
//!
//! [`Stage`] is the word for what a payload's environment is in; [`OldPath`] is the other sink, implemented elsewhere.

mod old_path;
mod stages;

pub use old_path::{OldAnswer, OldCount, OldEvent, OldExposure, OldPath, OldPayload, OldVariation};
pub use stages::Stage;
