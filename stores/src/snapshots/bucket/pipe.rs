//! Between those who write and read bytes and wait, and those who must not wait: a snapshot in parts.
//!
//! Always true here: a writer is at most two parts ahead of the upload, a reader some pieces behind the download; bytes
//! that break off are an error, never an end.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::super::{Content, Reader};
use crate::Error;

/// Bytes of a part, but for the last. S3 takes none below 5 MiB and at most 10,000 of an object, so 78 GiB.
const PART_BYTES: usize = 8 * 1024 * 1024;

/// Whether all of the content was written, once it is.
pub(super) type Written = BoxFuture<'static, Result<(), Error>>;

/// Writes the content in parts. They end with the content or with its failure: the second says which.
pub(super) fn parts(content: Content) -> (Receiver<Bytes>, Written) {
    let (sender, parts) = mpsc::channel(1);
    let writing = super::super::in_background(move || {
        let mut out = Parts { sender, part: Vec::new() };
        let written = content(&mut out).and_then(|()| out.send());
        written.map_err(|error| Error::Unavailable(format!("snapshot cannot be written: {error}")))
    });
    // It must be under way before anybody asks how it ended.
    let writing = tokio::spawn(writing);
    let cut = |error| Err(Error::Unavailable(format!("work on a snapshot was cut short: {error}")));
    (parts, writing.map(move |ended| ended.unwrap_or_else(cut)).boxed())
}

struct Parts {
    sender: Sender<Bytes>,
    part: Vec<u8>,
}

impl Parts {
    fn send(&mut self) -> io::Result<()> {
        let part = Bytes::from(std::mem::take(&mut self.part));
        self.sender.blocking_send(part).map_err(|_| io::Error::other("the upload was given up"))
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() == PART_BYTES {
            self.send()?;
        }
        let taken = bytes.len().min(PART_BYTES - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what arrives.
pub(super) fn reader(mut arriving: BoxStream<'static, object_store::Result<Bytes>>) -> Reader {
    let (sender, pieces) = mpsc::channel(4);
    tokio::spawn(async move {
        while let Some(piece) = arriving.next().await {
            let is_last = piece.is_err();
            if sender.send(piece.map(Some).map_err(io::Error::other)).await.is_err() || is_last {
                return;
            }
        }
        sender.send(Ok(None)).await.ok();
    });
    Box::new(Pieces { pieces, piece: Bytes::new(), is_at_end: false })
}

struct Pieces {
    /// `None` = that was all.
    pieces: Receiver<io::Result<Option<Bytes>>>,
    piece: Bytes,
    is_at_end: bool,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.is_at_end {
            match self.pieces.blocking_recv() {
                Some(Ok(Some(piece))) => self.piece = piece,
                Some(Ok(None)) => self.is_at_end = true,
                Some(Err(error)) => return Err(error),
                None => return Err(io::Error::other("it was cut short")),
            }
        }
        let len = into.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut into[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    async fn read(pieces: Vec<object_store::Result<Bytes>>) -> io::Result<Vec<u8>> {
        let mut reader = reader(stream::iter(pieces).boxed());
        let read = move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_that_break_off_are_an_error_that_is_no_damage() {
        let pieces = || vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::new()), Ok(Bytes::from_static(b"c"))];
        assert_eq!(read(pieces()).await.unwrap(), b"abc");
        let broken = object_store::Error::Generic { store: "S3", source: "reset".into() };
        let error = read(pieces().into_iter().chain([Err(broken)]).collect()).await.unwrap_err();
        assert!(!crate::snapshots::layout::is_damage(&error), "{error:?}");
        let (sender, pieces) = mpsc::channel(1);
        drop(sender);
        let mut reader = Pieces { pieces, piece: Bytes::new(), is_at_end: false };
        let cut = tokio::task::spawn_blocking(move || reader.read(&mut [0])).await.unwrap().unwrap_err();
        assert!(!crate::snapshots::layout::is_damage(&cut), "{cut:?}");
    }

    #[tokio::test]
    async fn content_comes_in_parts_and_tells_how_it_ended() {
        let len = 2 * PART_BYTES + 5;
        let (mut received, written) = parts(Box::new(move |out| out.write_all(&vec![7; len])));
        let mut sizes = Vec::new();
        while let Some(part) = received.recv().await {
            sizes.push(part.len());
        }
        assert_eq!((sizes, written.await), (vec![PART_BYTES, PART_BYTES, 5], Ok(())));
        let (received, written) = parts(Box::new(move |out| out.write_all(&vec![7; len])));
        drop(received);
        assert!(written.await.is_err(), "nobody took it");
    }
}
