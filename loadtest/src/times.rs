//! Times in the text of a body: found once, written over again and again.
//!
//! Always true here: a time keeps its place and its length, so that nothing else in the body moves.

/// Digits of a Unix time in milliseconds, from the year 2001 to 2286.
const DIGITS: usize = 13;

/// Where times stand in a body, and which: the numbers behind `creationDate`, `startDate` and their like.
pub(crate) fn find(body: &[u8]) -> impl Iterator<Item = (usize, i64)> {
    const FIELD: &[u8] = b"Date\":";
    let behind = body.windows(FIELD.len()).enumerate().filter(|(_, window)| *window == FIELD);
    behind.filter_map(move |(at, _)| {
        let at = at + FIELD.len();
        let digits = std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?;
        Some((at, digits.parse().ok()?))
    })
}

/// Writes a time over the one that stands at `at`.
pub(crate) fn write(body: &mut [u8], at: usize, time_ms: i64) {
    let mut number = time_ms;
    for digit in body[at..at + DIGITS].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_found_and_written_over() {
        let mut body = br#"[{"endDate":1795335146703,"k":{"creationDate":1795335140000},"Date":"no"}]"#.to_vec();
        let found: Vec<_> = find(&body).collect();
        assert_eq!(found, [(12, 1_795_335_146_703), (46, 1_795_335_140_000)]);
        for (at, time_ms) in found {
            write(&mut body, at, time_ms + 60_000);
        }
        let wanted = r#"[{"endDate":1795335206703,"k":{"creationDate":1795335200000},"Date":"no"}]"#;
        assert_eq!(String::from_utf8(body).unwrap(), wanted);
    }
}
