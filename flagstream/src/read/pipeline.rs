//! How far the numbers are behind the log, as a table.
//!
//! Always true here: times are UTC; lengths of time have their unit.

use super::answer::Json;
use super::words::{grouped, length, right, second, table, text};

/// What people read, and how it is read from a partition.
type Column = (&'static str, fn(&Json) -> String);

const COLUMNS: [Column; 10] = [
    ("partition", |partition| text(&partition["partition"])),
    ("oldest record kept", |partition| grouped(&text(&partition["first"]))),
    ("end of the log", |partition| grouped(&text(&partition["end"]))),
    ("counted up to", |partition| grouped(&text(&partition["position"]))),
    ("lag (records)", |partition| grouped(&text(&partition["lag"]))),
    ("log time (UTC)", |partition| second(&partition["logTime"])),
    ("remembers ids for", |partition| length(&partition["dedupeAgeMs"])),
    ("worked on by", |partition| text(&partition["owner"]["name"])),
    ("flushed (UTC)", |partition| second(&partition["owner"]["flushed"])),
    ("writes refused", |partition| grouped(&text(&partition["owner"]["refusedWrites"]))),
];

/// Lag by partition, and what the server warns of.
pub(super) fn pipeline(answer: &Json) -> String {
    let mut table = table(&COLUMNS.map(|(header, _)| header));
    for partition in answer["partitions"].items() {
        table.add_row(COLUMNS.map(|(_, cell)| cell(partition)));
    }
    for column in [0, 1, 2, 3, 4, 6, 9] {
        right(&mut table, column);
    }
    let lag = &answer["lag"];
    let warnings = answer["warnings"].items().iter().map(|warning| format!("\nwarning: {}", text(warning)));
    let warnings: String = warnings.collect();
    let (records, seconds) = (grouped(&text(&lag["records"])), text(&lag["seconds"]));
    format!(
        "lag: {records} records, {seconds} s at most\n{table}\nrecords are told by offset; – = not known, or all{warnings}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::answer::Answer;
    use super::*;

    fn shown_pipeline(text: &str) -> String {
        pipeline(&Answer::read(text).unwrap().json().unwrap())
    }

    #[test]
    fn warnings_of_the_pipeline_are_shown() {
        let printed = shown_pipeline(
            r#"{"partitions": [{"partition": 0, "lag": 2}], "lag": {"records": 2, "seconds": 0.5}, "warnings": ["the window is short"]}"#,
        );
        assert!(printed.starts_with("lag: 2 records, 0.5 s at most\n"), "{printed}");
        assert!(printed.ends_with("warning: the window is short"), "{printed}");
    }

    #[test]
    fn columns_are_words_and_times_read_well() {
        let printed = shown_pipeline(
            r#"{"partitions": [{"dedupeAgeMs": 90500, "end": 12345, "first": 7, "lag": 1001, "logTime": 1768480491789,
                "partition": 3, "position": 11344}], "lag": {"records": 1001, "seconds": 5.0}}"#,
        );
        for part in ["counted up to", " 12,345 ", " 1,001 ", " 2026-01-15 12:34:51 ", " 90 s "] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        for raw in ["logTime", "dedupeAgeMs", "1768480491789", "position"] {
            assert!(!printed.contains(raw), "{raw}: {printed}");
        }
        let empty = shown_pipeline(r#"{"partitions": [{"partition": 0, "logTime": null, "dedupeAgeMs": null}]}"#);
        assert_eq!(empty.lines().nth(4).unwrap_or_default().matches('–').count(), 9, "{empty}");
    }

    #[test]
    fn lengths_of_time_have_their_unit() {
        for (ms, expected) in [("999", "0 s"), ("599999", "599 s"), ("600000", "10 min"), ("36000000", "10 h")] {
            assert_eq!(length(&Json::Number(ms.to_owned())), expected);
        }
    }
}
