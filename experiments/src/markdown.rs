//! Foreign text as Markdown, in tickets and in the list of stale flags.
//!
//! Always true here: foreign text is no markup and ends no line and no cell of a table.

use crate::hidden::visible;

/// A foreign text as Markdown within a line: as code where that can hold it, else with every character escaped that
/// could begin markup. What is hidden is written as `\u{…}`, line breaks too, so that it stays in its line.
pub(crate) fn markdown(foreign: &str) -> String {
    let shown = visible(foreign);
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
}
