//! Cells: the largest of each kind, limits and their `other` row, the laws of `merge`, encoding there and back.

use std::collections::BTreeSet;

use bytes::Bytes;
use ethnum::I256;
use proptest::prelude::*;
use schemas::cell::{CELL_BYTES_MAX, CellKind};
use schemas::event::{OldNew, Reason, VALUE_BYTES_MAX};
use schemas::generation::FoldLimits;
use schemas::old_path::Fate;
use schemas::record::StoredVariation;
use schemas::rejection::{Rejection, Rejections};

use super::*;
use crate::tests::{dice::Dice, naive, seeds};

mod bounds;
mod reading;

const NAMES: [&str; 4] = ["", "other", "shop", "кухня"];

fn small() -> FoldLimits {
    FoldLimits {
        flags_max: 3,
        usage_pairs_max: 3,
        usage_rows_max: 4,
        last_seen_rows_max: 4,
        sdk_rows_max: 3,
        texts_bytes_max: 40,
    }
}

/// Values that a test holds while changes borrow from them.
struct Held {
    values: Vec<Bytes>,
}

impl Held {
    fn new() -> Self {
        Self { values: ["true", "false", "\"blue\""].map(Bytes::from).to_vec() }
    }

    fn change(&self, kind: CellKind, dice: &mut Dice) -> Change<'_> {
        let variation = match dice.below(4) {
            0 => StoredVariation::Default,
            1 => StoredVariation::Name(dice.pick(&["other", "blue"]).as_bytes()),
            _ => StoredVariation::Index(dice.below(3) as u32),
        };
        let version = dice.pick(&[None, Some(3), Some(u64::MAX)]);
        let mut name = || dice.pick(&NAMES).as_bytes();
        let (application, application_version, sdk, sdk_version) = (name(), name(), name(), name());
        match kind {
            CellKind::Usage if dice.percent(20) => Change::Reason(dice.below(20) as u32, dice.below(5) as u64 + 1),
            CellKind::Usage => {
                let (minute, count) = (dice.below(60) as u32, dice.pick(&[1, 2, 500, u64::MAX]));
                let (estimated, gated) = (dice.percent(10), dice.percent(30));
                Change::Usage(UsageChange {
                    variation,
                    version,
                    minute,
                    count,
                    estimated,
                    gated,
                    application,
                    sdk,
                    sdk_version,
                })
            }
            CellKind::LastSeen => Change::LastSeen(LastSeenChange {
                variation,
                version: dice.percent(70).then(|| dice.below(100) as u64),
                value: dice.percent(60).then(|| &self.values[dice.below(3)]),
                hour: 450_000 + dice.below(24 * 500) as u32,
                error: dice.percent(20),
                bulk: dice.percent(20),
                client_side: dice.percent(10),
                application,
                application_version,
                sdk,
                sdk_version,
            }),
            CellKind::Events => Change::Event(EventChange {
                sampling: dice.pick(&[1, 2, u64::MAX]),
                value: dice.pick(&[None, Some(5), Some(-7), Some(i64::MAX), Some(i64::MIN)]),
                gated: dice.percent(30),
            }),
            CellKind::Books => {
                let mut rejected = Rejections::default();
                rejected.add(dice.pick(&Rejection::ALL), dice.pick(&[0, 1, u64::MAX]));
                let [counted, duplicate, late, poison] = [9, 4, 3, 2].map(|below| dice.below(below) as u64);
                let accepted = counted + duplicate + late + poison;
                Change::Books(BooksChange {
                    accepted,
                    counted,
                    duplicate,
                    late,
                    poison,
                    rejected,
                    ..Default::default()
                })
            }
            CellKind::Sdks => Change::Sdk(SdkChange {
                application,
                sdk,
                sdk_version,
                hour: dice.below(24) as u32,
                instance: dice.percent(80).then(|| dice.below(256) as u32),
                diagnostics: dice.below(2) as u64,
                dropped_events: dice.pick(&[0, 1, u64::MAX]),
            }),
            CellKind::Definition => {
                let version = dice.below(50) as u64;
                Change::Definition(DefinitionChange { version, body: &self.values[version as usize % 3] })
            }
            CellKind::OldPath | CellKind::OldPathEvents => {
                let facts = [OldPathFact::Counted, OldPathFact::NewOnly, OldPathFact::Duplicate, OldPathFact::Late];
                let fact = if dice.percent(50) { dice.pick(&facts) } else { OldPathFact::Met(dice.pick(&Fate::ALL)) };
                let variation = if kind == CellKind::OldPath { variation } else { StoredVariation::Default };
                Change::OldPath(OldPathChange { variation, fact, number: dice.pick(&[0, 1, 700, u64::MAX]) })
            }
            CellKind::Migration => {
                let mut both = || OldNew { old: dice.percent(50), new: dice.percent(50) };
                let (invoked, failed) = (both(), both());
                let mut latency = || dice.percent(70).then(|| (dice.below(100) as u64) << dice.below(40));
                Change::Migration(MigrationChange {
                    invoked,
                    failed,
                    latency_us: OldNew { old: latency(), new: latency() },
                    consistent: dice.pick(&[None, Some(false), Some(true)]),
                    sampling: dice.pick(&[0, 1, 1, 3, u64::MAX]),
                })
            }
            CellKind::Experiment => Change::Experiment(experiment(dice)),
            CellKind::StandIn => {
                let mut number = || dice.pick(&[0, 1, -1, 1 << 100, i128::MIN]);
                let (late, multiple) = (number(), number());
                let row = StandInNumbers { n: number(), sum: number(), square: number() };
                Change::StandIn(StandInChange { late, multiple, rows: [(dice.below(3) as u32, row)].into() })
            }
        }
    }

    fn cell(&self, kind: CellKind, dice: &mut Dice, limits: &FoldLimits) -> Cell {
        let mut cell = Cell::empty(kind);
        for _ in 0..dice.below(30) {
            let before = cell.clone();
            let changed = cell.apply(&self.change(kind, dice), limits);
            assert_eq!(changed, cell != before, "{kind:?} says whether it changed");
        }
        cell
    }
}

/// Numbers that often take each other back.
fn experiment(dice: &mut Dice) -> ExperimentNumbers {
    let wide = [I256::ZERO, I256::ONE, -I256::ONE, I256::from(-128), I256::MAX, I256::MIN];
    let mut arm = || {
        let number = |dice: &mut Dice| dice.pick(&[0, 0, 1, -1, 128, -129, 1 << 100, i128::MIN]);
        let sums = ExperimentSums {
            n: dice.pick(&[0, 1, -1]),
            sum: number(dice),
            square: dice.pick(&wide),
            under: number(dice),
            under_square: dice.pick(&wide),
            product: dice.pick(&wide),
        };
        let metrics = if dice.percent(60) { [(dice.below(3) as u8, sums)].into() } else { [].into() };
        ExperimentArm { units: dice.pick(&[0, 1, -1]), exposures: dice.pick(&[0, 1, u64::MAX]), metrics }
    };
    let arms = [(0, arm()), (9, arm())].into();
    let counters = ExperimentCounters {
        late: dice.below(2) as u64,
        duplicate: dice.pick(&[0, 1, u64::MAX]),
        ..ExperimentCounters::default()
    };
    ExperimentNumbers { multiple: dice.pick(&[0, 1, -1]), arms, counters }
}

fn largest_arm() -> ExperimentArm {
    let (n, narrow, wide) = (i64::MIN, i128::MIN, I256::MIN);
    let sums = ExperimentSums { n, sum: narrow, square: wide, under: narrow, under_square: wide, product: wide };
    ExperimentArm { units: n, exposures: u64::MAX, metrics: (0..20).map(|metric| (metric, sums)).collect() }
}

fn largest_counters() -> ExperimentCounters {
    let [late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped] = [u64::MAX; 7];
    ExperimentCounters { late, duplicate, unit_mismatch, without_value, left_out, unknown_variation, clamped }
}

/// All that readers can see, in no order.
fn seen(cell: &Cell) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = match cell {
        Cell::Books(books) => [format!("{:?}", books.numbers())].into(),
        cell => naive::told(cell).into_iter().map(|(what, number)| format!("{what} = {number}")).collect(),
    };
    match cell {
        Cell::LastSeen(cell) => all.extend(cell.values().map(|value| format!("{value:?}"))),
        Cell::Sdks(cell) => all.extend(cell.rows().map(|row| format!("{row:?}"))),
        _ => {}
    }
    all
}

fn sum(left: &Cell, right: &Cell) -> Cell {
    let mut sum = left.clone();
    sum.merge(right);
    sum
}

#[test]
fn cells_come_back_as_they_were_written() {
    let (held, limits) = (Held::new(), small());
    for seed in 0..seeds(300) {
        for kind in CellKind::ALL {
            let cell = held.cell(kind, &mut Dice::new(seed), &limits);
            let bytes = cell.encode();
            assert_eq!(Cell::decode(kind, &bytes).unwrap(), cell, "seed {seed}");
            assert_eq!(Cell::decode(kind, &bytes).unwrap().encode(), bytes, "seed {seed}");
        }
    }
}

#[test]
fn merge_is_commutative_and_associative_and_has_a_zero() {
    let (held, limits) = (Held::new(), small());
    for seed in 0..seeds(300) {
        for kind in CellKind::ALL {
            let dice = &mut Dice::new(seed);
            let [a, b, c] = [(); 3].map(|()| held.cell(kind, dice, &limits));
            assert_eq!(seen(&sum(&a, &b)), seen(&sum(&b, &a)), "{kind:?} commutes, seed {seed}");
            assert_eq!(seen(&sum(&sum(&a, &b), &c)), seen(&sum(&a, &sum(&b, &c))), "{kind:?} associates, seed {seed}");
            assert_eq!(sum(&a, &Cell::empty(kind)), a, "{kind:?} has a zero, seed {seed}");
            assert_eq!(seen(&sum(&Cell::empty(kind), &a)), seen(&a), "{kind:?} has a zero, seed {seed}");
        }
    }
}

#[test]
fn two_windows_merged_are_one_window_folded() {
    let (held, limits) = (Held::new(), FoldLimits::default());
    for seed in 0..seeds(300) {
        for kind in CellKind::ALL {
            let dice = &mut Dice::new(seed);
            let (mut one, mut halves) = (Cell::empty(kind), [Cell::empty(kind), Cell::empty(kind)]);
            for _ in 0..dice.below(30) {
                let mut change = held.change(kind, dice);
                if let Change::LastSeen(change) = &mut change {
                    // Of two values in one hour the fold keeps the newer, a reader cannot know which that is.
                    change.value = None;
                }
                one.apply(&change, &limits);
                halves[dice.below(2)].apply(&change, &limits);
            }
            assert_eq!(seen(&sum(&halves[0], &halves[1])), seen(&one), "{kind:?}, seed {seed}");
        }
    }
}

/// Fills every row of a cell with its largest values, and the budget of texts with names of 64 bytes.
fn largest_of(kind: CellKind, limits: &FoldLimits) -> Cell {
    let mut cell = Cell::empty(kind);
    let names: Vec<String> = (0..600).map(|n| format!("{n:064}")).collect();
    let name = |n: u32| names[n as usize % 180].as_bytes();
    // A hundred of these fill the budget.
    let long_names: Vec<String> = (0..600).map(|n| format!("{n:0118}")).collect();
    let value = Bytes::from(vec![b'7'; VALUE_BYTES_MAX]);
    let body = Bytes::from(vec![b'7'; BODY_BYTES_MAX]);
    for n in 0..limits.sdk_rows_max + 2 {
        let variation = StoredVariation::Index(u32::MAX - n);
        let version = Some(u64::MAX - 1 - u64::from(n));
        for turn in 0..256 {
            let change = match kind {
                CellKind::Usage if turn < 60 => {
                    let (application, sdk, sdk_version) = (name(n), name(n + 1), name(n + 2));
                    let count = u64::MAX;
                    Change::Usage(UsageChange {
                        variation,
                        version,
                        minute: turn,
                        count,
                        estimated: true,
                        gated: true,
                        application,
                        sdk,
                        sdk_version,
                    })
                }
                CellKind::Usage => Change::Reason(turn % Reason::ALL.len() as u32, u64::MAX),
                CellKind::LastSeen => Change::LastSeen(LastSeenChange {
                    variation,
                    version,
                    value: Some(&value),
                    hour: u32::MAX - turn * 48,
                    error: true,
                    // The other row of intentional reads is there too.
                    bulk: n % 300 != 299,
                    client_side: true,
                    application: name(n),
                    application_version: name(n + 1),
                    sdk: name(n + 2),
                    sdk_version: name(n + 3),
                }),
                CellKind::Events => {
                    Change::Event(EventChange { sampling: u64::MAX, value: Some(i64::MIN), gated: true })
                }
                CellKind::Books => {
                    let mut rejected = Rejections::default();
                    Rejection::ALL.into_iter().for_each(|reason| rejected.add(reason, u64::MAX));
                    let [accepted, counted, duplicate, late, poison, clamped, without_id] = [u64::MAX; 7];
                    let n = BooksChange { accepted, counted, duplicate, late, poison, rejected, clamped, without_id };
                    Change::Books(n)
                }
                CellKind::Sdks => Change::Sdk(SdkChange {
                    application: name(n),
                    sdk: name(n / 180),
                    sdk_version: name(n + 1),
                    hour: turn % 24,
                    instance: Some(turn),
                    diagnostics: u64::MAX,
                    dropped_events: u64::MAX,
                }),
                CellKind::Definition => Change::Definition(DefinitionChange { version: u64::MAX, body: &body }),
                // Each variation with every counter at its end.
                CellKind::OldPath | CellKind::OldPathEvents => {
                    let facts = [OldPathFact::Counted, OldPathFact::NewOnly, OldPathFact::Duplicate, OldPathFact::Late];
                    let facts = facts.into_iter().chain(Fate::ALL.map(OldPathFact::Met)).collect::<Vec<_>>();
                    let variation = StoredVariation::Name(long_names[n as usize].as_bytes());
                    Change::OldPath(OldPathChange {
                        variation,
                        fact: facts[turn as usize % facts.len()],
                        number: u64::MAX,
                    })
                }
                // Every bucket of both sides, each as full as a thousand operations of the largest sampling make it.
                CellKind::Migration => {
                    let bucket = u64::from((n % 4) * 256 + turn);
                    let latency = if bucket < 64 { bucket } else { (32 + bucket % 32) << (bucket / 32 - 1) };
                    let both = OldNew { old: true, new: true };
                    Change::Migration(MigrationChange {
                        invoked: both,
                        failed: both,
                        latency_us: OldNew { old: Some(latency), new: Some(latency) },
                        consistent: Some(true),
                        sampling: u64::MAX,
                    })
                }
                // Every metric of every variation, as far from zero as numbers can be.
                CellKind::Experiment if n < 10 && turn == 0 => Change::Experiment(ExperimentNumbers {
                    multiple: if n == 0 { i64::MIN } else { 0 },
                    arms: [(n as u8, largest_arm())].into(),
                    counters: largest_counters(),
                }),
                CellKind::Experiment => Change::Experiment(ExperimentNumbers::default()),
                CellKind::StandIn => {
                    let row = StandInNumbers { n: 1, sum: 1, square: 1 };
                    Change::StandIn(StandInChange { late: 1, multiple: 1, rows: [(n * 256 + turn, row)].into() })
                }
            };
            cell.apply(&change, limits);
        }
    }
    cell
}

#[test]
fn the_largest_cell_of_each_kind_is_under_64_kib() {
    let limits = FoldLimits::default();
    check_limits(&limits).unwrap();
    for kind in CellKind::ALL {
        let bytes = largest_of(kind, &limits).encode().len();
        let bound = bytes_max(kind, &limits);
        assert!(bytes <= bound && bound <= CELL_BYTES_MAX, "{kind:?}: {bytes} bytes, bound {bound}");
        assert!(bytes * 100 >= bound * 80, "{kind:?}: {bytes} bytes are not near the bound {bound}");
    }
}

#[test]
fn limits_under_which_a_cell_could_pass_64_kib_are_refused() {
    let base = FoldLimits::default();
    let too_large = [
        (CellKind::Usage, FoldLimits { usage_pairs_max: 110, ..base }),
        (CellKind::Usage, FoldLimits { texts_bytes_max: 16 * 1024, ..base }),
        (CellKind::LastSeen, FoldLimits { last_seen_rows_max: 1_000, ..base }),
        (CellKind::Sdks, FoldLimits { sdk_rows_max: 800, ..base }),
    ];
    for (kind, limits) in too_large {
        assert_eq!(check_limits(&limits).unwrap_err().kind, kind);
    }
}

#[test]
fn what_is_beyond_a_limit_counts_in_a_row_that_no_name_can_be() {
    let limits = FoldLimits { usage_pairs_max: 1, usage_rows_max: 1, ..FoldLimits::default() };
    let mut usage = Usage::default();
    let mut evaluate = |variation, application: &'static [u8]| {
        let change = UsageChange {
            variation,
            version: None,
            minute: 5,
            count: 1,
            estimated: false,
            gated: false,
            application,
            sdk: b"other",
            sdk_version: b"",
        };
        usage.apply(&change, &limits)
    };
    for _ in 0..3 {
        evaluate(StoredVariation::Name(b"other"), b"other");
        evaluate(StoredVariation::Name(b"second"), b"");
        evaluate(StoredVariation::Default, b"other");
    }
    let counts: Vec<_> = usage.counts().map(|c| (c.other, c.variation, c.count)).collect();
    let first = StoredVariation::Name(b"other");
    assert_eq!(counts, [(false, first, 3), (true, StoredVariation::Default, 6)]);
    let rows: Vec<_> = usage.rows().map(|row| (row.other, row.application, row.count)).collect();
    assert_eq!(rows, [(false, &b"other"[..], 3), (true, &b""[..], 6)]);
}

#[test]
fn parts_of_a_name_are_never_joined() {
    let limits = FoldLimits::default();
    let (mut usage, mut seen) = (Usage::default(), LastSeen::default());
    let sdks = [(&b"A/1"[..], &b"2"[..]), (b"A", b"1/2"), (b"A/1/2", b""), (b"", b"A/1/2")];
    for (sdk, sdk_version) in sdks {
        let sight = LastSeenChange { sdk, sdk_version, ..sight(500_000) };
        seen.apply(&sight, &limits);
        let LastSeenChange { variation, version, application, .. } = sight;
        let (minute, count, estimated) = (0, 1, false);
        let change =
            UsageChange { variation, version, minute, count, estimated, gated: false, application, sdk, sdk_version };
        usage.apply(&change, &limits);
    }
    let usage = Usage::decode(&usage.encode()).unwrap();
    let seen = LastSeen::decode(&seen.encode()).unwrap();
    assert_eq!(usage.rows().map(|row| (row.sdk, row.sdk_version)).collect::<Vec<_>>(), sdks);
    assert_eq!(seen.rows().map(|row| (row.sdk, row.sdk_version)).collect::<Vec<_>>(), sdks);
}

#[test]
fn a_row_whose_texts_pass_the_budget_counts_in_other_for_ever() {
    let limits = FoldLimits { texts_bytes_max: 20, ..FoldLimits::default() };
    let mut cell = Sdks::default();
    let change = |sdk: &'static [u8]| SdkChange {
        application: b"",
        sdk,
        sdk_version: b"",
        hour: 0,
        instance: None,
        diagnostics: 1,
        dropped_events: 0,
    };
    for sdk in [&b"0123456789"[..], b"x234567", b"y", b"x234567", b"0123456789"] {
        cell.apply(&change(sdk), &limits);
    }
    let rows: Vec<_> = cell.rows().map(|row| (row.other, row.sdk, row.diagnostics)).collect();
    assert_eq!(rows, [(false, &b"0123456789"[..], 2), (true, b"", 2), (false, b"y", 1)]);
}

fn sight(hour: u32) -> LastSeenChange<'static> {
    LastSeenChange {
        variation: StoredVariation::Index(0),
        version: None,
        value: None,
        hour,
        error: false,
        bulk: false,
        client_side: false,
        application: b"",
        application_version: b"",
        sdk: b"",
        sdk_version: b"",
    }
}

#[test]
fn last_seen_never_moves_back_and_is_written_once_an_hour() {
    let (limits, value) = (FoldLimits::default(), Bytes::from_static(b"1"));
    let mut cell = LastSeen::default();
    let changed: Vec<bool> =
        [500_000, 500_000, 499_990, 499_995, 500_001].map(|h| cell.apply(&sight(h), &limits)).into();
    assert_eq!(changed, [true, false, true, false, true]);
    assert_eq!((cell.first(), cell.last()), (Some(499_990), Some(500_001)));
    let own = LastSeenChange { variation: StoredVariation::Default, value: Some(&value), ..sight(500_001) };
    let another = Bytes::from_static(b"2");
    assert!(cell.apply(&own, &limits));
    assert!(!cell.apply(&LastSeenChange { value: Some(&another), ..own }, &limits), "a caller's default, same hour");
    assert!(cell.apply(&LastSeenChange { value: Some(&another), hour: 500_002, ..own }, &limits));
}

#[test]
fn bulk_reads_have_rows_of_their_own_beyond_the_limit_too() {
    let limits = FoldLimits { last_seen_rows_max: 2, ..FoldLimits::default() };
    let mut cell = LastSeen::default();
    let changed: Vec<bool> = [(0, false), (0, true), (1, false), (1, true), (2, true), (1, true), (0, true)]
        .map(|(index, bulk)| {
            let variation = StoredVariation::Index(index);
            // Every one of them a day later, the bulk reads a thousand.
            let hour = 24 * (index + u32::from(bulk) * 1_000);
            cell.apply(&LastSeenChange { variation, bulk, ..sight(hour) }, &limits)
        })
        .into();
    assert_eq!(changed, [true, true, true, true, true, false, false]);
    let rows = |cell: &LastSeen| -> Vec<_> {
        cell.rows().map(|row| (row.other, row.bulk, row.first / 24, row.last / 24)).collect()
    };
    let expected = [(false, false, 0, 0), (false, true, 1_000, 1_000), (true, false, 1, 1), (true, true, 1_001, 1_002)];
    assert_eq!(rows(&cell), expected);
    let mut merged = LastSeen::default();
    merged.merge(&LastSeen::decode(&cell.encode()).unwrap());
    assert_eq!(rows(&merged), expected);
    assert_eq!((merged.first(), merged.last()), (Some(0), Some(1_002 * 24)));
    assert_eq!(merged.days().collect::<Vec<_>>(), [0, 1], "days of use are of intentional reads");
}

#[test]
fn versions_keep_the_newest_and_days_slide_forward_only() {
    let limits = FoldLimits::default();
    let mut cell = LastSeen::default();
    for version in (0..100).chain([3, 200, 36]) {
        cell.apply(&LastSeenChange { version: Some(version), ..sight(500_000 + version as u32) }, &limits);
    }
    let versions: Vec<u64> = cell.versions().map(|(version, _)| version).collect();
    assert_eq!(versions, (37..100).chain([200]).collect::<Vec<u64>>());
    for day in [1_000, 1_399, 1_400, 1_000, 1_001, 1_350] {
        let mut days = LastSeen::default();
        for earlier in [1_000, 1_399, 1_400, day] {
            days.apply(&sight(earlier * 24), &limits);
        }
        let expected: BTreeSet<u32> = [1_399, 1_400, day].into_iter().filter(|day| *day > 1_000).collect();
        assert_eq!(days.days().collect::<BTreeSet<u32>>(), expected);
    }
}

#[test]
fn instances_are_estimated_within_their_error() {
    for instances in [1_usize, 10, 50, 250, 700] {
        let mut cell = Sdks::default();
        let mut dice = Dice::new(instances as u64);
        for _ in 0..instances {
            let instance = Some(dice.below(256) as u32);
            let change = SdkChange {
                application: b"a",
                sdk: b"",
                sdk_version: b"",
                hour: 1,
                instance,
                diagnostics: 0,
                dropped_events: 0,
            };
            cell.apply(&change, &FoldLimits::default());
        }
        let estimate = cell.rows().next().unwrap().instances.unwrap();
        let off = (estimate - instances as f64).abs() / instances as f64;
        assert!(off < 0.25, "{instances} instances are estimated as {estimate}");
    }
}

#[test]
fn sums_are_exact_and_counters_stop_where_they_say() {
    let mut events = Events::default();
    for _ in 0..3 {
        events.apply(&EventChange { sampling: 1_000_000_000, value: Some(1_000_000_000_000_000_000), gated: false });
        events.apply(&EventChange { sampling: 3, value: Some(-1), gated: false });
    }
    assert_eq!(events.metric_sum(), 3_000_000_000_000_000_000_000_000_000 - 9);
    assert!(!events.saturated());
    for _ in 0..300_000 {
        events.apply(&EventChange { sampling: u64::MAX, value: None, gated: false });
    }
    assert!(events.saturated() && events.count() == COUNTER_MAX);
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes: Vec<u8>, kind in 0..CellKind::ALL.len()) {
        if let Ok(mut cell) = Cell::decode(CellKind::ALL[kind], &bytes) {
            let other = cell.clone();
            cell.merge(&other);
            let _ = seen(&cell);
        }
    }

    #[test]
    fn a_damaged_cell_is_read_without_a_panic(seed: u64, kind in 0..CellKind::ALL.len(), place: prop::sample::Index, flip in 1_u8..) {
        let (kind, held) = (CellKind::ALL[kind], Held::new());
        let mut bytes = held.cell(kind, &mut Dice::new(seed), &small()).encode();
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            if let Ok(mut cell) = Cell::decode(kind, &bytes) {
                cell.apply(&held.change(kind, &mut Dice::new(seed)), &small());
                let other = cell.clone();
                cell.merge(&other);
            }
        }
    }
}
