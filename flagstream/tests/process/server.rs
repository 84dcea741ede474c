//! A running `flagstream up` that ends with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The key that tests admit by `--sdk-key`.
pub(crate) const SDK_KEY: &str = "sdk-test-0123456789";
/// What waits longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

/// The process and its address.
pub(crate) struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    // Kept open: a closed pipe would kill the server at its next line.
    _lines: BufReader<ChildStdout>,
    log: tempfile::NamedTempFile,
    agent: ureq::Agent,
}

/// A command on this package's binary, free of the caller's own settings.
pub(crate) fn flagstream() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flagstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLAGSTREAM_")) {
        command.env_remove(name);
    }
    command
}

impl Server {
    /// Starts `up` on a free port.
    pub(crate) fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", data, arguments)
    }

    /// Starts `up` on any address; it is spoken to over loopback.
    pub(crate) fn start_on(listen: &str, data: &Path, arguments: &[&str]) -> Self {
        let mut command = flagstream();
        command.args(["up", "--listen", listen, "--sdk-key", SDK_KEY, "--data"]).arg(data).args(arguments);
        Self::start_command(command, None)
    }

    /// Starts `up` with a standard error that nobody reads any more.
    pub(crate) fn start_unheard(data: &Path) -> Self {
        let mut command = flagstream();
        command.args(["up", "--listen", ":0", "--sdk-key", SDK_KEY, "--data"]).arg(data);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        Self::start_command(command, Some(writer.into()))
    }

    /// Starts `up` with these environment variables.
    pub(crate) fn start_with(variables: &[(&str, &str)], data: &Path) -> Self {
        let mut command = flagstream();
        command.args(["up", "--listen", ":0", "--sdk-key", SDK_KEY, "--data"]).arg(data);
        command.envs(variables.iter().copied());
        Self::start_command(command, None)
    }

    /// Its log goes to a file unless it goes to `errors`.
    pub(crate) fn start_command(mut command: Command, errors: Option<Stdio>) -> Self {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let errors = errors.unwrap_or_else(|| log.reopen().expect("the file").into());
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().expect("start flagstream");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let url = loop {
            let mut line = String::new();
            assert!(
                lines.read_line(&mut line).expect("read its output") > 0,
                "flagstream ended before it said where it is: {}",
                std::fs::read_to_string(log.path()).expect("its log")
            );
            if let Some(at) = line.find("http://") {
                let rest = &line[at..];
                let url = rest[..rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len())].trim_end_matches('/');
                break url.replace("//0.0.0.0:", "//127.0.0.1:");
            }
        };
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let server = Self { child, url, _lines: lines, log, agent };
        server.until("ready", || server.get("/readyz").0 == 200);
        server
    }

    /// A GET: status and JSON (null when it is none).
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.send("GET", path, &[], b"");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Any request: status and body.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> (u16, String) {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let run = match body.is_empty() && method != "POST" {
            true => self.agent.run(request.body(()).expect("a request")),
            false => self.agent.run(request.body(body).expect("a request")),
        };
        let mut answer = run.expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
    }

    /// Posts a payload to `/bulk` with the test's key.
    pub(crate) fn bulk(&self, id: &str, body: &str) -> (u16, String) {
        let headers = [
            ("authorization".to_owned(), SDK_KEY.to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-launchdarkly-event-schema".to_owned(), "4".to_owned()),
            ("x-launchdarkly-payload-id".to_owned(), id.to_owned()),
        ];
        self.send("POST", "/bulk", &headers, body.as_bytes())
    }

    /// Waits until everything answered 2xx is in the numbers.
    pub(crate) fn settle(&self) {
        self.until("lag 0", || self.get("/v1/pipeline/health").1["lag"]["records"] == 0);
    }

    /// Waits until its log has `words` for the `times`-th time.
    pub(crate) fn until_logged(&self, words: &str, times: usize) {
        let logged = || std::fs::read_to_string(self.log.path()).expect("its log").matches(words).count();
        self.until(words, || logged() >= times);
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, mut reached: impl FnMut() -> bool) {
        let start = Instant::now();
        while !reached() {
            assert!(start.elapsed() < PATIENCE, "{what} not reached within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "SIGTERM does not end it");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended in `kill` and `stop`; then these say so and that is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
