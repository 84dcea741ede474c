//! JSON by `serde_json`, with two liberties that a derived struct does not take.
//!
//! Always true here: the grammar is `serde_json`'s, and bad syntax is its error: it takes each element of a body whole,
//! as text ([`read_array`]), before [`Walk`] reads fields off it. Nothing is built, a value is a slice of the body
//! ([`Scalar`]) until somebody asks for its text. A field of a wrong type is a value ([`Field::Wrong`]) and no error,
//! so that one bad field spoils its event and no other; and of a name that comes twice the last counts. Text is checked
//! to be Unicode only when somebody asks for it: [`repaired`] sees to bytes that are no UTF-8, and half a surrogate
//! pair (JSON may spell one) is an error of [`Str::text`] and [`Name::text`] alone.

mod depth;
mod number;
mod text;
mod walk;

pub(crate) use depth::is_deeper;
pub(crate) use number::Number;
pub(crate) use text::{Name, NotUnicode, Str, is_broken, repaired};
pub(crate) use walk::{Array, Object, Walk};

use schemas::rejection::Rejection;
use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A field as it was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Field<T> {
    /// Not there, or an explicit null: SDKs write one for the other.
    #[default]
    Absent,
    /// There, of the type asked for.
    Is(T),
    /// There, of another type.
    Wrong,
}

impl<T> Field<T> {
    /// The same state, with another value in it.
    pub(crate) fn with<U>(self, value: U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Is(_) => Field::Is(value),
            Self::Wrong => Field::Wrong,
        }
    }

    pub(crate) fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Absent => Field::Absent,
            Self::Is(value) => Field::Is(value),
            Self::Wrong => Field::Wrong,
        }
    }

    /// The value of a field that an event may lack.
    pub(crate) fn optional(self) -> Result<Option<T>, Rejection> {
        match self {
            Self::Absent => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Wrong => Err(Rejection::MalformedEvent),
        }
    }

    /// The value of a field that an event must have.
    pub(crate) fn required(self) -> Result<T, Rejection> {
        self.optional()?.ok_or(Rejection::MalformedEvent)
    }

    /// The value, if it is one; for facts that are nice to know.
    pub(crate) fn told(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }
}

/// What a value may be read as.
pub(crate) trait Read<'a>: Sized {
    fn read(value: &mut Walk<'a>) -> Field<Self>;
}

/// What is told from a value's text alone.
pub(crate) trait Scalar<'a>: Sized {
    /// `text` is valid JSON, without white space around it, and not `null`.
    fn of(text: &'a str) -> Option<Self>;
}

impl<'a, T: Scalar<'a>> Field<T> {
    /// The value that is written so; `text` is valid JSON without white space around it.
    pub(crate) fn of(text: &'a str) -> Self {
        if text == "null" { Self::Absent } else { T::of(text).map_or(Self::Wrong, Self::Is) }
    }
}

macro_rules! read_scalars {
    ($($scalar:ty),*) => {
        $(impl<'a> Read<'a> for $scalar {
            fn read(value: &mut Walk<'a>) -> Field<Self> {
                Field::of(value.text())
            }
        })*
    };
}

read_scalars!(bool, &'a str, Number<'a>, Str<'a>);

impl Scalar<'_> for bool {
    fn of(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// Any value, as its JSON text.
impl<'a> Scalar<'a> for &'a str {
    fn of(text: &'a str) -> Option<Self> {
        Some(text)
    }
}

/// Hands out the items of an array as text, one by one, each known to be JSON.
///
/// # Errors
/// The text is no JSON array; items were handed out up to where it is none.
pub(crate) fn read_array<'a>(text: &'a str, item: impl FnMut(&'a str)) -> serde_json::Result<()> {
    let mut from = serde_json::Deserializer::from_str(text);
    from.deserialize_seq(Items(item))?;
    from.end()
}

struct Items<F>(F);

impl<'a, F: FnMut(&'a str)> Visitor<'a> for Items<F> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut items: S) -> Result<(), S::Error> {
        while let Some(item) = items.next_element::<&'a RawValue>()? {
            (self.0)(item.get());
        }
        Ok(())
    }
}
