//! JSON read in one walk: a cursor that hands out borrowed fields and proves the grammar on its way.
//!
//! Always true here: each byte is looked at once, whether somebody wants the field or not; nothing is built; what is skipped
//! is checked by the very grammar that is used for what is read, so a body that was walked to its end is valid JSON
//! (RFC 8259, as `serde_json` sees it, but for bodies nested deeper than [`LEVELS_MAX`]). A field of a wrong type is a value
//! ([`Field::Wrong`]) and not an error, so one bad field spoils its event and no other: that is what a derived deserializer
//! cannot do without reading twice. Only bad syntax is an error, and it ends the walk. Text is checked to be Unicode only
//! when somebody asks for it. No recursion follows the data: the depth of the calls is that of the code.

mod number;
mod text;

pub(crate) use number::Number;
pub(crate) use text::Str;

use schemas::rejection::Rejection;

/// Deepest nesting that is walked at all; each level costs one bit of the cursor.
pub(crate) const LEVELS_MAX: usize = 1023;

/// Why the walk ended: where, and whether nesting was the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    /// Byte at which the body stopped making sense.
    pub(crate) at: usize,
    /// Nested deeper than [`LEVELS_MAX`].
    pub(crate) deep: bool,
}

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

/// How large and how deep a value was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) bytes: usize,
    /// Levels of the whole body at the value's deepest place; 1 = the outermost array or object.
    pub(crate) depth: usize,
}

/// A place in a body, between two values.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    deepest: usize,
    /// One bit a level, set for objects; used while skipping.
    objects: [u64; LEVELS_MAX / 64 + 1],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, deepest: 0, objects: [0; LEVELS_MAX / 64 + 1] }
    }

    /// The next byte that is no white space, which stays where it is.
    pub(crate) fn peek(&mut self) -> Result<u8, Syntax> {
        while let Some(&byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.fault())
    }

    /// Makes sure that nothing but white space is left.
    pub(crate) fn end(&mut self) -> Result<(), Syntax> {
        match self.peek() {
            Ok(_) => Err(self.fault()),
            Err(_) => Ok(()),
        }
    }

    /// Reads an object: `each` is called for every member and must take exactly one value off the cursor.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Str<'a>) -> Result<(), Syntax>,
    ) -> Result<Field<()>, Syntax> {
        if self.peek()? != b'{' {
            return self.wrong_or_null();
        }
        self.enter()?;
        if self.peek()? == b'}' {
            self.leave();
            return Ok(Field::Is(()));
        }
        loop {
            let name = self.member_name()?;
            each(self, name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(self.fault()),
            }
        }
        self.leave();
        Ok(Field::Is(()))
    }

    /// Reads an array: `each` is called for every item and must take exactly one value off the cursor.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Syntax>) -> Result<Field<()>, Syntax> {
        if self.peek()? != b'[' {
            return self.wrong_or_null();
        }
        self.enter()?;
        if self.peek()? == b']' {
            self.leave();
            return Ok(Field::Is(()));
        }
        loop {
            each(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(self.fault()),
            }
        }
        self.leave();
        Ok(Field::Is(()))
    }

    /// Reads a string.
    pub(crate) fn str(&mut self) -> Result<Field<Str<'a>>, Syntax> {
        if self.peek()? == b'"' { Ok(Field::Is(self.string()?)) } else { self.wrong_or_null() }
    }

    /// Reads a number.
    pub(crate) fn number(&mut self) -> Result<Field<Number<'a>>, Syntax> {
        match self.peek()? {
            b'-' | b'0'..=b'9' => {
                let start = self.at;
                self.at = number::scan(self.bytes, start).map_err(|at| Syntax { at, deep: false })?;
                Ok(Field::Is(Number(&self.bytes[start..self.at])))
            }
            _ => self.wrong_or_null(),
        }
    }

    /// Reads `true` or `false`.
    pub(crate) fn bool(&mut self) -> Result<Field<bool>, Syntax> {
        match self.peek()? {
            b't' => self.literal(b"true").map(|()| Field::Is(true)),
            b'f' => self.literal(b"false").map(|()| Field::Is(false)),
            _ => self.wrong_or_null(),
        }
    }

    /// Takes any value and gives its bytes; `null` is absent.
    pub(crate) fn raw(&mut self) -> Result<Field<&'a [u8]>, Syntax> {
        if self.peek()? == b'n' { self.wrong_or_null() } else { self.skip().map(Field::Is) }
    }

    /// Takes any value and gives its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Syntax> {
        self.peek()?;
        let start = self.at;
        let floor = self.depth;
        loop {
            if self.open_value()? {
                continue;
            }
            while self.depth > floor && self.close_value()? {}
            if self.depth == floor {
                return Ok(&self.bytes[start..self.at]);
            }
        }
    }

    /// Runs `read`, which takes one value, and measures that value; its depth is kept out of measures further out.
    pub(crate) fn measured<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Syntax>,
    ) -> Result<(T, Measure), Syntax> {
        self.peek()?;
        let start = self.at;
        let outer = std::mem::replace(&mut self.deepest, self.depth);
        let value = read(self)?;
        let measure = Measure { bytes: self.at - start, depth: self.deepest };
        self.deepest = outer;
        Ok((value, measure))
    }

    /// Bytes taken so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What lies between two positions.
    pub(crate) fn between(&self, from: usize, to: usize) -> &'a [u8] {
        &self.bytes[from..to]
    }

    /// Takes a scalar whole, or opens a container. True = a value must follow at once.
    fn open_value(&mut self) -> Result<bool, Syntax> {
        match self.peek()? {
            b'"' => self.string().map(|_| false),
            b'{' => {
                self.enter()?;
                self.mark_level(true);
                if self.peek()? == b'}' {
                    self.leave();
                    return Ok(false);
                }
                self.member_name().map(|_| true)
            }
            b'[' => {
                self.enter()?;
                self.mark_level(false);
                if self.peek()? == b']' {
                    self.leave();
                    return Ok(false);
                }
                Ok(true)
            }
            b'-' | b'0'..=b'9' => {
                self.at = number::scan(self.bytes, self.at).map_err(|at| Syntax { at, deep: false })?;
                Ok(false)
            }
            b't' => self.literal(b"true").map(|()| false),
            b'f' => self.literal(b"false").map(|()| false),
            b'n' => self.literal(b"null").map(|()| false),
            _ => Err(self.fault()),
        }
    }

    /// After a value inside a container: false = another value follows, true = the container was closed.
    fn close_value(&mut self) -> Result<bool, Syntax> {
        let object = self.level_is_object();
        match self.peek()? {
            b',' => {
                self.at += 1;
                if object {
                    self.member_name()?;
                }
                Ok(false)
            }
            b'}' if object => {
                self.leave();
                Ok(true)
            }
            b']' if !object => {
                self.leave();
                Ok(true)
            }
            _ => Err(self.fault()),
        }
    }

    fn member_name(&mut self) -> Result<Str<'a>, Syntax> {
        if self.peek()? != b'"' {
            return Err(self.fault());
        }
        let name = self.string()?;
        if self.peek()? != b':' {
            return Err(self.fault());
        }
        self.at += 1;
        Ok(name)
    }

    fn string(&mut self) -> Result<Str<'a>, Syntax> {
        let (string, next) = text::scan(self.bytes, self.at).map_err(|at| Syntax { at, deep: false })?;
        self.at = next;
        Ok(string)
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Syntax> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(())
    }

    fn wrong_or_null<T>(&mut self) -> Result<Field<T>, Syntax> {
        if self.peek()? == b'n' {
            self.literal(b"null").map(|()| Field::Absent)
        } else {
            self.skip().map(|_| Field::Wrong)
        }
    }

    fn enter(&mut self) -> Result<(), Syntax> {
        if self.depth >= LEVELS_MAX {
            return Err(Syntax { at: self.at, deep: true });
        }
        self.at += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn mark_level(&mut self, object: bool) {
        let bit = 1 << (self.depth % 64);
        let word = &mut self.objects[self.depth / 64];
        *word = if object { *word | bit } else { *word & !bit };
    }

    fn level_is_object(&self) -> bool {
        self.objects[self.depth / 64] >> (self.depth % 64) & 1 == 1
    }

    fn fault(&self) -> Syntax {
        Syntax { at: self.at, deep: false }
    }
}
