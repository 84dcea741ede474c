//! What was there and is not any more, or is another: records, a topic, a broker, a row. Each ends a process with what
//! to do; nothing is skipped, and nothing is begun anew by itself.

use std::path::Path;

use super::kafka::{delete_records, delete_topic};
use super::{ALL, Apart, said_until, server};
use crate::command::SUMMARY;
use crate::server::Server;

/// An environment that takes the tests' key, and flushes that a test need not wait for.
const ENVIRONMENT: &str = "flush_seconds = 1\n[[environment]]\nproject = \"default\"\nkey = \"development\"\n\
                           server_keys = [\"sdk-test-0123456789\"]\n";

impl Apart {
    /// On DynamoDB, with all records in one partition.
    fn of_one_partition(name: &str) -> Self {
        let mut apart = Self::on_dynamodb(name);
        apart.log.iter_mut().filter(|(field, _)| *field == "partitions").for_each(|(_, value)| *value = "1".to_owned());
        apart
    }

    fn start(&self, role: &str, file: &Path, data: &str) -> Server {
        Server::start_command(self.command(role, file, data), None)
    }

    fn topic(&self) -> String {
        format!("{}.g1", self.name)
    }

    /// Sends payloads of these numbers.
    fn send(&self, file: &Path, numbers: std::ops::Range<u32>) {
        let ingest = self.start("ingest", file, "ingest");
        for number in numbers {
            assert_eq!(ingest.bulk(&format!("payload-{number}"), SUMMARY).0, 202);
        }
        assert!(ingest.stop().success());
    }

    /// Lets a processor with this data count all that the log has, which are so many records, and stop.
    fn count(&self, file: &Path, data: &str, records: u32) {
        let processor = self.start("process", file, data);
        processor.until("all durable", || {
            let (_, text) = processor.send("GET", "/metrics", &[], b"");
            let values = |name: &str| -> Vec<u32> {
                let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.split_once("} "));
                lines.map(|(_, value)| value.parse().expect("a whole number")).collect()
            };
            let end: u32 = values("flagstream_processor_log_end_offset{").iter().sum();
            end == records && values("flagstream_processor_lag_records{") == [0]
        });
        let (_, text) = processor.send("GET", "/metrics", &[], b"");
        let units = text.lines().find_map(|line| line.strip_prefix("flagstream_store_write_units_total "));
        assert!(units.is_some_and(|units| units.parse::<u32>().expect("a whole number") >= 3), "{text}");
        assert!(processor.stop().success());
    }

    /// How a processor with this data ends, each time it is started: with these words.
    fn ends(&self, file: &Path, data: &str, words: &[&str]) {
        for _ in 0..2 {
            let done = self.command("process", file, data).output().expect("run it");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(1), "{said}");
            for word in words {
                assert!(said.contains(word), "it does not say {word:?}: {said}");
            }
        }
    }
}

#[test]
fn records_that_are_gone_before_they_were_counted_are_numbered() {
    let apart = Apart::of_one_partition("overrun");
    apart.set_up();
    let file = apart.configured("", ENVIRONMENT, "");
    apart.send(&file, 0..5);
    apart.count(&file, "data", 1 + 5);
    apart.send(&file, 5..9);
    delete_records(&server("FLAGSTREAM_TEST_KAFKA"), &apart.topic(), 0);
    let todo = "restore a snapshot at or above 10, or begin another generation";
    let said = "held from offset 10, but reading must begin at 6: 4 records are lost to the counts";
    apart.ends(&file, "data", &[said, todo]);
    // A processor that has neither the state nor a snapshot of it.
    let said = "held from offset 10, but reading must begin at 0: 10 records are lost to the counts";
    apart.ends(&file, "fresh", &[said, todo]);
}

#[test]
fn a_topic_made_again_is_told_from_the_one_before() {
    let apart = Apart::of_one_partition("remade");
    apart.set_up();
    let file = apart.configured("", ENVIRONMENT, "");
    apart.send(&file, 0..5);
    apart.count(&file, "data", 1 + 5);
    delete_topic(&server("FLAGSTREAM_TEST_KAFKA"), &apart.topic());
    apart.refused(&ALL, &file, &["there is no topic", "flagstream setup"]);
    let counted =
        "is empty, and the store has counted 6 records of it: the log was made again; set log.generation to one";
    apart.refused(&["setup"], &file, &[counted]);
    apart.refused(&ALL, &file, &["has no first record", "if the topic was made again, set log.generation"]);

    // Somebody else begins the new topic, with a store of their own.
    let other = format!("prefix = \"{}_other_\"\n{ENVIRONMENT}", apart.name);
    let done = apart.run("setup", &apart.configured("", &other, ""));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    apart.configured("", ENVIRONMENT, "");
    for data in ["data", "fresh"] {
        apart.ends(
            &file,
            data,
            &["the checkpoint stands at 6, but the log ends at 1", "another one; begin another generation"],
        );
    }
    apart.send(&file, 10..19);
    for data in ["data", "fresh"] {
        let said = ["the record before the checkpoint's position 6 has fingerprint", "this is another log"];
        apart.ends(&file, data, &said);
    }
}

#[test]
fn a_row_of_another_generation_is_compared() {
    let (one, other) = (Apart::on_dynamodb("row"), Apart::on_dynamodb("line"));
    let prefix = one.store.iter().find(|(field, _)| *field == "prefix").expect("a prefix").1.clone();
    one.set_up();
    other.set_up();
    // The log's own word is good, the store's is of another log.
    let file = other.configured("", &format!("prefix = {prefix}"), "");
    let said = format!("generation 1 was made with topic = {}, this process has topic = {}", one.name, other.name);
    other.refused(&["setup", "process", "serve"], &file, &["does not fit the store", &said]);
}

#[test]
fn a_broker_and_a_store_that_nobody_is_at_are_named_while_they_are_waited_for() {
    let apart = Apart::on_dynamodb("nobody");
    let words = "no broker at 127.0.0.1:1 answers";
    let file = apart.configured("brokers = \"127.0.0.1:1\"", "", "");
    for role in ALL {
        let said = said_until(apart.command(role, &file, "data"), words);
        assert!(said.contains("waiting for the log: ") && said.contains("is `[log] brokers` right?"), "{said}");
    }
    apart.refused(&["setup"], &file, &["127.0.0.1:1"]);
    apart.set_up();
    let file = apart.configured("", "endpoint = \"http://127.0.0.1:1\"", "");
    let words = "is http://127.0.0.1:1, `[store] endpoint`, right?";
    for role in ["process", "serve"] {
        let said = said_until(apart.command(role, &file, "data"), words);
        assert!(said.contains("waiting for the store: ") && said.contains("Connection refused"), "{said}");
    }
    apart.refused(&["setup"], &file, &[words]);
}
