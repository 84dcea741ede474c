//! Bodies made plain: gzip, under limits, into a buffer that is used again.
//!
//! Always true here: no more is inflated than the limits allow, whatever the body claims; what is not compressed is not
//! copied; every way to fail is a value.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use schemas::rejection::Rejection;

use crate::limits::Limits;
use crate::protocol::Refusal;

/// The plain bytes of a body that came with this `Content-Encoding`.
///
/// # Errors
/// `bad_compression`: an encoding other than gzip, broken gzip, or more bytes than the limits allow.
pub(crate) fn inflate<'b>(
    encoding: &str,
    body: &'b [u8],
    limits: &Limits,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], Refusal> {
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body),
        "gzip" | "x-gzip" => {}
        other => {
            let message = format!("content-encoding {other:?} is not known here; send gzip or nothing");
            return Err(Refusal::new(Rejection::BadCompression, message));
        }
    }
    let by_ratio = body.len().saturating_mul(limits.ratio_max).max(limits.ratio_free_bytes);
    let allowed = by_ratio.min(limits.inflated_bytes_max);
    buffer.clear();
    // One byte more than allowed tells "exactly at the limit" from "beyond it".
    let read = MultiGzDecoder::new(body).take(allowed as u64 + 1).read_to_end(buffer);
    if buffer.len() > allowed {
        let message = format!("body of {} bytes inflates to more than {allowed} bytes; flush more often", body.len());
        return Err(Refusal::new(Rejection::BadCompression, message));
    }
    match read {
        Ok(_) => Ok(buffer),
        Err(error) => Err(Refusal::new(Rejection::BadCompression, format!("body is no whole gzip stream: {error}"))),
    }
}
