//! Switches that break one rule on purpose, so that tests can show that breaking it is noticed.
//!
//! Always true here: without the feature `testing` nothing can be switched, and every question is answered "no" at
//! compile time.

/// A rule that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
pub enum Break {
    /// Commits are answered before they are on the disk.
    NoSync,
    /// A flush's checkpoint is committed on its own, before its cells and state.
    CheckpointApart,
    /// A flush's state is committed on its own, after its cells and checkpoint.
    StateApart,
    /// The CRC32C beside a value is not looked at.
    NoChecksum,
    /// Cells and checkpoints are written whatever the store holds.
    Unconditional,
}

/// Which rule is broken, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Breakage {
    #[cfg(feature = "testing")]
    which: Option<Break>,
}

impl Breakage {
    /// This one rule is broken.
    #[cfg(feature = "testing")]
    pub(crate) fn of(which: Break) -> Self {
        Self { which: Some(which) }
    }

    /// Whether this rule is broken.
    #[cfg(feature = "testing")]
    pub(crate) fn is(self, rule: Break) -> bool {
        self.which == Some(rule)
    }

    /// Whether this rule is broken: never in this build.
    #[cfg(not(feature = "testing"))]
    pub(crate) fn is(self, _rule: Break) -> bool {
        false
    }
}
