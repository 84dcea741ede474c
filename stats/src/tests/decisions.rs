//! What is wise, case by case: a table of what was seen and what is said of it.

use crate::analysis::{Analysis, Method, Plan, Reading, analyse};
use crate::{Alpha, Arm, NoNumber, Split};

/// A control of mean 10 and a treatment, both of variance 25.
fn seen(units: u64, treatment: f64) -> [Result<Arm, NoNumber>; 2] {
    [Arm::new(units, 10.0, 25.0), Arm::new(units, treatment, 25.0)]
}

fn plan(method: &str) -> Plan {
    let method = Method::named(method).unwrap();
    Plan { method, alpha: Alpha::FIVE_PERCENT, lower_is_better: false, effect_of_interest: None }
}

fn told([control, treatment]: [Result<Arm, NoNumber>; 2], reading: Reading, plan: &Plan) -> Analysis {
    analyse(control, treatment, Split::Sound, reading, plan)
}

#[track_caller]
fn said(analysis: &Analysis, verdict: &str, rule: &str) {
    assert_eq!((analysis.verdict.words(), analysis.rule.words()), (verdict, rule), "{analysis:?}");
}

const SEQUENCE: &str = "asymptotic_confidence_sequence";

#[test]
fn the_confidence_sequence_decides_at_any_look() {
    let of = |units, treatment| told(seen(units, treatment), Reading::Interim, &plan(SEQUENCE));
    said(&of(20_000, 10.5), "treatment better", "the whole interval is better than 0");
    said(&of(20_000, 9.5), "worse: stop", "the whole interval is worse than 0");
    said(&of(20_000, 10.01), "keep running", "0 is in the interval");
    said(&of(99, 20.0), "keep running", "fewer than 100 units in an arm");
    said(&of(1, 20.0), "not enough data", "an arm has too few units");
}

#[test]
fn at_the_end_it_says_that_it_does_not_know() {
    let of = |units, treatment| told(seen(units, treatment), Reading::Final, &plan(SEQUENCE));
    said(&of(20_000, 10.01), "no clear difference", "0 is in the interval");
    said(&of(20, 60.0), "treatment better", "the whole interval is better than 0");
}

#[test]
fn what_is_valid_once_waits_for_its_look() {
    for method in ["fixed", "bayesian"] {
        let of = |reading| told(seen(20_000, 10.5), reading, &plan(method));
        let rule = "this method is valid at one look, at the planned sample or the end";
        said(&of(Reading::Interim), "keep running", rule);
        said(&of(Reading::Final), "treatment better", "the whole interval is better than 0");
    }
}

#[test]
fn where_lower_is_better_signs_stay_and_verdicts_turn() {
    for method in [SEQUENCE, "fixed", "bayesian"] {
        let plan = Plan { lower_is_better: true, ..plan(method) };
        let fell = told(seen(20_000, 9.5), Reading::Final, &plan);
        said(&fell, "treatment better", "the whole interval is better than 0");
        assert!(fell.effect.unwrap().high < 0.0, "treatment less control, whatever one hopes for");
        said(&told(seen(20_000, 10.5), Reading::Final, &plan), "worse: stop", "the whole interval is worse than 0");
    }
}

#[test]
fn a_difference_that_nobody_cares_for_is_called_so() {
    for method in [SEQUENCE, "fixed", "bayesian"] {
        // One per cent of 10 is 0.1; the intervals reach 0.02 to either side.
        let plan = Plan { effect_of_interest: Some(0.01), ..plan(method) };
        let rule = "the whole interval is smaller than the effect of interest";
        said(&told(seen(2_000_000, 10.03), Reading::Final, &plan), "no practical difference", rule);
        let better = told(seen(2_000_000, 10.1), Reading::Final, &plan);
        said(&better, "treatment better", "the whole interval is better than 0");
    }
}

#[test]
fn a_broken_split_overrules_all() {
    let [control, treatment] = seen(20_000, 12.0);
    let of = |split| analyse(control, treatment, split, Reading::Final, &plan(SEQUENCE));
    said(&of(Split::Broken), "broken: sample ratio", "units did not come in the weights asked for (p < 0.001)");
    said(&of(Split::UnexpectedVariation), "broken: unexpected variation", "units in a variation of weight 0");
}

#[test]
fn what_cannot_be_told_has_its_reason() {
    let still = |value| Arm::new(500, value, 0.0);
    let of = |arms, method| told(arms, Reading::Final, &plan(method));
    said(&of([still(1.0), still(2.0)], "fixed"), "not enough data", "all units have the same value");
    let nothing = [Arm::new(500, 0.0, 1.0), Arm::new(500, 1.0, 1.0)];
    said(&of(nothing, "bayesian"), "no answer", "the control's value, or a denominator, is 0");
    let absolute = of(nothing, "fixed");
    said(&absolute, "treatment better", "the whole interval is better than 0");
    assert_eq!(absolute.lift, Err(NoNumber::ZeroDenominator), "the difference is told, the lift cannot be");
    let failed = [Err(NoNumber::OutOfRange), still(1.0)];
    said(&of(failed, SEQUENCE), "no answer", "the sums lie outside of what can be told");
}

#[test]
fn estimate_interval_and_p_value_are_of_the_method_that_is_named() {
    let [control, treatment] = seen(20_000, 10.14);
    let of = |method| told([control, treatment], Reading::Final, &plan(method));
    let (sequence, fixed, bayesian) = (of(SEQUENCE), of("fixed"), of("bayesian"));
    for analysis in [&sequence, &fixed, &bayesian] {
        assert_eq!(Method::named(analysis.method.name()), Some(analysis.method));
        let excludes = analysis.effect.unwrap().excludes_zero();
        assert!(analysis.p.is_none_or(|p| p.is_at_most(0.05) == excludes), "{analysis:?}");
    }
    assert!(fixed.p < sequence.p && fixed.effect.unwrap().low > sequence.effect.unwrap().low);
    assert!(!sequence.is_relative && !fixed.is_relative && bayesian.is_relative);
    assert_eq!(bayesian.lift, bayesian.effect);
    assert!(bayesian.posterior.unwrap().chance_to_beat.value() > 0.99);
    assert!(Method::named("sequential").is_none());
}
