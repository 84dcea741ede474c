//! Chance by seed: SplitMix64.
//!
//! Always true here: the same seed throws the same dice for ever; nothing is asked of the operating system.

/// A dice.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A dice of its own for part `part` of what `seed` drives.
    pub(crate) fn of_part(seed: u64, part: u64) -> Self {
        Self(mixed(seed ^ mixed(part.wrapping_add(1))))
    }

    /// 64 even bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number in `[0, below)`; `below` must not be 0.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.bits() % below
    }

    /// A number in `[least, most]`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// A number in `[0, 1)`, all of its 53 bits even.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with probability `share` (0 never, 1 always).
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

/// A bijection on 64 bits in which every bit of the input moves half of the output.
pub(crate) fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence_and_parts_differ() {
        let throw = |mut dice: Dice| (0..4).map(|_| dice.bits()).collect::<Vec<_>>();
        assert_eq!(throw(Dice::new(7)), throw(Dice::new(7)));
        assert_ne!(throw(Dice::of_part(7, 0)), throw(Dice::of_part(7, 1)));
        assert_eq!(Dice::new(0).bits(), 0xe220_a839_7b1d_cdaf, "the published first value of SplitMix64 with seed 0");
    }

    #[test]
    fn shares_are_kept() {
        let mut dice = Dice::new(1);
        let happened = (0..10_000).filter(|_| dice.happens(0.25)).count();
        assert!((2_300..2_700).contains(&happened), "{happened}");
        assert!(!dice.happens(0.0) && dice.happens(1.0));
    }
}
