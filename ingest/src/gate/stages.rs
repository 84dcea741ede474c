//! The stages of a migration from the old path to the new one.
//!
//! Always true here: no clock and no I/O.

use std::fmt;

/// A stage of an environment's migration, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// The old path alone is written, and is in charge.
    Off = 0,
    /// Both are written; the old path is in charge. Also named `dualwrite`.
    Shadow = 1,
    /// Both are written; the new path is in charge. Also named `rampdown`.
    Live = 2,
    /// The new path alone is written, and is in charge.
    Complete = 3,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 4] = [Self::Off, Self::Shadow, Self::Live, Self::Complete];

    /// The stage's own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Complete => "complete",
        }
    }

    /// The stage with this name, either of them; `None` = there is none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "off" => Some(Self::Off),
            "shadow" | "dualwrite" => Some(Self::Shadow),
            "live" | "rampdown" => Some(Self::Live),
            "complete" => Some(Self::Complete),
            _ => None,
        }
    }

    /// The old path is written.
    #[must_use]
    pub fn writes_old(self) -> bool {
        self != Self::Complete
    }

    /// The new path is written.
    #[must_use]
    pub fn writes_new(self) -> bool {
        self != Self::Off
    }

    /// Reads are answered from the old path.
    #[must_use]
    pub fn old_in_charge(self) -> bool {
        matches!(self, Self::Off | Self::Shadow)
    }

    /// The sender's answer waits for the old path.
    #[must_use]
    pub fn waits_for_old(self) -> bool {
        matches!(self, Self::Off | Self::Shadow)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
