//! The walk over the reference cases, the traps that were measured, and properties.

mod golden;
