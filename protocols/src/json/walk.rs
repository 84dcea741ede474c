//! Objects and arrays, member by member and item by item, off a text that is known to be JSON.
//!
//! Always true here: `serde_json` took the text whole before it is walked, so no syntax is judged, and each byte is
//! looked at about once more; of a text that is no JSON the outcome means nothing, but there is one. Each member is
//! handed out as it comes, so nothing is kept that nobody asked for; what nobody takes is passed over.

use super::{Field, Name, Read};

/// Takes the members of an object.
pub(crate) trait Object<'a> {
    /// Takes one member, or leaves it; takes no more than one value off `value`.
    fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>);
}

/// Takes the items of an array.
pub(crate) trait Array<'a> {
    /// Takes the next item, or leaves it; takes no more than one value off `items`.
    fn item(&mut self, items: &mut Walk<'a>);
}

/// A place in a JSON text, before a value.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// Before the value that the text is.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Takes a value as what is asked for.
    pub(crate) fn read<T: Read<'a>>(&mut self) -> Field<T> {
        T::read(self)
    }

    /// Takes a value as its text.
    pub(crate) fn text(&mut self) -> &'a str {
        self.text_of(Self::pass).1
    }

    /// Takes a value by `take`, and tells its text too.
    pub(crate) fn text_of<T>(&mut self, take: impl FnOnce(&mut Self) -> T) -> (T, &'a str) {
        self.pass_space();
        let start = self.at;
        let taken = take(self);
        (taken, self.text.get(start..self.at).unwrap_or_default())
    }

    /// Takes an object; what is neither one nor null is [`Field::Wrong`].
    pub(crate) fn object(&mut self, into: &mut impl Object<'a>) -> Field<()> {
        self.pass_space();
        if self.next() != b'{' {
            return self.other();
        }
        self.at += 1;
        loop {
            self.pass_space();
            match self.next() {
                b'"' => {}
                b',' => {
                    self.at += 1;
                    continue;
                }
                _ => break,
            }
            let (escaped, name) = self.text_of(Self::pass_string);
            self.pass_space();
            self.at += 1; // the colon
            self.pass_space();
            let start = self.at;
            into.member(Name::new(name, escaped), self);
            if self.at == start {
                self.pass();
            }
        }
        self.at += 1;
        Field::Is(())
    }

    /// Takes an array; what is neither one nor null is [`Field::Wrong`].
    pub(crate) fn array(&mut self, into: &mut impl Array<'a>) -> Field<()> {
        self.pass_space();
        if self.next() != b'[' {
            return self.other();
        }
        self.at += 1;
        loop {
            self.pass_space();
            match self.next() {
                b',' => {
                    self.at += 1;
                    continue;
                }
                b']' | END => break,
                _ => {}
            }
            let start = self.at;
            into.item(self);
            if self.at == start {
                self.pass();
            }
        }
        self.at += 1;
        Field::Is(())
    }

    /// Takes a value that is not what was asked for.
    fn other(&mut self) -> Field<()> {
        if self.text() == "null" { Field::Absent } else { Field::Wrong }
    }

    fn next(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(END)
    }

    fn pass_space(&mut self) {
        while matches!(self.next(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// Passes over a value.
    fn pass(&mut self) {
        match self.next() {
            b'"' => _ = self.pass_string(),
            b'{' | b'[' => self.pass_nested(),
            _ => {
                self.at += 1;
                while !matches!(self.next(), b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | END) {
                    self.at += 1;
                }
            }
        }
    }

    /// Passes over a string; true = there are escapes in it.
    fn pass_string(&mut self) -> bool {
        self.at += 1;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        // Most strings are short: byte by byte is faster than any search.
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                _ => {}
            }
        }
        escaped
    }

    fn pass_nested(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.next() {
                b'"' => {
                    self.pass_string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                END => return,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

/// What is behind the text: a byte that JSON has in no place.
const END: u8 = 0;

impl<'a, T: Object<'a> + Default> Read<'a> for T {
    fn read(value: &mut Walk<'a>) -> Field<Self> {
        let mut object = Self::default();
        value.object(&mut object).with(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes all that is asked for, as text.
    #[derive(Default)]
    struct Taken(Vec<String>);

    impl<'a> Object<'a> for Taken {
        fn member(&mut self, name: Name<'a>, value: &mut Walk<'a>) {
            let name = name.text().unwrap().into_owned();
            match &*name {
                "left" => {}
                "inside" => _ = value.object(self),
                "items" => _ = value.array(self),
                _ => self.0.push(format!("{name}={}", value.text())),
            }
        }
    }

    impl<'a> Array<'a> for Taken {
        fn item(&mut self, items: &mut Walk<'a>) {
            self.0.push(items.text().to_owned());
        }
    }

    const TEXT: &str = r#" { "a" : [1 , {"b":"]}\"" } ] ,"left":{"a":[[]]},"c\u0020d":-1.5e3 , "inside":{"e":"ü\\","left":"\""},
        "items":[ true,"x,y" , {},null ],"left":7,"inside":[{"a":1}],"items":{"a":1},"":"" , "z":false}"#;

    #[test]
    fn what_is_taken_is_the_text_and_what_is_left_is_passed_over() {
        let mut taken = Taken::default();
        let (shape, text) = Walk::new(TEXT).text_of(|walk| walk.object(&mut taken));
        assert_eq!((shape, text), (Field::Is(()), TEXT.trim()));
        let expected = [
            r#"a=[1 , {"b":"]}\"" } ]"#,
            "c d=-1.5e3",
            r#"e="ü\\""#,
            "true",
            r#""x,y""#,
            "{}",
            "null",
            r#"="""#,
            "z=false",
        ];
        assert_eq!(taken.0, expected);
    }

    #[test]
    fn another_shape_is_wrong_and_null_is_absent() {
        for (text, expected) in
            [("{}", Field::Is(())), ("null", Field::Absent), ("[]", Field::Wrong), (" \"{\"", Field::Wrong)]
        {
            assert_eq!(Walk::new(text).object(&mut Taken::default()), expected, "{text}");
        }
        for (text, expected) in
            [(" [ ]", Field::Is(())), ("null", Field::Absent), ("{}", Field::Wrong), ("7", Field::Wrong)]
        {
            assert_eq!(Walk::new(text).array(&mut Taken::default()), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_ends_early_ends_the_walk() {
        for end in (0..TEXT.len()).filter(|end| TEXT.is_char_boundary(*end)) {
            Walk::new(&TEXT[..end]).object(&mut Taken::default());
            Walk::new(&TEXT[end..]).array(&mut Taken::default());
        }
    }
}
