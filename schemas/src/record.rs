//! A record: a payload's part as it lies in the log, and back.
//!
//! Always true here: the same part, judged the same, gives the same bytes; a header can be read without its body; what
//! cannot be read is an error value, never a panic. `proto/record.proto` tells every field; [`columns`] writes them.

mod columns;
mod rows;
mod texts;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

pub use columns::{CONTEXTS_SEEN_MAX, DIAGNOSTICS_MAX, Encoder, Judged, Stamp, encode};
pub use rows::{
    ContextRow, ConversionRow, CountRow, ExposureRow, LateCountRow, LateEventRow, MigrationRow, PayloadView, ReasonRow,
    StoredVariation,
};
pub(crate) use texts::Texts;

use crate::event::PayloadId;
use crate::generation::Generation;
use crate::id::{Environment, push_part};
use crate::log::{Append, Logged};
use crate::old_path::Gated;
use crate::rejection::{Rejection, Rejections};
use crate::wire::record as wire;

/// The version of the record's form that this build writes.
pub const VERSION: u32 = 1;

/// What the body of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A payload's part: `wire::record::Payload`.
    Payload = 1,
    /// Something configured: `wire::record::Definition`.
    Definition = 2,
    /// The generation row, first in each partition.
    Generation = 3,
    /// Numbers of rejections alone, in the header.
    Numbers = 4,
    /// What became of writes of the old path: `wire::record::Outcomes`.
    Outcome = 5,
}

/// A header, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the body is.
    pub kind: RecordKind,
    /// Whose it is.
    pub environment: Environment,
    /// The payload's id; `None` = nothing identifies it.
    pub id: Option<PayloadId>,
    /// Number of the part in this partition.
    pub part: u32,
    /// It is a home part.
    pub home: bool,
    /// Elements that begin in it.
    pub accepted: u64,
    /// Receive time, Unix milliseconds.
    pub received_ms: i64,
    /// Rejections of this payload.
    pub rejected: Rejections,
    /// Rejections of payloads refused whole before it.
    pub carried: Rejections,
    /// What the gate did with this copy.
    pub gated: Gated,
}

/// Why bytes are no record that this build understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No protobuf message, or not this one.
    #[error("record cannot be decoded: {0}")]
    Decode(String),
    /// A version newer than this build.
    #[error("record has version {0}, this build reads up to {VERSION}; use a newer build")]
    Version(u32),
    /// A value outside its range.
    #[error("record has {field} = {value}")]
    Value {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

/// What a re-send is known by, within one partition: 128 bits of SHA-256 over environment, payload id and part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(pub [u8; 16]);

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are no header of a version, a kind and reasons that this build knows.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let header = wire::Header::decode(bytes.clone()).map_err(|e| RecordError::Decode(e.to_string()))?;
        if header.version != VERSION {
            return Err(RecordError::Version(header.version));
        }
        let id = match header.id_kind {
            0 => None,
            1 => Some(PayloadId::Sent(header.payload_id.to_vec())),
            2 => Some(PayloadId::Diagnostic(header.payload_id.to_vec())),
            3 => Some(PayloadId::Outcome(header.payload_id.to_vec())),
            other => return Err(RecordError::Value { field: "id_kind", value: other.into() }),
        };
        let gated = Gated::from_number(header.gated)
            .ok_or(RecordError::Value { field: "gated", value: header.gated.into() })?;
        Ok(Self {
            kind: record_kind(header.kind)?,
            environment: Environment { project: header.project, key: header.environment },
            id,
            part: header.part,
            home: header.home,
            accepted: header.accepted,
            received_ms: header.received_ms,
            rejected: read_numbers("rejected", &header.rejected)?,
            carried: read_numbers("carried", &header.carried)?,
            gated,
        })
    }

    /// Reads what can be booked of a header whose version, kind or reasons this build does not know: field numbers
    /// never change their meaning. `kind` of the answer means nothing; an id of an unknown kind is none; numbers of
    /// unknown reasons are left out, the record being a dead letter that holds them; an unknown mark of the gate is
    /// none.
    #[must_use]
    pub fn salvage(bytes: &Bytes) -> Option<Self> {
        let header = wire::Header::decode(bytes.clone()).ok()?;
        let id = match header.id_kind {
            1 => Some(PayloadId::Sent(header.payload_id.to_vec())),
            2 => Some(PayloadId::Diagnostic(header.payload_id.to_vec())),
            3 => Some(PayloadId::Outcome(header.payload_id.to_vec())),
            _ => None,
        };
        Some(Self {
            kind: RecordKind::Numbers,
            environment: Environment { project: header.project, key: header.environment },
            id,
            part: header.part,
            home: header.home,
            accepted: header.accepted,
            received_ms: header.received_ms,
            rejected: known_numbers(&header.rejected),
            carried: known_numbers(&header.carried),
            gated: Gated::from_number(header.gated).unwrap_or_default(),
        })
    }

    /// Writes a header.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(self.wire().encode_to_vec())
    }

    fn wire(&self) -> wire::Header {
        let (id_kind, payload_id) = match &self.id {
            None => (0, Bytes::new()),
            Some(PayloadId::Sent(id)) => (1, Bytes::copy_from_slice(id)),
            Some(PayloadId::Diagnostic(id)) => (2, Bytes::copy_from_slice(id)),
            Some(PayloadId::Outcome(id)) => (3, Bytes::copy_from_slice(id)),
        };
        wire::Header {
            version: VERSION,
            kind: self.kind as u32,
            project: self.environment.project.clone(),
            environment: self.environment.key.clone(),
            id_kind,
            payload_id,
            part: self.part,
            home: self.home,
            accepted: self.accepted,
            received_ms: self.received_ms,
            rejected: write_numbers(&self.rejected),
            carried: write_numbers(&self.carried),
            gated: self.gated as u32,
        }
    }

    /// What dedupe remembers of this record; `None` = it has no id and cannot be known again.
    #[must_use]
    pub fn record_id(&self) -> Option<RecordId> {
        let (kind, id) = match self.id.as_ref()? {
            PayloadId::Sent(id) => (1, id),
            PayloadId::Diagnostic(id) => (2, id),
            PayloadId::Outcome(id) => (3, id),
        };
        let mut bytes = Vec::with_capacity(128);
        push_part(&mut bytes, &self.environment.project);
        push_part(&mut bytes, &self.environment.key);
        bytes.push(kind);
        bytes.extend_from_slice(&self.part.to_be_bytes());
        bytes.extend_from_slice(id);
        let digest = Sha256::digest(&bytes);
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Some(RecordId(short))
    }
}

/// The first record of each partition.
#[must_use]
pub fn generation_record(generation: &Generation, partition: u32, now_ms: i64) -> Append {
    let header = plain_header(RecordKind::Generation, no_environment(), now_ms);
    Append { partition, header: header.encode(), body: generation.encode() }
}

/// A record of numbers alone: what was refused whole and found no payload to travel with.
#[must_use]
pub fn numbers_record(environment: &Environment, partitions: u32, carried: &Rejections, now_ms: i64) -> Append {
    let mut header = plain_header(RecordKind::Numbers, environment.clone(), now_ms);
    header.home = true;
    header.carried = *carried;
    Append { partition: crate::partition::home(environment, partitions), header: header.encode(), body: Bytes::new() }
}

/// A definition on its way to a partition; see [`wire::Definition`] for `version`.
#[must_use]
pub fn definition_record(definition: &wire::Definition, partition: u32, now_ms: i64) -> Append {
    let environment = Environment { project: definition.project.clone(), key: definition.environment.clone() };
    let header = plain_header(RecordKind::Definition, environment, now_ms);
    Append { partition, header: header.encode(), body: Bytes::from(definition.encode_to_vec()) }
}

/// Reads the body of a [`RecordKind::Definition`].
///
/// # Errors
/// [`RecordError::Decode`] when the bytes are none.
pub fn decode_definition(body: &Bytes) -> Result<wire::Definition, RecordError> {
    wire::Definition::decode(body.clone()).map_err(|e| RecordError::Decode(e.to_string()))
}

/// Reads the body of a [`RecordKind::Payload`].
///
/// # Errors
/// [`RecordError`] when the bytes are none, or its columns do not fit together.
pub fn decode_payload(record: &Logged, received_ms: i64) -> Result<PayloadView, RecordError> {
    let payload = wire::Payload::decode(record.body.clone()).map_err(|e| RecordError::Decode(e.to_string()))?;
    PayloadView::new(payload, received_ms)
}

pub(crate) fn plain_header(kind: RecordKind, environment: Environment, received_ms: i64) -> Header {
    Header {
        kind,
        environment,
        id: None,
        part: 0,
        home: false,
        accepted: 0,
        received_ms,
        rejected: Rejections::default(),
        carried: Rejections::default(),
        gated: Gated::No,
    }
}

fn no_environment() -> Environment {
    Environment { project: Bytes::new(), key: Bytes::new() }
}

fn record_kind(number: u32) -> Result<RecordKind, RecordError> {
    use RecordKind::{Definition, Generation, Numbers, Outcome, Payload};
    [Payload, Definition, Generation, Numbers, Outcome]
        .into_iter()
        .find(|kind| *kind as u32 == number)
        .ok_or(RecordError::Value { field: "kind", value: number.into() })
}

/// A reason that this build does not know is refused: books without it would differ from those of a build that knows
/// it.
fn read_numbers(field: &'static str, numbers: &[wire::Number]) -> Result<Rejections, RecordError> {
    match numbers.iter().find(|number| Rejection::from_number(number.reason).is_none()) {
        Some(unknown) => Err(RecordError::Value { field, value: unknown.reason.into() }),
        None => Ok(known_numbers(numbers)),
    }
}

/// The numbers whose reasons this build knows.
fn known_numbers(numbers: &[wire::Number]) -> Rejections {
    let mut rejections = Rejections::default();
    for number in numbers {
        if let Some(reason) = Rejection::from_number(number.reason) {
            rejections.add(reason, number.number);
        }
    }
    rejections
}

fn write_numbers(rejections: &Rejections) -> Vec<wire::Number> {
    rejections.iter().map(|(reason, number)| wire::Number { reason: reason as u32, number }).collect()
}
