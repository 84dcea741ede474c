//! A payload as bytes on the wire, as a server SDK puts it there.
//!
//! Always true here: the bytes are made once and sent unchanged at every attempt, the payload id included.

use crate::dice::Dice;
use crate::environments::Target;
use crate::ledger::Holds;
use crate::payload::Payload;
use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// Names and versions of the SDKs that clients are.
pub(crate) const SDKS: &[&str] = &["NodeJSClient/9.13.7", "PythonClient/9.18.2"];
/// Tags that their applications bring.
pub(crate) const APPLICATIONS: &[&str] = &[
    "application-id/checkout application-version/1.2.3",
    "application-id/checkout application-version/1.2.4",
    "application-id/search application-version/7",
];

/// How one client speaks.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    pub(crate) address: SocketAddr,
    pub(crate) target: Target,
    /// Name and version, as in `NodeJSClient/9.13.7`.
    pub(crate) sdk: &'static str,
    pub(crate) application: &'static str,
    /// UUID of the SDK instance.
    pub(crate) instance: String,
    /// Node's SDKs send chunks.
    pub(crate) chunked: bool,
    /// Share of bodies that are compressed, 0 to 1.
    pub(crate) gzip_share: f64,
}

/// A payload that has been, or is to be, sent.
#[derive(Clone, Debug)]
pub(crate) struct Sendable {
    pub(crate) id: String,
    /// As `project/environment`.
    pub(crate) environment: Arc<str>,
    pub(crate) holds: Holds,
    /// Events in it, as elements of its array.
    pub(crate) elements: u64,
    /// Evaluations in it.
    pub(crate) evaluations: u64,
    /// When the schedule wants it to be sent, Unix milliseconds.
    pub(crate) intended_ms: Option<i64>,
    /// Head and body.
    pub(crate) bytes: Vec<u8>,
    /// Attempts made so far.
    pub(crate) attempts: u32,
}

impl Speaker {
    /// The payload as a request.
    pub(crate) fn request(&self, payload: Payload, dice: &mut Dice) -> Result<Sendable> {
        let gzip = dice.happens(self.gzip_share);
        let body = if gzip { compressed(&payload.body)? } else { payload.body };
        let mut bytes =
            self.head("/bulk", &payload.id, if self.chunked { None } else { Some(body.len()) }, gzip).into_bytes();
        bytes.extend(if self.chunked { in_chunks(&body) } else { body });
        Ok(Sendable {
            id: payload.id,
            environment: Arc::clone(&self.target.environment),
            elements: payload.contents.elements,
            evaluations: payload.contents.evaluations(),
            holds: Holds::Whole(payload.contents),
            intended_ms: None,
            bytes,
            attempts: 0,
        })
    }

    /// The head of a request; no length = chunked.
    pub(crate) fn head(&self, path: &str, payload_id: &str, length: Option<usize>, gzip: bool) -> String {
        let Self { address, target: Target { key, .. }, sdk, application, instance, .. } = self;
        let framing =
            length.map_or("transfer-encoding: chunked".to_owned(), |length| format!("content-length: {length}"));
        let encoding = if gzip { "content-encoding: gzip\r\n" } else { "" };
        format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: {sdk}\r\nauthorization: {key}\r\n\
             content-type: application/json\r\n{encoding}x-launchdarkly-event-schema: 4\r\n\
             x-launchdarkly-payload-id: {payload_id}\r\nx-launchdarkly-tags: {application}\r\n\
             x-launchdarkly-instance-id: {instance}\r\n{framing}\r\n\r\n"
        )
    }
}

/// A body as one chunk and the end.
pub(crate) fn in_chunks(body: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}

/// The body, compressed as SDKs do.
pub(crate) fn compressed(body: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    Ok(encoder.finish()?)
}
