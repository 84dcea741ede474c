//! Proof by seed: clock, log, stores, workers and a dice in one process, one thread; and a naive oracle that looks on.
//!
//! Always true here: a seed decides everything that happens; what runs is the product's own worker, partitioner, split
//! rule, judge of times and store protocol, never a copy of them; what it is held against shares nothing with it but the
//! reading of records.

pub mod audit;
pub mod chance;
pub mod disks;
pub mod faults;
pub mod stores;
pub mod log;
pub mod oracle;
pub mod trace;
pub mod traffic;
