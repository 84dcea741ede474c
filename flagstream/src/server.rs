//! The listener: one HTTP/1.1 port for whatever router it is given, with limits on connections, headers and waiting.
//!
//! Always true here: a stop first closes the door, then lets open requests be answered, then cuts what is left; a
//! connection costs one task and one place among `connections_max`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Limits of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// A request's head must have arrived within this time.
    pub header_read: Duration,
    /// A stop waits this long for open requests.
    pub stop_within: Duration,
}

/// The kernel's queue of connections not yet taken.
const BACKLOG: i32 = 1024;
/// The library's own limits on a request's head. They lie above ours, so that ours answers (400) and not the library
/// (431).
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 256;

/// Takes the port; nobody is let in yet.
///
/// # Errors
/// When it is taken or not ours.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let take = || -> std::io::Result<TcpSocket> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(socket)
    };
    take().map_err(|error| cannot_listen(address, error))
}

/// Lets connections queue at a port that [`bind`] took for `address`; tells which one it is.
///
/// # Errors
/// When another process has opened it meanwhile.
pub fn listen(port: TcpSocket, address: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let open = || -> std::io::Result<(TcpListener, SocketAddr)> {
        let listener = port.listen(BACKLOG.unsigned_abs())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|error| cannot_listen(address, error))
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => "another process is there; try --listen 127.0.0.1:0",
        ErrorKind::AddrNotAvailable => {
            "that is no address of this machine; name one of its own, or 0.0.0.0 (or [::]) for all of them"
        }
        ErrorKind::PermissionDenied => "ports below 1024 need rights; try a higher one",
        _ => "try --listen 127.0.0.1:0",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}: {hint}"))
}

/// Serves until `stop` turns true, then answers what is open and returns.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = told(&mut stop) => break,
            accepted = accept(&listener, &places) => accepted,
        };
        while open.try_join_next().is_some() {}
        let Some((stream, place)) = accepted else { continue };
        let connection = connection(stream, router.clone(), limits, stop.clone());
        open.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.stop_within, all).await.is_err() {
        tracing::warn!(seconds = limits.stop_within.as_secs(), "cut connections that did not end in time");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            // Out of file descriptors, say: others may end meanwhile, so wait a little rather than spin.
            tracing::warn!(%error, "cannot take a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set nodelay");
    }
    let service = TowerToHyperService::new(router);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}

/// Returns when it is time to stop. (A function of its own, so that no guard of the channel lives across a wait.)
async fn told(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever would tell is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}
