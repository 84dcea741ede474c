//! JSON by `serde_json`, with two liberties that a derived struct does not take.
//!
//! Always true here: the grammar is `serde_json`'s, and bad syntax is its error; nothing is built, a value is a slice of the
//! body ([`Scalar`]) until somebody asks for its text. A field of a wrong type is a value ([`Field::Wrong`]) and no error, so
//! that one bad field spoils its event and no other; and of a name that comes twice the last counts. Text is checked to be
//! Unicode only when somebody asks for it: [`repaired`] sees to bytes that are no UTF-8, and half a surrogate pair (JSON
//! may spell one) is an error of [`Str::text`] and [`Name::text`] alone. Where an object or an array belongs, such text and
//! a number beyond all floats are errors instead of [`Field::Wrong`]; whoever reads on from a slice refuses what it is of.

mod depth;
mod number;
mod text;
mod walk;

pub(crate) use depth::is_deeper;
pub(crate) use number::Number;
pub(crate) use text::{Name, NotUnicode, Str, is_broken, repaired};
pub(crate) use walk::{Array, Object, Walk, skip};

use schemas::rejection::Rejection;
use serde::de::{Deserialize, DeserializeSeed, Deserializer};
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
    fn read<D: Deserializer<'a>>(from: D) -> Result<Field<Self>, D::Error>;
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

impl<'a, T: Read<'a>> Deserialize<'a> for Field<T> {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        T::read(from)
    }
}

macro_rules! read_scalars {
    ($($scalar:ty),*) => {
        $(impl<'a> Read<'a> for $scalar {
            fn read<D: Deserializer<'a>>(from: D) -> Result<Field<Self>, D::Error> {
                <&'a RawValue>::deserialize(from).map(|raw| Field::of(raw.get()))
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

/// Reads an object off a text that is valid JSON without white space around it.
///
/// # Errors
/// Somewhere in the object, one of those wrong types that are errors.
pub(crate) fn read_object<'a, T: Object<'a>>(text: &'a str, into: &mut T) -> serde_json::Result<Field<()>> {
    match Field::<&str>::of(text) {
        Field::Is(text) if text.starts_with('{') => read(text, Walk::object(into)),
        Field::Absent => Ok(Field::Absent),
        _ => Ok(Field::Wrong),
    }
}

/// Reads a text that is one value, by a seed.
///
/// # Errors
/// Bad syntax, or one of those wrong types that are errors.
pub(crate) fn read<'a, S: DeserializeSeed<'a>>(text: &'a str, seed: S) -> serde_json::Result<S::Value> {
    let mut from = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut from)?;
    from.end().map(|()| value)
}
