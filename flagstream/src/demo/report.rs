//! How the demo ends: a table by flag, why the old path differs, and what that means.
//!
//! Always true here: the numbers are those that were judged.

use std::collections::BTreeMap;

use super::script::Part;
use super::state::{number, signed};
use super::told::{Comparison, Paths};
use super::truth::Truth;
use super::verdict::{Numbers, Verdict};
use crate::read::words::{right, table};

/// Faults that are told; of more their number.
const FAULTS_MAX: usize = 10;

/// What each cause means, in the order in which they are told.
const CAUSES: [(&str, &str); 10] = [
    ("duplicate", "sent again by an SDK that had no answer, and so written again"),
    ("late", "older than a week on arrival"),
    ("write_refused", "refused by the store at each attempt: lost"),
    ("write_uncertain", "no answer: written, or lost"),
    ("written_twice", "no answer, then written: perhaps twice"),
    ("in_flight", "nothing is told of them yet"),
    ("job_refused", "no job was enqueued"),
    ("job_waiting", "no worker has taken the job yet"),
    ("job_lost", "given up after five deliveries: lost"),
    ("job_redelivered", "delivered again, and perhaps done again"),
];

/// All of it.
pub fn text(truth: &Truth, told: &Comparison, verdict: &Verdict) -> String {
    let mut text =
        format!("\nEvaluations sent in shadow and live, where both paths are written\n{}\n", by_flag(truth, told));
    text.push_str("\nWhy the old path differs\n");
    text.push_str(&by_cause("evaluations", told.evaluations.values()));
    text.push_str(&by_cause("custom events", told.events.values()));
    text.push_str(&format!("  {:>20}  unexplained\n\n", number(verdict.numbers.unexplained)));
    text.push_str(&sentence(verdict));
    text
}

fn by_flag(truth: &Truth, told: &Comparison) -> String {
    let mut flags: BTreeMap<&str, [i64; 3]> = BTreeMap::new();
    for ((flag, _), paths) in &told.evaluations {
        let row = flags.entry(flag).or_default();
        row[1] += paths.old_of_both();
        row[2] += paths.new_of_both();
    }
    let evaluated = truth.evaluated();
    for evaluated in &evaluated {
        let sent = i64::try_from(truth.evaluations(Part::Both, evaluated)).unwrap_or(i64::MAX);
        flags.entry(&evaluated.0).or_default()[0] += sent;
    }
    let mut rows: Vec<(&str, [i64; 3])> = flags.into_iter().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row[0]));
    let total = rows.iter().fold([0; 3], |sum, (_, row)| [sum[0] + row[0], sum[1] + row[1], sum[2] + row[2]]);
    let mut table = table(&["flag", "sent", "old path", "difference", "new path", "difference"]);
    for (flag, [sent, old, new]) in rows.into_iter().chain([("all", total)]) {
        let cells = [number(sent), number(old), signed(old - sent), number(new), signed(new - sent)];
        table.add_row([flag.to_owned()].into_iter().chain(cells));
    }
    (1..6).for_each(|column| right(&mut table, column));
    table.to_string()
}

fn by_cause<'a>(what: &str, all: impl Iterator<Item = &'a Paths>) -> String {
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for (name, (low, high)) in all.flat_map(|paths| &paths.causes) {
        let sum = sums.entry(name).or_default();
        *sum = (sum.0 + low, sum.1 + high);
    }
    let line = |(name, words): &(&str, &str)| {
        let (low, high) = sums.get(name).copied().filter(|size| *size != (0, 0))?;
        let size = if low == high { signed(low) } else { format!("{} to {}", signed(low), signed(high)) };
        Some(format!("  {size:>20}  {what}: {} ({words})\n", name.replace('_', " ")))
    };
    CAUSES.iter().filter_map(line).collect()
}

fn sentence(verdict: &Verdict) -> String {
    let Numbers { sent, old, new, duplicate, lost, .. } = verdict.numbers;
    if verdict.faults.is_empty() {
        return format!(
            "{} evaluations were sent in shadow and live. SDKs that had no answer sent again, so that the old path was to write {} of \
             them once more; of all its writes it lost {}, and so it counted {}. The new path counted {}: each flag, each variation \
             and each custom event exactly as sent. What the store could not take waited in the log.",
            number(sent),
            number(duplicate),
            number(lost),
            number(old),
            number(new),
        );
    }
    let told = verdict.faults.iter().take(FAULTS_MAX).map(|fault| format!("\n  {fault}"));
    let more = verdict.faults.len().saturating_sub(FAULTS_MAX);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!("This is not what the demo promises:{}{more}", told.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::payload::Contents;
    use super::super::truth::Served;
    use super::super::verdict::judge;
    use super::*;

    #[test]
    fn a_table_and_a_sentence_tell_what_was_judged() {
        let checkout = ("checkout".to_owned(), Served::Index(0));
        let mut truth = Truth::default();
        truth.add(Part::Both, &Contents { evaluations: vec![(checkout.clone(), 1_000)], events: Vec::new() });
        let causes = [("write_uncertain".to_owned(), (-300, 0)), ("duplicate".to_owned(), (50, 50))].into();
        let paths = Paths { old: 900, new: 1_000, causes };
        let mut told = Comparison { is_complete: true, ..Comparison::default() };
        told.evaluations.insert(checkout.clone(), paths);
        let of = |told: &Comparison| text(&truth, told, &judge(&truth, told, &BTreeMap::new()));
        let printed = of(&told);
        for part in [
            " checkout ",
            " 1,000 ",
            " −100 ",
            "+50  evaluations: duplicate",
            "−300 to 0  evaluations: write uncertain",
            "to write 50 of them once more; of all its writes it lost 150, and so it counted 900",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        told.evaluations.insert(checkout, Paths { old: 900, new: 999, ..Paths::default() });
        let printed = of(&told);
        assert!(
            printed.contains("not what the demo promises") && printed.contains("the new path has 999"),
            "{printed}"
        );
    }
}
