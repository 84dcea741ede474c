//! Records on which the fold fails: booked, kept with their bytes, passed; and not twice.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventlog::files::forgetful::Dice;
use schemas::log::Append;
use schemas::record::Header;

use super::bench::{Shared, quiet_wanted_panics, settled, stop};
use super::payloads::{START, beginnings, environments, generation, payload};

/// Offset of the record on which the fold is made to panic, of one without a readable header, of one without a body.
const PANICS: u64 = 2;
const NO_HEADER: u64 = 4;
const NO_BODY: u64 = 5;

async fn poisoned() -> Shared {
    let mut shared = Shared::new(generation(1, 1_000));
    shared.append(beginnings(&shared.generation)).await;
    let mut dice = Dice::new(3);
    let payloads: Vec<_> = (0..4).map(|number| payload(&mut dice, number)).collect();
    for sent in &payloads[..3] {
        shared.append(sent.records(1, START, i64::MAX / 2)).await;
    }
    let body = Bytes::from_static(b"\xff\xffnot a body");
    shared.append(vec![Append { partition: 0, header: Bytes::from_static(b"\xff"), body: body.clone() }]).await;
    let header = payloads[3].records(1, START, i64::MAX / 2)[0].header.clone();
    shared.append(vec![Append { partition: 0, header, body }]).await;
    // The record that panics comes again: by then its id is known.
    shared.append(payloads[1].records(1, START + 9, i64::MAX / 2)).await;
    shared
}

#[tokio::test]
async fn what_cannot_be_folded_is_booked_kept_and_passed_once() {
    quiet_wanted_panics();
    let mut shared = poisoned().await;
    // The third life begins without state and folds all again.
    for (life, name) in ["a", "a", "b"].into_iter().enumerate() {
        let node = shared.start_with(name, |worker| worker.panicking_at(vec![PANICS]));
        shared.give_all(&node);
        settled(&node.processor, &shared.log).await.unwrap();
        let said = shared.compare(&[PANICS]).await.unwrap();
        let offsets: Vec<u64> = said.poisoned.iter().map(|(_, offset)| *offset).collect();
        assert_eq!(offsets, [PANICS, NO_HEADER, NO_BODY]);
        assert!(said.facts.keys().any(|fact| fact.ends_with(": poison")), "the books have it");

        let (letters, total) = node.processor.dead_letters().newest(10).unwrap();
        assert_eq!(total, 3, "life {life}");
        for letter in &letters {
            let record = &shared.written[0][letter.offset as usize];
            assert_eq!(STANDARD.decode(&letter.header).unwrap(), record.header);
            assert_eq!(STANDARD.decode(&letter.body).unwrap(), record.body);
            let header = Header::decode(&record.header).ok();
            assert_eq!(letter.environment, header.map(|header| header.environment.to_string()));
        }
        let of = |offset| letters.iter().find(|letter| letter.offset == offset).unwrap();
        assert!(of(PANICS).reason.contains("a test wants"), "{}", of(PANICS).reason);
        assert!(of(NO_HEADER).environment.is_none());
        let names = environments().map(|environment| Some(environment.to_string()));
        assert!(names.contains(&of(NO_BODY).environment));
        stop(node).await.unwrap();
    }
}

#[tokio::test]
async fn no_checkpoint_passes_a_dead_letter_that_is_not_kept() {
    quiet_wanted_panics();
    let mut shared = poisoned().await;
    let node = shared.start("a");
    // No folder, no letters: the processor must end, and nothing of the batch may have become durable.
    std::fs::remove_dir_all(shared.path("a").join("dead-letters")).unwrap();
    shared.give_all(&node);
    let why = node.processor.failed().await;
    assert!(why.contains("dead letters in"), "{why}");
    let checkpoint = stores::Store::checkpoint(&*shared.store, 1, 0).await.unwrap();
    assert!(checkpoint.is_none_or(|checkpoint| checkpoint.position <= NO_HEADER), "{checkpoint:?}");
}
