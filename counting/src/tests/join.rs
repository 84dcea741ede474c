//! Experiments through the whole fold: reference cases in every order, cut into partitions and restarts; what is kept
//! of units, for how long; what is numbered.

mod golden;
mod house;
mod rules;
mod units;
