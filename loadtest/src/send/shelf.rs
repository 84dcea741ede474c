//! Payloads prepared ahead, so that sending one costs little.
//!
//! Always true here: what lies on the shelf is whole (times written, compressed, framed), and the ledger has what it
//! holds, under a number, before it can be taken; a payload is sent with an id of its own, which stands in the head
//! alone. A refresher gives each of them the time anew, so that none is older than asked for while the machine keeps
//! up.

use super::mix::{Drawn, Mix};
use crate::contents::{Contents, minute_of};
use crate::dice::Dice;
use crate::ledger::{Described, Ledger, Line};
use crate::load::now_ms;
use crate::payload::payload_id;
use crate::request::{APPLICATIONS, SDKS, compressed, in_chunks};
use crate::times;
use anyhow::Result;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait of the refresher before it looks whether it is to stop.
const NAP: Duration = Duration::from_millis(100);

/// All payloads.
#[derive(Debug)]
pub(crate) struct Shelf {
    places: Vec<Place>,
    /// Numbers given to contents so far.
    numbers: AtomicU64,
    ledger: Arc<Ledger>,
    stop: AtomicBool,
}

#[derive(Debug)]
struct Place {
    template: Template,
    ready: Mutex<Arc<Ready>>,
}

/// What of a payload never changes.
#[derive(Debug)]
struct Template {
    plain: Vec<u8>,
    contents: Contents,
    /// Where times stand in `plain`, and how far each lies before the sending, in milliseconds.
    times: Vec<(usize, i64)>,
    /// How far the time of its counts lies before the sending.
    end_before_ms: i64,
    gzip: bool,
    chunked: bool,
    is_diagnostic: bool,
    client: Client,
}

/// Who sends it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) sdk: &'static str,
    pub(crate) application: &'static str,
    pub(crate) instance: String,
}

/// A payload with its times.
#[derive(Debug)]
pub(crate) struct Ready {
    /// As it goes behind the head.
    pub(crate) body: Vec<u8>,
    /// None = in chunks.
    pub(crate) length: Option<usize>,
    pub(crate) gzip: bool,
    pub(crate) is_diagnostic: bool,
    /// Where the ledger says what it holds.
    pub(crate) number: u64,
    pub(crate) elements: u64,
    pub(crate) evaluations: u64,
    pub(crate) client: Client,
}

impl Shelf {
    /// Draws `payloads` payloads by the seed. `run` makes the ids of SDK instances differ between runs.
    pub(crate) fn new(mix: &Mix, payloads: usize, seed: u64, run: u64, ledger: Arc<Ledger>) -> Result<Self> {
        let now_ms = now_ms();
        let flags = mix.flags();
        let mut shelf = Self { places: Vec::new(), numbers: AtomicU64::new(0), ledger, stop: AtomicBool::new(false) };
        for number in 0..payloads as u64 {
            let mut dice = Dice::of_part(seed, number);
            let drawn = mix.draw(&mut dice, &flags, now_ms)?;
            let template = Template::new(drawn, mix, &mut dice, now_ms, payload_id(run, 0x1457, number));
            let ready = Mutex::new(Arc::new(shelf.make(&template, now_ms)?));
            shelf.places.push(Place { template, ready });
        }
        Ok(shelf)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The payload at a place.
    pub(crate) fn take(&self, place: usize) -> Arc<Ready> {
        Arc::clone(&self.places[place].ready.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Mean over all: events, evaluations and bytes of JSON of a request.
    pub(crate) fn means(&self) -> Means {
        let mean = |number: fn(&Template) -> u64| {
            self.places.iter().map(|place| number(&place.template)).sum::<u64>() as f64 / self.places.len() as f64
        };
        Means {
            events: mean(|template| template.contents.elements),
            evaluations: mean(|template| template.contents.evaluations()),
            bytes: mean(|template| template.plain.len() as u64),
        }
    }

    /// Gives one payload after another the time anew, each once in `every`, until [`Self::stop`].
    ///
    /// # Errors
    /// The ledger could not be written.
    pub(crate) fn refresh(&self, every: Duration) -> Result<()> {
        let began = Instant::now();
        for (turn, place) in (1_u32..).zip(self.places.iter().cycle()) {
            let due = began + every.mul_f64(f64::from(turn) / self.places.len() as f64);
            while let Some(wait) = due.checked_duration_since(Instant::now()) {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                std::thread::sleep(wait.min(NAP));
            }
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let ready = Arc::new(self.make(&place.template, now_ms())?);
            *place.ready.lock().unwrap_or_else(PoisonError::into_inner) = ready;
        }
        Ok(())
    }

    /// Ends the refresher.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// A payload as sent at `now_ms`; the ledger has its contents when this returns.
    fn make(&self, template: &Template, now_ms: i64) -> Result<Ready> {
        let mut plain = template.plain.clone();
        for (at, before_ms) in &template.times {
            times::write(&mut plain, *at, now_ms - before_ms);
        }
        let mut contents = template.contents.clone();
        let minute_ms = minute_of(now_ms - template.end_before_ms);
        contents.evaluations.iter_mut().for_each(|row| row.minute_ms = minute_ms);
        let (elements, evaluations) = (contents.elements, contents.evaluations());
        let number = self.numbers.fetch_add(1, Ordering::Relaxed) + 1;
        if !template.is_diagnostic {
            self.ledger.write(&Line::Contents(Described { number, contents }))?;
        }
        let body = if template.gzip { compressed(&plain)? } else { plain };
        Ok(Ready {
            length: (!template.chunked).then_some(body.len()),
            body: if template.chunked { in_chunks(&body) } else { body },
            gzip: template.gzip,
            is_diagnostic: template.is_diagnostic,
            number,
            elements,
            evaluations,
            client: template.client.clone(),
        })
    }
}

/// What a request holds in the mean.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Means {
    pub(crate) events: f64,
    pub(crate) evaluations: f64,
    pub(crate) bytes: f64,
}

impl Template {
    fn new(drawn: Drawn, mix: &Mix, dice: &mut Dice, now_ms: i64, instance: String) -> Self {
        let times = times::find(&drawn.body).map(|(at, time_ms)| (at, now_ms - time_ms)).collect();
        Self {
            times,
            plain: drawn.body,
            contents: drawn.contents,
            end_before_ms: now_ms - drawn.end_ms,
            gzip: dice.happens(mix.gzip),
            chunked: dice.happens(mix.chunked),
            is_diagnostic: drawn.is_diagnostic,
            client: Client { sdk: dice.pick::<&str>(SDKS), application: dice.pick::<&str>(APPLICATIONS), instance },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mix::tests::defaults;
    use super::*;
    use crate::ledger;
    use flate2::read::GzDecoder;
    use serde_json::Value;
    use std::collections::HashMap;
    use std::io::Read;

    fn elements(ready: &Ready) -> Vec<Value> {
        let framed = match ready.length {
            Some(_) => &ready.body[..],
            None => {
                let start = ready.body.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                &ready.body[start..ready.body.len() - b"\r\n0\r\n\r\n".len()]
            }
        };
        let mut text = String::new();
        match ready.gzip {
            true => GzDecoder::new(framed).read_to_string(&mut text).unwrap(),
            false => (&framed[..]).read_to_string(&mut text).unwrap(),
        };
        serde_json::from_str(&text).unwrap()
    }

    /// What the ledger says under a number is what a reader finds who reads the body by itself, also after the times
    /// were written anew.
    #[test]
    fn the_ledger_knows_what_lies_on_the_shelf() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let ledger = Arc::new(Ledger::open(&path).unwrap());
        let mix = Mix { bytes_max: 5_000, diagnostics: 0.0, ..defaults() };
        let shelf = Shelf::new(&mix, 60, 3, 1, ledger).unwrap();
        let first: Vec<_> = (0..shelf.len()).map(|place| shelf.take(place)).collect();
        std::thread::scope(|scope| {
            let refresher = scope.spawn(|| shelf.refresh(Duration::from_millis(50)));
            while (0..shelf.len()).any(|place| shelf.take(place).number == first[place].number) {
                std::thread::sleep(Duration::from_millis(5));
            }
            shelf.stop();
            refresher.join().unwrap().unwrap();
        });
        let second: Vec<_> = (0..shelf.len()).map(|place| shelf.take(place)).collect();
        let hour_later_ms = now_ms() + 3_600_000;
        let later = shelf.places.iter().map(|place| Arc::new(shelf.make(&place.template, hour_later_ms).unwrap()));
        let later: Vec<_> = later.collect();
        let mut told = HashMap::new();
        ledger::read(&path, |line| {
            if let Line::Contents(described) = line {
                assert!(told.insert(described.number, described.contents).is_none());
            }
            Ok(())
        })
        .unwrap();
        for ready in first.iter().chain(&second).chain(&later) {
            let contents = &told[&ready.number];
            let elements = elements(ready);
            assert_eq!((elements.len() as u64, ready.elements), (contents.elements, contents.elements));
            let mut counted = 0;
            for summary in elements.iter().filter(|element| element["kind"] == "summary") {
                let minute_ms = minute_of(summary["endDate"].as_i64().unwrap());
                assert!(contents.evaluations.iter().all(|row| row.minute_ms == minute_ms));
                let flags = summary["features"].as_object().unwrap().values();
                let counters = flags.flat_map(|flag| flag["counters"].as_array().unwrap());
                counted += counters.map(|counter| counter["count"].as_u64().unwrap()).sum::<u64>();
            }
            assert_eq!((counted, ready.evaluations), (contents.evaluations(), contents.evaluations()));
        }
    }
}
