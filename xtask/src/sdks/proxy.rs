//! Stands between an SDK and the server, passes requests on, keeps what went by, and makes one fault on purpose.
//! Without a server behind it, it answers 202 itself. Every request that was read is kept, in the order in which its
//! answer was decided.

use super::request::Request;
use anyhow::{Context, Result};
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

/// What goes wrong, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// The first payload is answered 503 and does not reach the server.
    Refused,
    /// The first payload reaches the server, and its answer is replaced by a 503: the SDK's retry is a true duplicate.
    AnswerLost,
    /// The first diagnostic is answered 503 and does not reach the server; some SDKs then send it to the analytics
    /// path.
    DiagnosticRefused,
}

/// A request that went by.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Request,
    /// Whether it was passed on to the server.
    pub(crate) reached: bool,
    /// What the SDK was told; 0 when the server could not be asked.
    pub(crate) status: u16,
}

impl Exchange {
    /// The payload id of an analytics request.
    pub(crate) fn payload_id(&self) -> Option<&str> {
        self.request.header("x-launchdarkly-payload-id")
    }
}

/// A running proxy; dropped, it takes no further connection.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: Option<SocketAddr>,
    fault: Fault,
    fault_made: AtomicBool,
    stopping: AtomicBool,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Proxy {
    /// Listens on a free loopback port, in front of `upstream` if there is one.
    pub(crate) fn start(upstream: Option<SocketAddr>, fault: Fault) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            fault,
            fault_made: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            exchanges: Mutex::default(),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Proxy { address, shared, accepting: Some(accepting) })
    }

    /// What went by until now.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.shared.exchanges().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            accepting.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            if let Err(error) = stream.map_err(Into::into).and_then(|stream| shared.serve(stream)) {
                eprintln!("proxy: {error:#}");
            }
        });
    }
}

impl Shared {
    fn exchanges(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_read_timeout(Some(WAIT))?;
        let mut to_sdk = stream.try_clone()?;
        let Some(request) = Request::read(&mut BufReader::new(stream))? else { return Ok(()) };
        let faulty = self.makes_fault(&request);
        let reached = !faulty || self.fault == Fault::AnswerLost;
        let answer = match self.upstream {
            Some(upstream) if reached => ask(upstream, &request).unwrap_or_else(|error| {
                eprintln!("proxy: {} {}: {error:#}", request.method, request.target);
                Vec::new()
            }),
            _ => empty_answer(202, "Accepted"),
        };
        let answer = if faulty { empty_answer(503, "Service Unavailable") } else { answer };
        let status = answer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok());
        self.exchanges().push(Exchange { request, reached, status: status.unwrap_or(0) });
        to_sdk.write_all(&answer)?;
        Ok(())
    }

    /// Whether this is the request for which the fault is meant. True once.
    fn makes_fault(&self, request: &Request) -> bool {
        let payload = request.method == "POST" && request.header("x-launchdarkly-payload-id").is_some();
        let meant = match self.fault {
            Fault::Nothing => false,
            Fault::Refused | Fault::AnswerLost => payload,
            Fault::DiagnosticRefused => request.method == "POST" && request.target.ends_with("/diagnostic"),
        };
        meant && !self.fault_made.swap(true, Ordering::SeqCst)
    }
}

fn ask(upstream: SocketAddr, request: &Request) -> Result<Vec<u8>> {
    let mut server = TcpStream::connect_timeout(&upstream, WAIT)?;
    server.set_read_timeout(Some(WAIT))?;
    request.write(&mut server, &upstream.to_string())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

fn empty_answer(status: u16, reason: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(proxy: &Proxy, path: &str, id: Option<&str>) -> u16 {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.post(format!("http://{}{path}", proxy.address));
        if let Some(id) = id {
            request = request.header("X-LaunchDarkly-Payload-ID", id);
        }
        request.send("[]").unwrap().status().as_u16()
    }

    /// What the SDK is told, and what the server behind is reached by, for a diagnostic and two tries of a payload.
    #[track_caller]
    fn passes(fault: Fault, told: [u16; 3], reached: [bool; 3]) {
        let server = Proxy::start(None, Fault::Nothing).unwrap();
        let proxy = Proxy::start(Some(server.address), fault).unwrap();
        let tries = [("/diagnostic", None), ("/bulk", Some("p")), ("/bulk", Some("p"))];
        assert_eq!(tries.map(|(path, id)| post(&proxy, path, id)), told, "{fault:?}");
        let seen: Vec<bool> = proxy.exchanges().iter().map(|exchange| exchange.reached).collect();
        assert_eq!(seen, reached, "{fault:?}");
        assert_eq!(server.exchanges().len(), reached.iter().filter(|reached| **reached).count(), "{fault:?}");
    }

    #[test]
    fn each_fault_is_made_once_and_at_its_place() {
        passes(Fault::Nothing, [202, 202, 202], [true, true, true]);
        passes(Fault::Refused, [202, 503, 202], [true, false, true]);
        passes(Fault::AnswerLost, [202, 503, 202], [true, true, true]);
        passes(Fault::DiagnosticRefused, [503, 202, 202], [false, true, true]);
    }
}
