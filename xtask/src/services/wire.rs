//! As much of the servers' protocols as it takes to ask one question: bytes out of answers, and answers with their
//! length in front.
//!
//! Always true here: an answer that is too short or too long is an error, never a panic.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a server may take to answer.
pub(crate) const WAIT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection to `HOST:PORT` that waits no longer than [`WAIT`] for anything.
pub(crate) fn connect(address: &str) -> Result<TcpStream> {
    let mut addresses = address.to_socket_addrs().with_context(|| format!("`{address}` is no HOST:PORT"))?;
    let first = addresses.next().with_context(|| format!("`{address}` has no address"))?;
    let stream = TcpStream::connect_timeout(&first, WAIT).with_context(|| format!("nobody listens on {address}"))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends `request`; the first `head` bytes of the answer, whose last four are the length of the rest, and the rest.
pub(crate) fn exchange(stream: &mut TcpStream, request: &[u8], head: usize) -> Result<(Vec<u8>, Vec<u8>)> {
    stream.write_all(request).context("the question was not taken")?;
    let mut start = vec![0; head];
    stream.read_exact(&mut start).context("no answer")?;
    let mut length = Bytes(&start[head - 4..]);
    let length = usize::try_from(length.i32()?).unwrap_or(usize::MAX);
    ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes: does another protocol speak there?");
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).context("half an answer")?;
    Ok((start, rest))
}

/// A plain HTTP request, POST if it has a body: status and body.
pub(crate) fn http(address: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<(u16, String)> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).timeout_global(Some(WAIT));
    let agent: ureq::Agent = config.build().into();
    let url = format!("http://{address}{path}");
    let answer = match body {
        Some(body) => headers.iter().fold(agent.post(&url), |request, (k, v)| request.header(*k, *v)).send(body),
        None => headers.iter().fold(agent.get(&url), |request, (k, v)| request.header(*k, *v)).call(),
    };
    let mut answer = answer.with_context(|| format!("no answer from {url}"))?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_string().context("half an answer")?))
}

/// Reads big-endian numbers and strings from the front.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            bail!("the answer ends {} bytes too early", count - self.0.len());
        };
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    /// A string with its length in two bytes; none if the length is negative.
    pub(crate) fn text(&mut self) -> Result<Option<String>> {
        let Ok(length) = usize::try_from(self.i16()?) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }
}

/// A string with its length in two bytes in front.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
