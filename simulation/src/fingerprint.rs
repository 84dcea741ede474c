//! A record's fingerprint, worked out a second time: CRC32C over header and body, by a table.
//!
//! Always true here: nothing of it is the product's, so that a fingerprint that says too little is another than this
//! one.

use schemas::log::Logged;

/// The polynomial of CRC32C, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte does to the eight lowest bits.
const TABLE: [u32; 256] = table();

/// What a checkpoint must have of the record before it.
#[must_use]
pub fn fingerprint(logged: &Logged) -> u32 {
    let bytes = logged.header.iter().chain(&logged.body);
    !bytes.fold(u32::MAX, |sum, byte| TABLE[((sum ^ u32::from(*byte)) & 0xff) as usize] ^ (sum >> 8))
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        table[byte] = sum;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// The check value of CRC32C in the catalogue of such sums, wherever header and body meet.
    #[test]
    fn the_check_value_is_that_of_crc32c() {
        for cut in 0..=9 {
            let (header, body) = b"123456789".split_at(cut);
            let part = Bytes::copy_from_slice;
            let logged = Logged { offset: 7, append_ms: 9, header: part(header), body: part(body) };
            assert_eq!(fingerprint(&logged), 0xe306_9283);
        }
    }
}
