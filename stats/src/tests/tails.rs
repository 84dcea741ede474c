//! Tails and quantiles against values of 60 digits (mpmath 1.4.1), where doubles, `statrs` or both fail.

use crate::special::{beta, chi_square, normal, student};

#[track_caller]
fn near(found: f64, expected: f64, rel: f64) {
    assert!((found - expected).abs() <= rel * expected.abs(), "{found:e}, expected {expected:e}");
}

#[test]
fn normal_tails() {
    for (z, ln_tail) in [
        (-40.0, 0.0),
        (-10.0, -7.619_853_024_160_526e-24),
        (-3.0, -0.001_350_809_964_748_193_8),
        (0.0, -std::f64::consts::LN_2),
        (0.5, -1.175_911_761_593_618_6),
        (8.3, -37.494_217_423_748_25),
        (20.5, -214.066_728_963_263_8),
        (38.0, -726.557_216_018_820_1),
        (50.0, -1_254.831_361_139_419_9),
        (1e3, -500_007.826_694_812_2),
    ] {
        near(normal::ln_upper_tail(z), ln_tail, 1e-13);
    }
    near(normal::upper_tail(8.3), 5.205_569_744_890_254e-17, 1e-13);
    assert!(normal::ln_upper_tail(1e150).is_finite());
}

#[test]
fn normal_quantiles_come_back() {
    for p in [1e-307, 1e-100, 1e-10, 1e-3, 0.025, 0.3, 0.5, 0.7, 0.999] {
        near(normal::upper_tail(normal::upper_quantile(p)), p, 1e-12);
    }
}

#[test]
fn student_tails() {
    for (t, df, log10) in [
        (6.0, 1e9, -9.005_864_179_036_685),
        (37.5, 1e9, -307.336_522_062_036_9),
        (40.0, 1e6, -349.159_007_064_065_1),
        (10.0, 5e4, -23.095_935_740_658_81),
        (100.0, 1e4, -1_507.398_607_523_519),
        (1.0, 2_500.0, -0.799_413_103_368_650_6),
        (8.0, 2_500.0, -15.025_783_936_364_927),
        (40.0, 2_500.0, -270.448_852_285_893_2),
        (30.0, 2_001.0, -163.177_386_353_732_35),
        (5.0, 1_999.0, -6.506_321_972_636_982),
        (20.0, 25.0, -16.470_848_801_877_11),
        (12.0, 60.0, -17.161_581_557_577_086),
        (30.0, 400.0, -103.997_691_974_468_87),
        (2.0, 3.7, -1.215_321_375_962_976_3),
        (200.0, 3.7, -8.174_903_046_340_023),
        (1e-3, 5.0, -0.301_359_843_007_486_7),
    ] {
        near(student::ln_upper_tail(t, df) / std::f64::consts::LN_10, log10, 1e-11);
    }
    near(student::ln_upper_tail(-2.0, 3.7).exp(), 1.0 - 0.060_908_600_952_617, 1e-13);
    assert!(student::ln_upper_tail(1e300, 3.0).is_finite());
    assert!(student::ln_upper_tail(1e300, 1e7).is_finite());
}

#[test]
fn student_tail_has_no_step_where_the_way_changes() {
    for t in [0.01, 1.0, 3.0, 10.0, 30.0] {
        near(student::ln_upper_tail(t, 2_000.0 + 1e-9), student::ln_upper_tail(t, 2_000.0), 1e-12);
    }
}

#[test]
fn student_quantiles() {
    for (p, df, t) in [
        (0.025, 2_100.0, 1.961_094_277_805_286_5),
        (0.005, 1.0, 63.656_741_162_871_58),
        (1e-10, 2.5, 8_765.437_771_364_572),
        (0.4, 0.7, 0.356_031_365_234_670_3),
        (5e-4, 1e5, 3.290_624_031_411_883),
    ] {
        near(student::upper_quantile(p, df), t, 1e-12);
    }
    for p in [1e-60, 1e-12, 0.2, 0.499_999, 0.5, 0.9] {
        for df in [1.0, 4.5, 300.0, 1e12] {
            near(student::ln_upper_tail(student::upper_quantile(p, df), df).exp(), p, 1e-10);
        }
    }
}

#[test]
fn chi_square_tails() {
    for (x, df, ln_tail) in [
        (2_000.0, 1.0, -1_004.026_741_958_951_9),
        (1_500.0, 3.0, -746.568_515_157_819_5),
        (1e5, 2.0, -50_000.0),
        (5.0, 10.0, -0.115_211_074_706_929_97),
        (0.01, 1.0, -0.083_007_412_170_328),
        (50.0, 49.0, -0.836_009_520_516_204_9),
        (3e-5, 4.0, -1.124_988_750_126_561e-10),
    ] {
        near(chi_square::ln_upper_tail(x, df), ln_tail, 1e-11);
    }
    assert_eq!(chi_square::ln_upper_tail(0.0, 3.0), 0.0);
}

#[test]
fn beta_quantiles_come_back() {
    for (a, b) in [(1.0, 201.0), (0.5, 0.5), (101.0, 901.0), (5e7, 9.5e8), (1e6, 3.0)] {
        for p in [1e-18, 1e-6, 0.025, 0.5, 0.975] {
            let x = beta::quantile(p, a, b);
            // Near 1 a double of x holds fewer digits of 1 − x.
            near(beta::cdf(x, a, b), p, 1e-7);
        }
    }
    assert_eq!((beta::cdf(0.0, 2.0, 3.0), beta::cdf(1.0, 2.0, 3.0)), (0.0, 1.0));
}
