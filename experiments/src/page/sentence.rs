//! A sentence of our own words and of foreign ones, for the page and as Markdown.
//!
//! Always true here: what is foreign is told apart from ours until it is written, so that it can act in neither form.

use maud::{Markup, html};

use crate::hidden::is_hidden;
use crate::page::text;

/// Names of a list that are told; of the others only their number.
const NAMES_MAX: usize = 6;

/// Words in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sentence(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Own(String),
    Foreign(String),
}

impl Sentence {
    pub(crate) fn new(own: impl Into<String>) -> Self {
        Self::default().own(own)
    }

    /// Our own words: no foreign text may be in them.
    pub(crate) fn own(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Own(words.into()));
        self
    }

    pub(crate) fn foreign(mut self, words: impl Into<String>) -> Self {
        self.0.push(Piece::Foreign(words.into()));
        self
    }

    /// Another sentence behind this one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Foreign names with commas between.
    pub(crate) fn names(mut self, names: &[String]) -> Self {
        for (place, name) in names.iter().take(NAMES_MAX).enumerate() {
            self = if place > 0 { self.own(", ") } else { self };
            self = self.foreign(name);
        }
        match names.len().checked_sub(NAMES_MAX) {
            Some(more @ 1..) => self.own(format!(" and {more} more")),
            _ => self,
        }
    }

    /// As content of a page.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            @for piece in &self.0 {
                @match piece {
                    Piece::Own(words) => (words),
                    Piece::Foreign(words) => (text::cut(words, 80)),
                }
            }
        }
    }

    /// As Markdown within a line.
    pub(crate) fn markdown(&self) -> String {
        let written = |piece: &Piece| match piece {
            Piece::Own(words) => words.clone(),
            Piece::Foreign(words) => markdown(words),
        };
        self.0.iter().map(written).collect()
    }
}

/// A foreign text as Markdown within a line: as code where that can hold it, else with every character escaped that could
/// begin markup. What is hidden is written as `\u{…}`, line breaks too, so that it stays in its line.
pub(crate) fn markdown(foreign: &str) -> String {
    let mut shown = String::with_capacity(foreign.len());
    for c in foreign.chars() {
        if is_hidden(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    // A code span cannot hold backticks, and loses its bar in a table and its blanks at the ends.
    let is_code = !shown.is_empty() && !shown.contains(['`', '|']) && shown.trim() == shown;
    if is_code {
        return format!("`{shown}`");
    }
    let escaped = |c: char| if c.is_ascii_punctuation() { vec!['\\', c] } else { vec![c] };
    shown.chars().flat_map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_no_markdown() {
        for (text, expected) in [
            ("new-checkout.v2", "`new-checkout.v2`"),
            ("<script>alert(1)</script>", "`<script>alert(1)</script>`"),
            ("@all [x](http://e)", "`@all [x](http://e)`"),
            ("a`b<i>", "a\\`b\\<i\\>"),
            ("a|b", "a\\|b"),
            (" a ", " a "),
            ("", ""),
            ("a\n# b\u{202e}", "`a\\u{a}# b\\u{202e}`"),
            ("`\r\n", "\\`\\\\u\\{d\\}\\\\u\\{a\\}"),
        ] {
            assert_eq!(markdown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn long_lists_tell_how_many_more() {
        let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
        let written = Sentence::new("in ").names(&names).markdown();
        assert_eq!(written, "in `n0`, `n1`, `n2`, `n3`, `n4`, `n5` and 2 more");
        assert!(!Sentence::default().names(&names[..6]).markdown().contains("more"));
    }
}
