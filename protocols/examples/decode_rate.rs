//! How fast bodies become rows, on one core, next to a parse of the same bytes that keeps nothing.
//!
//! `cargo run --release -p protocols --example decode_rate [seconds per body]`. The two are run in turns, so that both
//! see the same machine; the ratio is what stays comparable between machines.

use std::hint::black_box;
use std::time::{Duration, Instant};

use protocols::{Limits, Request, route};
use serde::de::IgnoredAny;

const TURN: Duration = Duration::from_millis(50);

fn main() {
    let seconds: f64 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(2.0);
    println!("{:<38} {:>9} {:>12} {:>8} {:>12} {:>6}", "body", "bytes", "units/s", "MB/s", "IgnoredAny", "ratio");
    let summary = format!("[{}]", summary(200));
    report("summary, 200 flags (unit: counter)", &summary, 600, seconds);
    report("500 full events (unit: event)", &array(500, |n| feature(n, USER)), 500, seconds);
    report("500 events, multi contexts (event)", &array(500, |n| feature(n, MULTI)), 500, seconds);
    report("500 custom events (unit: event)", &array(500, custom), 500, seconds);
}

const USER: &str = r#""context":{"_meta":{"redactedAttributes":["email"]},"plan":"gold","country":"US","name":"Alice","key":"KEY","kind":"user"}"#;
const MULTI: &str = r#""context":{"kind":"multi","user":{"country":"FR","key":"KEY"},"organization":{"tier":"enterprise","key":"org-acme"}}"#;

fn report(name: &str, body: &str, units: u32, seconds: f64) {
    let headers: [(&str, &[u8]); 3] =
        [("authorization", b"sdk-1"), ("x-launchdarkly-event-schema", b"4"), ("user-agent", b"NodeJSClient/9.13.7")];
    let request = Request { method: "POST", path: "/bulk", query: "", headers: &headers, body: body.as_bytes() };
    let limits = Limits::default();
    let decode = || {
        let route = route(request.method, request.path).expect("a known path");
        let mut buffer = Vec::new();
        let plain = route.protocol.open(&route, &request, &limits, &mut buffer).expect("plain bytes");
        let payload = route.protocol.decode(&route, &request, plain, &limits).expect("a valid payload");
        assert!(payload.rejections.is_empty(), "{:?}", payload.rejections);
        black_box(&payload);
    };
    let ignore = || _ = black_box(serde_json::from_slice::<IgnoredAny>(black_box(body.as_bytes())).is_ok());
    let (mut ours, mut bare) = (Rate::default(), Rate::default());
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        ours.turn(decode);
        bare.turn(ignore);
    }
    println!(
        "{name:<38} {:>9} {:>12.0} {:>8.0} {:>7.0} MB/s {:>6.2}",
        body.len(),
        ours.per_second() * f64::from(units),
        ours.per_second() * body.len() as f64 / 1e6,
        bare.per_second() * body.len() as f64 / 1e6,
        ours.per_second() / bare.per_second()
    );
}

#[derive(Default)]
struct Rate {
    runs: u32,
    spent: Duration,
}

impl Rate {
    fn turn(&mut self, run: impl Fn()) {
        let start = Instant::now();
        while start.elapsed() < TURN {
            (0..10).for_each(|_| run());
            self.runs += 10;
        }
        self.spent += start.elapsed();
    }

    fn per_second(&self) -> f64 {
        f64::from(self.runs) / self.spent.as_secs_f64()
    }
}

fn array(events: u32, event: impl Fn(u32) -> String) -> String {
    format!("[{}]", (0..events).map(event).collect::<Vec<_>>().join(","))
}

fn feature(n: u32, context: &str) -> String {
    let context = context.replace("KEY", &format!("user-{n}"));
    format!(
        r#"{{"kind":"feature","creationDate":17953351467{:02},{context},"key":"exp-button","value":"treatment","default":"control","variation":1,"version":21,"reason":{{"kind":"FALLTHROUGH","inExperiment":true}}}}"#,
        n % 100
    )
}

fn custom(n: u32) -> String {
    let context = USER.replace("KEY", &format!("user-{n}"));
    format!(
        r#"{{"kind":"custom","creationDate":1795335146726,"key":"purchase",{context},"data":{{"sku":"A1","qty":2}},"metricValue":{n}.99}}"#
    )
}

fn summary(flags: u32) -> String {
    let entry = |n| {
        let counter =
            |variation: u32| format!(r#"{{"value":"red","count":{},"variation":{variation},"version":7}}"#, n + 1);
        let counters: Vec<_> = (0..3).map(counter).collect();
        format!(r#""some-flag-{n}":{{"default":"none","counters":[{}],"contextKinds":["user"]}}"#, counters.join(","))
    };
    let entries: Vec<_> = (0..flags).map(entry).collect();
    format!(r#"{{"startDate":1,"endDate":2,"features":{{{}}},"kind":"summary"}}"#, entries.join(","))
}
