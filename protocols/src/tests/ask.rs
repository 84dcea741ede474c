//! A request in one line, and what came of it in a few.

use std::fmt::Write;

use schemas::event::{Payload, PayloadId, Variation};

use crate::{Limits, Outcome, Refusal, Reply, Request, Route, answer, route};

/// A request under construction.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) limits: Limits,
}

impl Ask {
    pub(super) fn post(path: &str, body: impl AsRef<[u8]>) -> Self {
        Self {
            method: "POST",
            path: path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: body.as_ref().to_vec(),
            limits: Limits::default(),
        }
    }

    /// Schema 4, as a server SDK sends it.
    pub(super) fn bulk(body: impl AsRef<[u8]>) -> Self {
        Self::post("/bulk", body).header("X-LaunchDarkly-Event-Schema", "4")
    }

    /// One event of schema 4.
    pub(super) fn event(event: &str) -> Self {
        Self::bulk(format!("[{event}]"))
    }

    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(super) fn unsummarized(self) -> Self {
        self.header("x-launchdarkly-unsummarized", "true")
    }

    pub(super) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    fn slices(&self) -> Vec<(&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    fn route(&self) -> Route<'_> {
        route(self.method, &self.path).unwrap_or_else(|miss| panic!("{} {}: {miss:?}", self.method, self.path))
    }

    /// What it decodes to. Leaks its bytes: this is a test.
    pub(super) fn rows(&self) -> Result<Payload<'static>, Refusal> {
        let ask: &'static Self = Box::leak(Box::new(self.clone()));
        let headers = Box::leak(Box::new(ask.slices()));
        let request = Request { method: ask.method, path: &ask.path, query: &ask.query, headers, body: &ask.body };
        let route = ask.route();
        let buffer = Box::leak(Box::new(Vec::new()));
        let plain = route.protocol.open(&route, &request, &ask.limits, buffer)?;
        route.protocol.decode(&route, &request, plain, &ask.limits)
    }

    /// What its sender is told, if the log takes it.
    pub(super) fn reply(&self) -> Reply {
        match self.rows() {
            Ok(_) => answer(&self.route(), Outcome::Accepted, &self.slices()),
            Err(refusal) => answer(&self.route(), Outcome::Refused(&refusal), &self.slices()),
        }
    }

    /// What its sender is told about an outcome.
    pub(super) fn reply_to(&self, outcome: Outcome<'_>) -> Reply {
        answer(&self.route(), outcome, &self.slices())
    }

    /// Rows and rejections, a line each.
    pub(super) fn shown(&self) -> String {
        match self.rows() {
            Ok(payload) => shown(&payload),
            Err(refusal) => format!("refused {}", refusal.reason.code()),
        }
    }

    /// Checks what is shown, line by line.
    #[track_caller]
    pub(super) fn shows(&self, lines: &[&str]) {
        let shown = self.shown();
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(400)]);
        assert_eq!(shown.lines().collect::<Vec<_>>(), lines, "{start}");
    }
}

/// A payload, a line a row.
pub(super) fn shown(payload: &Payload<'_>) -> String {
    let mut out = String::new();
    let contexts = |range: &std::ops::Range<u32>| -> String {
        let keys = &payload.context_keys[range.start as usize..range.end as usize];
        keys.iter().map(|context| format!(" {}={}", context.kind, context.key)).collect()
    };
    let mark = |set: bool, word: &'static str| if set { word } else { "" };
    for (index, element) in payload.elements.iter().enumerate() {
        let time = element.time_ms.map_or("-".into(), |time| time.to_string());
        _ = writeln!(out, "{:?} @{time}", element.kind);
        for row in payload.counts.iter().filter(|row| row.element as usize == index) {
            let (error, estimated) = (mark(row.error, " error"), mark(row.estimated, " estimated"));
            let value = row.value.map_or(String::new(), |value| format!(" ={value}"));
            let served = served(&row.variation, row.version);
            let row_of = match row.count {
                0 => format!("sight {} {served}", row.flag),
                count => format!("count {} {served} x{count}", row.flag),
            };
            _ = writeln!(out, "  {row_of}{error}{estimated}{value}");
        }
        for row in payload.evaluations.iter().filter(|row| row.element as usize == index) {
            let served = served(&row.variation, row.version);
            let experiment = mark(row.in_experiment, " experiment");
            let contexts = contexts(&row.contexts);
            _ = writeln!(out, "  evaluation {} {served} {}{experiment}{contexts}", row.flag, row.reason.name());
        }
        for row in payload.conversions.iter().filter(|row| row.element as usize == index) {
            let value = row.value.map_or("-".into(), |value| value.0.to_string());
            let contexts = contexts(&row.contexts);
            _ = writeln!(out, "  {:?} {} {value} x{}{contexts}", row.kind, row.key, row.sampling);
        }
        for row in payload.migrations.iter().filter(|row| row.element as usize == index) {
            let side =
                |sides: &schemas::event::OldNew<bool>| format!("{}{}", mark(sides.old, "o"), mark(sides.new, "n"));
            _ = writeln!(
                out,
                "  migration {} {} write={} invoked={} consistent={:?} error={} us={:?}/{:?} x{}",
                row.flag,
                served(&row.variation, None),
                row.write,
                side(&row.invoked),
                row.consistent,
                side(&row.error),
                row.latency_us.old,
                row.latency_us.new,
                row.sampling
            );
        }
    }
    for (kind, number) in &payload.contexts_seen {
        _ = writeln!(out, "seen {kind} {number}");
    }
    for fact in &payload.diagnostics {
        let (start, time) = (mark(fact.start, " start"), fact.time_ms.map_or("-".into(), |time| time.to_string()));
        _ = writeln!(
            out,
            "diagnostic {} @{time}{start} {} {} dropped {}",
            fact.id, fact.sdk, fact.sdk_version, fact.dropped_events
        );
    }
    for (reason, number) in payload.rejections.iter() {
        _ = writeln!(out, "rejected {} {number}", reason.code());
    }
    out
}

fn served(variation: &Variation<'_>, version: Option<u64>) -> String {
    let variation = match variation {
        Variation::Default => "default".to_owned(),
        Variation::Index(index) => index.to_string(),
        Variation::Name(name) => format!("{name:?}"),
    };
    version.map_or(variation.clone(), |version| format!("{variation} v{version}"))
}

/// The payload id that was sent.
pub(super) fn sent_id(payload: &Payload<'_>) -> Option<Vec<u8>> {
    match &payload.id {
        Some(PayloadId::Sent(id)) => Some(id.clone()),
        _ => None,
    }
}

/// A summary with these flags.
pub(super) fn summary(features: &str) -> String {
    format!(r#"{{"startDate":1,"endDate":9,"features":{{{features}}},"kind":"summary"}}"#)
}
