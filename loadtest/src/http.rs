//! A small HTTP/1.1 client: one connection, one request at a time, kept alive.
//!
//! Always true here: a request is bytes made beforehand, written as they are; an answer's head and body have limits;
//! after a failure, or when the caller drops an exchange half-way, the connection is gone and the next exchange makes a
//! new one. It costs little on purpose: where the server is measured, the client must not be what is measured.

use crate::ledger::Outcome;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why an exchange brought no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot connect to {0}: {1}; is the server running?")]
    NotConnected(SocketAddr, io::Error),
    #[error("the connection ended before an answer came: {0}")]
    Closed(io::Error),
    #[error("not an HTTP/1.1 answer: {0}")]
    Malformed(&'static str),
}

impl Failure {
    /// The ledger's word for it.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::NotConnected(..) => Outcome::NotConnected,
            Self::Closed(_) => Outcome::Closed,
            Self::Malformed(_) => Outcome::Malformed,
        }
    }
}

/// A connection to one server, made when it is first needed.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: Option<TcpStream>,
    input: Vec<u8>,
    body: std::ops::Range<usize>,
}

impl Connection {
    /// A connection yet to be made.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, input: Vec::with_capacity(4 * 1024), body: 0..0 }
    }

    /// Sends a request and reads its answer: the status; the body is in [`Self::body`].
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<u16, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) if is_open(&stream) => stream,
            _ => self.connect().await?,
        };
        // A server may answer, and close, without having read all of the request: its answer counts, so it is read even
        // then.
        let written = stream.write_all(request).await;
        let answer = read_answer(&mut stream, &mut self.input).await;
        let answer = match (written, answer) {
            (_, Ok(answer)) => answer,
            (Err(error), Err(_)) => return Err(Failure::Closed(error)),
            (Ok(()), Err(failure)) => return Err(failure),
        };
        self.body = answer.body;
        if answer.keep {
            self.stream = Some(stream);
        }
        Ok(answer.status)
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.input[self.body.clone()]
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let failed = |error| Failure::NotConnected(self.address, error);
        let stream = TcpStream::connect(self.address).await.map_err(failed)?;
        // While no one listens, a client that tries again and again may be given the very port it asks for, and meet
        // itself.
        if stream.local_addr().map_err(failed)? == self.address {
            return Err(failed(io::Error::new(io::ErrorKind::ConnectionRefused, "the connection met itself")));
        }
        stream.set_nodelay(true).map_err(failed)?;
        Ok(stream)
    }
}

/// False if the server has closed the connection meanwhile, or has sent what no one asked for.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

struct Answer {
    status: u16,
    body: std::ops::Range<usize>,
    keep: bool,
}

/// What an answer's head says.
struct Head {
    status: u16,
    /// Where the body begins.
    end: usize,
    keep: bool,
    length: Length,
}

#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
    UntilClosed,
}

async fn read_answer(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<Answer, Failure> {
    input.clear();
    let head = loop {
        let from = input.len().saturating_sub(3);
        fill(stream, input).await?;
        if let Some(at) = find(&input[from..], b"\r\n\r\n") {
            break read_head(input, from + at + 4)?;
        }
        if input.len() > HEAD_BYTES_MAX {
            return Err(Failure::Malformed("its head is over 64 KiB"));
        }
    };
    let Head { status, end, keep, length } = head;
    let body = match length {
        Length::Known(length) if length <= BODY_BYTES_MAX => {
            while input.len() < end + length {
                fill(stream, input).await?;
            }
            end..end + length
        }
        Length::Known(_) => return Err(Failure::Malformed("its body is over 256 MiB")),
        Length::Chunked => read_chunks(stream, input, end).await?,
        Length::UntilClosed => {
            while input.len() <= BODY_BYTES_MAX && stream.read_buf(input).await.map_err(Failure::Closed)? > 0 {}
            end..input.len()
        }
    };
    Ok(Answer { status, body, keep })
}

/// Reads some bytes; an end of the connection is a failure.
async fn fill(stream: &mut TcpStream, input: &mut Vec<u8>) -> Result<(), Failure> {
    match stream.read_buf(input).await {
        Ok(0) => Err(Failure::Closed(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Closed(error)),
    }
}

fn read_head(input: &[u8], end: usize) -> Result<Head, Failure> {
    let text = std::str::from_utf8(&input[..end]).map_err(|_| Failure::Malformed("its head is not UTF-8"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
        .ok_or(Failure::Malformed("its first line has no HTTP/1.1 status"))?;
    let mut head = Head { status, end, keep: true, length: Length::UntilClosed };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length = value.parse().map_err(|_| Failure::Malformed("its content length is no number"))?;
            head.length = Length::Known(length);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            head.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
            head.keep = false;
        }
    }
    if matches!(status, 204 | 304) {
        head.length = Length::Known(0);
    }
    head.keep &= !matches!(head.length, Length::UntilClosed);
    Ok(head)
}

/// Reads a chunked body and leaves it, joined, where it began.
async fn read_chunks(
    stream: &mut TcpStream,
    input: &mut Vec<u8>,
    start: usize,
) -> Result<std::ops::Range<usize>, Failure> {
    const BAD: Failure = Failure::Malformed("a chunk of its body has no length");
    let (mut joined, mut at) = (start, start);
    loop {
        let line = loop {
            match find(&input[at..], b"\r\n") {
                Some(length) => break at..at + length,
                None => fill(stream, input).await?,
            }
        };
        at = line.end + 2;
        let size = std::str::from_utf8(&input[line]).map_err(|_| BAD)?.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| BAD)?;
        if size > BODY_BYTES_MAX || joined > BODY_BYTES_MAX {
            return Err(Failure::Malformed("its body is over 256 MiB"));
        }
        while input.len() < at + size + 2 {
            fill(stream, input).await?;
        }
        if size == 0 {
            return Ok(start..joined);
        }
        input.copy_within(at..at + size, joined);
        joined += size;
        at += size + 2;
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Answers each of `answers` on one connection, a few bytes at a time, then closes it. Requests are one byte.
    async fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                stream.read_u8().await.unwrap();
                for piece in answer.as_bytes().chunks(7) {
                    stream.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_of_each_framing_come_over_one_connection() {
        let address = server(&[
            "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate",
        ])
        .await;
        let mut connection = Connection::new(address);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let status = connection.exchange(b"x").await.unwrap();
            seen.push((status, String::from_utf8(connection.body().to_vec()).unwrap()));
        }
        let wanted = [(202, ""), (200, "hello!"), (204, ""), (503, "late")];
        assert_eq!(seen, wanted.map(|(status, body)| (status, body.to_owned())));
    }

    #[tokio::test]
    async fn a_half_answer_is_closed_and_no_server_is_not_connected() {
        let address = server(&["HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\n\r\n123"]).await;
        let mut connection = Connection::new(address);
        assert_eq!(connection.exchange(b"x").await.unwrap_err().outcome(), Outcome::Closed);
        assert_eq!(connection.exchange(b"x").await.unwrap_err().outcome(), Outcome::NotConnected);
        let address = server(&["SSH-2.0\r\n\r\n"]).await;
        assert_eq!(Connection::new(address).exchange(b"x").await.unwrap_err().outcome(), Outcome::Malformed);
    }
}
