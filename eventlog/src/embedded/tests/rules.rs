//! Each rule of the log, broken once: the checks of this folder must notice.

use super::super::{Break, Options};
use super::{flips, power, small};
use crate::files::forgetful::seeds;

/// All that must hold; the first broken promise in words.
fn check_all(seeds: u64, change: impl Fn(Options) -> Options) -> Result<(), String> {
    for partitions in [1, 4] {
        let options = change(small(partitions));
        flips::maim(&options)?;
        flips::flip_everywhere(&options)?;
        flips::flip_while_open(&options)?;
        power::lives(0..seeds, &options)?;
    }
    Ok(())
}

#[test]
fn a_broken_rule_is_noticed() {
    let seeds = seeds(300);
    let rules = [
        Break::NoSync,
        Break::AckBeforeSync,
        Break::NoDirSync,
        Break::NoIdleMarker,
        Break::NoTailRule,
        Break::RetainNothing,
        Break::TrimWithoutSync,
        Break::NoChecksum,
        Break::CarryOn,
        Break::NoRewrite,
        Break::NoCutBack,
        Break::NoChain,
    ];
    let unnoticed = |&&rule: &&Break| {
        let noticed = check_all(seeds, |options| options.breaking(rule));
        println!("{rule:?}: {noticed:?}");
        noticed.is_ok()
    };
    let unnoticed: Vec<_> = rules.iter().filter(unnoticed).collect();
    assert!(unnoticed.is_empty(), "nobody notices {unnoticed:?}");
    check_all(seeds, |options| options).unwrap();
}
