//! As much of Kafka's protocol as it takes to take away what is there: a topic, or its oldest records. As an
//! administrator would; Flagstream itself never does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const WITHIN_MS: i32 = 20_000;

/// Deletes a topic, and waits until the broker knows it no more.
pub(super) fn delete_topic(broker: &str, topic: &str) {
    const DELETE_TOPICS: i16 = 20;
    let body = [&1_i32.to_be_bytes()[..], &text(topic), &WITHIN_MS.to_be_bytes()].concat();
    // Throttle time; one answer: name, error.
    let answer = ask(broker, DELETE_TOPICS, 1, &body);
    assert_eq!(answer[4 + 4 + text(topic).len()..], 0_i16.to_be_bytes(), "delete {topic}: {answer:?}");
}

/// Deletes all records that a partition has; its offsets go on.
pub(super) fn delete_records(broker: &str, topic: &str, partition: i32) {
    const DELETE_RECORDS: i16 = 21;
    const TO_THE_END: i64 = -1;
    let body = [
        &1_i32.to_be_bytes()[..],
        &text(topic),
        &1_i32.to_be_bytes(),
        &partition.to_be_bytes(),
        &TO_THE_END.to_be_bytes(),
        &WITHIN_MS.to_be_bytes(),
    ]
    .concat();
    // … ; partition, low watermark, error.
    let answer = ask(broker, DELETE_RECORDS, 0, &body);
    assert_eq!(answer[answer.len() - 2..], 0_i16.to_be_bytes(), "delete records of {topic}: {answer:?}");
}

/// The body of the answer to a request.
fn ask(broker: &str, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(broker).expect("the broker");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let correlation = 7_i32.to_be_bytes();
    let head = [&key.to_be_bytes()[..], &version.to_be_bytes(), &correlation, &text("flagstream-tests")].concat();
    let length = i32::try_from(head.len() + body.len()).expect("a small request");
    stream.write_all(&[&length.to_be_bytes()[..], &head, body].concat()).expect("ask");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut answer).expect("the answer's body");
    assert_eq!(answer[..4], correlation);
    answer.split_off(4)
}

/// A string with its length before it.
fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
