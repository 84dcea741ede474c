//! Dice with a seed: SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014).

use std::f64::consts::TAU;

/// A stream of numbers that its seed decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Within (0, 1).
    fn share(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / 2_f64.powi(53)
    }

    /// What a unit is worth, in millionths: 0, or with a chance of `share`·2⁻³² one conversion, or its amount: a
    /// log-normal one, whose mean is 1.6 times its median and whose largest of a thousand is 20 times it.
    pub(crate) fn unit(&mut self, share: u32, is_revenue: bool) -> i64 {
        if (self.next() >> 32) as u32 >= share {
            return 0;
        }
        if !is_revenue {
            return 1_000_000;
        }
        let normal = (-2.0 * self.share().ln()).sqrt() * (TAU * self.share()).cos();
        (30e6 * normal.exp()).round() as i64
    }
}
