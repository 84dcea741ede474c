//! Every case of every file in `golden/`, every field of `expected`. The format is told in `golden/README.md`.
//!
//! A method is a row of [`METHODS`] and a function in one of the files below; a case needs neither.

mod compare;
mod input;
mod means;
mod numerics;
mod others;
mod shares;
mod walk;

use input::{Fields, Input};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What works a method's fields out of a case's input.
type Method = fn(&Input<'_>) -> Result<Fields, String>;

const METHODS: &[(&str, Method)] = &[
    ("welch_t_absolute", means::welch_t_absolute),
    ("relative_lift_ci", means::relative_lift_ci),
    ("ratio_delta", means::ratio_delta),
    ("cuped", means::cuped),
    ("capped_mean_absolute", means::capped_mean_absolute),
    ("capped_mean_percentile", means::capped_mean_percentile),
    ("quantile_effect_iid", means::quantile_effect_iid),
    ("quantile_effect_clustered", means::quantile_effect_clustered),
    ("two_proportion", shares::two_proportion),
    ("beta_binomial", shares::beta_binomial),
    ("srm_chi_square", shares::srm_chi_square),
    ("srm_sequential_multinomial", shares::srm_sequential_multinomial),
    ("asymptotic_confidence_sequence", walk::asymptotic_confidence_sequence),
    ("msprt_normal", walk::msprt_normal),
    ("msprt_running_p", walk::msprt_running_p),
    ("alpha_spending_two_sided", walk::alpha_spending_two_sided),
    ("classical_constants", walk::classical_constants),
    ("type_one_error_of_peeking", walk::type_one_error_of_peeking),
    ("normal_posterior_relative_lift", others::normal_posterior_relative_lift),
    ("normal_prob_best", others::normal_prob_best),
    ("p_adjust", others::p_adjust),
    ("proportions_baseline_null_variance", others::proportions_baseline_null_variance),
    ("proportions_unpooled", others::proportions_unpooled),
    ("proportions_pooled", others::proportions_pooled),
    ("means_normal", others::means_normal),
    ("means_normal_ratio", others::means_normal_ratio),
    ("means_t", others::means_t),
    ("mde_from_se", others::mde_from_se),
    ("power_normal", others::power_normal),
    ("mean_and_variance", numerics::mean_and_sd),
    ("mean_and_sd", numerics::mean_and_sd),
    ("merge_moments", numerics::merge_moments),
    ("normal_upper_tail", numerics::normal_upper_tail),
    ("normal_inverse_upper_tail", numerics::normal_inverse_upper_tail),
    ("student_upper_tail", numerics::student_upper_tail),
    ("student_inverse_upper_tail", numerics::student_inverse_upper_tail),
    ("chi_square_upper_tail", numerics::chi_square_upper_tail),
    ("beta_cdf", numerics::beta_cdf),
];

/// What is wrong with one case; empty when nothing is.
fn check(case: &Value) -> Vec<String> {
    let method = case["method"].as_str().unwrap_or_default();
    let Some((_, work_out)) = METHODS.iter().find(|(name, _)| *name == method) else {
        return vec![format!("unknown method {method:?}")];
    };
    match work_out(&Input::new(&case["input"])) {
        Ok(fields) => compare::fields(method, &case["expected"], &fields, &case["tolerance"]),
        Err(why) => vec![why],
    }
}

#[test]
fn every_case_is_inside_its_tolerance() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let (mut cases_seen, mut wrong) = (0, Vec::new());
    for path in &paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let cases = file["cases"].as_array().filter(|cases| !cases.is_empty());
        for case in cases.unwrap_or_else(|| panic!("{name}: no cases")) {
            cases_seen += 1;
            let id = case["id"].as_str().unwrap_or("without id");
            wrong.extend(check(case).into_iter().map(|what| format!("{name} {id}: {what}")));
        }
    }
    println!("{cases_seen} cases in {} files", paths.len());
    assert!(cases_seen > 0 && wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What the walk must not let pass: one case, changed in one place, and how the complaint begins.
#[test]
fn what_differs_is_told() {
    let case = |expected: &str| {
        let text = format!(
            r#"{{"method": "normal_upper_tail", "input": {{"z": 1.0, "more": 1}}, "expected": {expected},
                "tolerance": {{"rel": 1e-10, "abs": 0}}, "colour": "ignored"}}"#
        );
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let told = |case: &Value| check(case).join("; ");
    assert_eq!(told(&case(r#"{"sf": 0.15865525393145705}"#)), "");
    for (expected, complaint) in [
        (r#"{"sf": 0.158655254}"#, "sf: 0.15865525393145702, expected 0.158655254"),
        (r#"{"sf": null}"#, "sf: 0.15865525393145702, expected null"),
        (r#"{"sf": "0.15865525393145705"}"#, "sf: 0.15865525393145702, expected \"0"),
        (r#"{"sf": [0.15865525393145705]}"#, "sf: 0.15865525393145702, expected [0"),
        (r#"{"tail": 0.15865525393145705}"#, "tail: not a field of normal_upper_tail"),
        (r#"{"status": "fine"}"#, "status: unknown status \"fine\""),
        (r#"{}"#, "nothing is expected"),
    ] {
        assert!(told(&case(expected)).starts_with(complaint), "{expected}: {}", told(&case(expected)));
    }
    let mut other = case(r#"{"sf": 1}"#);
    other["method"] = "tail".into();
    assert_eq!(told(&other), "unknown method \"tail\"");
    let mut strict = case(r#"{"sf": 0.15865525393145705}"#);
    strict["tolerance"] = Value::Null;
    assert!(told(&strict).starts_with("tolerance"), "{}", told(&strict));
}
