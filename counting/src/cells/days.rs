//! The days on which a flag was used: a bitmap that slides forward only.
//!
//! Always true here: the days are those of the last [`DAYS_MAX`] up to the newest, whatever the order in which they
//! came.

use super::CellError;

/// Days of use kept: the newest.
pub const DAYS_MAX: u32 = 400;

const WORDS: usize = (DAYS_MAX as usize).div_ceil(64);

/// Days of use: bit n (lowest first) = n days before the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Days {
    newest: u32,
    back: [u64; WORDS],
}

impl Days {
    fn is_set(&self, back: u32) -> bool {
        self.back.get(back as usize / 64).is_some_and(|word| word >> (back % 64) & 1 == 1)
    }

    pub(super) fn add(&mut self, day: u32) -> bool {
        if !self.is_set(0) {
            self.newest = day;
        }
        if day > self.newest {
            self.slide(day - self.newest);
            self.newest = day;
        }
        let back = self.newest - day;
        if back >= DAYS_MAX || self.is_set(back) {
            return false;
        }
        if let Some(word) = self.back.get_mut(back as usize / 64) {
            *word |= 1 << (back % 64);
        }
        true
    }

    fn slide(&mut self, days: u32) {
        let mut slid = [0; WORDS];
        for back in 0..DAYS_MAX.saturating_sub(days) {
            let place = back + days;
            if let Some(word) = slid.get_mut(place as usize / 64).filter(|_| self.is_set(back)) {
                *word |= 1 << (place % 64);
            }
        }
        self.back = slid;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let backs = (0..WORDS).rev().flat_map(|word| {
            let mut bits = self.back.get(word).copied().unwrap_or(0);
            std::iter::from_fn(move || {
                let highest = 63_u32.checked_sub(bits.leading_zeros())?;
                bits &= !(1 << highest);
                Some(word as u32 * 64 + highest)
            })
        });
        backs.map(|back| self.newest.saturating_sub(back))
    }

    pub(super) fn encode(&self) -> (u32, Vec<u8>) {
        let Some(from) = self.iter().next() else { return (0, Vec::new()) };
        let mut bytes = vec![0; (self.newest - from) as usize / 8 + 1];
        for day in self.iter() {
            if let Some(byte) = bytes.get_mut((day - from) as usize / 8) {
                *byte |= 1 << ((day - from) % 8);
            }
        }
        (from, bytes)
    }

    pub(super) fn decode(from: u32, bytes: &[u8]) -> Result<Self, CellError> {
        let mut days = Self::default();
        // The newest first, so that nothing slides: a report reads tens of thousands of these.
        for (place, byte) in bytes.iter().enumerate().rev() {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            for bit in (0..8).rev().filter(|bit| byte >> bit & 1 == 1) {
                let day = place.saturating_mul(8).saturating_add(bit).saturating_add(from);
                days.add(day);
            }
        }
        if days.iter().next().is_some_and(|first| first != from) {
            return Err(CellError::Value { kind: "last seen", field: "days_from", value: from.into() });
        }
        Ok(days)
    }
}
