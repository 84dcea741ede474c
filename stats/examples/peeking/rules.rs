//! Rules by which people stop an experiment: a row each.

use stats::group_sequential::{Bound, Spending, bounds};
use stats::msprt::msprt;
use stats::{Alpha, Analysis, Arm, I256, Method, Moments, Plan, Reading, Split, Verdict, analyse};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// A rule, and within which per cent its rejections lie in each column when all is right.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) rejects: fn(&Arms, u64) -> bool,
    pub(crate) expected: [RangeInclusive<f64>; 3],
}

/// The ranges are about four standard errors of 5,000 experiments around what 40,000 gave, but for those that are
/// demanded: of the confidence sequence 0.5 to 2.5 %, of the test at every look 22 to 28 %.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "fixed test, at every look",
        rejects: |arms, _| arms.decides(Method::Fixed, Reading::Final),
        expected: [22.0..=28.0, 21.0..=27.0, 92.0..=97.0],
    },
    Rule {
        name: "fixed test, at the last look alone",
        rejects: |arms, look| look == super::LOOKS && arms.decides(Method::Fixed, Reading::Final),
        expected: [3.7..=6.3, 3.7..=6.5, 88.0..=93.0],
    },
    Rule {
        name: "fixed test, as the product reads it",
        rejects: |arms, look| arms.decides(Method::Fixed, reading(look)),
        expected: [3.7..=6.3, 3.7..=6.5, 88.0..=93.0],
    },
    Rule {
        name: "Bayesian, 97.5 %, at every look",
        rejects: |arms, _| arms.decides(Method::named("bayesian").unwrap_or_default(), Reading::Final),
        expected: [18.0..=24.0, 19.0..=25.0, 91.0..=96.0],
    },
    Rule {
        name: "confidence sequence, N* = 5,000",
        rejects: |arms, look| arms.decides(Method::default(), reading(look)),
        expected: [0.5..=2.5, 0.5..=2.5, 58.0..=66.0],
    },
    Rule {
        name: "confidence sequence, N* = planned",
        rejects: |arms, look| {
            arms.decides(Method::AsymptoticConfidenceSequence { tuning_units: 2 * arms.planned }, reading(look))
        },
        expected: [0.4..=2.5, 0.4..=2.5, 63.0..=71.0],
    },
    Rule {
        name: "mSPRT, τ = 5 % of the baseline",
        rejects: |arms, _| {
            let (difference, variance) = arms.difference();
            // The baseline is known beforehand: 10 % of 1, or of the mean amount.
            let tau = 0.05 * if arms.control.value() > 1.0 { 4.946 } else { 0.1 };
            msprt(difference, variance, tau * tau, ALPHA).is_ok_and(|look| look.p.is_at_most(0.05))
        },
        expected: [0.0..=0.6, 0.0..=0.6, 55.0..=64.0],
    },
    Rule {
        name: "Lan-DeMets, O'Brien-Fleming, planned looks",
        rejects: |arms, look| {
            let (difference, variance) = arms.difference();
            difference.abs() / variance.sqrt() >= PLANNED[look as usize - 1].z
        },
        expected: [4.3..=5.7, 3.8..=5.8, 87.0..=92.0],
    },
];

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

static PLANNED: LazyLock<Vec<Bound>> = LazyLock::new(|| {
    let fractions: Vec<f64> = (1..=super::LOOKS).map(|look| look as f64 / super::LOOKS as f64).collect();
    bounds(&fractions, Spending::OBrienFleming, ALPHA).unwrap_or_default()
});

fn reading(look: u64) -> Reading {
    if look == super::LOOKS { Reading::Final } else { Reading::Interim }
}

/// Exact sums of one arm.
#[derive(Default)]
pub(crate) struct Sums {
    n: u64,
    sum: i128,
    sum_sq: i128,
}

impl Sums {
    pub(crate) fn add(&mut self, millionths: i64) {
        let value = i128::from(millionths);
        self.n += 1;
        self.sum += value;
        self.sum_sq += value * value;
    }

    fn arm(&self) -> Option<Arm> {
        Moments::exact(self.n, self.sum, I256::from(self.sum_sq)).and_then(|moments| Arm::mean(&moments)).ok()
    }
}

/// Both arms at one look.
pub(crate) struct Arms {
    control: Arm,
    treatment: Arm,
    /// Units an arm at the end.
    planned: u64,
}

impl Arms {
    pub(crate) fn of(control: &Sums, treatment: &Sums, planned: u64) -> Option<Self> {
        Some(Self { control: control.arm()?, treatment: treatment.arm()?, planned })
    }

    fn difference(&self) -> (f64, f64) {
        (self.treatment.less(&self.control), self.treatment.variance() + self.control.variance())
    }

    /// Whether the product says that one is better.
    fn decides(&self, method: Method, reading: Reading) -> bool {
        let plan = Plan { method, alpha: ALPHA, lower_is_better: false, effect_of_interest: None };
        let analysis: Analysis = analyse(Ok(self.control), Ok(self.treatment), Split::Sound, reading, &plan);
        matches!(analysis.verdict, Verdict::TreatmentBetter | Verdict::Worse)
    }
}
