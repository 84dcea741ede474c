//! What holds for all pairs of arms: symmetry, monotony, agreement of p-value and interval, indifference to order, and
//! that nothing but finite numbers comes out.

use crate::analysis::{Method, Plan, Reading, analyse};
use crate::fieller::{Fieller, fieller};
use crate::{Alpha, Arm, I256, Interval, Moments, P, PairMoments, Split, confidence_sequence, lift, welch};
use proptest::prelude::*;

fn arms() -> impl Strategy<Value = (Arm, Arm)> {
    let arm = || (2_u64..2_000_000, -1e3..1e3, 1e-3..1e4_f64);
    (arm(), arm()).prop_map(|(c, t)| (Arm::new(c.0, c.1, c.2).unwrap(), Arm::new(t.0, t.1, t.2).unwrap()))
}

/// Arms whose difference is a few standard errors, where p-values matter.
fn close_arms() -> impl Strategy<Value = (Arm, Arm)> {
    (2_u64..1_000_000, 2_u64..1_000_000, 0.1..100.0_f64, 0.1..100.0_f64, -6.0..6.0_f64, 20.0..500.0_f64).prop_map(
        |(nc, nt, vc, vt, errors, mean)| {
            let se = (vc / nc as f64 + vt / nt as f64).sqrt();
            (Arm::new(nc, mean, vc).unwrap(), Arm::new(nt, mean + errors * se, vt).unwrap())
        },
    )
}

pub(super) fn alphas() -> impl Strategy<Value = Alpha> {
    (1e-6..0.5_f64).prop_map(|alpha| Alpha::new(alpha).unwrap())
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9)
}

pub(super) fn holds(interval: &Interval) -> bool {
    interval.low <= interval.estimate && interval.estimate <= interval.high
}

/// p ≤ α exactly when 0 is outside; at the very edge rounding decides.
pub(super) fn agree(p: P, alpha: Alpha, interval: &Interval) -> bool {
    let edge = (p.value() / alpha.get() - 1.0).abs() < 1e-9;
    holds(interval) && (edge || p.is_at_most(alpha.get()) == interval.excludes_zero())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn p_values_agree_with_intervals(
        (control, treatment) in close_arms(), alpha in alphas(), tuning in 100_u64..100_000,
    ) {
        let test = welch::welch(&control, &treatment, alpha).unwrap();
        prop_assert!(agree(test.p, alpha, &test.difference), "{test:?}");
        let lift = lift::lift(&control, &treatment, alpha).unwrap();
        prop_assert!(agree(lift.p, alpha, &lift.lift), "{lift:?}");
        for at_look in [confidence_sequence::absolute, confidence_sequence::relative] {
            let look = at_look(&control, &treatment, alpha, tuning).unwrap();
            prop_assert!(agree(look.p, alpha, &look.difference), "{look:?}");
            prop_assert!(look.p.value() > 0.999 * test.p.value(), "sooner than a fixed test: {look:?}");
        }
    }

    #[test]
    fn arms_that_change_places_change_the_sign_alone((control, treatment) in arms(), alpha in alphas()) {
        let (there, back) = (welch::welch(&control, &treatment, alpha), welch::welch(&treatment, &control, alpha));
        let (there, back) = (there.unwrap(), back.unwrap());
        let mirrored = back.difference.mirrored();
        prop_assert!(near(there.difference.low, mirrored.low) && near(there.difference.high, mirrored.high));
        prop_assert!(near(there.p.log10(), back.p.log10()) && near(there.p_less.log10(), back.p_greater.log10()));
    }

    #[test]
    fn a_larger_difference_is_less_likely((control, treatment) in close_arms(), more in 1e-3..10.0_f64) {
        let further = treatment.value() + more.copysign(treatment.value() - control.value());
        let further = Arm::new(treatment.n(), further, treatment.unit_variance()).unwrap();
        let p = |treatment: &Arm| welch::welch(&control, treatment, Alpha::FIVE_PERCENT).unwrap().p;
        prop_assert!(p(&further) < p(&treatment));
        let look = |treatment: &Arm| confidence_sequence::absolute(&control, treatment, Alpha::FIVE_PERCENT, 5_000);
        prop_assert!(look(&further).unwrap().ln_e > look(&treatment).unwrap().ln_e);
    }

    #[test]
    fn a_stricter_alpha_widens_every_interval(
        (control, treatment) in close_arms(), a in 1e-6..0.2_f64, b in 0.2..0.5_f64,
    ) {
        let (strict, loose) = (Alpha::new(a).unwrap(), Alpha::new(b).unwrap());
        let plan = |method, alpha| Plan { method, alpha, lower_is_better: false, effect_of_interest: None };
        for name in ["asymptotic_confidence_sequence", "fixed", "bayesian"] {
            let of = |alpha| {
                let plan = plan(Method::named(name).unwrap(), alpha);
                analyse(Ok(control), Ok(treatment), Split::Sound, Reading::Final, &plan).effect.unwrap()
            };
            let (wide, narrow) = (of(strict), of(loose));
            prop_assert!(wide.low < narrow.low && narrow.high < wide.high && holds(&wide) && holds(&narrow), "{name}");
        }
    }

    #[test]
    fn fieller_solves_its_equation((control, treatment) in close_arms(), alpha in alphas()) {
        if let Ok(Fieller::Bounded { lift, .. }) = fieller(&control, &treatment, alpha) {
            prop_assert!(holds(&lift), "{lift:?}");
            // At either end, treatment − θ·control is z standard errors from 0.
            for theta in [lift.low + 1.0, lift.high + 1.0] {
                let off = treatment.value() - theta * control.value();
                let se = (treatment.variance() + theta * theta * control.variance()).sqrt();
                prop_assert!((off.abs() / se / alpha.z() - 1.0).abs() < 1e-6, "{off} {se}");
            }
        }
    }

    /// The sums of any order and any cut are the same integers; moments of the parts merge to the same but for
    /// rounding.
    #[test]
    fn order_and_cut_of_units_do_not_matter(
        values in prop::collection::vec(-1_000_000_000_000_000_000_i64..1_000_000_000_000_000_000, 2..200),
        cut in any::<prop::sample::Index>(),
        shift in any::<prop::sample::Index>(),
    ) {
        let exact = |parts: &[&[i64]]| {
            let (mut n, mut sum, mut sum_sq) = (0, 0_i128, I256::ZERO);
            for part in parts {
                n += part.len() as u64;
                sum += part.iter().map(|y| i128::from(*y)).sum::<i128>();
                sum_sq += part.iter().map(|y| I256::from(*y) * I256::from(*y)).sum::<I256>();
            }
            Moments::exact(n, sum, sum_sq).unwrap()
        };
        let (first, second) = values.split_at(cut.index(values.len()));
        let mut turned = values.clone();
        turned.rotate_left(shift.index(values.len()));
        turned.reverse();
        let whole = exact(&[&values]);
        prop_assert_eq!(whole, exact(&[second, first]));
        prop_assert_eq!(whole, exact(&[&turned]));
        let merged = exact(&[first]).merge(exact(&[second]));
        prop_assert!(near(merged.m2(), whole.m2()) && merged.n() == whole.n());
        let pairs = |part: &[i64]| part.iter().map(|y| (*y as f64 / 1e6, (*y % 1_000) as f64)).collect::<Vec<_>>();
        let of = |part| PairMoments::of(&pairs(part)).unwrap();
        let (merged, all) = (of(first).merge(of(second)), of(&values));
        let size = (all.y.m2() * all.x.m2()).sqrt();
        prop_assert!((merged.c() - all.c()).abs() <= 1e-9 * size, "{} {}", merged.c(), all.c());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// Sums of any doubles, NaN and infinity among them: a status, or finite numbers in order.
    #[test]
    fn whatever_comes_in_no_nan_comes_out(
        control in (0_u64..1_000, prop::num::f64::ANY, prop::num::f64::ANY),
        treatment in (0_u64..1_000, prop::num::f64::ANY, prop::num::f64::ANY),
        scale in -300_i32..300,
        near_by in any::<bool>(),
        lower_is_better in any::<bool>(),
    ) {
        // Doubles at random are hardly ever sums of anything: half of the cases are, at any scale.
        let arm = |(n, sum, sum_sq): (u64, f64, f64)| {
            let (sum, sum_sq) = if near_by {
                let unit = 10_f64.powi(scale / 2);
                let mean = unit * (n % 3) as f64;
                (n as f64 * mean, n as f64 * (mean * mean + unit * unit * (n % 7) as f64))
            } else {
                (sum, sum_sq)
            };
            Moments::raw(n, sum, sum_sq).and_then(|moments| Arm::mean(&moments))
        };
        for name in ["asymptotic_confidence_sequence", "fixed", "bayesian"] {
            let plan = Plan {
                method: Method::named(name).unwrap(),
                alpha: Alpha::FIVE_PERCENT,
                lower_is_better,
                effect_of_interest: Some(0.01),
            };
            let told = analyse(arm(control), arm(treatment), Split::Sound, Reading::Final, &plan);
            for interval in [told.effect, told.lift].into_iter().flatten() {
                prop_assert!(holds(&interval) && interval.low.is_finite() && interval.high.is_finite(), "{told:?}");
            }
            for p in [told.p, told.posterior.map(|posterior| posterior.chance_to_beat)].into_iter().flatten() {
                prop_assert!(p.value() > 0.0 && p.value() <= 1.0 && p.log10().is_finite(), "{told:?}");
            }
            if let Some(posterior) = told.posterior {
                let losses = [posterior.loss_of_control, posterior.loss_of_treatment];
                prop_assert!(losses.into_iter().all(|loss| (0.0..=f64::MAX).contains(&loss)), "{told:?}");
            }
        }
    }
}
