//! `loadtest up`: a stand-in for `flagstream up`, which counts plainly and can be told to err.
//!
//! The proof of the proof: `check` and `crash` are run against it, once as it is, when they must hold, and once for
//! each fault, when they must not. Always true here: without a fault, a body is in the journal, handed to the operating
//! system, before its 202, and what is counted is a function of the journal. It serves the few reads that `check`
//! makes, in pages, and nothing else.

mod counts;
mod journal;

use crate::environments::{self, Target};
use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use counts::Counts;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use journal::{Entry, Journal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// A stand-in for `flagstream up` that counts plainly and can be told to err, to show that check and crash find it
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example, which must not hold:
  LOADTEST_FAULT=behind loadtest crash --binary target/debug/loadtest --rounds 3")]
pub(crate) struct Arguments {
    /// Where the journal lies
    #[arg(long, default_value = "loadtest-data")]
    pub(crate) data: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
    /// The key that is taken; any other is answered 401
    #[arg(long)]
    pub(crate) sdk_key: String,
    /// Takes the environments of `loadtest send` too, this many
    #[arg(long, default_value_t = 0)]
    pub(crate) environments: u32,
    /// What it does wrong
    #[arg(long, value_enum, env = "LOADTEST_FAULT")]
    pub(crate) fault: Option<Fault>,
    /// It errs at every so many payloads
    #[arg(long, default_value_t = 1000, env = "LOADTEST_FAULT_EVERY")]
    pub(crate) every: u64,
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Acknowledges a payload and drops it
    Lose,
    /// Counts a payload twice
    Double,
    /// Counts a payload a minute later
    Shift,
    /// Counts a payload, and adds one too many to accepted in its books
    Misbook,
    /// Writes the journal only every so many payloads: kill -9 loses the others
    Behind,
    /// Forgets, when it is started, which payload ids it has seen
    Forget,
    /// Counts a payload and closes the connection without an answer: allowed to a server that dies, not to one that
    /// stops gracefully
    Mute,
    /// Answers 503 and counts the payload all the same: allowed
    Deny,
}

/// A stand-in that listens.
pub(crate) struct StandIn {
    listener: TcpListener,
    state: Arc<Mutex<State>>,
}

struct State {
    arguments: Arguments,
    /// By `project/environment`.
    counts: BTreeMap<String, Counts>,
    journal: Journal,
    payloads: u64,
}

impl StandIn {
    /// Reads the journal and listens.
    pub(crate) async fn start(arguments: Arguments) -> Result<Self> {
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        let forget = arguments.fault == Some(Fault::Forget);
        let add = |entry: Entry| counts.entry(entry.environment.clone()).or_default().add(&entry);
        let journal = Journal::open(&arguments.data, add)?;
        if forget {
            counts.values_mut().for_each(Counts::forget_ids);
        }
        let listener = TcpListener::bind(arguments.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
        Ok(Self { listener, state: Arc::new(Mutex::new(State { arguments, counts, journal, payloads: 0 })) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Serves until `stop` is done, and then ends what it began.
    pub(crate) async fn serve(self, stop: impl Future<Output = ()>) -> Result<()> {
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let (stream, _) = tokio::select! {
                accepted = self.listener.accept() => accepted?,
                () = &mut stop => break,
            };
            let state = Arc::clone(&self.state);
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let connection = graceful.watch(connection);
            // A connection that breaks is the client's affair; fault `mute` breaks them on purpose.
            tokio::spawn(async move { drop(connection.await) });
        }
        drop(self.listener);
        graceful.shutdown().await;
        Ok(())
    }
}

/// Serves until SIGTERM.
pub(crate) async fn run(arguments: Arguments) -> Result<bool> {
    let stand_in = StandIn::start(arguments).await?;
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    println!("a stand-in that only counts, at http://{}", stand_in.address()?);
    stand_in.serve(async move { _ = terminated.recv().await }).await?;
    Ok(true)
}

type Answer = Response<Full<Bytes>>;

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Answer> {
    if request.method() == Method::POST && request.uri().path() == "/diagnostic" {
        request.into_body().collect().await?;
        return Ok(status(StatusCode::ACCEPTED));
    }
    if request.method() == Method::POST && request.uri().path() == "/bulk" {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let body = body.collect().await?.to_bytes();
        let (key, id) = (header("authorization"), header("x-launchdarkly-payload-id").to_owned());
        let body = inflated(&body, header("content-encoding") == "gzip")?;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(environment) = state.arguments.environment_of(key) else {
            return Ok(status(StatusCode::UNAUTHORIZED));
        };
        return state.take(Entry { environment, id, at_ms: crate::load::now_ms(), body });
    }
    let state = state.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(read(&state.counts, request.uri().path(), request.uri().query().unwrap_or_default()))
}

impl Arguments {
    fn environment_of(&self, key: &str) -> Option<String> {
        if key == self.sdk_key {
            return Some(environments::DEFAULT.to_owned());
        }
        let known = (1..=self.environments).map(Target::numbered).find(|target| *target.key == *key);
        known.map(|target| target.environment.to_string())
    }
}

impl State {
    /// Takes a payload as a correct server does, or errs.
    fn take(&mut self, mut entry: Entry) -> Result<Answer> {
        // Only the first sight of a payload is a chance to err: a duplicate that is lost is no loss.
        let counts = self.counts.entry(entry.environment.clone()).or_default();
        let is_new = !counts.knows(&entry.id);
        self.payloads += u64::from(is_new);
        let errs = is_new && self.payloads.is_multiple_of(self.arguments.every);
        let fault = self.arguments.fault.filter(|_| errs);
        match fault {
            Some(Fault::Lose) => {
                counts.remember(entry.id);
                return Ok(status(StatusCode::ACCEPTED));
            }
            Some(Fault::Shift) => entry.body = a_minute_later(&entry.body)?,
            _ => {}
        }
        if self.arguments.fault == Some(Fault::Behind) {
            self.journal.append_later(&entry, self.arguments.every)?;
        } else {
            self.journal.append(&entry)?;
        }
        counts.add(&entry);
        match fault {
            Some(Fault::Double) => counts.double(&entry),
            Some(Fault::Misbook) => counts.misbook(entry.at_ms),
            Some(Fault::Mute) => anyhow::bail!("mute"),
            Some(Fault::Deny) => return Ok(status(StatusCode::SERVICE_UNAVAILABLE)),
            _ => {}
        }
        Ok(status(StatusCode::ACCEPTED))
    }
}

fn a_minute_later(body: &str) -> Result<String> {
    let mut elements: Vec<Value> = serde_json::from_str(body)?;
    for end in elements.iter_mut().filter_map(|element| element.get_mut("endDate")) {
        *end = json!(end.as_i64().unwrap_or_default() + 60_000);
    }
    Ok(Value::Array(elements).to_string())
}

fn inflated(body: &[u8], gzip: bool) -> Result<String> {
    let mut text = String::new();
    if gzip {
        GzDecoder::new(body).read_to_string(&mut text)?
    } else {
        (&body[..]).read_to_string(&mut text)?
    };
    Ok(text)
}

fn status(status: StatusCode) -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The reads that `check` makes.
fn read(counts: &BTreeMap<String, Counts>, path: &str, query: &str) -> Answer {
    let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let time = |name: &str, otherwise: i64| parameter(name).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let interval = time("from", 0)..time("to", i64::MAX);
    if path == "/v1/pipeline/health" {
        let health = json!({"lag": {"records": 0, "seconds": 0}, "partitions": []});
        return Response::new(Full::from(health.to_string()));
    }
    let Some((environment, resource)) = resource(path) else { return status(StatusCode::NOT_FOUND) };
    let none = Counts::default();
    let counts = counts.get(&environment).unwrap_or(&none);
    let body = match resource {
        "evaluations" if parameter("groupBy") == Some("version") => {
            page(counts.versions(), path, query, parameter("continuationToken"))
        }
        "evaluations" => page(counts.evaluations(&interval), path, query, parameter("continuationToken")),
        "events" => page(counts.events(), path, query, parameter("continuationToken")),
        "books" => counts.books(parameter("day").unwrap_or_default()),
        _ => return status(StatusCode::NOT_FOUND),
    };
    Response::new(Full::from(body.to_string()))
}

/// `project/environment` and what is asked of it.
fn resource(path: &str) -> Option<(String, &str)> {
    let (project, rest) = path.strip_prefix("/v1/projects/")?.split_once("/environments/")?;
    let (environment, resource) = rest.split_once('/')?;
    Some((format!("{project}/{environment}"), resource))
}

/// Few items a page, so that a reader that stops at the first is found out.
const PAGE_ITEMS: usize = 5;

fn page(items: Vec<Value>, path: &str, query: &str, token: Option<&str>) -> Value {
    let from = token.and_then(|token| token.parse().ok()).unwrap_or(0);
    let page: Vec<&Value> = items.iter().skip(from).take(PAGE_ITEMS).collect();
    let mut links = json!({});
    if from + PAGE_ITEMS < items.len() {
        let first = query.split("&continuationToken=").next().unwrap_or_default();
        links["next"] = json!({"href": format!("{path}?{first}&continuationToken={}", from + PAGE_ITEMS)});
    }
    json!({"items": page, "totalCount": items.len(), "_links": links})
}
