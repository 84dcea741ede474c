//! Dice, for pauses that do not meet and for ids that nobody has had.
//!
//! Always true here: no number that is counted depends on a throw. The process throws the system's dice; a test seeds
//! its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where chance comes from.
#[derive(Debug)]
pub struct Dice(Source);

#[derive(Debug)]
enum Source {
    System,
    /// The state of splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
    Seeded(AtomicU64),
}

impl Dice {
    /// The system's.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same throws for the same seed; its ids are unique among one dice's alone.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(AtomicU64::new(seed)))
    }

    /// 16 bytes that nobody had before.
    ///
    /// # Errors
    /// What the system says when it has none to give.
    pub(crate) fn id(&self) -> Result<[u8; 16], getrandom::Error> {
        match &self.0 {
            Source::System => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)?;
                Ok(bytes)
            }
            Source::Seeded(state) => {
                let (high, low) = (u128::from(next(state)), u128::from(next(state)));
                Ok((high << 64 | low).to_be_bytes())
            }
        }
    }

    /// Between half of this and the whole of it.
    pub(crate) fn about(&self, whole: Duration) -> Duration {
        let thrown = match &self.0 {
            // Without dice the pause is only less scattered.
            Source::System => getrandom::u64().unwrap_or(0),
            Source::Seeded(state) => next(state),
        };
        whole / 2 + (whole / 2).mul_f64(thrown as f64 / u64::MAX as f64)
    }
}

fn next(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_throws_and_pauses_lie_in_their_upper_half() {
        let throws = |seed| {
            let dice = Dice::seeded(seed);
            (0..100).map(|_| (dice.id().unwrap(), dice.about(Duration::from_millis(100)))).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        for (_, pause) in throws(3) {
            assert!((50..=100).contains(&pause.as_millis()), "{pause:?}");
        }
        assert_ne!(Dice::system().id().unwrap(), Dice::system().id().unwrap());
    }
}
