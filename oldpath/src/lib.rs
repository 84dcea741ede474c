//! The old path whole: the HTTP service writes each evaluation straight into the database and puts a job for each
//! custom event and exposure into a queue, from which a worker takes it. What the product had before the log, kept so
//! that a migration away from it can be made and compared.
//!
//! Always true here: nothing fails on purpose; everything is tried as a sensible service would, and what then is lost
//! or done twice is told to the log: intent before effect (ingest's gate), outcome after it ([`outcomes`]). What is
//! done in stage `off`, of which the log knows nothing, is told apart by the counters themselves.
//!
//! Where to go next: [`writer`] is ingest's other sink, [`worker`] takes jobs, [`reads`] answers; [`store`] and [`jobs`] are what they
//! write to. `docs/removing-the-old-path.md` is how all this goes.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod counter;
mod dice;
mod error;
mod file;
pub mod jobs;
pub mod outcomes;
pub mod reads;
pub mod store;
pub mod trouble;
pub mod worker;
pub mod writer;

pub use dice::Dice;
pub use error::{Error, WriteError};
