//! Credentials that AWS does not take, and none at all. DynamoDB Local takes any, so that a listener says what AWS
//! would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{Apart, said_until};

/// Answers every call as DynamoDB does where it does not know the key; its address.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    // It ends with the tests.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || refuse(stream));
        }
    });
    format!("http://{address}")
}

fn refuse(mut stream: TcpStream) {
    const SAID: &str = r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}"#;
    let mut reader = BufReader::new(stream.try_clone().expect("its other half"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.is_empty() {
            let body = reader.by_ref().take(std::mem::take(&mut length));
            std::io::copy(&mut { body }, &mut std::io::sink()).expect("the body");
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
            if write!(stream, "{head} {}\r\n\r\n{SAID}", SAID.len()).is_err() {
                return;
            }
        }
    }
}

#[test]
fn refused_credentials_are_told_with_where_they_come_from() {
    let apart = Apart::on_dynamodb("refused");
    apart.set_up();
    let file = apart.configured("", &format!("endpoint = {:?}", refusing()), "");
    let words = ["refuses these credentials (UnrecognizedClientException)", "AWS_ACCESS_KEY_ID"];
    apart.refused(&["setup", "process", "serve"], &file, &words);
}

#[test]
fn no_credentials_are_told_with_where_they_may_be() {
    let apart = Apart::on_dynamodb("none");
    apart.set_up();
    // Nobody asks AWS anything without credentials.
    let file = apart.configured("", "region = \"eu-west-1\" # no endpoint: AWS's own", "");
    for role in ["setup", "process", "serve"] {
        let mut command = apart.command(role, &file, "data");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("HOME", apart.folder.path()).env("AWS_EC2_METADATA_DISABLED", "true");
        let said = said_until(command, "; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE");
        assert!(said.contains("no credentials found in chain"), "{said}");
    }
}
