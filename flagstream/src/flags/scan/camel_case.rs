//! The name that LaunchDarkly's React SDK makes of a flag's key: `useFlags()` has `newCheckout` for `new-checkout`.
//!
//! Always true here: the rules are those of `lodash.camelcase` 4.3.0, which that SDK uses, for keys of ASCII
//! (LaunchDarkly has no others); keys beginning with `$` have no such name, since the SDK leaves them out.

/// The name in camel case; `None` where the key has none, or is it.
pub(super) fn camel_case(key: &str) -> Option<String> {
    if !key.is_ascii() || key.starts_with('$') {
        return None;
    }
    let key_bare = key.replace('\'', "");
    let mut name = String::with_capacity(key.len());
    let mut rest = key_bare.as_bytes();
    while let Some(first) = rest.first() {
        let (word, after) = rest.split_at(word_bytes(rest));
        rest = after;
        if !first.is_ascii_alphanumeric() {
            continue;
        }
        let is_first = name.is_empty();
        name.extend(word.iter().enumerate().map(|(at, byte)| {
            char::from(if at == 0 && !is_first { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() })
        }));
    }
    (!name.is_empty() && name != key).then_some(name)
}

/// Bytes of the word that `text` begins with, at least 1: digits, or letters up to the next capital; of several
/// capitals the last belongs to the small letters behind it. Anything else is a word of its own.
fn word_bytes(text: &[u8]) -> usize {
    let run = |from: usize, is: fn(&u8) -> bool| text.iter().skip(from).take_while(|byte| is(byte)).count();
    let digits = run(0, u8::is_ascii_digit);
    if digits > 0 {
        return digits;
    }
    let capitals = run(0, u8::is_ascii_uppercase);
    let small = run(capitals, u8::is_ascii_lowercase);
    match (capitals, small) {
        (0, 0) => 1,
        (0 | 1, _) => capitals + small,
        (_, 0) => capitals,
        _ => capitals - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_react_sdk() {
        for (key, name) in [
            ("new-checkout", "newCheckout"),
            ("new.checkout_flow", "newCheckoutFlow"),
            ("New-Checkout", "newCheckout"),
            ("enableHTTPProxy", "enableHttpProxy"),
            ("ABC1-x", "abc1X"),
            ("checkout-v2", "checkoutV2"),
            ("v2beta", "v2Beta"),
            ("1st-visit", "1StVisit"),
            ("2fa", "2Fa"),
            ("--a--b.", "aB"),
            ("release-2024-01-x", "release202401X"),
            ("UI-ABTest", "uiAbTest"),
        ] {
            assert_eq!(camel_case(key).as_deref(), Some(name), "{key}");
        }
        for key in ["checkout", "newCheckout", "--", "$new-checkout", "é-a", ""] {
            assert_eq!(camel_case(key), None, "{key}");
        }
    }
}
