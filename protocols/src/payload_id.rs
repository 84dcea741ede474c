//! The id by which a re-send is known.
//!
//! Always true here: equal ids sent give equal ids kept; no id kept is longer than [`PAYLOAD_ID_BYTES_MAX`], so that
//! the remembered ids have a bound. Dropping an over-long id would count its re-send twice, so it is kept as its
//! SHA-256.

use schemas::event::PayloadId;
use schemas::id::{PAYLOAD_ID_BYTES_MAX, push_part};
use sha2::{Digest, Sha256};

/// The id that an SDK sent; `None` when it is empty.
pub(crate) fn sent(id: &[u8]) -> Option<PayloadId> {
    (!id.is_empty()).then(|| PayloadId::Sent(bounded(id.to_vec())))
}

/// The identity of a diagnostic, which has no payload id: its SDK's own id, its kind and its time.
pub(crate) fn diagnostic(id: &str, kind: &str, time_ms: Option<i64>) -> Option<PayloadId> {
    if id.is_empty() {
        return None;
    }
    let mut parts = Vec::with_capacity(80);
    push_part(&mut parts, &bounded(id.as_bytes().to_vec()));
    push_part(&mut parts, kind.as_bytes());
    push_part(&mut parts, time_ms.map(i64::to_be_bytes).as_ref().map_or(&[], |bytes| bytes));
    Some(PayloadId::Diagnostic(bounded(parts)))
}

fn bounded(id: Vec<u8>) -> Vec<u8> {
    if id.len() <= PAYLOAD_ID_BYTES_MAX { id } else { Sha256::digest(&id).to_vec() }
}
