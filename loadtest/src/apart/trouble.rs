//! A time of trouble, and whether clients and numbers went through it as they must.
//!
//! Always true here: what a trouble must come to is said before it begins; a trouble that troubled nobody does not
//! hold, since it has shown nothing.

use super::seen::{Seen, seen};
use crate::report::table;
use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;
use std::ops::Range;
use std::path::Path;

/// What clients must meet while a trouble lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub(super) enum Clients {
    /// Whatever: the numbers alone must hold
    Anything,
    /// 503 and nothing else: where nothing can be kept, nothing is acknowledged
    Denied,
    /// 2xx and nothing else: it is no trouble of theirs
    Unaware,
}

/// A trouble as it went.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) what: &'static str,
    /// Unix milliseconds; from when it was there whole to when its end began.
    pub(super) lasted: Range<i64>,
    pub(super) clients: Clients,
}

/// What was found of a trouble.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    what: &'static str,
    seconds: f64,
    clients: Clients,
    during: Seen,
    /// What is not as it must be.
    wrong: Vec<String>,
}

/// Looks each trouble up in the ledger.
///
/// # Errors
/// The ledger cannot be read.
pub(super) fn look(ledger: &Path, troubles: &[Trouble]) -> Result<Vec<Found>> {
    let intervals: Vec<Range<i64>> = troubles.iter().map(|trouble| trouble.lasted.clone()).collect();
    let seen = seen(ledger, &intervals)?;
    Ok(troubles.iter().zip(seen).map(|(trouble, during)| judge(trouble, during)).collect())
}

fn judge(trouble: &Trouble, during: Seen) -> Found {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, otherwise: String| {
        if !holds {
            wrong.push(otherwise);
        }
    };
    let Seen { attempts, acknowledged, acknowledged_within, denied, other, .. } = during;
    match trouble.clients {
        Clients::Anything => {}
        Clients::Denied => {
            must(denied > 0, "nobody was answered 503: the trouble has shown nothing".to_owned());
            must(acknowledged_within == 0, format!("{acknowledged_within} were answered 2xx"));
            must(other == 0, format!("{other} were answered neither 2xx nor 503, or not at all"));
        }
        Clients::Unaware => {
            must(attempts > 0, "nobody sent anything: the trouble has shown nothing".to_owned());
            must(acknowledged == attempts, format!("{} were not answered 2xx", attempts - acknowledged));
        }
    }
    let seconds = (trouble.lasted.end - trouble.lasted.start) as f64 / 1_000.0;
    Found { what: trouble.what, seconds, clients: trouble.clients, during, wrong }
}

impl Found {
    pub(super) fn holds(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Prints them for people.
pub(super) fn print(found: &[Found]) {
    if found.is_empty() {
        return;
    }
    let mut table = table(["trouble", "s", "sent", "2xx", "503", "other", "p50 ms", "p99 ms"]);
    for Found { what, seconds, during, .. } in found {
        table.add_row([
            (*what).to_owned(),
            format!("{seconds:.1}"),
            during.attempts.to_string(),
            during.acknowledged.to_string(),
            during.denied.to_string(),
            during.other.to_string(),
            during.p50_ms.to_string(),
            during.p99_ms.to_string(),
        ]);
    }
    println!("{table}");
    for found in found {
        found.wrong.iter().for_each(|wrong| println!("{}: {wrong}", found.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with so many 2xx, 2xx before the end, 503 and others.
    fn wrong(clients: Clients, [acknowledged, acknowledged_within, denied, other]: [u64; 4]) -> Vec<String> {
        let attempts = acknowledged + denied + other;
        let during = Seen { attempts, acknowledged, acknowledged_within, denied, other, ..Seen::default() };
        judge(&Trouble { what: "it", lasted: 0..1_000, clients }, during).wrong
    }

    #[test]
    fn denied_is_503_and_no_2xx_and_somebody_was() {
        assert_eq!(wrong(Clients::Denied, [3, 0, 7, 0]), [""; 0], "3 were sent at its end and answered after it");
        assert_eq!(wrong(Clients::Denied, [1, 1, 7, 0]), ["1 were answered 2xx"]);
        assert_eq!(wrong(Clients::Denied, [0, 0, 7, 2]), ["2 were answered neither 2xx nor 503, or not at all"]);
        assert_eq!(wrong(Clients::Denied, [3, 0, 0, 0]), ["nobody was answered 503: the trouble has shown nothing"]);
    }

    #[test]
    fn unaware_is_2xx_for_everybody() {
        assert_eq!(wrong(Clients::Unaware, [7, 6, 0, 0]), [""; 0]);
        assert_eq!(wrong(Clients::Unaware, [7, 6, 1, 1]), ["2 were not answered 2xx"]);
        assert_eq!(wrong(Clients::Unaware, [0; 4]), ["nobody sent anything: the trouble has shown nothing"]);
        assert_eq!(wrong(Clients::Anything, [0; 4]), [""; 0]);
    }
}
