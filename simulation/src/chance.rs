//! The dice of a seed, and the count of what it let happen.
//!
//! Always true here: the same seed throws the same on every machine (splitmix64); the streams of neighbouring seeds are
//! far apart; a fault is thrown through [`Chance::fault`], which counts it; once the world is calm no fault is thrown
//! any more.

use crate::faults::{Fault, Tally};

/// The dice of one seed.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
    calm: bool,
    grain_ms: i64,
    /// The faults thrown so far.
    pub tally: Tally,
}

impl Chance {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut chance =
            Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), calm: false, grain_ms: 1, tally: Tally::default() };
        // A throw adds to the state what seeds are apart: without this, seed 8 would throw what seed 7 throws, one
        // later.
        chance.state = chance.bits();
        chance
    }

    /// Other dice, which this seed decides too: what they throw takes nothing from these, so that a seed which does not
    /// ask for what they decide is the run that it was.
    #[must_use]
    pub fn aside(&self) -> Self {
        Self::new(self.state.rotate_left(23))
    }

    /// From now on no fault happens.
    pub fn be_calm(&mut self) {
        self.calm = true;
    }

    /// Whether faults are over.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.calm
    }

    /// From now on times are multiples of this, so that they meet each other and every limit exactly.
    pub fn be_coarse(&mut self, grain_ms: i64) {
        self.grain_ms = grain_ms.max(1);
    }

    /// The grain of times, in milliseconds.
    #[must_use]
    pub fn grain_ms(&self) -> i64 {
        self.grain_ms
    }

    /// A time rounded down to the grain.
    #[must_use]
    pub fn coarse(&self, time_ms: i64) -> i64 {
        time_ms - time_ms.rem_euclid(self.grain_ms)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `below` - 1; 0 where `below` is 0.
    pub fn below(&mut self, below: usize) -> usize {
        let thrown = self.bits() % (below.max(1) as u64);
        usize::try_from(thrown).unwrap_or(0)
    }

    /// True in `percent` of a hundred throws.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// True in `permille` of a thousand throws.
    pub fn permille(&mut self, permille: usize) -> bool {
        self.below(1000) < permille
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Whether this fault happens now: in `permille` of a thousand throws, and never in a calm world.
    pub fn fault(&mut self, fault: Fault, permille: usize) -> bool {
        let happens = !self.calm && self.permille(permille);
        if happens {
            self.tally.add(fault);
        }
        happens
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn neighbouring_seeds_throw_nothing_alike() {
        let mut thrown = HashSet::new();
        for seed in 0..64 {
            let mut chance = Chance::new(seed);
            assert!((0..10_000).all(|_| thrown.insert(chance.bits())), "seed {seed} repeats another");
        }
    }
}
