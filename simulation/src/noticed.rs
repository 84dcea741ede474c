//! What noticed a mistake, told by what was said of it.
//!
//! Always true here: every complaint of the simulation has one kind, found by words of its own; a mutant is caught by
//! the check that is there for it, and by no other.

macro_rules! noticed {
    ($($(#[$doc:meta])+ $name:ident, $word:literal, $words:expr;)+) => {
        /// What kind of thing noticed a mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Noticed { $($(#[$doc])+ $name,)+ }

        impl Noticed {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// In a word.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// One of them is in whatever it says.
            fn words(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$words,)+ }
            }
        }
    };
}

// The first whose words are found it is: who says "a panic" may go on with anybody's words.
noticed! {
    /// Something panicked.
    Panic, "panic", [crate::run::PANIC];
    /// The workers never came to rest.
    Liveness, "liveness", ["never comes to rest", "never come to rest"];
    /// A worker stopped or refused to begin where it need not, or did not where it must.
    Guard, "guard", [
        " stopped: ",
        "refused its own generation",
        "on other settings",
        "records are lost",
        "took it for the one before",
    ];
    /// A dead letter is missing, or is not the record.
    Letter, "letter", ["dead letter"];
    /// h or a checkpoint fell.
    Order, "order", ["h fell from", " fell from "];
    /// A checkpoint says otherwise than the log.
    Checkpoint, "checkpoint", ["is Checkpoint {", "the checkpoint of partition"];
    /// A partition lacks a definition that its checkpoint says it has.
    Definitions, "definitions", ["says to have definitions"];
    /// A definition was published once and is there twice, or never.
    Published, "published", ["was published"];
    /// An environment has two homes.
    Home, "home", ["the home of an environment"];
    /// A node judged a time otherwise than the rule.
    Judged, "judged", ["is judged", "judgements"];
    /// What a client sent is not what was counted, or not once.
    Audit, "audit", ["payload audit/", "of the audit", "the audited environment"];
    /// What is left on a disk is not the state of the records before it.
    State, "state", ["the saved state ends"];
    /// A cell says another number than the oracle, or is missing.
    Number, "number", ["CellKey {"];
    /// None of these: a complaint without words of its own.
    Unknown, "?", [""];
}

impl Noticed {
    /// What said this.
    #[must_use]
    pub fn by(what: &str) -> Self {
        let says = |noticed: &&Self| noticed.words().iter().any(|words| what.contains(words));
        Self::ALL.iter().find(says).copied().unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_noticed_a_mistake_is_told_by_the_words() {
        for (what, noticed) in [
            ("the worker of node 1, partition 0 stopped: CellKey { x", Noticed::Guard),
            ("node 1 refused its own generation: x", Noticed::Guard),
            ("node 1 began on other settings, and nobody minded", Noticed::Guard),
            ("the worker of node 1, partition 0 began where records are lost", Noticed::Guard),
            ("partition 0 never comes to rest", Noticed::Liveness),
            ("a panic at x.rs:3: partition 0 never comes to rest", Noticed::Panic),
            ("dead letters of {1}, poison at {}", Noticed::Letter),
            ("CellKey { x }: h fell from 3 to 2", Noticed::Order),
            ("checkpoint of partition 0 fell from Some(3) to 2", Noticed::Order),
            ("checkpoint of partition 0 is Checkpoint { x }, expected None", Noticed::Checkpoint),
            ("the checkpoint of partition 0 ends at None, not at None", Noticed::Checkpoint),
            ("partition 1 stands at 2 and says to have definitions up to 4", Noticed::Definitions),
            ("definition x was published 1 times and is in partition 0 2 times", Noticed::Published),
            ("the home of an environment is one partition, but there are CellKey { x }", Noticed::Home),
            ("payload dev/0: element 0 of None, received at 1, is judged x", Noticed::Judged),
            ("payload audit/4, event 0 (x): 0 times in usage, where it must be", Noticed::Audit),
            ("the books of the audit have 1 elements late", Noticed::Audit),
            ("CellKey { x } is missing under checkpoint 3", Noticed::Number),
            ("the saved state ends at None, not at Some(3); it has [] and lacks []", Noticed::State),
            ("something else", Noticed::Unknown),
        ] {
            assert_eq!(Noticed::by(what), noticed, "{what}");
        }
    }
}
