//! T1 to T11: what goes wrong in other engines and libraries. Each test fails with the form that it names.

use crate::normal_posterior::{Prior, normal_posterior};
use crate::quantile::{clustered_quantile, quantile};
use crate::special::{beta, normal, student};
use crate::{Alpha, Arm, I256, Moments, NoNumber, PairMoments, PairSums, confidence_sequence, srm};
use crate::{cuped, lift, msprt, welch};

const ALPHA: Alpha = Alpha::FIVE_PERCENT;

#[track_caller]
fn near(found: f64, expected: f64, rel: f64) {
    assert!((found - expected).abs() <= rel * expected.abs(), "{found:e}, expected {expected:e}");
}

fn arm(n: u64, value: f64, variance: f64) -> Arm {
    Arm::new(n, value, variance).unwrap()
}

/// `StudentsT::inverse_cdf`: 3e-6, 6.5e-5 and 7 % off, and at the last it does not return.
#[test]
fn t1_quantiles_of_many_degrees() {
    for (df, t) in [(1e5, 1.959_987_707_534_61), (5e5, 1.959_968_729_093_805), (1e7, 1.959_964_221_767_205_5)] {
        near(student::upper_quantile(0.025, df), t, 1e-12);
    }
    near(student::upper_quantile(0.025, 1e8), 1.959_964_008_262_766_8, 1e-12);
}

/// `statrs`: ten digits of the normal tail, 1.635 for a probability, six digits of t's tail.
#[test]
fn t2_tails_that_have_few_digits_elsewhere() {
    near(normal::upper_tail(5.0), 2.866_515_718_791_939e-7, 1e-13);
    near(beta::cdf(0.05, 5e7, 9.5e8), 0.500_017_365_388_98, 1e-11);
    near(student::ln_upper_tail(6.0, 1e9).exp(), 9.865_879_822_492_46e-10, 1e-11);
}

/// 2·(1 − cdf): 7 % off at z = 8, and 0 beyond 8.3.
#[test]
fn t3_small_p_values_have_digits() {
    let test = |difference: f64| welch::welch(&arm(100_000, 1.0, 0.5), &arm(100_000, 1.0 + difference, 0.5), ALPHA);
    let at = |z: f64| test(z * 1e-5_f64.sqrt()).unwrap();
    near(at(8.0).p.log10(), (2.0 * 6.22e-16_f64).log10(), 2e-3);
    near(at(8.0).p.value(), 2.0 * student::ln_upper_tail(at(8.0).t, at(8.0).df).exp(), 1e-12);
    for z in [8.3, 12.0, 37.0, 60.0] {
        let p = at(z).p;
        assert!(p.value() > 0.0 && p.log10() < -15.0, "{z}: {p:?}");
        near(p.log10(), (normal::ln_upper_tail(z) + 2_f64.ln()) / 10_f64.ln(), 0.02);
    }
}

/// (Σy² − (Σy)²/n)/(n − 1) in doubles: −2 for NIST's NumAcc4 (true: 0.01), 128 for 10⁹ + {0, 1, 2} (true: 0.75).
#[test]
fn t4_a_variance_is_formed_in_integers() {
    let exact = |values: &[i64]| {
        let sum = values.iter().map(|y| i128::from(*y)).sum();
        let sum_sq = values.iter().map(|y| I256::from(*y) * I256::from(*y)).sum();
        Moments::exact(values.len() as u64, sum, sum_sq).unwrap()
    };
    // 10,000,000.2, then 500 times .1 and .3, in millionths.
    let mut num_acc_4 = vec![10_000_000_200_000_i64];
    (0..500).for_each(|_| num_acc_4.extend([10_000_000_100_000, 10_000_000_300_000]));
    assert_eq!(exact(&num_acc_4).variance(), Some(0.01));
    assert_eq!(exact(&num_acc_4).mean(), Some(10_000_000.2));
    let large: Vec<i64> = (0..9).map(|i| 1_000_000_000_000_000 + i % 3 * 1_000_000).collect();
    assert_eq!(exact(&large).variance(), Some(0.75));
    assert_eq!(Moments::of(&large.iter().map(|y| *y as f64 / 1e6).collect::<Vec<_>>()).unwrap().variance(), Some(0.75));
}

/// exp of an e-value overflows, and 1/e over the odds passes 1.
#[test]
fn t5_e_values_stay_logarithms() {
    let look = msprt::msprt(0.05, 1e-8, 1e-4, ALPHA).unwrap();
    near(look.ln_lambda, 124_982.896_029_691_53, 1e-12);
    assert!(look.p.value() > 0.0 && look.p.log10() < -50_000.0);
    let (control, treatment) = (arm(1_000_000_000, 1.0, 1.0), arm(1_000_000_000, 1.1, 1.0));
    let look = confidence_sequence::absolute(&control, &treatment, ALPHA, 5_000).unwrap();
    assert!(look.ln_e > 2e6 && look.p.log10() < -800_000.0, "{look:?}");
    let null = confidence_sequence::absolute(&control, &control, ALPHA, 5_000).unwrap();
    assert_eq!(null.p.value(), 1.0);
}

/// A τ that shrinks with the sample makes the bound a constant (3.585 standard errors); ours must widen for ever.
#[test]
fn t6_the_bound_grows_with_the_sample() {
    let bounds: Vec<f64> = [1e-4, 1e-8, 1e-16, 1e-32]
        .map(|variance: f64| {
            let look = msprt::msprt(0.0, variance, 1e-4, ALPHA).unwrap();
            look.difference.high / variance.sqrt()
        })
        .to_vec();
    assert!(bounds.windows(2).all(|pair| pair[1] > pair[0] + 0.2), "{bounds:?}");
    let bounds = [1_000, 1_000_000, 1_000_000_000].map(|n| {
        let look = confidence_sequence::absolute(&arm(n, 0.0, 1.0), &arm(n, 0.0, 1.0), ALPHA, 5_000).unwrap();
        look.difference.high / look.se
    });
    assert!(bounds[1] > bounds[0] + 0.2 && bounds[2] > bounds[1] + 0.2, "{bounds:?}");
}

/// The p-value of the difference beside the interval of the lift: far apart for large effects.
#[test]
fn t7_each_interval_has_its_own_p_value() {
    let (control, treatment) = (arm(1_000, 1.0, 4.0), arm(1_000, 2.0, 4.0));
    let absolute = welch::welch(&control, &treatment, ALPHA).unwrap();
    let relative = lift::lift(&control, &treatment, ALPHA).unwrap();
    assert!(absolute.p.log10() < relative.p.log10() - 10.0, "{} {}", absolute.p, relative.p);
    near(
        relative.p.value(),
        2.0 * student::ln_upper_tail(relative.lift.estimate / relative.se, relative.df).exp(),
        1e-12,
    );
}

/// Dividing by the signed mean: a rise from −2.5 to −2.1 becomes a fall.
#[test]
fn t8_a_rise_over_a_negative_baseline_is_a_rise() {
    let (control, treatment) = (arm(500, -2.5, 3.8), arm(520, -2.1, 4.4));
    let lift = lift::lift(&control, &treatment, ALPHA).unwrap().lift;
    near(lift.estimate, 0.16, 1e-12);
    let Ok(crate::fieller::Fieller::Bounded { lift, .. }) = crate::fieller::fieller(&control, &treatment, ALPHA) else {
        panic!("unbounded")
    };
    assert!(0.0 < lift.low && lift.low < lift.estimate && lift.estimate < lift.high, "{lift:?}");
    near(lift.estimate, 0.16, 1e-12);
}

/// The cluster's ratio upside down: events that repeat within their unit would look like more knowledge. And a prior
/// that is on the absolute scale when effects are relative: the unit of money would decide.
#[test]
fn t9_clusters_widen_and_priors_have_no_currency() {
    let alone: Vec<f64> = (0..400).map(|i| f64::from(i * 7919 % 400)).collect();
    let repeated: Vec<Vec<f64>> = alone.iter().map(|y| vec![*y; 5]).collect();
    let plain = quantile(&repeated.concat(), 0.5, ALPHA).unwrap();
    let clustered = clustered_quantile(&repeated, 0.5, ALPHA).unwrap();
    near(clustered.arm.variance() / plain.arm.variance(), 5.0, 0.01);
    let posterior = |unit: f64| {
        let arms = (arm(900, 10.0 * unit, 400.0 * unit * unit), arm(900, 10.5 * unit, 400.0 * unit * unit));
        normal_posterior(&arms.0, &arms.1, Prior::DEFAULT, false, ALPHA).unwrap()
    };
    near(posterior(100.0).lift.estimate, posterior(1.0).lift.estimate, 1e-12);
    near(posterior(100.0).sd, posterior(1.0).sd, 1e-12);
}

/// p = 0 where nothing varies; degrees of freedom for arms that nobody is sent to.
#[test]
fn t10_no_variance_and_no_weight() {
    let (still, varied) = (arm(8, 2.0, 0.0), arm(5, 4.2, 9.7));
    assert_eq!(welch::welch(&still, &varied, ALPHA).map(|test| test.df), Ok(4.0));
    assert_eq!(welch::welch(&still, &arm(8, 3.0, 0.0), ALPHA), Err(NoNumber::ZeroVariance));
    let (with, without) =
        (srm::chi_square(&[510, 490, 0], &[0.5, 0.5, 0.0]), srm::chi_square(&[510, 490], &[1.0, 1.0]));
    assert_eq!(with, without);
    assert_eq!(with.map(|test| test.df), Ok(1));
}

/// A variance below 0 where the covariate tells all.
#[test]
fn t11_a_covariate_that_tells_all_leaves_no_variance() {
    let pair = |times: i64, over: i64| {
        let units = (0..50).map(|i| (1_000_000 + times * (i * 37 % 50) * 33_333, over * (i * 37 % 50) * 33_333));
        let mut sums = PairSums::default();
        for (y, x) in units {
            let (y_wide, x_wide) = (I256::from(y), I256::from(x));
            (sums.n, sums.y, sums.x) = (sums.n + 1, sums.y + i128::from(y), sums.x + i128::from(x));
            sums.y_sq += y_wide * y_wide;
            sums.x_sq += x_wide * x_wide;
            sums.xy += y_wide * x_wide;
        }
        PairMoments::exact(&sums).unwrap()
    };
    for (times, over) in (1..20).flat_map(|times| [(times, 3), (times, 7), (times, 11)]) {
        let adjusted = cuped::cuped(&pair(times, over), &pair(times, over)).unwrap();
        near(adjusted.theta, times as f64 / over as f64, 1e-12);
        assert!(adjusted.clamped, "{adjusted:?}");
        assert_eq!(adjusted.control.unit_variance(), 0.0);
        assert_eq!(adjusted.welch(ALPHA), Err(NoNumber::ZeroVariance));
    }
}
