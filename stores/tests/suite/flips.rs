//! A byte of the embedded file is changed: it is noticed, or it is without effect; it is never given out as data.

use stores::embedded::{Embedded, Options};
use stores::{Break, Error, Store};

use crate::disk::{Dice, Disk};
use crate::world::{Content, GENERATION, ReadError, bare_flush, key, tiny_cache};

const FLIPS: usize = 400;

/// A file with something in it.
struct Files {
    /// As left by a clean end.
    closed: Vec<u8>,
    /// As left by a killed process.
    killed: Vec<u8>,
    content: Content,
    /// The content before the last commit.
    before: Content,
}

async fn files() -> Files {
    let mut dice = Dice(42);
    let (mut content, mut before) = (Content::default(), Content::default());
    let disk = Disk::default();
    let store = Embedded::on(disk.clone(), &Options::default()).unwrap();
    store.create_generation(GENERATION, b"row of the generation".as_slice().into()).await.unwrap();
    for _ in 0..8 {
        before = content.clone();
        store.commit(content.flush(0, &mut dice)).await.unwrap();
    }
    let killed = disk.seen();
    drop(store);
    Files { closed: disk.seen(), killed, content, before }
}

/// What became of one changed byte.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Noticed,
    WithoutEffect,
}

async fn meet(image: Vec<u8>, content: &Content) -> Result<Met, String> {
    let noticed = |error: Error| match error {
        Error::Damaged { .. } | Error::Setting(_) => Ok(Met::Noticed),
        other => Err(format!("a changed byte was told as {other:?}")),
    };
    let store = match Embedded::on(Disk::holding(image), &tiny_cache()) {
        Ok(store) => store,
        Err(error) => return noticed(error),
    };
    match store.generation(GENERATION).await {
        Ok(Some(row)) if *row == *b"row of the generation" => {}
        Ok(row) => return Err(format!("generation row {row:?}")),
        Err(error) => return noticed(error),
    }
    match Content::read(&store, 0).await {
        Ok(found) if found == *content => Ok(Met::WithoutEffect),
        Ok(found) => Err(format!("found position {}, should be {}", found.position, content.position)),
        Err(ReadError::Store(error)) => noticed(error),
        Err(ReadError::Wrong(what)) => Err(what),
    }
}

/// Changes one byte at each of these places; gives how many were noticed, and what went wrong where.
async fn flip_each(image: &[u8], content: &Content, places: Vec<(usize, u8)>) -> (usize, Vec<(usize, u8, String)>) {
    let (mut noticed, mut wrong) = (0, Vec::new());
    for (at, mask) in places {
        let mut changed = image.to_vec();
        changed[at] ^= mask;
        match meet(changed, content).await {
            Ok(Met::Noticed) => noticed += 1,
            Ok(Met::WithoutEffect) => {}
            Err(what) => wrong.push((at, mask, what)),
        }
    }
    (noticed, wrong)
}

/// Places all over the file, most among the bytes that mean or meant something (much is left of earlier commits).
fn anywhere(image: &[u8]) -> Vec<(usize, u8)> {
    let mut dice = Dice(7);
    let used: Vec<usize> = (0..image.len()).filter(|at| image[*at] != 0).collect();
    let mut place = |n| match n % 4 {
        0 => dice.below(image.len() as u64) as usize,
        _ => used[dice.below(used.len() as u64) as usize],
    };
    (0..FLIPS).map(|n| (place(n), 1 << (n % 8))).collect()
}

#[tokio::test]
async fn a_byte_changed_anywhere_is_noticed_or_without_effect() {
    let Files { closed, killed, content, .. } = files().await;
    for (name, image) in [("closed", closed), ("killed", killed)] {
        let (noticed, wrong) = flip_each(&image, &content, anywhere(&image)).await;
        assert_eq!(wrong, [], "file of a {name} process");
        assert!(noticed > FLIPS / 10, "file of a {name} process: only {noticed} of {FLIPS} were noticed");
    }
}

#[tokio::test]
async fn a_byte_changed_in_the_header_is_noticed_or_without_effect() {
    let Files { closed, killed, content, .. } = files().await;
    for (name, image) in [("closed", closed), ("killed", killed)] {
        let two_bits_each = (0..512).flat_map(|at| [(at, 1 << (at % 8)), (at, 1 << ((at + 3) % 8))]);
        let places = two_bits_each.filter(|place| *place != CHOICE).collect();
        let (noticed, wrong) = flip_each(&image, &content, places).await;
        assert_eq!(wrong, [], "file of a {name} process");
        assert!(noticed > 100, "file of a {name} process: only {noticed} were noticed");
    }
}

/// The bit of the header that says which of the two newest commits counts; no checksum of the engine covers it.
const CHOICE: (usize, u8) = (9, 1);

#[tokio::test]
async fn the_bit_that_chooses_a_commit_brings_back_a_whole_one() {
    let Files { mut killed, before, .. } = files().await;
    killed[CHOICE.0] ^= CHOICE.1;
    // The commit before, cells, checkpoint and state together: folding the log from there gives the same numbers.
    assert_eq!(meet(killed, &before).await, Ok(Met::WithoutEffect));
}

/// Changes a byte of a value while the store is open, where the engine itself looks at no checksum.
async fn flip_under_way(options: Options) -> Result<Vec<Option<stores::StoredCell>>, Error> {
    let disk = Disk::default();
    drop(Embedded::on(disk.clone(), &options).unwrap());
    let store = Embedded::on(disk.clone(), &options)?;
    store.commit(bare_flush(0, 5)).await?;
    let image = disk.seen();
    for at in image.windows(10).enumerate().filter(|(_, bytes)| bytes == b"value at 5").map(|(at, _)| at) {
        disk.flip(at, 1);
    }
    store.load(vec![key(0, 0)]).await
}

#[tokio::test]
async fn a_value_changed_under_way_is_refused_with_its_table_and_key() {
    let error = flip_under_way(tiny_cache()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Damaged { .. }), "{text}");
    assert!(text.contains("table `cells`") && text.contains("flag-0") && text.contains("checksum"), "{text}");
}

#[tokio::test]
async fn without_checksums_it_would_have_been_given_out() {
    let cells = flip_under_way(tiny_cache().breaking(Break::NoChecksum)).await.unwrap();
    assert_eq!(*cells[0].as_ref().unwrap().value, *b"walue at 5");
}
