//! Nothing of a log touches its directory once the lock is let go.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::super::{EmbeddedLog, Options};
use crate::files::forgetful::Disk;
use crate::files::{File, Files, Lock};

/// What happened, in order.
#[derive(Debug, Default)]
struct Story {
    lines: Mutex<Vec<&'static str>>,
    told: Condvar,
}

impl Story {
    fn tell(&self, line: &'static str) {
        self.lines.lock().unwrap().push(line);
        self.told.notify_all();
    }
}

/// A directory in which the second spare takes until the lock is let go: for ever, if it were not for a limit.
#[derive(Debug)]
struct Slow {
    files: Arc<dyn Files>,
    story: Arc<Story>,
    spares: Mutex<u32>,
}

struct ToldLock {
    story: Arc<Story>,
    _held: Lock,
}

impl Drop for ToldLock {
    fn drop(&mut self) {
        self.story.tell("unlocked");
    }
}

impl Files for Slow {
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        *self.spares.lock().unwrap() += 1;
        if *self.spares.lock().unwrap() == 2 {
            let lines = self.story.lines.lock().unwrap();
            let is_locked = |lines: &mut Vec<&'static str>| !lines.contains(&"unlocked");
            drop(self.story.told.wait_timeout_while(lines, Duration::from_millis(300), is_locked).unwrap());
            self.story.tell("spare made");
        }
        self.files.create(name)
    }

    fn lock(&self, name: &str) -> io::Result<Lock> {
        Ok(Box::new(ToldLock { story: Arc::clone(&self.story), _held: self.files.lock(name)? }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.files.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.files.sync_dir()
    }

    fn place(&self) -> String {
        self.files.place()
    }
}

#[tokio::test]
async fn the_thread_of_spares_ends_before_the_lock() {
    let story = Arc::new(Story::default());
    let files = Slow { files: Disk::new().files(), story: Arc::clone(&story), spares: Mutex::default() };
    let mut options = Options::new(1, 1, Arc::new(|| 1_000));
    (options.segment_bytes, options.reserve_bytes) = (64 << 10, 0);
    let (log, _) = EmbeddedLog::open(Arc::new(files), options).unwrap();
    log.close().await.unwrap();
    assert_eq!(*story.lines.lock().unwrap(), ["spare made", "unlocked"]);
}
