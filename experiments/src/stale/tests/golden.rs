//! The walk over `golden/stale/`: a file dropped in is tested with no line of code.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use super::case_file::{CaseFile, Expected};
use crate::stale::{Advice, BlockerCode, Fleet, Hours, ReasonCode, Status, Verdict, judge};

#[test]
fn every_case_is_judged_as_its_file_expects() {
    let (files, mut wrong) = read();
    for (name, file) in &files {
        let verdicts = judge(&file.fleet);
        assert!(!file.expected.is_empty(), "{name} expects nothing");
        for expected in &file.expected {
            match verdicts.iter().find(|verdict| verdict.key == expected.key) {
                Some(verdict) => wrong.extend(differences(expected, verdict).map(|what| format!("{name}: {what}"))),
                None => wrong.push(format!("{name}: {}: no such flag in the file", expected.key)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn score_and_confidence_fall_with_coverage() {
    for (name, file) in files() {
        let shares = [1000, 999, 990, 950, 949, 500, 10, 0];
        let steps: Vec<_> = shares.iter().map(|share| judge(&covered(&file.fleet, *share))).collect();
        for pair in steps.windows(2) {
            for (higher, lower) in pair[0].iter().zip(&pair[1]) {
                let key = &higher.key;
                assert!(lower.score <= higher.score, "{name}: {key}: score rises from {higher:?} to {lower:?}");
                assert!(lower.confidence <= higher.confidence, "{name}: {key}: confidence rises");
            }
        }
        if covered(&file.fleet, 0).environments.is_empty() {
            // Nobody asked anywhere: there is nothing to cover.
            continue;
        }
        for (whole, half) in steps[0].iter().zip(&steps[5]) {
            assert!(half.score < whole.score || whole.score == 0, "{name}: {}: score stays", whole.key);
            assert!(half.confidence < whole.confidence, "{name}: {}: confidence stays", whole.key);
        }
    }
}

/// Each word of the rule is expected by some case, so that each can be wrong.
#[test]
fn every_status_reason_blocker_and_advice_has_a_case() {
    let files = files();
    let expected = || files.iter().flat_map(|(_, file)| &file.expected);
    let stale = || expected().filter(|expected| expected.stale == Some(true));
    all_of(&Status::ALL, expected().flat_map(|expected| expected.status.values().copied()));
    all_of(&ReasonCode::ALL, expected().flat_map(|expected| expected.reasons.iter().flatten().copied()));
    all_of(&BlockerCode::ALL, expected().flat_map(|expected| expected.blockers.iter().flatten().copied()));
    all_of(&Advice::ALL, expected().filter_map(|expected| expected.advice?));
    assert!(stale().any(|expected| expected.advice == Some(None)), "no stale flag without advice");
}

#[test]
fn what_the_format_does_not_know_does_not_parse() {
    let file = |expected: &str| {
        CaseFile::parse(&format!(r#"{{"asOf": 1, "other": 2, "flags": [{{"key": "f"}}], "expected": [{expected}]}}"#))
    };
    let refused = |expected: &str, because: &str| {
        let message = file(expected).expect_err(expected).to_string();
        assert!(message.contains(because), "{message}");
    };
    assert!(file(r#"{"key": "f", "stale": false, "reasons": [], "score": 3}"#).is_ok());
    assert!(file(r#"{"key": "f", "status": null, "reasons": null, "blockers": null}"#).is_ok(), "not compared");
    let float = r#"{"asOf": 1.795e12, "settings": {"staleDays": 30.0}, "flags": [], "expected": []}"#;
    let float = CaseFile::parse(float).unwrap().fleet;
    assert_eq!((float.as_of_ms, float.settings.thresholds.stale_days), (1_795_000_000_000, 30));
    refused(r#"{"key": "f", "verdict": 1}"#, "unknown field `verdict`");
    refused(r#"{"key": "f", "reasons": ["OLD"]}"#, "`OLD` is none of NEVER_EVALUATED, ");
    refused(r#"{"key": "f", "blockers": ["OLD"]}"#, "`OLD` is none of DEPENDENTS, ");
    refused(r#"{"key": "f", "status": {"production": "stale"}}"#, "`stale` is none of unknown, ");
    refused(r#"{"key": "f", "advice": "KEEP"}"#, "`KEEP` is none of READY_FOR_CODE_REMOVAL, ");
}

#[test]
fn what_is_null_is_as_if_left_out() {
    let text = r#"{"asOf": 1, "environments": {"production": null}, "expected": [], "flags": [
        {"key": "a", "metadata": {"codeReferences": 0}, "environments": {"production": null}},
        {"key": "b", "metadata": {"codeReferences": ["a.rs"]}, "environments": null},
        {"key": "c", "metadata": {"codeReferences": null}}]}"#;
    let fleet = CaseFile::parse(text).unwrap().fleet;
    assert_eq!(fleet.environments["production"], Default::default());
    assert_eq!(fleet.flags[0].environments["production"], Default::default());
    let references: Vec<_> = fleet.flags.iter().map(|flag| flag.metadata.code_references).collect();
    assert_eq!(references, [Some(0), Some(1), None]);
}

fn all_of<T: Copy + Ord + Debug>(all: &[T], seen: impl Iterator<Item = T>) {
    let missing: Vec<_> = all.iter().copied().collect::<BTreeSet<_>>().difference(&seen.collect()).copied().collect();
    assert!(missing.is_empty(), "no case expects {missing:?}");
}

fn files() -> Vec<(String, CaseFile)> {
    read().0
}

/// The files that parse, and what is wrong with the others: these hide nothing of the former.
fn read() -> (Vec<(String, CaseFile)>, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/stale");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    assert!(!paths.is_empty(), "no cases");
    let parse = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match CaseFile::parse(&fs::read_to_string(path).unwrap()) {
            Ok(file) => Ok((name, file)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    };
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for path in &paths {
        match parse(path) {
            Ok(file) => files.push(file),
            Err(error) => wrong.push(error),
        }
    }
    (files, wrong)
}

fn differences(expected: &Expected, verdict: &Verdict) -> impl Iterator<Item = String> {
    let reasons: BTreeSet<_> = verdict.reasons.iter().map(|reason| reason.code).collect();
    let blockers: BTreeSet<_> = verdict.blockers.iter().map(|blocker| blocker.code).collect();
    let mut found = vec![
        differs("stale", expected.stale.as_ref(), &verdict.stale),
        differs("reasons", expected.reasons.as_ref(), &reasons),
        differs("blockers", expected.blockers.as_ref(), &blockers),
        differs("advice", expected.advice.as_ref(), &verdict.advice),
        differs("forwardVariation", expected.forward_variation.as_ref(), &verdict.forward_variation),
    ];
    for (name, status) in &expected.status {
        let told = verdict.environments.iter().find(|environment| environment.name == *name);
        let what = format!("status in {name}");
        found.push(differs(&what, Some(&Some(*status)), &told.map(|environment| environment.status)));
    }
    let key = verdict.key.clone();
    found.into_iter().flatten().map(move |what| format!("{key}: {what}"))
}

fn differs<T: PartialEq + Debug>(what: &str, expected: Option<&T>, told: &T) -> Option<String> {
    let expected = expected.filter(|expected| *expected != told)?;
    Some(format!("{what} is {told:?}, expected {expected:?}"))
}

/// The same fleet, all environments heard for this share of 1,000 hours.
fn covered(fleet: &Fleet, reported: u64) -> Fleet {
    let mut fleet = fleet.clone();
    let named = fleet.flags.iter().flat_map(|flag| flag.environments.keys()).cloned().collect::<BTreeSet<_>>();
    for name in named {
        fleet.environments.entry(name).or_default();
    }
    for environment in fleet.environments.values_mut() {
        environment.hours = Some(Hours { expected: 1000, reported });
    }
    fleet
}
