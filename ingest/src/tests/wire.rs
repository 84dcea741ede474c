//! The same over a real connection: what the server library adds or takes away.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::bench::{Bench, NOW_MS, SERVER_KEY, summary};
use crate::service;

/// Writes a request whole, then reads the answer to the end of the connection.
async fn exchange(bench: &Bench, head: &str, body: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = service(bench.ingest.clone());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nhost: x\r\nauthorization: {SERVER_KEY}\r\nconnection: close\r\n");
    stream.write_all(format!("{head}user-agent: NodeJSClient/9.13.7\r\n\r\n").as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.abort();
    answer
}

#[tokio::test]
async fn a_chunked_payload_is_taken_and_answered_with_one_date() {
    let bench = Bench::new();
    let body = summary(NOW_MS);
    let (first, second) = body.split_at(50);
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let answer = exchange(&bench, "POST /bulk HTTP/1.1\r\ntransfer-encoding: chunked", chunks.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    let dates: Vec<&str> = answer.lines().filter(|line| line.to_lowercase().starts_with("date:")).collect();
    assert_eq!(dates, ["date: Thu, 09 Oct 2025 08:53:20 GMT"]);
    assert_eq!(bench.records().len(), 1);
}

/// Up to twice the limit is read, so that a sender which writes all before it reads hears the answer.
#[tokio::test]
async fn who_sends_too_much_hears_so() {
    let limit = crate::limits::Limits::default().body_bytes_max;
    let bench = Bench::new();
    for bytes in [limit + 1, 2 * limit] {
        let head = format!("POST /bulk HTTP/1.1\r\ncontent-length: {bytes}");
        let answer = exchange(&bench, &head, &vec![b' '; bytes]).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("payload_too_large"), "{answer}");
        let body = [format!("{bytes:x}\r\n").into_bytes(), vec![b' '; bytes], b"\r\n0\r\n\r\n".to_vec()].concat();
        let answer = exchange(&bench, "POST /bulk HTTP/1.1\r\ntransfer-encoding: chunked", &body).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("payload_too_large"), "{answer}");
    }
    assert_eq!(bench.ingest.in_flight_bytes(), 0);
}
