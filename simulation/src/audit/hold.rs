//! The ledger against what was counted, at the very end.
//!
//! Always true here: each event has bounds, how often it may be in a sum and how often it must; the sums have nothing
//! else.

use super::{Audit, Entry, Event, Subject, Sums, What};

/// How often something may be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    least: u32,
    most: u32,
}

impl Audit {
    /// Holds what was counted against the ledger.
    pub(crate) fn hold(&self, sums: &Sums) -> Result<(), String> {
        let mut used = Used::default();
        for (number, entry) in self.payloads.iter().enumerate() {
            for (element, event) in entry.events.iter().enumerate() {
                let counted = event.counted(entry);
                let name = || format!("payload audit/{number}, event {element} ({:?})", event.what);
                match event.what {
                    What::Count { digit } => {
                        used.counts |= 3 << (2 * digit);
                        counted.hold("usage", sums.usage, digit, name)?;
                    }
                    What::Value { digit, subject, exposed_before } => {
                        used.values |= 3 << (2 * digit);
                        counted.hold("custom events", sums.events, digit, name)?;
                        let acts = self.acts(counted, event, subject, exposed_before);
                        acts.hold("the experiment", sums.experiment, digit, name)?;
                    }
                    What::Exposure => {
                        used.units_least += u64::from(counted.least == 1 && !event.beyond);
                        used.units_most += u64::from(counted.most);
                    }
                    What::Nothing => {}
                }
            }
        }
        used.nothing_else(sums)?;
        self.hold_books(sums)
    }

    /// How often a custom event may be in the experiment's sum: it acts only behind its subject's exposure.
    fn acts(&self, counted: Bounds, event: &Event, subject: usize, exposed_before: bool) -> Bounds {
        let Subject { payload, element, .. } = self.subjects[subject];
        let entry = &self.payloads[payload];
        let exposure = &entry.events[element];
        let exposed = exposure.counted(entry).least == 1 && !exposure.beyond;
        Bounds {
            least: u32::from(counted.least == 1 && !event.beyond && exposed && exposed_before),
            most: counted.most.min(u32::from(exposed_before)),
        }
    }

    /// Every element of an acknowledged payload is in the books once, under late where all that received it found it
    /// late; of the others it may be there; nothing else is.
    fn hold_books(&self, sums: &Sums) -> Result<(), String> {
        let (mut elements, mut late, mut clamped) = ([0; 2], [0; 2], [0; 2]);
        for entry in &self.payloads {
            for event in &entry.events {
                let surely = i128::from(entry.acknowledged);
                let add = |bounds: &mut [i128; 2], times: u32| {
                    bounds[0] += surely * i128::from(times == event.received);
                    bounds[1] += i128::from(times > 0);
                };
                add(&mut elements, event.received);
                add(&mut late, event.late);
                add(&mut clamped, event.clamped);
            }
        }
        for (what, found, [least, most]) in [
            ("counted or late", sums.elements, elements),
            ("late", sums.late, late),
            ("of an impossible time", sums.clamped, clamped),
            ("poison or without id", sums.strange, [0, 0]),
        ] {
            if !(least..=most).contains(&found) {
                return Err(format!("the books of the audit have {found} elements {what}, expected {least} to {most}"));
            }
        }
        Ok(())
    }
}

impl Event {
    /// How often it may be counted: never where all that received it found it late.
    fn counted(&self, entry: &Entry) -> Bounds {
        let most = u32::from(self.late < self.received);
        Bounds { least: u32::from(entry.acknowledged && self.late == 0).min(most), most }
    }
}

impl Bounds {
    /// Whether the digit of a sum lies within.
    fn hold(self, place: &str, sum: i128, digit: u32, name: impl Fn() -> String) -> Result<(), String> {
        let found = u32::try_from((sum >> (2 * digit)) & 3).unwrap_or(u32::MAX);
        if (self.least..=self.most).contains(&found) {
            return Ok(());
        }
        let expected = match (self.least, self.most) {
            (1, _) => "was acknowledged and must be there once",
            (_, 0) => "must not be there",
            _ => "may be there once",
        };
        Err(format!("{}: {found} times in {place}, where it {expected}", name()))
    }
}

/// The digits that events have, and the units there may be.
#[derive(Debug, Default)]
struct Used {
    counts: i128,
    values: i128,
    units_least: u64,
    units_most: u64,
}

impl Used {
    /// No sum holds anything but the digits of events.
    fn nothing_else(&self, sums: &Sums) -> Result<(), String> {
        let places = [
            ("usage", sums.usage, self.counts),
            ("custom events", sums.events, self.values),
            ("the experiment", sums.experiment, self.values),
        ];
        if let Some((place, sum, _)) = places.iter().find(|(_, sum, used)| sum & !used != 0) {
            return Err(format!("the audited environment has {sum:#x} in {place}, which is more than was sent"));
        }
        let (least, most) = (i128::from(self.units_least), i128::from(self.units_most));
        if sums.multiple != 0 {
            return Err(format!("{} subjects of the audit saw several variations, none did", sums.multiple));
        }
        if sums.units < least || sums.units > most {
            return Err(format!("{} subjects in the experiment of the audit, expected {least} to {most}", sums.units));
        }
        Ok(())
    }
}
