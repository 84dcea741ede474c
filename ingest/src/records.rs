//! From a body to records: inflate, decode, split, judge, encode, in one go and without waiting.
//!
//! Always true here: what comes out owns its bytes, so the body can be dropped before the log is awaited; the same
//! request at the same receive time gives the same records.

use std::cell::RefCell;
use std::collections::HashSet;

use protocols::{Refusal, Request, Route};
use schemas::event::Payload;
use schemas::id::Environment;
use schemas::log::Append;
use schemas::record::{Encoder, Stamp};
use schemas::rejection::Rejections;
use schemas::split::split;

use crate::course::Course;
use crate::ingest::Shared;
use crate::judge::judge;

/// After a body of more plain bytes than this, the workplace is not kept for the next one. Records take a few times the
/// bytes of the JSON that they are made of.
const PLAIN_BYTES_KEPT: usize = 1 << 20;

thread_local! {
    /// Making records never waits, so one a thread is enough.
    static WORKPLACE: RefCell<Workplace> = RefCell::default();
}

/// Memory that is used again.
#[derive(Debug, Default)]
struct Workplace {
    /// What bodies are inflated into.
    buffer: Vec<u8>,
    encoder: Encoder,
}

/// What became of a body.
#[derive(Debug)]
pub(crate) struct Records {
    /// To be appended; none when nothing in the payload was valid.
    pub(crate) appends: Vec<Append>,
    /// Elements in them.
    pub(crate) accepted: u64,
    /// What was refused in this payload; travels in the records, if there are any.
    pub(crate) rejected: Rejections,
    /// What the records carry for payloads refused whole before.
    pub(crate) carried: Rejections,
    /// What the old path is to write.
    #[cfg(feature = "gate")]
    pub(crate) old: Option<crate::gate::OldPayload>,
    /// SDK and number of flags, when asked for.
    pub(crate) greeting: Option<(String, usize)>,
}

/// Makes records of a request's body, as its course wants them. `greets` asks for a greeting.
pub(crate) fn records(
    shared: &Shared,
    environment: &Environment,
    route: &Route<'_>,
    request: &Request<'_>,
    greets: bool,
    course: Course,
) -> Result<Records, Refusal> {
    WORKPLACE.with_borrow_mut(|workplace| {
        let made = records_with(shared, environment, route, request, greets, course, workplace);
        if workplace.buffer.capacity().max(request.body.len()) > PLAIN_BYTES_KEPT {
            *workplace = Workplace::default();
        }
        made
    })
}

fn records_with(
    shared: &Shared,
    environment: &Environment,
    route: &Route<'_>,
    request: &Request<'_>,
    greets: bool,
    course: Course,
    workplace: &mut Workplace,
) -> Result<Records, Refusal> {
    let plain = route.protocol.open(route, request, &shared.decoding, &mut workplace.buffer)?;
    let payload = route.protocol.decode(route, request, plain, &shared.decoding)?;
    let mut records = Records {
        appends: Vec::new(),
        accepted: payload.elements.len() as u64,
        rejected: payload.rejections,
        carried: Rejections::default(),
        #[cfg(feature = "gate")]
        old: None,
        greeting: greets.then(|| greeting(&payload)),
    };
    if payload.elements.is_empty() && payload.diagnostics.is_empty() {
        return Ok(records);
    }
    // The receive time is when the request was there whole.
    let received_ms = (shared.clock)();
    let judged = judge(&payload.elements, received_ms, &shared.clock_limits);
    #[cfg(feature = "gate")]
    {
        records.old = crate::gate::old_rows(course, environment, received_ms, &payload, &judged);
    }
    let Some(gated) = course.into_log() else { return Ok(records) };
    let split = split(environment, &payload, shared.log.partitions());
    records.carried = shared.carry.take(environment);
    let stamp = Stamp { environment, received_ms, carried: &records.carried, gated };
    records.appends = workplace.encoder.encode(&payload, &split, &judged, &stamp);
    Ok(records)
}

fn greeting(payload: &Payload<'_>) -> (String, usize) {
    let origin = &payload.origin;
    let sdk = match (&*origin.sdk, &*origin.sdk_version) {
        (sdk, "") => sdk.to_owned(),
        (sdk, version) => format!("{sdk}/{version}"),
    };
    let counted = payload.counts.iter().map(|row| &row.flag);
    let flags: HashSet<_> = counted.chain(payload.evaluations.iter().map(|row| &row.flag)).collect();
    (sdk, flags.len())
}
