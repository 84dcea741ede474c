//! Who an event is about: contexts of schema 4, users of schemas 1 to 3, and their bare keys.
//!
//! Always true here: the outcome is a list of (kind, key), each kind once, each key within its limit; a user's kind is
//! `user`; attributes are never read. A context that the SDK should have refused (no key, an empty one) refuses its
//! event.

use std::borrow::Cow;

use schemas::event::ContextKey;
use schemas::id::{CONTEXT_KEY_BYTES_MAX, KEY_BYTES_MAX, check_key_text};
use schemas::rejection::Rejection;

use crate::json::{Field, Name, NotUnicode, Object, Str, Walk};

/// A context as it was found: inline, as a single one, a multi one, or a user.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Inline<'a> {
    kind: Field<Str<'a>>,
    key: Field<Str<'a>>,
    /// Members that are objects, as text: contexts, if it turns out to be multi.
    inner: Vec<(Name<'a>, &'a str)>,
}

impl<'a> Object<'a> for Inline<'a> {
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
        let text = value.text();
        match &*name.0 {
            b"kind" => self.kind = Field::of(text),
            b"key" => self.key = Field::of(text),
            _ => {}
        }
        // What is no object is an attribute of the whole: the kind itself, `anonymous`.
        if text.starts_with('{') && *name.0 != *b"_meta" {
            self.inner.push((name, text));
        }
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
    pub(super) fn push_context(&mut self, context: &Inline<'a>) -> Result<(), Rejection> {
        match context.kind {
            Field::Absent => self.push_user(context.key),
            Field::Wrong => Err(Rejection::MalformedEvent),
            Field::Is(kind) if kind.name() == "multi" => context.inner.iter().try_for_each(|(kind, text)| {
                let inner: Inline<'a> = Walk::new(text).read().told().unwrap_or_default();
                self.push(kind.clone().text(), inner.key)
            }),
            Field::Is(kind) => self.push(kind.text(), context.key),
        }
    }

    /// A user, whatever it says of its kind.
    pub(super) fn push_user_object(&mut self, user: &Inline<'a>) -> Result<(), Rejection> {
        self.push_user(user.key)
    }

    /// A user's bare key.
    pub(super) fn push_user(&mut self, key: Field<Str<'a>>) -> Result<(), Rejection> {
        let key = context_key(key)?;
        self.push_checked(Cow::Borrowed("user"), key)
    }

    /// `contextKeys`, as text: an object of kind and key.
    pub(super) fn push_context_keys(&mut self, text: &'a str) -> Result<(), Rejection> {
        let mut members = KeysByKind { keys: self, refused: Ok(()) };
        match Walk::new(text).object(&mut members) {
            Field::Is(()) => members.refused,
            _ => Err(Rejection::MalformedEvent),
        }
    }

    fn push(&mut self, kind: Result<Cow<'a, str>, NotUnicode>, key: Field<Str<'a>>) -> Result<(), Rejection> {
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
}

/// The members of `contextKeys`; the first bad one counts.
struct KeysByKind<'s, 'k, 'a> {
    keys: &'s mut Keys<'k, 'a>,
    refused: Result<(), Rejection>,
}

impl<'a> Object<'a> for KeysByKind<'_, '_, 'a> {
    fn member(&mut self, kind: Name<'a>, value: &mut Walk<'a>) {
        if self.refused.is_ok() {
            self.refused = self.keys.push(kind.text(), value.read());
        }
    }
}

fn context_key(key: Field<Str<'_>>) -> Result<Cow<'_, str>, Rejection> {
    match key {
        Field::Is(key) => checked(key.text(), CONTEXT_KEY_BYTES_MAX),
        Field::Absent | Field::Wrong => Err(Rejection::MalformedEvent),
    }
}

/// A text that must be a key.
pub(super) fn checked(key: Result<Cow<'_, str>, NotUnicode>, limit: usize) -> Result<Cow<'_, str>, Rejection> {
    let text = key.map_err(|_| Rejection::InvalidKey)?;
    check_key_text(&text, limit).map_err(|_| Rejection::InvalidKey)?;
    Ok(text)
}
