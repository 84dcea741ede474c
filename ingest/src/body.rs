//! The body of a request, read once into one buffer.
//!
//! Always true here: no more is read than the limit (what is beyond is thrown away, so that the sender hears the
//! answer), no longer than the times allow, and never more bytes than the budget holds for this request.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, Held};
use crate::limits::Limits;

/// What a request holds of the budget at least, so that many small ones are bounded too.
pub(crate) const HELD_BYTES_MIN: usize = 1 << 10;
/// What a body of untold length holds at first. It grows as it comes.
const HELD_BYTES_UNTOLD: usize = 16 << 10;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Larger than the limit.
    TooLarge,
    /// Too slow, or the sender went away.
    TooSlow,
    /// The budget does not allow it.
    Overloaded,
}

/// What a body of this length must hold before it is read; `None` = too much in flight.
pub(crate) fn room_for(body: &Body, budget: &Budget, limits: &Limits) -> Option<Held> {
    let told = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    budget.take(told.unwrap_or(HELD_BYTES_UNTOLD).min(limits.body_bytes_max).max(HELD_BYTES_MIN))
}

/// Reads a body.
pub(crate) async fn read(body: Body, held: &mut Held, limits: &Limits, by: Instant) -> Result<Bytes, BodyError> {
    let told = body.size_hint().lower();
    let mut frames = Frames { body, idle: limits.body_idle(), by };
    if told > limits.body_bytes_max as u64 {
        frames.throw_away(2 * limits.body_bytes_max).await;
        return Err(BodyError::TooLarge);
    }
    // Most bodies come in one piece, which is taken as it is.
    let mut only = Bytes::new();
    let mut joined: Vec<u8> = Vec::new();
    while let Some(data) = frames.next().await? {
        let sum = only.len().max(joined.len()) + data.len();
        if sum > limits.body_bytes_max {
            drop(joined);
            frames.throw_away(limits.body_bytes_max).await;
            return Err(BodyError::TooLarge);
        }
        if sum > held.bytes() && !held.resize((sum * 2).min(limits.body_bytes_max)) {
            return Err(BodyError::Overloaded);
        }
        if only.is_empty() && joined.is_empty() {
            only = data;
            continue;
        }
        if joined.is_empty() {
            joined.reserve_exact(usize::try_from(told).unwrap_or(0).max(sum));
            joined.extend_from_slice(&only);
        }
        joined.extend_from_slice(&data);
    }
    Ok(if joined.is_empty() { only } else { Bytes::from(joined) })
}

struct Frames {
    body: Body,
    idle: Duration,
    by: Instant,
}

impl Frames {
    /// The next piece; `None` = the body has ended.
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let until = self.by.min(Instant::now() + self.idle);
            match timeout_at(until, self.body.frame()).await {
                Err(_) | Ok(Some(Err(_))) => return Err(BodyError::TooSlow),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                },
            }
        }
    }

    /// Throws away up to `bytes`, so that of a body up to twice the limit all is read: a sender that is cut off in the
    /// middle of its body often never reads the answer.
    async fn throw_away(&mut self, bytes: usize) {
        let mut left = bytes;
        while let Ok(Some(data)) = self.next().await {
            let Some(rest) = left.checked_sub(data.len()) else { return };
            left = rest;
        }
    }
}
