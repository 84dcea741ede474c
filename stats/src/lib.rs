//! Counts become decisions.
//!
//! Always true here: no I/O, no clock, no dice, no async, nothing of ours is imported. Exact sums come in as integers
//! ([`Moments::exact`], [`PairMoments::exact`]); out come finite numbers or a reason why there is none ([`NoNumber`]).
//! One method a file, each naming its paper. Reference cases lie in `golden/`; a file put there is tested with no line
//! of code.

pub mod alpha;
pub mod analysis;
pub mod arm;
pub mod best;
pub mod beta_binomial;
pub mod cap;
pub mod confidence_sequence;
pub mod cuped;
mod exact;
pub mod fieller;
pub mod group_sequential;
pub mod interval;
pub mod lift;
pub mod moments;
pub mod msprt;
pub mod multiplicity;
pub mod no_number;
pub mod normal_posterior;
pub mod p;
pub mod pair;
pub mod proportions;
pub mod quantile;
mod ratio;
pub mod sample_size;
pub mod sequential_srm;
pub mod special;
pub mod srm;
pub mod verdict;
pub mod welch;

#[cfg(test)]
mod tests;

pub use alpha::Alpha;
pub use analysis::{Analysis, Method, Plan, Reading, analyse};
pub use arm::Arm;
pub use ethnum::I256;
pub use interval::Interval;
pub use moments::Moments;
pub use no_number::{NoNumber, status};
pub use p::P;
pub use pair::{PairMoments, PairSums, RawPairSums};
pub use verdict::{Rule, Split, Verdict};
