//! Strings as they are written: unescaped and checked only when somebody asks for the text.
//!
//! Always true here: a string without escapes is borrowed; one with escapes is copied once.

use std::borrow::Cow;

/// A JSON string between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Str<'a> {
    raw: &'a [u8],
    escaped: bool,
}

/// The string is no Unicode text: broken UTF-8, or half a surrogate pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotUnicode;

impl<'a> Str<'a> {
    /// The text.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, NotUnicode> {
        if self.escaped {
            return unescape(self.raw)
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .map(Cow::Owned)
                .ok_or(NotUnicode);
        }
        std::str::from_utf8(self.raw).map(Cow::Borrowed).map_err(|_| NotUnicode)
    }

    /// The bytes to compare a name with; empty for what is no text (no field and no kind has an empty name).
    pub(crate) fn name(self) -> Cow<'a, [u8]> {
        if self.escaped { Cow::Owned(unescape(self.raw).unwrap_or_default()) } else { Cow::Borrowed(self.raw) }
    }
}

/// The string whose opening quote lies at `quote`, and the place after its closing one.
///
/// # Errors
/// The place where it breaks the grammar.
pub(super) fn scan(bytes: &[u8], quote: usize) -> Result<(Str<'_>, usize), usize> {
    let start = quote + 1;
    let mut at = start;
    let mut escaped = false;
    loop {
        at = plain_until(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((Str { raw: &bytes[start..at], escaped }, at + 1)),
            Some(b'\\') => {
                escaped = true;
                at = skip_escape(bytes, at + 1)?;
            }
            _ => return Err(at),
        }
    }
}

/// The first byte from `at` on that ends a plain stretch: a quote, a backslash, a control character, or the end.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let stops = stops_in(u64::from_le_bytes(*chunk));
        if stops != 0 {
            return at + (stops.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// Eight bytes at once: the high bit of each byte that ends a plain stretch. Bits above the first may be false.
fn stops_in(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    below(word, 0x20) | equal(b'"') | equal(b'\\')
}

fn skip_escape(bytes: &[u8], at: usize) -> Result<usize, usize> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            (at + 1..at + 5).find(|&at| !bytes.get(at).is_some_and(u8::is_ascii_hexdigit)).map_or(Ok(at + 5), Err)
        }
        _ => Err(at),
    }
}

/// Undoes the escapes of a string that [`scan`] has passed; `None` = half a surrogate pair.
fn unescape(mut raw: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(raw.len());
    while let Some(at) = raw.iter().position(|&byte| byte == b'\\') {
        out.extend_from_slice(&raw[..at]);
        let (&escape, mut rest) = raw[at + 1..].split_first()?;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut code = take_hex(&mut rest)?;
                if (0xd800..0xdc00).contains(&code) {
                    rest = rest.strip_prefix(b"\\u")?;
                    let low = take_hex(&mut rest)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                }
                let character = char::from_u32(code)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
        raw = rest;
    }
    out.extend_from_slice(raw);
    Some(out)
}

fn take_hex(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
}
