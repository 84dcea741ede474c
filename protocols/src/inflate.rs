//! Bodies made plain: gzip, under limits, into a buffer that is used again.
//!
//! Always true here: no more is inflated than the limits allow, whatever the body claims; what is not compressed is not
//! copied; every way to fail is a value.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use schemas::rejection::Rejection;

use crate::limits::Limits;
use crate::protocol::Refusal;

/// Makes plain a body that came with this `Content-Encoding`: true = its plain bytes are in `buffer`, false = it is
/// plain.
///
/// # Errors
/// `bad_compression`: an encoding other than gzip, broken gzip, or more bytes than the limits allow.
pub(crate) fn inflate(encoding: &str, body: &[u8], limits: &Limits, buffer: &mut Vec<u8>) -> Result<bool, Refusal> {
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(false),
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
        let bytes = body.len();
        let message = if by_ratio < limits.inflated_bytes_max {
            format!(
                "body of {bytes} bytes inflates to more than {by_ratio} bytes, over {} times its size, as events never do",
                limits.ratio_max
            )
        } else {
            format!("body of {bytes} bytes inflates to more than {allowed} bytes; flush more often")
        };
        return Err(Refusal::new(Rejection::BadCompression, message));
    }
    match read {
        Ok(_) => Ok(true),
        Err(error) => Err(Refusal::new(Rejection::BadCompression, format!("body is no whole gzip stream: {error}"))),
    }
}
