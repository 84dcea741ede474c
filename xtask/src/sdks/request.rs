//! HTTP/1.1 requests as SDKs send them, read whole: just enough of the protocol for a proxy in a test. One request a
//! connection.

use anyhow::{Context, Result, ensure};
use std::io::{BufRead, Read, Write};

const HEAD_BYTES_MAX: u64 = 64 * 1024;
const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A request with its body out of its framing, still compressed if it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// As sent, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The value of a header; names are compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body without its compression.
    pub(crate) fn inflated(&self) -> Result<Vec<u8>> {
        if self.header("content-encoding").is_none_or(|coding| coding != "gzip") {
            return Ok(self.body.clone());
        }
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(self.body.as_slice())
            .take(BODY_BYTES_MAX)
            .read_to_end(&mut inflated)
            .context("gzip")?;
        Ok(inflated)
    }

    /// Reads one request; `None` when the other side closed without a word.
    pub(crate) fn read(stream: &mut impl BufRead) -> Result<Option<Request>> {
        let mut head = stream.by_ref().take(HEAD_BYTES_MAX);
        let Some(first) = line(&mut head)? else { return Ok(None) };
        let mut words = first.split(' ');
        let (method, target) =
            (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        ensure!(target.starts_with('/'), "no request line: `{first}`");
        let mut headers = Vec::new();
        loop {
            let line = line(&mut head)?.context("the request ends in its headers")?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').with_context(|| format!("no header: `{line}`"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut request = Request { method, target, headers, body: Vec::new() };
        if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            while read_chunk(stream, &mut request.body)? {}
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().with_context(|| format!("content-length `{length}`"))?;
            read_exactly(stream, length, &mut request.body)?;
        }
        Ok(Some(request))
    }

    /// Sends it on, with a length in place of chunks, asking for the connection to be closed after the answer.
    pub(crate) fn write(&self, stream: &mut impl Write, host: &str) -> Result<()> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.method, self.target);
        let framing = ["host", "connection", "transfer-encoding", "content-length"];
        for (name, value) in
            self.headers.iter().filter(|(name, _)| framing.iter().all(|own| !name.eq_ignore_ascii_case(own)))
        {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        stream.write_all(head.as_bytes())?;
        stream.write_all(&self.body)?;
        Ok(stream.flush()?)
    }
}

fn line(stream: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// One chunk onto `body`; false for the last, empty one.
fn read_chunk(stream: &mut impl BufRead, body: &mut Vec<u8>) -> Result<bool> {
    let size = line(stream)?.context("the body ends before its last chunk")?;
    let size = u64::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
        .with_context(|| format!("chunk size `{size}`"))?;
    read_exactly(stream, size, body)?;
    ensure!(line(stream)?.is_some_and(|end| end.is_empty()), "a chunk is longer than it says");
    Ok(size > 0)
}

fn read_exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> Result<()> {
    ensure!(body.len() as u64 + length <= BODY_BYTES_MAX, "a body over {BODY_BYTES_MAX} bytes");
    let read = stream.take(length).read_to_end(body)?;
    ensure!(read as u64 == length, "the body ends {} bytes early", length - read as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_lengths_are_read_alike() {
        let chunked = "POST /bulk HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n";
        let plain = "POST /bulk HTTP/1.1\r\nContent-Length: 5\r\n\r\n[1,2]";
        for text in [chunked, plain] {
            let request = Request::read(&mut text.as_bytes()).unwrap().unwrap();
            assert_eq!((request.target.as_str(), request.body.as_slice()), ("/bulk", b"[1,2]".as_slice()));
        }
        assert_eq!(Request::read(&mut "".as_bytes()).unwrap(), None);
        assert!(Request::read(&mut &plain.as_bytes()[..plain.len() - 1]).is_err());
        assert!(Request::read(&mut &chunked.as_bytes()[..chunked.len() - 4]).is_err());
    }

    #[test]
    fn what_is_sent_on_reads_as_the_same_request() {
        let headers = vec![("X-LaunchDarkly-Payload-ID".to_owned(), "a:b".to_owned())];
        let request =
            Request { method: "POST".to_owned(), target: "/bulk?x=1".to_owned(), headers, body: b"[]".to_vec() };
        let mut sent = Vec::new();
        request.write(&mut sent, "127.0.0.1:1").unwrap();
        let again = Request::read(&mut sent.as_slice()).unwrap().unwrap();
        assert_eq!(
            (again.method.as_str(), again.target.as_str(), again.body.as_slice()),
            ("POST", "/bulk?x=1", b"[]".as_slice())
        );
        assert_eq!(again.header("x-launchdarkly-payload-id"), Some("a:b"));
    }
}
