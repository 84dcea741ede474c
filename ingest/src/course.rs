//! Which paths a payload takes.
//!
//! Always true here: without a gate there is one path, to the log. A payload's course is read once, when it was
//! received whole; what looks at a stage otherwise decides nothing about what is written.

use schemas::old_path::Gated;

use crate::ingest::Shared;
use crate::keys::Owner;

/// The course of one payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// There is no gate: to the log.
    Straight,
    /// What the gate's stage says.
    #[cfg(feature = "gate")]
    Gated(crate::gate::Stage),
}

impl Course {
    /// What the records tell of the gate; `None` = nothing is to be in the log.
    pub(crate) fn into_log(self) -> Option<Gated> {
        match self {
            Self::Straight => Some(Gated::No),
            #[cfg(feature = "gate")]
            Self::Gated(stage) => match (stage.writes_new(), stage.writes_old()) {
                (true, true) => Some(Gated::Both),
                (true, false) => Some(Gated::NewOnly),
                (false, _) => None,
            },
        }
    }
}

#[cfg(feature = "gate")]
impl Shared {
    /// The course of a payload that was just received.
    pub(crate) async fn course(&self, owner: &Owner) -> Course {
        match &self.gate {
            Some(gate) => Course::Gated(gate.stage_of(owner).await),
            None => Course::Straight,
        }
    }

    /// Whether anything of this owner goes into the log at present.
    pub(crate) fn uses_log(&self, owner: &Owner) -> bool {
        self.gate.as_ref().is_none_or(|gate| gate.uses_log(owner))
    }
}

#[cfg(not(feature = "gate"))]
impl Shared {
    /// The course of a payload that was just received.
    pub(crate) async fn course(&self, _owner: &Owner) -> Course {
        Course::Straight
    }

    /// Whether anything of this owner goes into the log at present.
    pub(crate) fn uses_log(&self, _owner: &Owner) -> bool {
        true
    }
}
