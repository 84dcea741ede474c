//! A connection to the demo's own server: one request at a time, kept alive.
//!
//! Always true here: after a failure, or when whoever waits for an answer has left, the connection is gone and the next
//! request makes another.

use std::net::SocketAddr;

use anyhow::Context;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A request, whole.
pub type Asked = Request<Full<Bytes>>;

/// A connection, made when it is needed.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// One that is yet to be made.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, open: None }
    }

    /// The answer: status and body.
    ///
    /// # Errors
    /// When there is none.
    pub async fn answer(&mut self, asked: Asked) -> anyhow::Result<(StatusCode, Bytes)> {
        let (open, response) = self.send(asked).await?;
        let status = response.status();
        let body = response.into_body().collect().await.context("the answer broke off")?.to_bytes();
        self.open = Some(open);
        Ok((status, body))
    }

    /// Waits until the server answers, and hangs up without having read it.
    ///
    /// # Errors
    /// When there is no answer that could get lost.
    pub async fn lose_answer(&mut self, asked: Asked) -> anyhow::Result<()> {
        self.send(asked).await.map(drop)
    }

    async fn send(&mut self, asked: Asked) -> anyhow::Result<(SendRequest<Full<Bytes>>, Response<Incoming>)> {
        let mut kept = self.open.take();
        if let Some(open) = &mut kept
            && open.ready().await.is_err()
        {
            kept = None;
        }
        let mut open = match kept {
            Some(open) => open,
            None => self.connect().await?,
        };
        let response = open.send_request(asked).await.context("no answer came")?;
        Ok((open, response))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream =
            TcpStream::connect(self.address).await.with_context(|| format!("cannot connect to {}", self.address))?;
        stream.set_nodelay(true)?;
        let (open, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; how is said to whoever waits for an answer.
        tokio::spawn(async { drop(connection.await) });
        Ok(open)
    }
}
