//! Chance by seed: SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
//!
//! Always true here: the same seed and part throw the same for ever; nothing is asked of the system.

/// A dice.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// A dice of its own for one part of what a seed drives.
    pub fn of_part(seed: u64, part: u64) -> Self {
        Self(mixed(seed ^ mixed(part.wrapping_add(1))))
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number from 0, less than `below`, which must not be 0.
    pub fn below(&mut self, below: u64) -> u64 {
        self.bits() % below
    }

    /// True in so many of a hundred throws.
    pub fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of so many places (at least 1) by Zipf's law: the n-th comes 1 / n as often as the first.
    pub fn zipf(&mut self, places: usize) -> usize {
        let weight = |place: usize| 1.0 / (place as f64 + 1.0);
        let sum: f64 = (0..places).map(weight).sum();
        let mut left = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64 * sum;
        let found = (0..places).find(|place| {
            left -= weight(*place);
            left < 0.0
        });
        found.unwrap_or(0)
    }
}

/// A bijection in which each bit of the input moves half of the output.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_sequence_and_parts_differ() {
        let throw = |seed, part| {
            let mut dice = Dice::of_part(seed, part);
            [dice.bits(), dice.bits(), dice.bits()]
        };
        assert_eq!(throw(7, 0), throw(7, 0));
        assert_ne!(throw(7, 0), throw(7, 1));
        assert_ne!(throw(7, 0), throw(8, 0));
    }

    #[test]
    fn the_first_place_comes_twice_as_often_as_the_second() {
        let mut dice = Dice::of_part(1, 1);
        let mut drawn = [0_u32; 4];
        (0..10_000).for_each(|_| drawn[dice.zipf(4)] += 1);
        // 1 / (1 + 1/2 + 1/3 + 1/4) = 0.48; four standard deviations are 0.02.
        for (drawn, expected) in drawn.into_iter().zip([4_800, 2_400, 1_600, 1_200]) {
            assert!(drawn.abs_diff(expected) < 200, "{drawn} for {expected}");
        }
    }
}
