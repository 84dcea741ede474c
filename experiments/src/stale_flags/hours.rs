//! Coverage in hours: which hours an environment's applications should have reported in, and in which of these they
//! did.
//!
//! Always true here: no store and no clock; an hour is a whole UTC hour since 1970, and the hour under way does not
//! count. An application is expected in an hour if it reported in at least half of the occurrences of that hour of the
//! week between its first and its last report within the window and the [`BEFORE_DAYS`] before it: its silence since
//! then does not make silence usual. So office hours are not missed at night, three blind days of thirty are, and an
//! application that was last heard before all that is not expected any more. An environment that was heard once and not
//! within the window is not covered at all, however long ago that was; one that was never heard is: there nobody asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::interval::{DAY_MS, HOUR_MS};
use crate::stale::{FlagType, Hours, Row, Settings};

/// Days before the window that tell what is normal.
const BEFORE_DAYS: u32 = 28;
/// What is usual is told from three weeks at least, where so many have passed: one run of a job is no habit.
const LEARN_HOURS: u32 = 21 * DAY_HOURS;
const DAY_HOURS: u32 = 24;
const WEEK_HOURS: usize = 7 * 24;

/// Who reported: the application's id, or the SDK's name where no application was told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reporter {
    Application(String),
    Sdk(String),
}

impl Reporter {
    /// As it calls itself.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Application(name) | Self::Sdk(name) => name,
        }
    }

    /// Whether the row is of its asking.
    pub(crate) fn asked(&self, row: &Row) -> bool {
        match self {
            Self::Application(name) => row.application == *name,
            Self::Sdk(name) => row.application.is_empty() && row.sdk.split('/').next() == Some(name),
        }
    }
}

/// The hours in which each reported.
pub(crate) type Reports = BTreeMap<Reporter, BTreeSet<u32>>;

/// The UTC days whose reports [`hours`] looks at.
pub(crate) fn days(as_of_ms: i64, window_days: u32) -> Range<u32> {
    let today = u32::try_from(as_of_ms.div_euclid(DAY_MS)).unwrap_or(0);
    // The window begins at an hour of its first day.
    today.saturating_sub(window_days.saturating_add(BEFORE_DAYS))..today.saturating_add(1)
}

/// W of an environment, and of flags of a type there where it is another, in days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Windows {
    usual: u32,
    by_type: BTreeMap<FlagType, u32>,
}

/// Hours over these windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HoursBy {
    pub(crate) usual: Hours,
    pub(crate) by_type: BTreeMap<FlagType, Hours>,
}

impl Windows {
    pub(crate) fn of(settings: &Settings, environment: &str) -> Self {
        let stale_days = |flag_type| settings.thresholds(Some(environment), flag_type).stale_days;
        let usual = stale_days(None);
        let by_type = FlagType::ALL.map(|flag_type| (flag_type, stale_days(Some(flag_type))));
        Self { usual, by_type: by_type.into_iter().filter(|(_, days)| *days != usual).collect() }
    }

    /// The longest, in days.
    pub(crate) fn longest(&self) -> u32 {
        self.by_type.values().copied().fold(self.usual, u32::max)
    }

    /// Hours before `as_of_ms`, by window.
    pub(crate) fn hours(&self, reports: &Reports, last_sight_ms: Option<i64>, as_of_ms: i64) -> HoursBy {
        let of = |days: u32| hours(reports, last_sight_ms, as_of_ms, days);
        let by_type = self.by_type.iter().map(|(flag_type, days)| (*flag_type, of(*days)));
        HoursBy { usual: of(self.usual), by_type: by_type.collect() }
    }
}

/// Hours expected and reported in the `window_days` before `as_of_ms`, added up over the applications. `last_sight_ms`:
/// last intentional row of any flag in the environment, which outlives the reports that are looked at.
pub(crate) fn hours(reports: &Reports, last_sight_ms: Option<i64>, as_of_ms: i64, window_days: u32) -> Hours {
    let end = hour_of(as_of_ms);
    let begin = end.saturating_sub(window_days.saturating_mul(DAY_HOURS));
    let mut sum = Hours { expected: 0, reported: 0 };
    for heard in reports.values() {
        let expected = expected(heard, begin..end);
        sum.expected += expected.len() as u64;
        sum.reported += expected.iter().filter(|hour| heard.contains(hour)).count() as u64;
    }
    let reported = reports.values().filter_map(|heard| heard.range(..end).next_back().copied()).max();
    let last = reported.max(last_sight_ms.map(hour_of));
    if sum.expected == 0 && last.is_some_and(|last| last < begin) {
        sum.expected = u64::from(end - begin);
    }
    sum
}

/// Those that were expected within the last `quiet_days` of the window and not heard in them: in the sum one silent
/// application of twenty is hidden by the others.
pub(crate) fn gone_quiet(reports: &Reports, as_of_ms: i64, window_days: u32, quiet_days: u32) -> Vec<Reporter> {
    let end = hour_of(as_of_ms);
    let ago = |days: u32| end.saturating_sub(days.saturating_mul(DAY_HOURS));
    let (window, lately) = (ago(window_days)..end, ago(quiet_days)..end);
    let is_quiet = |heard: &BTreeSet<u32>| {
        heard.range(lately.clone()).next().is_none()
            && expected(heard, window.clone()).iter().any(|hour| lately.contains(hour))
    };
    let quiet = reports.iter().filter(|(_, heard)| is_quiet(heard));
    quiet.map(|(reporter, _)| reporter.clone()).collect()
}

/// The hours of a window in which somebody who was heard in these hours is expected.
fn expected(heard: &BTreeSet<u32>, window: Range<u32>) -> Vec<u32> {
    let known = window.start.saturating_sub(BEFORE_DAYS * DAY_HOURS)..window.end;
    let mut within = heard.range(known);
    let Some(first) = within.next() else { return Vec::new() };
    let last = within.next_back().unwrap_or(first);
    let is_usual = usual(heard, *first..(last + 1).max(first.saturating_add(LEARN_HOURS)).min(window.end));
    (window.start.max(*first)..window.end).filter(|hour| is_usual[slot(*hour)]).collect()
}

fn hour_of(time_ms: i64) -> u32 {
    u32::try_from(time_ms.div_euclid(HOUR_MS)).unwrap_or(0)
}

/// Whether at least half of the occurrences of each hour of the week were heard.
fn usual(heard: &BTreeSet<u32>, span: Range<u32>) -> [bool; WEEK_HOURS] {
    let (mut occurrences, mut reported) = ([0_u32; WEEK_HOURS], [0_u32; WEEK_HOURS]);
    span.clone().for_each(|hour| occurrences[slot(hour)] += 1);
    heard.range(span).for_each(|hour| reported[slot(*hour)] += 1);
    std::array::from_fn(|slot| reported[slot] > 0 && 2 * reported[slot] >= occurrences[slot])
}

fn slot(hour: u32) -> usize {
    hour as usize % WEEK_HOURS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stale::Override;

    const AS_OF_HOUR: u32 = 20_000 * DAY_HOURS;
    const AS_OF_MS: i64 = AS_OF_HOUR as i64 * HOUR_MS;

    fn day(days_ago: u32) -> u32 {
        AS_OF_HOUR - days_ago * DAY_HOURS
    }

    fn one(heard: impl IntoIterator<Item = u32>) -> Reports {
        Reports::from([(Reporter::Application("web".to_owned()), heard.into_iter().collect())])
    }

    fn of(heard: impl IntoIterator<Item = u32>) -> (u64, u64) {
        let Hours { expected, reported } = hours(&one(heard), None, AS_OF_MS, 30);
        (expected, reported)
    }

    #[test]
    fn heard_all_the_time_is_covered_and_three_blind_days_are_not() {
        assert_eq!(of(day(90)..AS_OF_HOUR), (720, 720));
        let (expected, reported) = of((day(90)..day(13)).chain(day(10)..AS_OF_HOUR));
        assert_eq!((expected, reported), (720, 648));
        assert!(reported * 100 < expected * 95);
        assert_eq!(of((day(90)..day(13)).chain(day(12)..AS_OF_HOUR)), (720, 696), "one blind day is 96.7 %");
    }

    #[test]
    fn office_hours_are_not_missed_at_night() {
        let office = |hour: &u32| (9..17).contains(&(hour % DAY_HOURS)) && (hour / DAY_HOURS) % 7 < 5;
        let (expected, reported) = of((day(90)..AS_OF_HOUR).filter(office));
        assert_eq!(expected, reported);
        assert!((8 * 20..=8 * 22).contains(&expected), "{expected}");
        let (_, blind) = of((day(90)..AS_OF_HOUR).filter(office).filter(|hour| !(day(13)..day(6)).contains(hour)));
        assert_eq!(reported - blind, 8 * 5, "a week of them is");
    }

    #[test]
    fn an_environment_that_fell_silent_is_never_covered() {
        assert_eq!(of(day(90)..day(25)), (720, 120), "usual is told from before the silence");
        for days_ago in [30, 34, 35, 40, 60, 90] {
            assert_eq!(of(day(400)..day(days_ago)), (720, 0), "{days_ago} days");
        }
        assert_eq!(of(day(400)..day(57)).1, 0);
        assert!(of(day(400)..day(57)).0 > 0);
        let sight = |days_ago| hours(&Reports::new(), Some(i64::from(day(days_ago)) * HOUR_MS), AS_OF_MS, 30);
        assert_eq!(sight(35), Hours { expected: 720, reported: 0 }, "rows outlive reports");
        assert_eq!(sight(29), Hours { expected: 0, reported: 0 }, "an SDK beyond the limit was heard");
    }

    #[test]
    fn an_environment_that_was_never_heard_misses_nobody() {
        assert_eq!(hours(&Reports::new(), None, AS_OF_MS, 30), Hours { expected: 0, reported: 0 });
    }

    #[test]
    fn an_application_that_was_retired_is_missed_for_weeks_and_not_for_ever() {
        let with = |days_ago| {
            let mut reports = one(day(400)..AS_OF_HOUR);
            reports.insert(Reporter::Application("old".to_owned()), (day(400)..day(days_ago)).collect());
            let Hours { expected, reported } = hours(&reports, None, AS_OF_MS, 30);
            (expected, reported)
        };
        assert_eq!(with(29), (1440, 744));
        assert_eq!(with(44), (1440, 720), "two of three weeks heard");
        assert_eq!(with(51), (720, 720), "one of three");
    }

    #[test]
    fn one_silent_application_of_twenty_is_covered_and_named_all_the_same() {
        let mut reports = Reports::new();
        for number in 0..20 {
            let quiet_since = if number == 7 { 25 } else { 0 };
            let heard = (day(90)..day(quiet_since)).collect();
            reports.insert(Reporter::Application(format!("app-{number}")), heard);
        }
        let Hours { expected, reported } = hours(&reports, None, AS_OF_MS, 30);
        assert!(reported * 100 >= expected * 95, "{reported} of {expected}");
        let quiet = |reports: &Reports| gone_quiet(reports, AS_OF_MS, 30, 7);
        assert_eq!(quiet(&reports), [Reporter::Application("app-7".to_owned())]);
        let since = |days_ago| quiet(&one(day(90)..day(days_ago))).len();
        assert_eq!((since(6), since(7), since(44), since(51)), (0, 1, 1, 0), "not before S, and not for ever");
        let weekly = (1..9).map(|week| AS_OF_HOUR - week * 7 * DAY_HOURS);
        assert_eq!(quiet(&one(weekly.clone())), []);
        assert_eq!(quiet(&one(weekly.skip(1))).len(), 1, "its one hour of the week was missed");
        assert_eq!(quiet(&one([day(50), day(20)])), [], "nobody expects what has no rhythm");
    }

    #[test]
    fn one_run_is_no_habit() {
        assert_eq!(of([day(29)]), (0, 0));
        assert_eq!(of([day(35)]), (720, 0), "and yet somebody was there");
    }

    #[test]
    fn who_is_new_is_expected_since_its_first_sight() {
        assert_eq!(of(day(4)..AS_OF_HOUR), (96, 96));
        assert_eq!(of((day(14)..day(3)).chain(day(1)..AS_OF_HOUR)), (336, 288));
    }

    #[test]
    fn half_of_the_occurrences_is_enough_and_less_is_not() {
        let weeks = |weeks: &'static [u32]| weeks.iter().map(|week| AS_OF_HOUR - week * 7 * DAY_HOURS);
        assert_eq!(of(weeks(&[8, 6, 4, 2])), (4, 2), "four of seven: of those in the window two came");
        assert_eq!(of(weeks(&[8, 5])), (4, 0), "two of four");
        assert_eq!(of(weeks(&[8, 2])), (0, 0), "two of seven");
    }

    #[test]
    fn the_hour_under_way_does_not_count() {
        let reports = one(day(40)..AS_OF_HOUR);
        let late_in_it = hours(&reports, None, AS_OF_MS + HOUR_MS - 1, 30);
        assert_eq!((late_in_it.expected, late_in_it.reported), (720, 720));
        let next = hours(&reports, None, AS_OF_MS + HOUR_MS, 30);
        assert_eq!((next.expected, next.reported), (720, 719));
    }

    #[test]
    fn applications_are_added_up() {
        let mut reports = one(day(90)..AS_OF_HOUR);
        reports.insert(Reporter::Sdk("web".to_owned()), (day(90)..day(15)).collect());
        let Hours { expected, reported } = hours(&reports, None, AS_OF_MS, 30);
        assert_eq!((expected, reported), (1440, 720 + 360), "an SDK of an application's name is another");
    }

    #[test]
    fn each_flag_type_is_covered_over_its_own_window() {
        let of = |flag_type, environment: Option<&str>, days| Override {
            environment: environment.map(str::to_owned),
            flag_type,
            stale_days: Some(days),
            ..Override::default()
        };
        let overrides = vec![
            of(Some(FlagType::Release), None, 10),
            of(None, Some("eu"), 20),
            of(Some(FlagType::Experiment), Some("eu"), 40),
        ];
        let settings = Settings { overrides, ..Settings::default() };
        let windows = Windows::of(&settings, "eu");
        assert_eq!((windows.usual, windows.longest()), (20, 40), "the environment's own wins over the type's");
        assert_eq!(windows.by_type, [(FlagType::Experiment, 40)].into());
        assert_eq!(Windows::of(&settings, "us").by_type, [(FlagType::Release, 10)].into());
        assert_eq!(Windows::of(&settings, "us").longest(), 30);
        // Blind 30 to 25 days ago: outside of 20 days, inside of 40.
        let reports = one((day(90)..day(30)).chain(day(25)..AS_OF_HOUR));
        let told = windows.hours(&reports, None, AS_OF_MS);
        assert_eq!(told.usual, Hours { expected: 480, reported: 480 });
        assert_eq!(told.by_type[&FlagType::Experiment], Hours { expected: 960, reported: 840 });
    }

    #[test]
    fn the_days_that_are_read_hold_every_hour_that_is_looked_at() {
        let days = days(AS_OF_MS + 5 * HOUR_MS, 30);
        assert_eq!(days, 20_000 - 58..20_001);
        assert!(super::days(0, 30).contains(&0));
    }
}
