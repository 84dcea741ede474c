//! Where flags are asked for: projects, environments, applications and their versions, and when nobody was heard.
//!
//! Always true here: this is the same for every seed.

use std::ops::Range;

use schemas::event::Credential;

/// The run, in days.
pub const DAYS: u32 = 120;
/// The first day, a Monday, in days since 1970: 2026-03-02.
pub(super) const FIRST_DAY: u32 = 20_514;
pub(super) const HOUR_MS: i64 = 3_600_000;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;
/// Waited for after a release before anybody calls the flag removable.
pub(super) const WAIT_DAYS: u32 = 30;

/// The day from which an environment reports nothing any more.
pub(super) const SILENT_FROM: u32 = 70;

/// Midnight at the beginning of a day of the run, Unix milliseconds.
pub(super) fn day_ms(day: u32) -> i64 {
    i64::from(FIRST_DAY + day) * DAY_MS
}

/// A project: its environments, and which of them decide.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) name: &'static str,
    pub(super) environments: &'static [&'static str],
    pub(super) critical: &'static [&'static str],
}

pub(super) const PROJECTS: &[Project] = &[
    Project {
        name: "shop",
        environments: &["production", "production-eu", "staging"],
        critical: &["production", "production-eu"],
    },
    Project { name: "bank", environments: &["production", "staging"], critical: &["production"] },
    Project { name: "post", environments: &["production", "staging"], critical: &["production"] },
    Project { name: "mill", environments: &["production", "staging"], critical: &["production"] },
    Project { name: "kiosk", environments: &["production"], critical: &["production"] },
];

/// Nothing that was sent in these days arrived.
#[derive(Debug)]
pub(super) struct Blind {
    pub(super) project: &'static str,
    pub(super) environment: &'static str,
    pub(super) days: Range<u32>,
}

pub(super) const BLIND: &[Blind] = &[
    Blind { project: "shop", environment: "staging", days: 100..103 },
    Blind { project: "bank", environment: "production", days: 100..103 },
    Blind { project: "post", environment: "production", days: 60..63 },
    // Somebody broke its key, and nobody has noticed yet.
    Blind { project: "mill", environment: "production", days: SILENT_FROM..DAYS },
];

/// An application in an environment.
#[derive(Debug)]
pub(super) struct App {
    pub(super) project: &'static str,
    pub(super) environment: &'static str,
    pub(super) name: &'static str,
    pub(super) sdk: &'static str,
    pub(super) credential: Credential,
    /// Hours from one version to the next; 0 = an old one that some never update.
    pub(super) release_hours: u32,
}

const fn app(place: (&'static str, &'static str), name: &'static str, release_hours: u32) -> App {
    let (project, environment) = place;
    App { project, environment, name, sdk: "NodeJSClient/9.13.7", credential: Credential::Server, release_hours }
}

const fn web(place: (&'static str, &'static str)) -> App {
    App { sdk: "JSClient/4.3.0", credential: Credential::ClientSide, ..app(place, "web", WEEK) }
}

const fn mobile(place: (&'static str, &'static str), name: &'static str, release_hours: u32) -> App {
    App { sdk: "SwiftClient/9.12.0", credential: Credential::Mobile, ..app(place, name, release_hours) }
}

const WEEK: u32 = 7 * 24;
const SHOP: (&str, &str) = ("shop", "production");
const EU: (&str, &str) = ("shop", "production-eu");
const STAGING: (&str, &str) = ("shop", "staging");

pub(super) const APPS: &[App] = &[
    web(SHOP),
    mobile(SHOP, "ios", 2 * WEEK),
    mobile(SHOP, "ios", 0),
    app(SHOP, "checkout", WEEK),
    app(SHOP, "worker", 2 * WEEK),
    app(SHOP, "gateway", 12),
    app(EU, "checkout", WEEK),
    app(STAGING, "checkout", WEEK),
    app(("bank", "production"), "teller", WEEK),
    mobile(("bank", "production"), "till", 2 * WEEK),
    app(("bank", "staging"), "teller", WEEK),
    app(("post", "production"), "teller", WEEK),
    app(("post", "staging"), "teller", WEEK),
    app(("mill", "production"), "teller", WEEK),
    app(("mill", "staging"), "teller", WEEK),
    App { name: "kiosk", ..web(("kiosk", "production")) },
];

pub(super) const WEB: usize = 0;
pub(super) const IOS: usize = 1;
pub(super) const IOS_OLD: usize = 2;
pub(super) const CHECKOUT: usize = 3;
pub(super) const WORKER: usize = 4;
pub(super) const GATEWAY: usize = 5;
pub(super) const CHECKOUT_EU: usize = 6;
pub(super) const CHECKOUT_STAGING: usize = 7;
pub(super) const KIOSK: usize = 15;

impl App {
    /// Its version in an hour of the run.
    pub(super) fn version(&self, hour: u32) -> String {
        match hour.checked_div(self.release_hours) {
            Some(release) => format!("4.{release}"),
            None => "3.0".to_owned(),
        }
    }

    /// Whether what it sends on a day arrives.
    pub(super) fn is_heard(&self, day: u32) -> bool {
        let lost = |blind: &Blind| {
            (blind.project, blind.environment) == (self.project, self.environment) && blind.days.contains(&day)
        };
        !BLIND.iter().any(lost)
    }
}

/// Whether, looked at on this day, something that decides was not heard within the days before that are looked at.
pub(super) fn is_blind(project: &Project, day: u32) -> bool {
    let hides = |blind: &Blind| {
        blind.project == project.name
            && project.critical.contains(&blind.environment)
            && (blind.days.start + 1..blind.days.end + WAIT_DAYS).contains(&day)
    };
    BLIND.iter().any(hides)
}
