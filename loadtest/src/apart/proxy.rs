//! Stands between the processes and DynamoDB, and can make it a store in trouble: one that throttles, or is gone. The
//! local server does neither by itself.
//!
//! Always true here: what is not refused goes through as it is; while the store is gone no connection is open and none
//! is taken; each call is numbered by what became of it.

mod refusal;

use crate::dice::Dice;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use refusal::Refusal;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// It answers.
    Well,
    /// It refuses this share of calls, 0 to 1.
    Throttled(f64),
    /// Connections are refused.
    Gone,
}

/// What became of calls so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// Passed on, and answered by the store.
    pub(super) passed: u64,
    /// Answered by a refusal, whether the store was asked or not.
    pub(super) refused: u64,
}

/// A running proxy; dropped, it ends.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    mood: watch::Sender<Mood>,
    /// What `mood` was last told, as far as the listener has followed.
    followed: watch::Receiver<Mood>,
    shared: Arc<Shared>,
    _listening: JoinSet<Result<()>>,
}

struct Shared {
    store: SocketAddr,
    mood: watch::Receiver<Mood>,
    dice: Mutex<Dice>,
    passed: AtomicU64,
    refused: AtomicU64,
}

impl Proxy {
    /// Listens on this address, in front of the store at `http://HOST:PORT`.
    pub(super) async fn start(address: SocketAddr, store: &str, seed: u64) -> Result<Self> {
        let plain = store.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
        let store = plain.with_context(|| format!("`{store}` is not http://HOST:PORT"))?;
        let store = tokio::net::lookup_host(store).await.with_context(|| format!("look up {store}"))?.next();
        let store = store.context("the store has no address")?;
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let (mood, told) = watch::channel(Mood::Well);
        let (follows, followed) = watch::channel(Mood::Well);
        let shared = Arc::new(Shared {
            store,
            mood: told.clone(),
            dice: Mutex::new(Dice::of_part(seed, 0x9a0)),
            passed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::clone(&shared), told, follows));
        Ok(Self { address, mood, followed, shared, _listening: listening })
    }

    /// Makes the store so, and waits until it is.
    ///
    /// # Errors
    /// Its port cannot be listened on again.
    pub(super) async fn set(&self, mood: Mood) -> Result<()> {
        ensure!(self.mood.send(mood).is_ok(), "the proxy has ended");
        let followed = self.followed.clone().wait_for(|followed| *followed == mood).await.map(drop);
        followed.context("the proxy cannot listen again")
    }

    pub(super) fn calls(&self) -> Calls {
        let Shared { passed, refused, .. } = &*self.shared;
        Calls { passed: passed.load(Ordering::Relaxed), refused: refused.load(Ordering::Relaxed) }
    }
}

/// Takes connections while the store is not gone.
async fn listen(
    listener: TcpListener,
    shared: Arc<Shared>,
    mut mood: watch::Receiver<Mood>,
    follows: watch::Sender<Mood>,
) -> Result<()> {
    let address = listener.local_addr()?;
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let now = *mood.borrow_and_update();
        if now == Mood::Gone {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?);
        }
        follows.send_replace(now);
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = mood.changed() => changed.context("nobody is left to say how the store is")?,
            accepted = accepted => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // One to the store for each to us; requests come one after the other.
    let store = Arc::new(tokio::sync::Mutex::new(None));
    let service = service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&store), request));
    // A connection that breaks is the client's affair; one that we break, too.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

type ToStore = Arc<tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>>;

async fn answer(shared: Arc<Shared>, store: ToStore, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let refusal = shared.refuses();
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
    let passed = match refusal {
        Some(refusal) if !refusal.is_done_all_the_same => None,
        _ => Some(pass(shared.store, &store, request).await?),
    };
    match (refusal, passed) {
        (None, Some(passed)) => {
            shared.passed.fetch_add(1, Ordering::Relaxed);
            Ok(passed)
        }
        (refusal, _) => {
            shared.refused.fetch_add(1, Ordering::Relaxed);
            refusal.context("a call that was not passed on is refused")?.response()
        }
    }
}

/// The store's own answer.
async fn pass(store: SocketAddr, held: &ToStore, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>> {
    let mut held = held.lock().await;
    let mut sender = match held.take().filter(SendRequest::is_ready) {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(store).await.with_context(|| format!("connect to {store}"))?;
            stream.set_nodelay(true)?;
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            // It ends with the sender, or with the store, which the next request then finds.
            tokio::spawn(async move { drop(connection.await) });
            sender
        }
    };
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    *held = Some(sender);
    for hop in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        head.headers.remove(hop);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}

impl Shared {
    /// How this call is refused, if it is.
    fn refuses(&self) -> Option<&'static Refusal> {
        let Mood::Throttled(share) = *self.mood.borrow() else { return None };
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        dice.happens(share).then(|| Refusal::drawn(&mut dice))
    }
}

#[cfg(test)]
mod tests;
