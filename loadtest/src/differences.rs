//! What may have been counted against what was counted: a pure function.
//!
//! Always true here: a number outside its range is named, with its range; a number for which the ledger has no row must
//! be 0.

use crate::expected::{Cell, EventRanges, FlagVersion, Range, Ranges, Served};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What the API says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) evaluations: BTreeMap<Cell, u64>,
    /// By version, over all minutes.
    pub(crate) versions: BTreeMap<FlagVersion, u64>,
    /// Items whose `count` is not the sum of their `series`: flag, served, count, sum.
    pub(crate) unequal: Vec<(String, Served, u64, u64)>,
    pub(crate) events: BTreeMap<String, CountedEvent>,
    /// By UTC day.
    pub(crate) books: BTreeMap<String, Books>,
}

/// One custom event's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CountedEvent {
    pub(crate) count: u64,
    pub(crate) metric_count: u64,
    /// In millionths.
    pub(crate) metric_sum: i128,
}

/// The books of a day, in elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) accepted: u64,
    pub(crate) counted: u64,
    pub(crate) duplicate: u64,
    pub(crate) late: u64,
    pub(crate) poison: u64,
    /// All reasons together.
    pub(crate) rejected: u64,
}

/// A number that is not what it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Difference {
    /// Which number.
    pub(crate) what: String,
    pub(crate) least: i128,
    pub(crate) most: i128,
    pub(crate) counted: i128,
}

/// All numbers that are not what they may be, in a fixed order.
pub(crate) fn differences(expected: &Ranges, counted: &Counted) -> Vec<Difference> {
    let mut found = Found(Vec::new());
    compare_evaluations(&mut found, expected, counted);
    compare_versions(&mut found, expected, counted);
    compare_events(&mut found, expected, counted);
    compare_books(&mut found, expected, counted);
    found.0
}

struct Found(Vec<Difference>);

impl Found {
    fn compare(&mut self, range: Range, counted: impl Into<i128>, what: impl FnOnce() -> String) {
        let counted = counted.into();
        if !range.holds(counted) {
            self.0.push(Difference { what: what(), least: range.least, most: range.most, counted });
        }
    }
}

fn compare_evaluations(found: &mut Found, expected: &Ranges, counted: &Counted) {
    let cells: BTreeSet<&Cell> = expected.evaluations.keys().chain(counted.evaluations.keys()).collect();
    for cell in cells {
        let range = expected.evaluations.get(cell).copied().unwrap_or_default();
        let count = counted.evaluations.get(cell).copied().unwrap_or_default();
        found.compare(range, count, || {
            let (flag, served, minute_ms) = cell;
            format!("evaluations of flag `{flag}`, {}, minute {}", name(served), minute(*minute_ms))
        });
    }
    for (flag, served, count, sum) in &counted.unequal {
        let sum = i128::from(*sum);
        found.compare(Range { least: sum, most: sum }, *count, || {
            format!("count of flag `{flag}`, {}, against the sum of its series", name(served))
        });
    }
}

fn compare_versions(found: &mut Found, expected: &Ranges, counted: &Counted) {
    let versions: BTreeSet<&FlagVersion> = expected.versions.keys().chain(counted.versions.keys()).collect();
    for version in versions {
        let range = expected.versions.get(version).copied().unwrap_or_default();
        let count = counted.versions.get(version).copied().unwrap_or_default();
        found.compare(range, count, || match version {
            (flag, Some(version)) => format!("evaluations of flag `{flag}`, version {version}, all minutes"),
            (flag, None) => format!("evaluations of flag `{flag}`, without a version, all minutes"),
        });
    }
}

/// A minute as people read it; a time that no calendar has, as it is.
fn minute(minute_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(minute_ms).map_or(minute_ms.to_string(), |time| time.to_string())
}

fn name(served: &Served) -> String {
    match served {
        Served::Default => "the default".to_owned(),
        Served::Index(index) => format!("variation {index}"),
        Served::Name(name) => format!("variation `{name}`"),
    }
}

fn compare_events(found: &mut Found, expected: &Ranges, counted: &Counted) {
    let keys: BTreeSet<&String> = expected.events.keys().chain(counted.events.keys()).collect();
    for key in keys {
        let EventRanges { count, metric_count, metric_sum } = expected.events.get(key).copied().unwrap_or_default();
        let event = counted.events.get(key).copied().unwrap_or_default();
        found.compare(count, event.count, || format!("count of event `{key}`"));
        found.compare(metric_count, event.metric_count, || format!("metric values of event `{key}`"));
        found.compare(metric_sum, event.metric_sum, || format!("metric sum of event `{key}`, in millionths"));
    }
}

fn compare_books(found: &mut Found, expected: &Ranges, counted: &Counted) {
    let mut all = Books::default();
    for (day, books) in &counted.books {
        let balance = i128::from(books.counted + books.duplicate + books.late + books.poison);
        found.compare(Range { least: balance, most: balance }, books.accepted, || {
            format!("books of {day}: accepted against counted + duplicate + late + poison")
        });
        all.accepted += books.accepted;
        all.counted += books.counted;
        all.duplicate += books.duplicate;
        all.late += books.late;
        all.poison += books.poison;
        all.rejected += books.rejected;
    }
    let none = Range::default();
    let ranges = expected.books;
    for (what, range, number) in [
        ("accepted", ranges.accepted, all.accepted),
        ("counted", ranges.counted, all.counted),
        ("duplicate", ranges.duplicate, all.duplicate),
        ("late", none, all.late),
        ("poison", none, all.poison),
        ("rejected", none, all.rejected),
    ] {
        found.compare(range, number, || format!("books, all days: {what} elements"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::{Contents, CustomEvents, Evaluations};
    use crate::environments::DEFAULT;
    use crate::expected::{Ledgered, Unanswered};
    use crate::ledger::{Answered, Attempt, Holds, Line, Outcome};

    /// Ledger and API after one acknowledged and one unknown payload of the same contents, the unknown one not counted.
    fn example() -> (Ranges, Counted) {
        let row = |variation, count| Evaluations { flag: "f".into(), variation, version: None, minute_ms: 0, count };
        let contents = Contents {
            elements: 3,
            evaluations: vec![row(None, 2), row(Some(1), 5)],
            events: vec![CustomEvents { key: "e".into(), count: 2, metric_count: 1, metric_micros: 40 }],
        };
        let mut ledgered = Ledgered::new(Unanswered::Unknown);
        for (payload, outcome) in [("a", Outcome::Status(202)), ("b", Outcome::Status(500))] {
            let attempt = Attempt {
                payload: payload.to_owned(),
                environment: DEFAULT.to_owned(),
                attempt: 1,
                at_ms: 0,
                intended_ms: None,
                contents: Holds::Whole(contents.clone()),
            };
            ledgered.take(Line::Send(attempt)).unwrap();
            let payload = payload.to_owned();
            ledgered.take(Line::Answer(Answered { payload, attempt: 1, at_ms: 0, outcome })).unwrap();
        }
        let counted = Counted {
            evaluations: [(Served::Default, 2), (Served::Index(1), 5)]
                .map(|(served, count)| (("f".to_owned(), served, 0), count))
                .into(),
            versions: [(("f".to_owned(), None), 7)].into(),
            unequal: Vec::new(),
            events: [("e".to_owned(), CountedEvent { count: 2, metric_count: 1, metric_sum: 40 })].into(),
            books: [("2026-01-01".to_owned(), Books { accepted: 3, counted: 3, ..Books::default() })].into(),
        };
        (ledgered.expected().environments[DEFAULT].clone(), counted)
    }

    /// Differences after `change`, as `what: least..=most, counted`.
    fn after(change: impl FnOnce(&mut Counted)) -> Vec<String> {
        let (expected, mut counted) = example();
        change(&mut counted);
        let text = |d: Difference| format!("{}: {}..={}, {}", d.what, d.least, d.most, d.counted);
        differences(&expected, &counted).into_iter().map(text).collect()
    }

    fn cell(served: Served) -> Cell {
        ("f".to_owned(), served, 0)
    }

    #[test]
    fn equal_numbers_and_a_counted_unknown_payload_hold() {
        assert_eq!(after(|_| ()), [""; 0]);
        let both = after(|counted| {
            *counted.evaluations.get_mut(&cell(Served::Default)).unwrap() = 4;
            *counted.evaluations.get_mut(&cell(Served::Index(1))).unwrap() = 10;
            *counted.versions.get_mut(&("f".to_owned(), None)).unwrap() = 14;
            counted.events.insert("e".into(), CountedEvent { count: 4, metric_count: 2, metric_sum: 80 });
            let books = Books { accepted: 6, counted: 6, ..Books::default() };
            counted.books.insert("2026-01-01".into(), books);
        });
        assert_eq!(both, [""; 0]);
    }

    #[test]
    fn one_evaluation_too_few_or_too_many_is_named() {
        let set = |count| after(|counted| _ = counted.evaluations.insert(cell(Served::Index(1)), count));
        assert_eq!(set(4), ["evaluations of flag `f`, variation 1, minute 1970-01-01T00:00:00Z: 5..=10, 4"]);
        assert_eq!(set(11), ["evaluations of flag `f`, variation 1, minute 1970-01-01T00:00:00Z: 5..=10, 11"]);
        let missing = after(|counted| _ = counted.evaluations.remove(&cell(Served::Default)));
        assert_eq!(missing, ["evaluations of flag `f`, the default, minute 1970-01-01T00:00:00Z: 2..=4, 0"]);
    }

    #[test]
    fn one_evaluation_of_a_version_off_is_named() {
        let set = |version, count| after(|counted| _ = counted.versions.insert(("f".into(), version), count));
        assert_eq!(set(None, 6), ["evaluations of flag `f`, without a version, all minutes: 7..=14, 6"]);
        assert_eq!(set(None, 15), ["evaluations of flag `f`, without a version, all minutes: 7..=14, 15"]);
        assert_eq!(set(Some(3), 1), ["evaluations of flag `f`, version 3, all minutes: 0..=0, 1"]);
    }

    #[test]
    fn what_no_one_sent_is_named() {
        let other = after(|counted| _ = counted.evaluations.insert(("g".into(), Served::Name("on".into()), 60_000), 1));
        assert_eq!(other, ["evaluations of flag `g`, variation `on`, minute 1970-01-01T00:01:00Z: 0..=0, 1"]);
        let event = after(|counted| {
            _ = counted.events.insert("x".into(), CountedEvent { count: 1, ..CountedEvent::default() })
        });
        assert_eq!(event, ["count of event `x`: 0..=0, 1"]);
    }

    #[test]
    fn one_event_or_one_millionth_off_is_named() {
        let set = |event| after(|counted| _ = counted.events.insert("e".into(), event));
        let right = CountedEvent { count: 2, metric_count: 1, metric_sum: 40 };
        assert_eq!(set(CountedEvent { count: 1, ..right }), ["count of event `e`: 2..=4, 1"]);
        assert_eq!(set(CountedEvent { count: 5, ..right }), ["count of event `e`: 2..=4, 5"]);
        assert_eq!(set(CountedEvent { metric_count: 3, ..right }), ["metric values of event `e`: 1..=2, 3"]);
        let sum = "metric sum of event `e`, in millionths: 40..=80";
        assert_eq!(set(CountedEvent { metric_sum: 39, ..right }), [format!("{sum}, 39")]);
        assert_eq!(set(CountedEvent { metric_sum: 81, ..right }), [format!("{sum}, 81")]);
    }

    #[test]
    fn books_that_do_not_balance_or_leave_their_ranges_are_named() {
        let set = |books| after(|counted| _ = counted.books.insert("2026-01-01".into(), books));
        let right = Books { accepted: 3, counted: 3, ..Books::default() };
        assert_eq!(
            set(Books { accepted: 4, ..right }),
            ["books of 2026-01-01: accepted against counted + duplicate + late + poison: 3..=3, 4"]
        );
        assert_eq!(
            set(Books { accepted: 2, counted: 2, ..right }),
            ["books, all days: accepted elements: 3..=6, 2", "books, all days: counted elements: 3..=6, 2"]
        );
        assert_eq!(
            set(Books { accepted: 4, duplicate: 1, ..right }),
            ["books, all days: duplicate elements: 0..=0, 1"]
        );
        assert_eq!(set(Books { accepted: 4, late: 1, ..right }), ["books, all days: late elements: 0..=0, 1"]);
        assert_eq!(set(Books { accepted: 4, poison: 1, ..right }), ["books, all days: poison elements: 0..=0, 1"]);
        assert_eq!(set(Books { rejected: 1, ..right }), ["books, all days: rejected elements: 0..=0, 1"]);
    }

    #[test]
    fn a_count_that_is_not_the_sum_of_its_series_is_named() {
        let unequal = after(|counted| counted.unequal.push(("f".into(), Served::Default, 3, 2)));
        assert_eq!(unequal, ["count of flag `f`, the default, against the sum of its series: 2..=2, 3"]);
    }
}
