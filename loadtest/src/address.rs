//! Where the server is. Load is for loopback alone: a slip of the finger must not send it to someone's production.

use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;

/// The address in `http://127.0.0.1:PORT`, with or without a slash at its end.
///
/// # Errors
/// Another scheme, a name instead of an address, or an address that is not on loopback.
pub(crate) fn loopback(url: &str) -> Result<SocketAddr> {
    let wrong = || format!("`{url}` is no server address; give one as http://127.0.0.1:8080");
    let rest = url.strip_prefix("http://").with_context(wrong)?.trim_end_matches('/');
    let address = rest.replace("localhost:", "127.0.0.1:").parse::<SocketAddr>().with_context(wrong)?;
    ensure!(address.ip().is_loopback(), "`{url}` is not on this machine; load goes to loopback addresses only");
    Ok(address)
}

/// The loopback address that a server says it listens on, if `line` names one.
pub(crate) fn told(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://127.0.0.1:")? + "http://".len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_taken() {
        for url in ["http://127.0.0.1:80", "http://localhost:80/", "http://[::1]:80"] {
            assert_eq!(loopback(url).unwrap().port(), 80, "{url}");
        }
        for url in
            ["http://10.0.0.1:80", "https://127.0.0.1:80", "127.0.0.1:80", "http://example.org:80", "http://127.0.0.1"]
        {
            assert!(loopback(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_line_that_names_the_address() {
        let address = "127.0.0.1:4321".parse().ok();
        assert_eq!(told("page      http://127.0.0.1:4321/"), address);
        assert_eq!(told("listening on http://127.0.0.1:4321."), address);
        assert_eq!(told("keys are in flagstream-data/keys.toml"), None);
    }
}
