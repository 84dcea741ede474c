//! What every place of snapshots must do, as a list of named cases over an empty place each.
//!
//! Always true here: a case knows nothing of the place but [`Place`]; what is to be found broken is put there as broken
//! bytes under a good name.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Failure, Outcome, same, told};
use crate::snapshots::{Content, KEPT, Name, Newest, Place, Reader, Snapshots};
use crate::{Error, SavedState};

/// A case by its name.
pub struct Case {
    /// What the case shows.
    pub name: &'static str,
    run: fn(Arc<dyn Place>) -> BoxFuture<'static, Outcome>,
}

macro_rules! cases {
    ($($name:literal => $case:path,)*) => {
        &[$(Case { name: $name, run: |place| Box::pin($case(place)) },)*]
    };
}

/// Every case.
pub const CASES: &[Case] = cases! {
    "the newest comes back, and the one before stays" => newest_of_kept,
    "generations and partitions are apart" => apart,
    "damage is told by its name, and the next older one taken" => damaged,
    "where all are damaged there is none, and each is told" => all_damaged,
    "one under a name that is not its own is not taken" => foreign_names,
    "of two contents at one position neither takes the place of the other" => two_contents,
    "writers at once leave what each of them was told to be there" => writers_at_once,
    "one of many parts comes back" => large,
    "what fails while it is written leaves nothing" => failing_content,
    "what is given up while it is written leaves nothing" => given_up,
    "one that is removed as it is opened gives way to the newer one" => removed_under_reader,
};

/// Runs every case on a place of its own; gives those that did not pass.
///
/// # Errors
/// Whatever `factory` answers when it cannot make a place.
pub async fn run<F>(mut factory: impl FnMut() -> F) -> Result<Vec<Failure>, Error>
where
    F: Future<Output = Result<Arc<dyn Place>, Error>>,
{
    let mut failures = Vec::new();
    for case in CASES {
        if let Err(what) = (case.run)(factory().await?).await {
            failures.push(Failure { case: case.name, what });
        }
    }
    Ok(failures)
}

/// What a place that cannot be reached must do: each call is an error that may pass, and none an answer.
///
/// # Errors
/// What was answered.
pub async fn away(place: Arc<dyn Place>) -> Result<(), String> {
    let name = Name { generation: 1, partition: 0, position: 5, content: Some(1) };
    let snapshots = Snapshots::new(Arc::clone(&place));
    may_pass("newest", snapshots.newest(1, 0).await)?;
    may_pass("positions", snapshots.positions(1, 0).await)?;
    may_pass("put", snapshots.put(1, 0, state(5)).await)?;
    may_pass("open", place.open(name).await.map(|_| ()))?;
    may_pass("remove", place.remove(name).await)
}

fn may_pass<T: std::fmt::Debug>(what: &str, answer: Result<T, Error>) -> Outcome {
    match answer {
        Err(error) if error.is_retryable() => Ok(()),
        other => Err(format!("{what}: {other:?}")),
    }
}

fn state(position: u64) -> SavedState {
    let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(format!("value {n} at {position}")));
    SavedState { position, rows: (0..3).map(row).collect() }
}

/// A state that differs in length and bytes from that of any other writer.
fn state_of(writer: u64, position: u64) -> SavedState {
    let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(vec![writer as u8; 700]));
    SavedState { position, rows: (0..writer * 30).map(row).collect() }
}

fn whole(position: u64) -> Newest {
    Newest { state: Some(state(position)), passed_over: Vec::new() }
}

fn content(bytes: Vec<u8>) -> Content {
    Box::new(move |out| out.write_all(&bytes))
}

/// The only name in a place, or the newest, and its bytes.
async fn newest_bytes(place: &dyn Place) -> Result<(Name, Vec<u8>), String> {
    let name = told(place.list(1, 0).await)?.into_iter().max().ok_or("nothing is there")?;
    let mut reader = told(place.open(name).await)?.ok_or("it is listed and not there")?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    });
    Ok((name, read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?))
}

async fn newest_of_kept(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(place);
    same("an empty place", snapshots.newest(1, 0).await, Ok(Newest::default()))?;
    for position in [0, 9, 10, 100, 1 << 40] {
        told(snapshots.put(1, 0, state(position)).await)?;
        same("the newest", snapshots.newest(1, 0).await, Ok(whole(position)))?;
    }
    same("what is kept", snapshots.positions(1, 0).await, Ok(vec![1 << 40, 100]))?;
    // One that lags does not push out a newer one, and one written twice is one.
    told(snapshots.put(1, 0, state(50)).await)?;
    told(snapshots.put(1, 0, state(100)).await)?;
    same("what is kept", snapshots.positions(1, 0).await, Ok(vec![1 << 40, 100]))
}

async fn apart(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(place);
    let of = [(1, 0), (1, 1), (1, 11), (11, 1), (11, 11)];
    for ((generation, partition), at) in of.into_iter().zip(0..) {
        told(snapshots.put(generation, partition, state(at)).await)?;
    }
    for ((generation, partition), at) in of.into_iter().zip(0..) {
        same("the newest", snapshots.newest(generation, partition).await, Ok(whole(at)))?;
    }
    Ok(())
}

async fn damaged(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    told(snapshots.put(1, 0, state(5)).await)?;
    told(snapshots.put(1, 0, state(8)).await)?;
    let (name, bytes) = newest_bytes(&*place).await?;
    let halves = (0..bytes.len()).step_by(7).map(|end| bytes[..end].to_vec());
    let changed = (0..bytes.len()).step_by(7).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        changed
    });
    for damaged in halves.chain(changed).chain([[&bytes[..], b"x"].concat()]) {
        told(place.keep(name, content(damaged)).await)?;
        let newest = told(snapshots.newest(1, 0).await)?;
        same("what is taken", newest.state, Some(state(5)))?;
        let named: Vec<String> = newest.passed_over.into_iter().map(|(name, _)| name).collect();
        same("what is told", named, vec![name.to_string()])?;
    }
    told(snapshots.put(1, 0, state(8)).await)?;
    same("written anew", snapshots.newest(1, 0).await, Ok(whole(8)))
}

async fn all_damaged(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    for position in [5, 8] {
        let name = Name { generation: 1, partition: 0, position, content: Some(7) };
        told(place.keep(name, content(b"flagsnp1 half".to_vec())).await)?;
    }
    let newest = told(snapshots.newest(1, 0).await)?;
    same("what is taken and told", (newest.state, newest.passed_over.len()), (None, 2))
}

async fn foreign_names(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    told(snapshots.put(1, 0, state(5)).await)?;
    let (name, bytes) = newest_bytes(&*place).await?;
    told(place.remove(name).await)?;
    let other = name.content.map(|content| content ^ 1);
    for (foreign, what) in [
        (Name { position: 6, ..name }, "it is of position 5"),
        (Name { content: other, ..name }, "its checksum is"),
        (Name { generation: 2, ..name }, "generation 1, partition 0"),
        (Name { partition: 1, ..name }, "generation 1, partition 0"),
    ] {
        told(place.keep(foreign, content(bytes.clone())).await)?;
        let newest = told(snapshots.newest(foreign.generation, foreign.partition).await)?;
        let told_of =
            newest.passed_over.first().filter(|(name, why)| *name == foreign.to_string() && why.contains(what));
        if newest.state.is_some() || told_of.is_none() {
            return Err(format!("{foreign}: {newest:?}"));
        }
        told(place.remove(foreign).await)?;
    }
    Ok(())
}

async fn two_contents(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    told(snapshots.put(1, 0, state_of(1, 5)).await)?;
    told(snapshots.put(1, 0, state_of(2, 5)).await)?;
    same("both are there", told(place.list(1, 0).await)?.len(), 2)?;
    let newest = told(snapshots.newest(1, 0).await)?;
    same("damage", newest.passed_over.len(), 0)?;
    let is_one = [1, 2].map(|writer| Some(state_of(writer, 5))).contains(&newest.state);
    if is_one { Ok(()) } else { Err("it is neither".to_owned()) }
}

async fn writers_at_once(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(place);
    for round in 0..3 {
        let puts: Vec<_> = (1..=8_u64)
            .map(|writer| {
                let (state, snapshots) = (state_of(writer, round * 10 + writer), snapshots.clone());
                tokio::spawn(async move { (state.clone(), snapshots.put(1, 0, state).await) })
            })
            .collect();
        let mut kept = Vec::new();
        for put in puts {
            match put.await.map_err(|error| error.to_string())? {
                (state, Ok(())) => kept.push(state),
                (_, Err(error)) if error.is_retryable() => {}
                (_, Err(error)) => return Err(error.to_string()),
            }
        }
        let newest = kept.into_iter().max_by_key(|state| state.position);
        if newest.is_none() {
            return Err("whoever came first had nobody to wait for".to_owned());
        }
        let should = Newest { state: newest, passed_over: Vec::new() };
        same("the newest", told(snapshots.newest(1, 0).await)?, should)?;
    }
    Ok(())
}

/// More than two parts of an upload.
const LARGE_BYTES: usize = 20 * 1024 * 1024;

async fn large(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(place);
    let row = |n: u64| (Bytes::from(n.to_be_bytes().to_vec()), Bytes::from(vec![n as u8; 64 * 1024]));
    let rows = (0..).map(row).take(LARGE_BYTES / (64 * 1024)).collect();
    let state = SavedState { position: 5, rows };
    told(snapshots.put(1, 0, state.clone()).await)?;
    let newest = told(snapshots.newest(1, 0).await)?;
    if newest.state == Some(state) { Ok(()) } else { Err(format!("passed over: {:?}", newest.passed_over)) }
}

async fn failing_content(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    told(snapshots.put(1, 0, state(5)).await)?;
    for len in [0, 13, LARGE_BYTES] {
        let name = Name { generation: 1, partition: 0, position: 9, content: Some(1) };
        let failing: Content = Box::new(move |out| {
            out.write_all(&vec![0; len])?;
            Err(io::Error::other("a test wants it to fail"))
        });
        may_pass("a content that fails", place.keep(name, failing).await)?;
        same("what is there", snapshots.positions(1, 0).await, Ok(vec![5]))?;
    }
    told(snapshots.put(1, 0, state(9)).await)?;
    same("the next", snapshots.newest(1, 0).await, Ok(whole(9)))
}

async fn given_up(place: Arc<dyn Place>) -> Outcome {
    let snapshots = Snapshots::new(Arc::clone(&place));
    told(snapshots.put(1, 0, state(5)).await)?;
    let name = Name { generation: 1, partition: 0, position: 9, content: Some(1) };
    let (written, half) = tokio::sync::oneshot::channel();
    let (release, go_on) = std::sync::mpsc::channel::<()>();
    let halting: Content = Box::new(move |out| {
        out.write_all(&vec![0; LARGE_BYTES])?;
        written.send(()).ok();
        // Until nobody waits for it any more.
        go_on.recv().ok();
        Err(io::Error::other("nobody waits for it"))
    });
    tokio::select! {
        kept = place.keep(name, halting) => return Err(format!("it ended: {kept:?}")),
        half = half => half.map_err(|error| error.to_string())?,
    }
    drop(release);
    same("what is there", snapshots.positions(1, 0).await, Ok(vec![5]))?;
    same("the newest", snapshots.newest(1, 0).await, Ok(whole(5)))
}

async fn removed_under_reader(place: Arc<dyn Place>) -> Outcome {
    let other = Snapshots::new(Arc::clone(&place));
    told(other.put(1, 0, state(5)).await)?;
    let busy = Busy { place: Arc::clone(&place), is_done: AtomicBool::new(false) };
    same("the newest", Snapshots::new(Arc::new(busy)).newest(1, 0).await, Ok(whole(8)))?;
    same("what is kept", told(place.list(1, 0).await)?.len(), KEPT)
}

/// A place where another writer puts so many that what was listed is gone when it is opened.
#[derive(Debug)]
struct Busy {
    place: Arc<dyn Place>,
    is_done: AtomicBool,
}

impl Place for Busy {
    fn list(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        self.place.list(generation, partition)
    }

    fn open(&self, name: Name) -> BoxFuture<'_, Result<Option<Reader>, Error>> {
        Box::pin(async move {
            if !self.is_done.swap(true, Ordering::Relaxed) {
                let other = Snapshots::new(Arc::clone(&self.place));
                for position in 6..=8 {
                    other.put(name.generation, name.partition, state(position)).await?;
                }
            }
            self.place.open(name).await
        })
    }

    fn keep(&self, name: Name, content: Content) -> BoxFuture<'_, Result<(), Error>> {
        self.place.keep(name, content)
    }

    fn remove(&self, name: Name) -> BoxFuture<'_, Result<(), Error>> {
        self.place.remove(name)
    }
}
