//! What the applications of the fleet send in an hour, as the vendor's SDKs write it.
//!
//! Always true here: an application sends a summary every hour (it asks for a flag of its own each time), so whoever is
//! not heard was not heard; a browser's read of all flags is a payload of its own; a flag that is kept out of summaries
//! is in none, an evaluation of it is a full event.

use std::fmt::Write as _;

use schemas::event::Credential;

use super::flags::Flag;
use super::places::{APPS, App, DAY_MS, HOUR_MS, IOS, KIOSK, WEB, day_ms};
use super::stories::{Serve, Use, When};
use crate::chance::Chance;

const HOURS_A_DAY: u32 = 24;
/// A browser reads all flags in every so many hours.
const BULK_HOURS: u32 = 4;
/// Flags that the small application has beside the story's.
const KIOSK_FLAGS: u32 = 5;
/// A flag that is kept out of summaries is asked for so seldom: times in an hour and variation.
const FULL_EVENTS_MAX: u64 = 3;

/// A request's body and whose it is.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) app: &'static App,
    pub(super) version: String,
    pub(super) body: String,
}

/// Who asks for what, sorted by application.
#[derive(Debug)]
pub(super) struct Asking<'f> {
    flags: &'f [Flag],
    by_app: Vec<Vec<(&'f Flag, &'f Use)>>,
    /// What is lost in blind days arrives all the same.
    sees_all: bool,
}

/// A summary being written, and the full events beside it.
#[derive(Default)]
struct Summary {
    features: String,
    events: String,
}

impl<'f> Asking<'f> {
    pub(super) fn new(flags: &'f [Flag], sees_all: bool) -> Self {
        let mut by_app = vec![Vec::new(); APPS.len()];
        for flag in flags {
            for asked in &flag.draft.uses {
                by_app[asked.app].push((flag, asked));
            }
        }
        Self { flags, by_app, sees_all }
    }

    /// Everything that is sent and arrives in an hour of the run.
    pub(super) fn hour(&self, hour: u32, chance: &mut Chance) -> Vec<Sent> {
        let day = hour / HOURS_A_DAY;
        let mut all = Vec::new();
        for (number, app) in APPS.iter().enumerate() {
            let summary =
                if number == KIOSK { Some(self.loaded(hour, chance)) } else { self.asked(number, hour, chance) };
            let bulk = (number == WEB && hour % BULK_HOURS == 1).then(|| self.all_flags(hour, chance));
            if app.is_heard(day) || self.sees_all {
                let sent = |summary: Summary| Sent { app, version: app.version(hour), body: summary.body(hour) };
                all.extend(summary.into_iter().chain(bulk).map(sent));
            }
        }
        all
    }

    /// What an application asked for one by one.
    fn asked(&self, number: usize, hour: u32, chance: &mut Chance) -> Option<Summary> {
        let (app, day) = (&APPS[number], hour / HOURS_A_DAY);
        let mut summary = Summary::default();
        if app.release_hours > 0 {
            summary.flag(&own_flag(app), 1, &[(Some(0), 40), (Some(1), 2)], false);
        }
        for (flag, asked) in &self.by_app[number] {
            if asked.days.contains(&day) && is_due(&asked.when, hour, chance) {
                let counters = served(flag, asked.serve, day, chance);
                if flag.draft.full_events_only {
                    summary.full_events(flag, hour, &counters);
                } else {
                    summary.flag(&flag.key, flag.version(day), &counters, matches!(asked.serve, Serve::Error));
                }
            }
        }
        (!summary.features.is_empty()).then_some(summary)
    }

    /// The small application: whenever it is loaded, it asks for each of its flags, once.
    fn loaded(&self, hour: u32, chance: &mut Chance) -> Summary {
        let (day, loads) = (hour / HOURS_A_DAY, 1 + chance.below(20) as u64);
        let mut summary = Summary::default();
        for number in 0..KIOSK_FLAGS {
            summary.flag(&format!("{}-{number}", own_flag(&APPS[KIOSK])), 1, &[(Some(1), loads)], false);
        }
        for (flag, _) in self.by_app[KIOSK].iter().filter(|(_, asked)| asked.days.contains(&day)) {
            let ones = chance.below(1 + loads as usize) as u64;
            let counters = [(Some(0), loads - ones), (Some(1), ones)];
            let counted: Vec<_> = counters.into_iter().filter(|(_, count)| *count > 0).collect();
            summary.flag(&flag.key, flag.version(day), &counted, false);
        }
        summary
    }

    /// A page asked for all flags that browsers and apps may have, `times` over.
    fn all_flags(&self, hour: u32, chance: &mut Chance) -> Summary {
        let day = hour / HOURS_A_DAY;
        let times = 1 + chance.below(5) as u64;
        let mut summary = Summary::default();
        for app in [WEB, IOS] {
            summary.flag(&own_flag(&APPS[app]), 1, &[(Some(1), times)], false);
        }
        for flag in self.flags.iter().filter(|flag| flag.draft.created <= day) {
            let Some(beside) = flag.draft.in_bulk else { continue };
            let variation = match flag.draft.uses.first().map(|asked| asked.serve) {
                Some(Serve::One(variation)) => variation,
                Some(Serve::Released(from)) if day < from => u32::from(chance.percent(50)),
                _ => 1,
            };
            summary.flag(&flag.key, flag.version(day), &[(Some(variation), times * beside)], false);
        }
        summary
    }
}

/// The flag that an application asks for every hour.
pub(super) fn own_flag(app: &App) -> String {
    format!("config.{}", app.name)
}

fn is_due(when: &When, hour: u32, chance: &mut Chance) -> bool {
    match when {
        When::Often(permille) => chance.permille(*permille),
        When::On(days, hour_of_day) => hour % HOURS_A_DAY == *hour_of_day && days.contains(&(hour / HOURS_A_DAY)),
    }
}

/// Counters: variation (`None` = the caller's default) and count.
fn served(flag: &Flag, serve: Serve, day: u32, chance: &mut Chance) -> Vec<(Option<u32>, u64)> {
    let mut count = || 1 + chance.below(40) as u64;
    match serve {
        Serve::One(variation) => vec![(Some(variation), count())],
        Serve::Released(from) if day >= from => vec![(Some(1), count())],
        Serve::Both | Serve::Released(_) => vec![(Some(0), count()), (Some(1), count())],
        Serve::ByVersion => vec![(Some(u32::from(flag.version(day).is_multiple_of(2))), count())],
        Serve::Error | Serve::Default => vec![(None, count())],
    }
}

impl Summary {
    fn flag(&mut self, key: &str, version: u64, counters: &[(Option<u32>, u64)], unknown: bool) {
        let comma = if self.features.is_empty() { "" } else { "," };
        let _ = write!(self.features, r#"{comma}"{key}":{{"default":false,"contextKinds":["user"],"counters":["#);
        for (place, (variation, count)) in counters.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let _ = match variation {
                Some(variation) => write!(
                    self.features,
                    r#"{comma}{{"variation":{variation},"version":{version},"value":{},"count":{count}}}"#,
                    *variation == 1
                ),
                None if unknown => write!(self.features, r#"{comma}{{"unknown":true,"value":false,"count":{count}}}"#),
                None => write!(self.features, r#"{comma}{{"version":{version},"value":false,"count":{count}}}"#),
            };
        }
        self.features.push_str("]}");
    }

    /// A full event for each time.
    fn full_events(&mut self, flag: &Flag, hour: u32, counters: &[(Option<u32>, u64)]) {
        let version = flag.version(hour / HOURS_A_DAY);
        for (variation, count) in counters {
            let Some(variation) = variation else { continue };
            for time in 1..=(*count).min(FULL_EVENTS_MAX) {
                let created = hour_ms(hour) + 60_000 * time as i64;
                let (key, value) = (&flag.key, *variation == 1);
                let _ = write!(
                    self.events,
                    r#",{{"kind":"feature","creationDate":{created},"key":"{key}","version":{version},"variation":{variation},"value":{value},"default":false,"context":{{"kind":"user","key":"u-{time}"}}}}"#
                );
            }
        }
    }

    fn body(&self, hour: u32) -> String {
        let start = hour_ms(hour);
        let (from, to) = (start + 60_000, start + 50 * 60_000);
        let Self { features, events } = self;
        format!(r#"[{{"kind":"summary","startDate":{from},"endDate":{to},"features":{{{features}}}}}{events}]"#)
    }
}

/// The beginning of an hour of the run, Unix milliseconds.
pub(super) fn hour_ms(hour: u32) -> i64 {
    day_ms(0) + i64::from(hour) * HOUR_MS
}

/// Path and headers of a request, as its SDK sends it.
pub(super) fn envelope(app: &App, version: &str) -> (String, Vec<(&'static str, String)>) {
    let place = format!("{}-{}", app.project, app.environment);
    let (path, key) = match app.credential {
        Credential::Server => ("/bulk".to_owned(), Some(format!("sdk-{place}"))),
        Credential::Mobile => ("/mobile".to_owned(), Some(format!("mob-{place}"))),
        _ => (format!("/events/bulk/client-{place}"), None),
    };
    let agent = if key.is_some() { "user-agent" } else { "x-launchdarkly-user-agent" };
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-launchdarkly-event-schema", "4".to_owned()),
        ("x-launchdarkly-tags", format!("application-id/{} application-version/{version}", app.name)),
        (agent, app.sdk.to_owned()),
    ];
    headers.extend(key.map(|key| ("authorization", key)));
    (path, headers)
}

const _: () = assert!(DAY_MS == HOUR_MS * HOURS_A_DAY as i64);
