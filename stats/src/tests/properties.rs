//! What holds for all data.

mod means;
mod shares;
