//! Every run of every protocol under `golden/`.

use std::path::Path;

use crate::PROTOCOLS;
use crate::golden::{count, differences, runs_in};

#[test]
fn every_run_counts_what_its_program_did() {
    let mut faults = Vec::new();
    for protocol in PROTOCOLS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(protocol.name());
        let runs = runs_in(&folder).unwrap();
        assert!(!runs.is_empty(), "no run under {}", folder.display());
        for run in runs {
            match count(&run) {
                Ok(counted) => faults
                    .extend(differences(&run.expected, &counted).into_iter().map(|d| format!("{}: {d}", run.name))),
                Err(fault) => faults.push(fault),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
