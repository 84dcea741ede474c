//! The list as a Markdown table, for issues and chat.
//!
//! Always true here: foreign text ends no cell and is no markup: whatever could begin some stands behind a backslash.

use super::entry::Entry;
use super::shown::{HEADER, row, visible};

/// All ASCII punctuation that means something somewhere in a line; `:` and `@` make links of plain text.
const MARKUP: &[char] =
    &['\\', '`', '*', '_', '{', '}', '[', ']', '<', '>', '(', ')', '#', '+', '!', '|', '~', '&', '$', ':', '@', '='];

pub(super) fn write(entries: &[Entry]) -> String {
    let rule = HEADER.map(|_| "---".to_owned());
    let head = [HEADER.map(str::to_owned), rule];
    let rows = entries.iter().map(|entry| row(entry).map(|text| cell_of(&text)));
    head.into_iter().chain(rows).map(|cells| format!("| {} |\n", cells.join(" | "))).collect()
}

fn cell_of(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        if MARKUP.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        for (text, expected) in [
            ("a|b", "a\\|b"),
            ("a\\|b", "a\\\\\\|b"),
            ("<img src=x>", "\\<img src\\=x\\>"),
            ("[x](http://e)", "\\[x\\]\\(http\\://e\\)"),
            ("**bold** `code`", "\\*\\*bold\\*\\* \\`code\\`"),
            ("a\n| b\u{200f}", "a\\\\u\\{a\\}\\| b\\\\u\\{200f\\}"),
            ("new-checkout.v2", "new-checkout.v2"),
        ] {
            assert_eq!(cell_of(text), expected);
        }
    }
}
