//! Requests made beforehand, into which only the payload id and the times are written.
//!
//! Always true here: a body keeps its length; its times move together, to now, so that nothing is late or ahead; a
//! payload id is used once in a process's life.

use crate::contents::minute_of;
use crate::environments::Target;
use crate::load::now_ms;
use crate::payload::{Maker, Payload, payload_id};
use crate::request::Speaker;
use crate::times;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A class of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum Class {
    /// One summary, about 1 KB
    Summary,
    /// Full events of experiments and custom events, about 16 KB
    Full,
    /// What server SDKs send: summaries, index and identify events, some full events
    Mixed,
}

impl Class {
    pub(super) const ALL: [Self; 3] = [Self::Summary, Self::Full, Self::Mixed];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Full => "full",
            Self::Mixed => "mixed",
        }
    }

    fn make(self, maker: &mut Maker, now_ms: i64) -> Payload {
        match self {
            Self::Summary => maker.make_summary(now_ms, 8),
            Self::Full => maker.make_full(now_ms, 16 * 1024),
            Self::Mixed => maker.make(now_ms),
        }
    }
}

/// The requests that one connection sends in turn.
#[derive(Debug)]
pub(super) struct Templates {
    templates: Vec<Template>,
    turn: usize,
}

/// One request.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    /// Where the payload id stands.
    id_at: usize,
    /// Where times stand, and how far each lies before now, in milliseconds.
    times: Vec<(usize, i64)>,
    body_bytes: usize,
    elements: u64,
}

impl Templates {
    /// The requests of connection `number`; they differ from connection to connection.
    pub(super) fn new(class: Class, address: SocketAddr, key: &str, number: u64) -> Result<Self> {
        let mut maker = Maker::new(1, 0, number);
        let speaker = Speaker {
            address,
            target: Target::default_under(key),
            sdk: "NodeJSClient/9.13.7",
            application: "application-id/checkout application-version/1.2.3",
            instance: payload_id(1, number, 0),
            chunked: false,
            gzip_share: 0.0,
        };
        let templates = (0..4).map(|_| Template::new(class, &mut maker, &speaker)).collect::<Result<_>>()?;
        Ok(Self { templates, turn: 0 })
    }

    /// The next request, with an id of its own and the times of `now_ms`.
    pub(super) fn next(&mut self, now_ms: i64) -> &[u8] {
        static USED: AtomicU64 = AtomicU64::new(0);
        let used = USED.fetch_add(1, Ordering::Relaxed);
        self.turn = (self.turn + 1) % self.templates.len();
        let template = &mut self.templates[self.turn];
        template.bytes[template.id_at + 24..template.id_at + 36].copy_from_slice(&hex(used));
        for (at, before_ms) in &template.times {
            times::write(&mut template.bytes, *at, now_ms - before_ms);
        }
        &template.bytes
    }

    /// Bytes of the bodies, elements in them, and how many there are.
    pub(super) fn sizes(&self) -> (usize, u64, usize) {
        let bytes = self.templates.iter().map(|template| template.body_bytes).sum();
        let elements = self.templates.iter().map(|template| template.elements).sum();
        (bytes, elements, self.templates.len())
    }
}

impl Template {
    fn new(class: Class, maker: &mut Maker, speaker: &Speaker) -> Result<Self> {
        // The ids of this process's life begin with its start: the same data directory may see another process.
        let now_ms = now_ms();
        let payload = class.make(maker, now_ms);
        let id = payload_id(now_ms as u64, 0, minute_of(now_ms) as u64);
        let head = speaker.head("/bulk", &id, Some(payload.body.len()), false);
        let id_at = head.find(&id).context("the head of a request has no payload id")?;
        let times = times::find(&payload.body).map(|(at, time_ms)| (head.len() + at, now_ms - time_ms)).collect();
        let body_bytes = payload.body.len();
        let bytes = [head.as_bytes(), &payload.body].concat();
        Ok(Self { bytes, id_at, times, body_bytes, elements: payload.contents.elements })
    }
}

/// The last twelve digits of a number, hexadecimal.
fn hex(mut number: u64) -> [u8; 12] {
    let mut digits = [b'0'; 12];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_differs_from_the_next_only_in_id_and_times() {
        for class in Class::ALL {
            let mut templates = Templates::new(class, ([127, 0, 0, 1], 80).into(), "key", 3).unwrap();
            let later_ms = now_ms() + 3_600_000;
            let mut ids = std::collections::HashSet::new();
            for _ in 0..8 {
                let request = templates.next(later_ms).to_vec();
                let text = String::from_utf8(request).unwrap();
                let (head, body) = text.split_once("\r\n\r\n").unwrap();
                let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
                assert_eq!(header("content-length: "), body.len().to_string());
                assert_eq!(header("x-launchdarkly-payload-id: ").len(), 36);
                assert!(ids.insert(header("x-launchdarkly-payload-id: ")));
                let elements: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
                for time in elements.iter().flat_map(|element| [&element["creationDate"], &element["endDate"]]) {
                    let late_ms = time.as_i64().map_or(0, |time| later_ms - time);
                    assert!((0..=180_000).contains(&late_ms), "{late_ms}");
                }
            }
        }
    }
}
