//! Switches that break one rule on purpose, so that tests can show that breaking it is noticed.
//!
//! Always true here: without the feature `testing` nothing can be switched.

/// The switches, and the list of them all: written once, so that no rule is left out of the tests that walk it.
macro_rules! switches {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A rule of the fold or the worker that can be broken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[cfg_attr(not(any(test, feature = "testing")), allow(unreachable_pub, dead_code))]
        pub enum Break {
            $($(#[$doc])+ $name,)+
        }

        #[cfg(any(test, feature = "testing"))]
        impl Break {
            /// Every rule that can be broken.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

switches! {
    /// Remembered ids are not saved.
    DedupeNotInState,
    /// Only copies that were counted renew the memory.
    DedupeAgainstCounted,
    /// Parts of a payload have one id.
    DedupeWithoutPart,
    /// The flags and events seen are not saved.
    NamesNotInState,
    /// The running log time is not saved.
    LogTimeNotInState,
    /// The checkpoint is written first, then the cells.
    CheckpointBeforeCells,
    /// The state is saved first, then cells and checkpoint.
    StateBeforeCheckpoint,
    /// The state is saved as it is when its turn comes, not as it was at the checkpoint's position.
    StateAsItIs,
    /// A refused write adopts the store's value, but not its h.
    AdoptWithoutH,
    /// A record is applied to a cell that has it already.
    IgnoreH,
    /// A flush takes place in the middle of a record.
    FlushMidRecord,
    /// Reading begins at the checkpoint's position instead of the state's.
    BeginAtCheckpoint,
    /// A poisoned record is not remembered.
    PoisonForgotten,
}

/// Where a record can make the fold panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "testing")), allow(unreachable_pub, dead_code))]
pub enum PanicIn {
    /// Where header and body are read.
    Reading,
    /// Where its id is made.
    Id,
    /// Where its rows are walked: to ask for cells, and again to fold.
    Rows,
    /// Where its rows are walked to ask for cells, and not again.
    Needs,
}

/// Which rule is broken, if any, and on which records the fold panics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breakage {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) which: Option<Break>,
    #[cfg(any(test, feature = "testing"))]
    pub(crate) panics: Vec<(PanicIn, u64)>,
}

impl Breakage {
    /// Whether this rule is broken.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn is(&self, rule: Break) -> bool {
        self.which == Some(rule)
    }

    /// Whether this rule is broken: never in this build.
    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self)]
    pub(crate) fn is(&self, _rule: Break) -> bool {
        false
    }

    /// Panics when a test wants it to.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn panic_in(&self, place: PanicIn, offset: u64) {
        assert!(!self.panics.contains(&(place, offset)), "a test wants the record at offset {offset} to panic");
    }

    /// Adds records on which the fold panics.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn panicking(&mut self, place: PanicIn, offsets: &[u64]) {
        self.panics.extend(offsets.iter().map(|offset| (place, *offset)));
    }

    /// Panics when a test wants it to: never in this build.
    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self)]
    pub(crate) fn panic_in(&self, _place: PanicIn, _offset: u64) {}
}
