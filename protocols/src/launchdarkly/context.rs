//! Who an event is about: contexts of schema 4, users of schemas 1 to 3, and their bare keys.
//!
//! Always true here: the outcome is a list of (kind, key), each kind once, each key within its limit; a user's kind is
//! `user`; attributes are never read. A context that the SDK should have refused (no key, an empty one) refuses its event.

use std::borrow::Cow;

use schemas::event::ContextKey;
use schemas::id::{CONTEXT_KEY_BYTES_MAX, KEY_BYTES_MAX, check_key};
use schemas::rejection::Rejection;

use crate::json::{Cursor, Field, Str, Syntax};

/// A context as it was found: inline, as a single one, a multi one, or a user.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Inline<'a> {
    kind: Field<Str<'a>>,
    key: Field<Str<'a>>,
    /// The whole object: read again if it turns out to be multi.
    span: &'a [u8],
}

impl<'a> Inline<'a> {
    /// Reads a context or a user.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Result<Field<Self>, Syntax> {
        cursor.peek()?;
        let start = cursor.position();
        let mut found = Self::default();
        let shape = cursor.object(|cursor, name| {
            match &*name.name() {
                b"kind" => found.kind = cursor.str()?,
                b"key" => found.key = cursor.str()?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        found.span = cursor.between(start, cursor.position());
        Ok(shape.with(found))
    }
}

/// Appends to a list of context keys, within limits.
pub(super) struct Keys<'k, 'a> {
    out: &'k mut Vec<ContextKey<'a>>,
    start: usize,
    kinds_max: usize,
}

impl<'k, 'a> Keys<'k, 'a> {
    pub(super) fn new(out: &'k mut Vec<ContextKey<'a>>, kinds_max: usize) -> Self {
        let start = out.len();
        Self { out, start, kinds_max }
    }

    /// A context: single or multi, whose kind may be missing (`user`).
    pub(super) fn push_context(&mut self, context: Inline<'a>) -> Result<(), Rejection> {
        match context.kind {
            Field::Absent => self.push_user(context.key),
            Field::Wrong => Err(Rejection::MalformedEvent),
            Field::Is(kind) if *kind.name() == *b"multi" => self.push_members(context.span, Members::Contexts),
            Field::Is(kind) => self.push(kind, context.key),
        }
    }

    /// A user, whatever it says of its kind.
    pub(super) fn push_user_object(&mut self, user: Inline<'a>) -> Result<(), Rejection> {
        self.push_user(user.key)
    }

    /// A user's bare key.
    pub(super) fn push_user(&mut self, key: Field<Str<'a>>) -> Result<(), Rejection> {
        let key = context_key(key)?;
        self.push_checked(Cow::Borrowed("user"), key)
    }

    /// `contextKeys`: an object of kind and key.
    pub(super) fn push_context_keys(&mut self, span: &'a [u8]) -> Result<(), Rejection> {
        self.push_members(span, Members::Keys)
    }

    fn push(&mut self, kind: Str<'a>, key: Field<Str<'a>>) -> Result<(), Rejection> {
        let key = context_key(key)?;
        self.push_checked(checked(kind, KEY_BYTES_MAX)?, key)
    }

    fn push_checked(&mut self, kind: Cow<'a, str>, key: Cow<'a, str>) -> Result<(), Rejection> {
        // As in any JSON object, the last of a name counts.
        if let Some(same) = self.out[self.start..].iter_mut().find(|other| other.kind == kind) {
            same.key = key;
            return Ok(());
        }
        if self.out.len() - self.start >= self.kinds_max {
            return Err(Rejection::MalformedEvent);
        }
        self.out.push(ContextKey { kind, key });
        Ok(())
    }

    fn push_members(&mut self, span: &'a [u8], members: Members) -> Result<(), Rejection> {
        let mut refused = Ok(());
        let shape = Cursor::new(span).object(|cursor, kind| {
            let key = match members {
                Members::Keys => cursor.str()?,
                // What is no object is an attribute of the whole: the kind itself, `anonymous`.
                Members::Contexts => match Inline::read(cursor)? {
                    Field::Is(inner) if *kind.name() != *b"_meta" => inner.key,
                    _ => return Ok(()),
                },
            };
            if refused.is_ok() {
                refused = self.push(kind, key);
            }
            Ok(())
        });
        match shape {
            Ok(Field::Is(())) => refused,
            _ => Err(Rejection::MalformedEvent),
        }
    }
}

#[derive(Clone, Copy)]
enum Members {
    Keys,
    Contexts,
}

fn context_key(key: Field<Str<'_>>) -> Result<Cow<'_, str>, Rejection> {
    match key {
        Field::Is(key) => checked(key, CONTEXT_KEY_BYTES_MAX),
        Field::Absent | Field::Wrong => Err(Rejection::MalformedEvent),
    }
}

/// A string that must be a key.
pub(super) fn checked(key: Str<'_>, limit: usize) -> Result<Cow<'_, str>, Rejection> {
    let text = key.text().map_err(|_| Rejection::InvalidKey)?;
    check_key(text.as_bytes(), limit).map_err(|_| Rejection::InvalidKey)?;
    Ok(text)
}
