//! How deep a value nests.
//!
//! Always true here: nothing is judged but depth; the text may be any text, and what a broken one gives is of no
//! matter.

/// Whether a text nests deeper than so many levels.
pub(crate) fn is_deeper(text: &str, levels: usize) -> bool {
    // Nearly no event has so many brackets at all, and to number them is far cheaper than to match them. The two
    // opening ones differ in one bit.
    let openings = |block: &[u8]| block.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    // In blocks that a byte can number, which is what makes it fast.
    let openings: usize = text.as_bytes().chunks(255).map(|block| usize::from(openings(block))).sum();
    openings > levels && deepest(text) > levels
}

fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_text() {
        let cases = [
            ("", 0),
            ("7", 0),
            ("[]", 1),
            (r#"[{"a":[]},[[]]]"#, 3),
            (r#"["[[[",{"{\"{\\":0}]"#, 2),
            ("[][][]", 1),
            ("]]][", 1),
            ("[[[[", 4),
        ];
        for (text, depth) in cases {
            assert!(!is_deeper(text, depth), "{text}");
            assert!(depth == 0 || is_deeper(text, depth - 1), "{text}");
        }
    }
}
