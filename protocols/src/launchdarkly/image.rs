//! Image requests: events in the query of a GIF, from browsers that may not post across origins.
//!
//! Always true here: both alphabets of base64 are read, padded or not; the answer is a picture of one transparent
//! pixel.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::malformed;
use crate::protocol::Refusal;
use crate::request::Request;

/// The smallest transparent GIF that browsers show.
pub(super) const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Puts the JSON behind the query parameter `d` into `buffer`.
pub(super) fn open(request: &Request<'_>, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
    let sent = request.query_value("d").ok_or_else(|| malformed("image request has no parameter d"))?;
    let text: Vec<u8> = sent
        .iter()
        .map(|&byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            // A plus that a form decoder on the way took for a space.
            b' ' => b'+',
            other => other,
        })
        .collect();
    buffer.clear();
    LENIENT.decode_vec(text, buffer).map_err(|error| malformed(format!("parameter d is no base64: {error}")))
}
