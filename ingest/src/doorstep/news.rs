//! News for people: what came to the door for the first time.
//!
//! Always true here: a piece of news is one line, what is foreign in it escaped.

use std::fmt;

use schemas::event::Credential;
use schemas::id::Environment;
use schemas::rejection::Rejection;

/// Something to tell, worded for people by its [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The first payload of an environment since the start.
    FirstPayload {
        /// Whose.
        environment: Environment,
        /// Name and version of the SDK; empty = not told.
        sdk: String,
        /// Different flags in it.
        flags: usize,
    },
    /// A key that no environment has.
    UnknownKey {
        /// Which keys the path takes.
        kind: Credential,
        /// Its last four characters; empty = it was too short to show any, or none was sent.
        last_four: String,
    },
    /// A path that takes no events.
    WrongPath {
        /// Method and path.
        request: String,
    },
    /// An SDK asked for flags.
    FlagDelivery {
        /// Method and path.
        request: String,
    },
    /// The first rejection for a reason in an environment.
    Rejected {
        /// Whose.
        environment: Environment,
        /// Why.
        reason: Rejection,
    },
    /// Payloads of a removed key, in its grace.
    Discarded {
        /// Whose key it was.
        environment: Environment,
        /// How many since the start.
        payloads: u64,
    },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstPayload { environment, sdk, flags } => {
                let sdk = if sdk.is_empty() { "an SDK that does not tell its name" } else { sdk };
                let sdk = sdk.escape_debug();
                let plural = if *flags == 1 { "" } else { "s" };
                write!(f, "first payload: {sdk}, {flags} flag{plural} ({environment})")
            }
            Self::UnknownKey { kind, last_four } => {
                let name = kind_name(*kind);
                let key = match last_four.as_str() {
                    "" => format!("no or unknown {name}"),
                    last_four => format!("unknown {name} …{}", last_four.escape_debug()),
                };
                let option = match kind {
                    Credential::Server => String::new(),
                    other => format!(" --kind {}", kind_word(*other)),
                };
                write!(
                    f,
                    "{key}; `flagstream keys add --environment …{option}` admits it (key from standard input), then \
                     restart the app that sent it"
                )
            }
            Self::WrongPath { request } => {
                write!(f, "no events are taken at {}; set the SDK's events address to the root", request.escape_debug())
            }
            Self::FlagDelivery { request } => {
                write!(f, "an SDK asks for flags at {}; set its events address alone", request.escape_debug())
            }
            Self::Rejected { environment, reason: Rejection::MetricOutOfRange } => {
                write!(f, "first metric value out of range ({environment}): its event is counted without it")
            }
            Self::Rejected { environment, reason } => {
                write!(f, "first rejection: {} ({environment}); see its books", reason.code())
            }
            Self::Discarded { environment, payloads } => {
                let were =
                    if *payloads == 1 { "payload of a removed key was" } else { "payloads of a removed key were" };
                write!(
                    f,
                    "{payloads} {were} discarded ({environment}), answered 202 all the same; `flagstream keys add` admits \
                     the key again"
                )
            }
        }
    }
}

/// What people call this kind of key.
#[must_use]
pub fn kind_name(kind: Credential) -> &'static str {
    match kind {
        Credential::Server => "server key",
        Credential::Mobile => "mobile key",
        Credential::ClientSide => "client-side id",
    }
}

/// The word of `flagstream keys add --kind` for this kind of key; `server` need not be said.
#[must_use]
pub fn kind_word(kind: Credential) -> &'static str {
    match kind {
        Credential::Server => "server",
        Credential::Mobile => "mobile",
        Credential::ClientSide => "client-side",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_left_out_is_no_rejection() {
        let environment = Environment::new("p", "e").unwrap();
        let said = News::Rejected { environment, reason: Rejection::MetricOutOfRange }.to_string();
        assert_eq!(said, "first metric value out of range (p/e): its event is counted without it");
    }

    #[test]
    fn an_unknown_key_is_told_with_the_command_that_admits_it() {
        for (kind, last_four, expected) in [
            (Credential::Server, "abcd", "unknown server key …abcd; `flagstream keys add --environment …` admits it"),
            (
                Credential::Mobile,
                "a\u{1b}cd",
                "unknown mobile key …a\\u{1b}cd; `flagstream keys add --environment … --kind mobile`",
            ),
            (
                Credential::ClientSide,
                "",
                "no or unknown client-side id; `flagstream keys add --environment … --kind client-side`",
            ),
        ] {
            let said = News::UnknownKey { kind, last_four: last_four.to_owned() }.to_string();
            assert!(said.starts_with(expected), "{said}");
            assert!(said.ends_with("(key from standard input), then restart the app that sent it"), "{said}");
        }
    }
}
