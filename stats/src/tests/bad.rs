//! Data that no method can answer for: a clear status each time, never a NaN, a panic or a p of 0.

use crate::beta_binomial::Posterior;
use crate::fieller::{Fieller, fieller};
use crate::proportions::{Share, two_proportions};
use crate::quantile::quantile;
use crate::sample_size::{self, Aim, NullVariance};
use crate::{Alpha, Arm, I256, Moments, NoNumber, PairMoments, PairSums, best, cap, lift, sequential_srm, srm, status};
use crate::{group_sequential, msprt, welch};

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

#[test]
fn sums_that_no_values_have_are_refused() {
    let refused = Err(NoNumber::OutOfRange);
    assert_eq!(Moments::exact(2, 10, I256::from(49)), refused, "(Σy)² > n·Σy²");
    assert_eq!(Moments::exact(0, 1, I256::ZERO), refused);
    assert_eq!(Moments::exact(u64::MAX, 0, I256::MAX), refused, "256 bits are not enough");
    assert_eq!(Moments::exact(1, i128::MAX, I256::MAX), refused);
    assert_eq!(Moments::raw(2, f64::NAN, 1.0), refused);
    assert_eq!(Moments::raw(2, 1e308, f64::INFINITY), refused, "1e308 twice");
    assert_eq!(Moments::raw(3, 1e300, 1e-300), refused);
    assert_eq!(Moments::of(&[1e308, 1e308, -1e308]), refused);
    assert_eq!(Moments::of(&[0.0, f64::NAN]), refused);
    let lopsided = PairSums { n: 0, xy: I256::ONE, ..PairSums::default() };
    assert_eq!(PairMoments::exact(&lopsided), Err(NoNumber::OutOfRange));
}

#[test]
fn the_largest_that_the_log_can_hold_is_no_trouble() {
    // 10¹² units of value, ten thousand times each, by 10⁹ subjects; half of them the other sign.
    let n = 1_000_000_000_u64;
    let unit = I256::from(10_i128.pow(12 + 6 + 4));
    let moments = Moments::exact(n, 0, unit * unit * I256::from(n)).unwrap();
    let variance = moments.variance().unwrap();
    assert!((variance / 1e32 - 1.0).abs() < 2e-9, "{variance:e}");
    let arm = Arm::mean(&moments).unwrap();
    assert!(welch::welch(&arm, &arm, ALPHA).unwrap().difference.high > 0.0);
}

#[test]
fn too_few_units_are_told() {
    let of = |n| Moments::exact(n, i128::from(n), I256::from(n)).and_then(|moments| Arm::mean(&moments));
    assert_eq!(of(0), Err(NoNumber::InsufficientData));
    assert_eq!(of(1), Err(NoNumber::InsufficientData));
    assert_eq!(status(&of(2)), "ok");
    assert_eq!(Arm::ratio(&PairMoments::default()), Err(NoNumber::InsufficientData));
    assert_eq!(Share::new(0, 0), Err(NoNumber::InsufficientData));
    assert_eq!(Share::new(3, 4), Err(NoNumber::OutOfRange));
    assert_eq!(quantile(&[], 0.5, ALPHA).err(), Some(NoNumber::InsufficientData));
    assert_eq!(cap::pooled_cap(&[&[], &[]], 0.95), Err(NoNumber::NoData));
    assert_eq!(best::chance_of_best(&[]), Err(NoNumber::NoData));
}

#[test]
fn a_denominator_of_0_is_told() {
    let sums = PairSums { n: 3, y: 3, y_sq: I256::from(5), ..PairSums::default() };
    let ratio = PairMoments::exact(&sums).and_then(|pair| Arm::ratio(&pair));
    assert_eq!(ratio, Err(NoNumber::ZeroDenominator));
    let (zero, one) = (Arm::new(9, 0.0, 1.0).unwrap(), Arm::new(9, 1.0, 1.0).unwrap());
    assert_eq!(lift::lift(&zero, &one, ALPHA).err(), Some(NoNumber::ZeroDenominator));
    assert_eq!(fieller(&zero, &one, ALPHA).err(), Some(NoNumber::ZeroDenominator));
    // z²·(1/9)/control² is 1 at 0.653.
    for (control, is_bounded) in
        [(0.1, false), (0.6, false), (0.65, false), (0.66, true), (-0.65, false), (-0.66, true)]
    {
        let found = fieller(&Arm::new(9, control, 1.0).unwrap(), &one, ALPHA).unwrap();
        assert_eq!(matches!(found, Fieller::Bounded { .. }), is_bounded, "{found:?}");
    }
}

#[test]
fn splits_that_cannot_be_judged_say_why() {
    let of = |counts: &[u64], weights: &[f64]| status(&srm::chi_square(counts, weights));
    assert_eq!(of(&[0, 0], &[0.5, 0.5]), "no_data");
    assert_eq!(of(&[50, 50, 1], &[0.5, 0.5, 0.0]), "unexpected_variation");
    assert_eq!(of(&[50], &[1.0]), "insufficient_data");
    assert_eq!(of(&[50, 50], &[0.5]), "out_of_range");
    assert_eq!(of(&[50, 50], &[f64::NAN, 0.5]), "out_of_range");
    assert_eq!(of(&[50, 50], &[-0.5, 1.5]), "out_of_range");
    assert_eq!(of(&[0, 0], &[0.0, 0.0]), "out_of_range");
    assert_eq!(status(&sequential_srm::look(&[1, 0], &[0.0, 1.0], 1e4)), "unexpected_variation");
    assert_eq!(status(&sequential_srm::look(&[1, 0], &[0.5, 0.5], 0.0)), "out_of_range");
    let none = sequential_srm::look(&[0, 0], &[0.5, 0.5], 1e4).unwrap();
    assert!(none.ln_bayes_factor.abs() < 1e-12 && none.p.value() == 1.0);
}

#[test]
fn a_split_that_could_not_be_worse_has_a_p_value_above_0() {
    let test = srm::chi_square(&[1_000_000_000, 0], &[0.5, 0.5]).unwrap();
    assert!(test.p.value() > 0.0 && test.p.log10() < -1e8 && test.is_broken());
    assert!(!srm::chi_square(&[40, 0], &[0.5, 0.5]).unwrap().is_broken(), "fewer than 100 units alarm nobody");
}

#[test]
fn shares_of_0_and_1_have_intervals_and_no_test() {
    for (successes, n) in [(0, 1_000), (1_000, 1_000)] {
        let share = Share::new(n, successes).unwrap();
        let found = two_proportions(&share, &share, ALPHA).unwrap();
        assert_eq!(found.pooled.err(), Some(NoNumber::ZeroVariance));
        assert!(found.newcombe.low < 0.0 && found.newcombe.high > 0.0);
    }
    let (none, some) = (Share::new(100, 0).unwrap(), Share::new(100, 5).unwrap());
    assert_eq!(two_proportions(&some, &none, ALPHA).unwrap().risk_ratio.err(), Some(NoNumber::ZeroDenominator));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    assert!([0.0, 1.0, -0.1, f64::NAN].into_iter().all(|alpha| Alpha::new(alpha).is_none()));
    assert!(Aim::new(ALPHA, 1.0).is_none() && Aim::new(ALPHA, 0.01).is_none());
    let aim = Aim::new(ALPHA, 0.8).unwrap();
    for (baseline, effect) in [(0.0, 0.1), (0.95, 0.1), (0.5, 0.0), (f64::NAN, 0.1)] {
        assert!(sample_size::for_proportions(baseline, effect, NullVariance::Pooled, &aim).is_err());
    }
    assert!(sample_size::for_means(1.0, 0.0, 1.0, &aim).is_err());
    assert!(sample_size::for_means_by_t(0.0, &aim).is_err() && sample_size::for_means_by_t(1e-9, &aim).is_err());
    assert!(group_sequential::bounds(&[0.5, 0.4], group_sequential::Spending::Pocock, ALPHA).is_none());
    assert!(group_sequential::bounds(&[], group_sequential::Spending::Pocock, ALPHA).is_none());
    assert_eq!(msprt::msprt(1.0, 0.0, 1.0, ALPHA).err(), Some(NoNumber::ZeroVariance));
    assert!(Posterior::new(3, 4, 1.0, 1.0).is_err() && Posterior::new(3, 2, 0.0, 1.0).is_err());
}
