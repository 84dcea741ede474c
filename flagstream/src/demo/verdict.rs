//! What the demo has shown: the numbers of both paths beside the truth, and whether the new one is exact.
//!
//! Always true here: the numbers are evaluations sent in `shadow` and `live`, where both paths are written; old = new +
//! duplicate − lost; nothing is called exact of which any flag, variation or custom event differs by one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::script::Part;
use super::told::{Comparison, Paths};
use super::truth::{Events, Served, Truth};

/// Evaluations sent while both paths were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Each payload once.
    pub sent: u64,
    /// What the old path counted of them.
    pub old: i64,
    /// What the new path counted of them.
    pub new: i64,
    /// What the old path was to write once more, as an SDK sent it again or an attempt had no answer.
    pub duplicate: i64,
    /// What of all that it was to write is not there.
    pub lost: i64,
    /// How much nobody can explain, custom events included.
    pub unexplained: u64,
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The numbers.
    pub numbers: Numbers,
    /// What is not as it was promised.
    pub faults: Vec<String>,
}

/// Compares what is told with the truth. `sums` are those of the values of custom events, in millionths.
pub fn judge(truth: &Truth, told: &Comparison, sums: &BTreeMap<String, i128>) -> Verdict {
    let numbers = numbers(truth, told);
    let mut faults = inexact(truth, told);
    faults.extend(inexact_events(truth, told, sums));
    if !told.is_complete {
        faults.push("the comparison lacks something that was accepted".to_owned());
    }
    if numbers.unexplained > 0 {
        faults.push(format!("{} evaluations or custom events are unexplained", numbers.unexplained));
    }
    if i64::try_from(numbers.sent) == Ok(numbers.old) {
        faults.push("the old path counted what was sent, so the trouble did not show".to_owned());
    }
    Verdict { numbers, faults }
}

fn numbers(truth: &Truth, told: &Comparison) -> Numbers {
    let mut numbers =
        Numbers { sent: truth.evaluations_in(Part::Both), unexplained: told.unexplained, ..Numbers::default() };
    for paths in told.evaluations.values() {
        let (duplicate, lost) = doubled_and_lost(paths);
        numbers.old += paths.old_of_both();
        numbers.new += paths.new_of_both();
        numbers.duplicate += duplicate;
        numbers.lost += lost;
    }
    numbers
}

/// What the old path was to write once more, and what it lost of all that it was to write, each at least. What is sure
/// is told by its causes; what was perhaps written shows in the counter itself, which holds more or less than what is
/// sure.
fn doubled_and_lost(paths: &Paths) -> (i64, i64) {
    let (duplicate, lost) = (paths.cause("duplicate").0, -paths.cause("write_refused").1);
    let rest = paths.old_of_both() - (paths.new_of_both() + duplicate - lost);
    (duplicate + rest.max(0), lost + (-rest).max(0))
}

fn inexact(truth: &Truth, told: &Comparison) -> Vec<String> {
    let mut faults = Vec::new();
    let mut all = truth.evaluated();
    all.extend(told.evaluations.keys().cloned());
    all.sort();
    all.dedup();
    for evaluated in all {
        let counted = told.evaluations.get(&evaluated).cloned().unwrap_or_default();
        let sent = |part| truth.evaluations(part, &evaluated);
        let (flag, served) = (&evaluated.0, name(evaluated.1));
        for (where_, counted, sent) in [
            ("in shadow and live", counted.new_of_both(), sent(Part::Both)),
            ("in complete", counted.new - counted.new_of_both(), sent(Part::NewOnly)),
        ] {
            if i64::try_from(sent) != Ok(counted) {
                faults.push(format!("{flag}, {served}: {sent} were sent {where_}, the new path has {counted}"));
            }
        }
    }
    faults
}

fn inexact_events(truth: &Truth, told: &Comparison, sums: &BTreeMap<String, i128>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut keys = truth.event_keys();
    keys.extend(told.events.keys().cloned());
    keys.sort();
    keys.dedup();
    for key in keys {
        let [both, new_only] = [Part::Both, Part::NewOnly].map(|part| truth.events(part, &key));
        let counted = told.events.get(&key).cloned().unwrap_or_default();
        if i64::try_from(both.number) != Ok(counted.new_of_both()) {
            let (sent, counted) = (both.number, counted.new_of_both());
            faults.push(format!("custom event {key}: {sent} were sent in shadow and live, the new path has {counted}"));
        }
        let sent = Events {
            number: both.number + new_only.number,
            sum_micros: both.sum_micros.saturating_add(new_only.sum_micros),
        };
        if i64::try_from(sent.number) != Ok(counted.new) {
            faults.push(format!("custom event {key}: {} were sent, the new path has {}", sent.number, counted.new));
        }
        let sum = sums.get(&key).copied().unwrap_or(0);
        if sum != sent.sum_micros {
            let sent = sent.sum_micros;
            faults.push(format!("custom event {key}: values of {sent} millionths were sent, the new path has {sum}"));
        }
    }
    faults
}

/// What was served, in words.
pub fn name(served: Served) -> String {
    match served {
        Served::Default => "the caller's default".to_owned(),
        Served::Index(index) => format!("variation {index}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::payload::Contents;
    use super::*;

    /// Ten evaluations and two custom events sent to both paths, three and one to the new one; the old path lost two of
    /// eleven that it was to write.
    fn shown() -> (Truth, Comparison, BTreeMap<String, i128>) {
        let checkout = ("checkout".to_owned(), Served::Index(1));
        let mut truth = Truth::default();
        let event = || ("paid".to_owned(), Some(1_000_000));
        let mut send = |part, number, events| {
            let evaluations = vec![(checkout.clone(), number)];
            truth.add(part, &Contents { evaluations, events });
        };
        send(Part::OldOnly, 4, vec![event()]);
        send(Part::Both, 10, vec![event(), event()]);
        send(Part::NewOnly, 3, vec![event()]);
        let causes = |causes: &[(&str, i64, i64)]| {
            causes.iter().map(|(name, low, high)| ((*name).to_owned(), (*low, *high))).collect()
        };
        let evaluations = causes(&[
            ("old_path_only", 4, 4),
            ("new_path_only", -3, -3),
            ("duplicate", 1, 1),
            ("write_refused", -1, -1),
            ("write_uncertain", -2, 0),
        ]);
        let told = Comparison {
            is_complete: true,
            unexplained: 0,
            evaluations: [(checkout, Paths { old: 13, new: 13, causes: evaluations })].into(),
            events: [("paid".to_owned(), Paths { old: 3, new: 3, causes: causes(&[("new_path_only", -1, -1)]) })]
                .into(),
        };
        (truth, told, [("paid".to_owned(), 3_000_000)].into())
    }

    fn faults(change: impl FnOnce(&mut Comparison, &mut BTreeMap<String, i128>)) -> Vec<String> {
        let (truth, mut told, mut sums) = shown();
        change(&mut told, &mut sums);
        judge(&truth, &told, &sums).faults
    }

    #[test]
    fn an_exact_new_path_beside_a_wrong_old_one_is_what_was_to_be_shown() {
        let (truth, told, sums) = shown();
        let Verdict { numbers, faults } = judge(&truth, &told, &sums);
        assert_eq!(numbers, Numbers { sent: 10, old: 9, new: 10, duplicate: 1, lost: 2, unexplained: 0 });
        assert_eq!(numbers.old, numbers.new + numbers.duplicate - numbers.lost);
        assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn each_promise_alone_is_missed() {
        let checkout = || ("checkout".to_owned(), Served::Index(1));
        let paid = "paid".to_owned();
        assert_eq!(faults(|told, _| told.unexplained = 1).len(), 1);
        assert_eq!(faults(|told, _| told.is_complete = false).len(), 1);
        assert_eq!(faults(|told, _| told.evaluations.get_mut(&checkout()).unwrap().old = 14).len(), 1, "old is right");
        assert_eq!(faults(|told, _| told.evaluations.get_mut(&checkout()).unwrap().new = 12).len(), 1, "one lost");
        assert_eq!(faults(|told, _| told.evaluations.get_mut(&checkout()).unwrap().new = 14).len(), 1, "one twice");
        let in_complete = faults(|told, _| {
            let paths = told.evaluations.get_mut(&checkout()).unwrap();
            paths.new += 1;
            paths.causes.insert("new_path_only".to_owned(), (-4, -4));
        });
        assert_eq!(in_complete, ["checkout, variation 1: 3 were sent in complete, the new path has 4"]);
        let strange = || ("strange".to_owned(), Served::Default);
        let of_new = |new| Paths { new, ..Paths::default() };
        assert_eq!(faults(|told, _| drop(told.evaluations.insert(strange(), of_new(1)))).len(), 1, "never sent");
        assert_eq!(faults(|told, _| told.events.get_mut(&paid).unwrap().new = 2).len(), 2, "in its part and in all");
        assert_eq!(faults(|_, sums| *sums.get_mut(&paid).unwrap() += 1).len(), 1);
        assert_eq!(faults(|_, sums| sums.clear()).len(), 1);
    }

    /// A variation that lost what another has too many of is no less wrong.
    #[test]
    fn what_adds_up_by_chance_is_not_exact() {
        let moved = faults(|told, _| {
            told.evaluations.get_mut(&("checkout".to_owned(), Served::Index(1))).unwrap().new -= 1;
            told.evaluations.insert(("checkout".to_owned(), Served::Index(0)), Paths { new: 1, ..Paths::default() });
        });
        assert_eq!(moved.len(), 2, "{moved:?}");
    }

    #[test]
    fn what_was_perhaps_written_shows_in_the_counter() {
        let of = |old, refused: i64| {
            let causes = [("duplicate".to_owned(), (3, 3)), ("write_refused".to_owned(), (-refused, -refused))];
            doubled_and_lost(&Paths { old, new: 10, causes: causes.into() })
        };
        assert_eq!(of(11, 2), (3, 2), "nothing else happened");
        assert_eq!(of(9, 2), (3, 4), "two more are missing");
        assert_eq!(of(15, 2), (7, 2), "four more are there twice");
    }
}
