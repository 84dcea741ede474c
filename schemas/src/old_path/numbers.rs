//! What follows from the log's numbers of the old path: how much its store must hold, and why that differs from what
//! the new path counted.
//!
//! Always true here: a function of sums alone; nothing is ever below zero, whatever the numbers (of a prefix of the log
//! outcomes may be missing, and numbers of a counter that has stopped are no sums any more). Intent comes before effect,
//! so what the old store holds beside its writes of stage off lies between [`Range::low`] of numbers read before it and
//! [`Range::high`] of numbers read after it.

use super::Fate;

/// Attempts at most to write a row or to send a job, before the log is told what came of them: so often one that is
/// outstanding may have been done.
pub const ATTEMPTS_MAX: u32 = 3;

/// The numbers of a flag's variation, or of a custom event, in an hour or over several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Numbers {
    /// Counted by the new path, written by the old one too.
    pub counted: u64,
    /// Counted by the new path alone, by the gate's choice.
    pub new_only: u64,
    /// Written by the old path again, with a copy that the new path drops.
    pub duplicate: u64,
    /// Written by the old path, left out by the new one.
    pub late: u64,
    /// By fate, in order of [`Fate::ALL`].
    pub fates: [u64; Fate::ALL.len()],
}

impl Numbers {
    /// How many met this fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> u64 {
        self.fates[fate as usize - 1]
    }

    /// The same, to be changed.
    pub fn of_mut(&mut self, fate: Fate) -> &mut u64 {
        &mut self.fates[fate as usize - 1]
    }

    /// Every number, in a fixed order.
    pub fn each(&self) -> impl Iterator<Item = u64> {
        [self.counted, self.new_only, self.duplicate, self.late].into_iter().chain(self.fates)
    }

    /// How many the old path is to be written with.
    #[must_use]
    pub fn intended(&self) -> u64 {
        self.counted.saturating_add(self.duplicate).saturating_add(self.late)
    }

    /// How many the old store must hold, and why that is not what the new path has.
    #[must_use]
    pub fn expected(&self, way: Way) -> Expected {
        match way {
            Way::Straight => self.straight(),
            Way::Jobs => self.by_jobs(),
        }
    }

    fn straight(&self) -> Expected {
        let [applied, refused, uncertain, extra] =
            [Fate::Applied, Fate::Refused, Fate::Uncertain, Fate::Extra].map(|fate| self.of(fate));
        let resolved = applied.saturating_add(refused).saturating_add(uncertain);
        let outstanding = self.intended().saturating_sub(resolved);
        let untold = outstanding.saturating_mul(ATTEMPTS_MAX.into());
        let high = applied.saturating_add(extra).saturating_add(uncertain).saturating_add(untold);
        let causes = Causes { refused, uncertain, extra, outstanding, ..self.common() };
        Expected { range: Range { low: applied, high }, causes }
    }

    fn by_jobs(&self) -> Expected {
        let [first, again] = [Fate::JobApplied, Fate::JobAppliedAgain].map(|fate| self.of(fate));
        let [started, refused, lost] = [Fate::Started, Fate::EnqueueRefused, Fate::JobLost].map(|fate| self.of(fate));
        let low = first.saturating_add(again);
        let deliveries = started.saturating_add(self.of(Fate::StartedAgain));
        let outstanding = deliveries.saturating_sub(low).saturating_sub(self.of(Fate::JobRefused));
        let waiting = self.intended().saturating_sub(refused).saturating_sub(started);
        // One that waits is not done: a worker tells that it takes a job before it does it.
        let high = low.saturating_add(outstanding);
        let redelivered =
            Range { low: low.saturating_sub(self.intended().saturating_sub(refused)).min(again), high: again };
        let causes = Causes { refused, outstanding, redelivered, lost, waiting, ..self.common() };
        Expected { range: Range { low, high }, causes }
    }

    /// How many more have an outcome than were to be written: no prefix of a log has any, as the intent comes first. So
    /// something that the old path was written with is missing in the numbers.
    #[must_use]
    pub fn without_intent(&self, way: Way) -> u64 {
        let ends: &[Fate] = match way {
            Way::Straight => &[Fate::Applied, Fate::Refused, Fate::Uncertain],
            Way::Jobs => &[Fate::Enqueued, Fate::EnqueueRefused],
        };
        let told = ends.iter().fold(0_u64, |sum, fate| sum.saturating_add(self.of(*fate)));
        told.saturating_sub(self.intended())
    }

    fn common(&self) -> Causes {
        let Self { duplicate, late, new_only, .. } = *self;
        Causes { duplicate, late, new_only, ..Causes::default() }
    }
}

/// How the old path is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Straight into the store: evaluations.
    Straight,
    /// By a job in a queue, which a worker takes: custom events.
    Jobs,
}

/// What the old store must hold, beside its writes of stage off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// From how much to how much.
    pub range: Range,
    /// Why that is not what the new path has.
    pub causes: Causes,
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Surely written.
    pub low: u64,
    /// Surely no more.
    pub high: u64,
}

impl Range {
    /// How far a number lies outside; 0 = within.
    #[must_use]
    pub fn outside(&self, number: u64) -> u64 {
        self.low.saturating_sub(number).max(number.saturating_sub(self.high))
    }
}

/// Why the old store holds more (+) or less (−) than the new path counted. Where nobody knows, the number is the end of
/// a range that begins at 0 (?).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Causes {
    /// + Written again with a copy that the new path drops.
    pub duplicate: u64,
    /// + Too late for the new path.
    pub late: u64,
    /// − The gate had the new path alone written.
    pub new_only: u64,
    /// − Surely not written, or not enqueued.
    pub refused: u64,
    /// ? − Perhaps written, perhaps not.
    pub uncertain: u64,
    /// ? + Perhaps written once more.
    pub extra: u64,
    /// Writes or deliveries of which no outcome is told: under way, or their process died. A write may be done (−, where
    /// it was not) up to [`ATTEMPTS_MAX`] times (+).
    pub outstanding: u64,
    /// Jobs done again (+): at least so many, as more were done than there are, and at most all that were done in a later
    /// delivery than their first.
    pub redelivered: Range,
    /// − Jobs given up.
    pub lost: u64,
    /// ? − Jobs that no worker is known to have taken yet.
    pub waiting: u64,
}

impl Causes {
    /// Whether there is no cause at all: both paths must hold the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How far a comparison is from being explained: 0, or something is broken; what has an outcome and no intent is no
/// less broken. `numbers` and `new` are of one prefix of the log. `old` is what the old store holds less what
/// it was written with in stage off, `new` what the new path counted, `ungated` how much of that came while no gate
/// chose a path; `expected` has its low end from numbers read before `old` and its high end from numbers read after it.
#[must_use]
pub fn unexplained(way: Way, expected: Range, old: u64, new: u64, ungated: u64, numbers: &Numbers) -> u64 {
    let told = numbers.counted.saturating_add(numbers.new_only).saturating_add(ungated);
    expected.outside(old).saturating_add(new.abs_diff(told)).saturating_add(numbers.without_intent(way))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `counted` evaluations, and so many of these fates.
    fn numbers(counted: u64, fates: &[(Fate, u64)]) -> Numbers {
        let mut numbers = Numbers { counted, ..Numbers::default() };
        for (fate, number) in fates {
            *numbers.of_mut(*fate) += number;
        }
        numbers
    }

    fn expected(way: Way, numbers: &Numbers) -> (u64, u64, Causes) {
        let Expected { range, causes } = numbers.expected(way);
        (range.low, range.high, causes)
    }

    #[test]
    fn each_number_is_told_once() {
        let mut numbers = Numbers { counted: 1, new_only: 2, duplicate: 3, late: 4, ..Numbers::default() };
        (5..).zip(Fate::ALL).for_each(|(number, fate)| *numbers.of_mut(fate) = number);
        assert!(numbers.each().eq(1..=17), "{:?}", numbers.each().collect::<Vec<_>>());
    }

    #[test]
    fn each_cause_of_a_straight_write_alone() {
        let none = Causes::default();
        let straight = |numbers: Numbers| expected(Way::Straight, &numbers);
        let of = |fates: &[(Fate, u64)]| straight(numbers(10, fates));
        assert_eq!(of(&[(Fate::Applied, 10)]), (10, 10, none));
        assert!(none.is_empty() && !Causes { refused: 3, ..none }.is_empty());
        assert_eq!(of(&[(Fate::Applied, 7), (Fate::Refused, 3)]), (7, 7, Causes { refused: 3, ..none }));
        assert_eq!(of(&[(Fate::Applied, 7), (Fate::Uncertain, 3)]), (7, 10, Causes { uncertain: 3, ..none }));
        assert_eq!(of(&[(Fate::Applied, 10), (Fate::Extra, 3)]), (10, 13, Causes { extra: 3, ..none }));
        assert_eq!(of(&[(Fate::Applied, 7)]), (7, 16, Causes { outstanding: 3, ..none }));
        let all = numbers(10, &[(Fate::Applied, 13)]);
        let both = Numbers { duplicate: 2, late: 1, ..all };
        assert_eq!(straight(both), (13, 13, Causes { duplicate: 2, late: 1, ..none }));
        let new_only = Numbers { new_only: 4, ..numbers(10, &[(Fate::Applied, 10)]) };
        assert_eq!(straight(new_only), (10, 10, Causes { new_only: 4, ..none }));
    }

    #[test]
    fn each_cause_of_a_job_alone() {
        let none = Causes::default();
        let of = |fates: &[(Fate, u64)]| expected(Way::Jobs, &numbers(10, fates));
        let done = [(Fate::Enqueued, 10), (Fate::Started, 10), (Fate::JobApplied, 10)];
        assert_eq!(of(&done), (10, 10, none));
        let refused = [(Fate::EnqueueRefused, 3), (Fate::Enqueued, 7), (Fate::Started, 7), (Fate::JobApplied, 7)];
        assert_eq!(of(&refused), (7, 7, Causes { refused: 3, ..none }));
        let waiting = [(Fate::Enqueued, 7), (Fate::EnqueueUncertain, 3), (Fate::Started, 7), (Fate::JobApplied, 7)];
        assert_eq!(of(&waiting), (7, 7, Causes { waiting: 3, ..none }));
        assert_eq!(of(&[(Fate::Started, 10), (Fate::JobApplied, 7)]), (7, 10, Causes { outstanding: 3, ..none }));
        let again = [&done[..], &[(Fate::StartedAgain, 3), (Fate::JobAppliedAgain, 3)]].concat();
        assert_eq!(of(&again), (13, 13, Causes { redelivered: Range { low: 3, high: 3 }, ..none }));
        let late = [(Fate::Started, 10), (Fate::JobApplied, 7), (Fate::JobRefused, 3), (Fate::StartedAgain, 3)];
        let late = [&late[..], &[(Fate::JobAppliedAgain, 3)]].concat();
        assert_eq!(of(&late), (10, 10, Causes { redelivered: Range { low: 0, high: 3 }, ..none }), "done once, late");
        let lost = [(Fate::Started, 10), (Fate::JobApplied, 7), (Fate::JobRefused, 3), (Fate::JobLost, 3)];
        assert_eq!(of(&lost), (7, 7, Causes { lost: 3, ..none }));
    }

    /// A job that was given up was taken before, so it must not stand for one that nobody has taken.
    #[test]
    fn a_lost_job_hides_no_waiting_one() {
        let one_each = numbers(2, &[(Fate::Started, 1), (Fate::JobRefused, 1), (Fate::JobLost, 1)]);
        assert_eq!(one_each.expected(Way::Jobs).causes.waiting, 1);
        assert_eq!(one_each.expected(Way::Jobs).range, Range { low: 0, high: 0 }, "nobody took it, so nobody did it");
    }

    #[test]
    fn what_lies_outside_is_unexplained() {
        let range = Range { low: 5, high: 8 };
        assert_eq!([0, 4, 5, 8, 9].map(|number| range.outside(number)), [5, 1, 0, 0, 1]);
        let told = Numbers { new_only: 2, ..numbers(6, &[]) };
        assert_eq!(unexplained(Way::Straight, range, 6, 8, 0, &told), 0);
        assert_eq!(
            unexplained(Way::Straight, range, 6, 11, 3, &told),
            0,
            "what no gate chose a path for is the new path's alone"
        );
        assert_eq!(
            unexplained(Way::Straight, range, 9, 10, 1, &told),
            2,
            "one too many in the old store, one in the new"
        );
        assert_eq!(unexplained(Way::Straight, range, 4, 7, 0, &told), 2, "one too few in each");
    }

    /// The log lacks one of the causes, though outcomes tell of it.
    #[test]
    fn a_cause_that_is_missing_is_unexplained() {
        let straight = Numbers { duplicate: 4, late: 3, ..numbers(10, &[(Fate::Applied, 15), (Fate::Refused, 2)]) };
        let jobs = [(Fate::Enqueued, 15), (Fate::EnqueueRefused, 2), (Fate::Started, 15), (Fate::JobApplied, 15)];
        let jobs = Numbers { duplicate: 4, late: 3, ..numbers(10, &jobs) };
        for (way, whole) in [(Way::Straight, straight), (Way::Jobs, jobs)] {
            let of = |numbers: Numbers| unexplained(way, numbers.expected(way).range, 15, 10, 0, &numbers);
            assert_eq!(of(whole), 0);
            assert_eq!(of(Numbers { duplicate: 0, ..whole }), 4);
            assert_eq!(of(Numbers { late: 0, ..whole }), 3);
            // Missing in the fold and so in what it counted, too: as if a record were lost.
            let lost = Numbers { counted: 8, ..whole };
            assert_eq!(unexplained(way, lost.expected(way).range, 15, 8, 0, &lost), 2);
        }
    }

    /// A worker that tells nothing at all is no job that waits.
    #[test]
    fn a_silent_worker_is_unexplained() {
        let enqueued = numbers(10, &[(Fate::Enqueued, 10)]);
        assert_eq!(unexplained(Way::Jobs, enqueued.expected(Way::Jobs).range, 10, 10, 0, &enqueued), 10);
    }

    #[derive(Debug, Clone, Copy)]
    enum End {
        Told(Fate),
        Untold,
    }

    fn ends(fates: &'static [Fate]) -> impl Strategy<Value = End> {
        let told = prop::sample::select(fates).prop_map(End::Told);
        prop_oneof![4 => told, 1 => Just(End::Untold)]
    }

    const EVERY: [Way; 2] = [Way::Straight, Way::Jobs];

    proptest! {
        /// Writes of which each ends as its fate says, or in one of the ways that nobody can know.
        #[test]
        fn the_old_store_is_within_the_range_whatever_happened(
            writes in prop::collection::vec((
                ends(&[Fate::Applied, Fate::Refused, Fate::Uncertain, Fate::Extra]),
                any::<bool>(),
                0..=u64::from(ATTEMPTS_MAX),
                0..3,
            ), 0..40),
        ) {
            let (mut numbers, mut store) = (Numbers::default(), 0);
            for (end, unknown, attempts, why) in writes {
                *[&mut numbers.counted, &mut numbers.duplicate, &mut numbers.late][why as usize] += 1;
                let unknown = u64::from(unknown);
                store += match end {
                    End::Told(Fate::Refused) => 0,
                    End::Told(Fate::Applied) => 1,
                    End::Told(Fate::Extra) => 1 + unknown,
                    End::Told(_) => unknown,
                    End::Untold => attempts,
                };
                if let End::Told(fate) = end {
                    *numbers.of_mut(fate) += 1;
                    *numbers.of_mut(Fate::Applied) += u64::from(fate == Fate::Extra);
                }
            }
            let range = numbers.expected(Way::Straight).range;
            prop_assert_eq!(range.outside(store), 0, "{} in {:?} of {:?}", store, range, numbers);
            prop_assert_eq!(numbers.without_intent(Way::Straight), 0);
        }

        /// Jobs that are enqueued or not, taken never or several times, each time done, not done, or nobody knows.
        #[test]
        fn the_old_store_is_within_the_range_of_jobs_whatever_happened(
            jobs in prop::collection::vec((
                prop::sample::select(&[Fate::Enqueued, Fate::EnqueueRefused, Fate::EnqueueUncertain][..]),
                prop::collection::vec((ends(&[Fate::JobApplied, Fate::JobRefused]), any::<bool>()), 0..4),
                any::<bool>(),
            ), 0..30),
        ) {
            let (mut numbers, mut store) = (Numbers::default(), 0);
            for (enqueued, deliveries, given_up) in jobs {
                numbers.counted += 1;
                *numbers.of_mut(enqueued) += 1;
                if enqueued == Fate::EnqueueRefused {
                    continue;
                }
                *numbers.of_mut(Fate::JobLost) += u64::from(given_up && !deliveries.is_empty());
                for (place, (end, unknown)) in deliveries.into_iter().enumerate() {
                    let first = place == 0;
                    *numbers.of_mut(if first { Fate::Started } else { Fate::StartedAgain }) += 1;
                    match end {
                        End::Told(Fate::JobApplied) => {
                            store += 1;
                            *numbers.of_mut(if first { Fate::JobApplied } else { Fate::JobAppliedAgain }) += 1;
                        }
                        End::Told(fate) => *numbers.of_mut(fate) += 1,
                        End::Untold => store += u64::from(unknown),
                    }
                }
            }
            let range = numbers.expected(Way::Jobs).range;
            prop_assert_eq!(range.outside(store), 0, "{} in {:?} of {:?}", store, range, numbers);
            prop_assert_eq!(numbers.without_intent(Way::Jobs), 0);
        }

        /// Of a prefix of the log anything may be missing: no number runs below zero or over.
        #[test]
        fn no_number_runs_out_of_its_range(each in prop::collection::vec(prop_oneof![0..9_u64, Just(u64::MAX), Just((1 << 48) - 1)], 17)) {
            let fates = std::array::from_fn(|fate| each[fate + 4]);
            let numbers = Numbers { counted: each[0], new_only: each[1], duplicate: each[2], late: each[3], fates };
            for Expected { range, .. } in EVERY.map(|way| numbers.expected(way)) {
                prop_assert!(range.low <= range.high, "{:?} of {:?}", range, numbers);
            }
        }
    }
}
