//! The read commands: they ask a running server and print tables for people, JSON for programs.
//!
//! Always true here: `--json` prints the server's own answer, all pages put together; a cell of a table never carries a
//! control character of a foreign string to the terminal.

mod answer;
mod books;
#[cfg(feature = "oldpath")]
mod gate;
mod pipeline;
mod stale;
mod tables;
pub mod words;

#[cfg(feature = "oldpath")]
use std::process::ExitCode;
use std::sync::{Once, OnceLock};

use anyhow::{Context, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::HeaderMap;

use self::answer::{Answer, Json};
pub use self::stale::{FailOn, stale};
use crate::cli::{Books, Environment, Evaluations, Reader, Window};

/// A page of an answer is at most this long.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// `flagstream evaluations`
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn evaluations(command: &Evaluations) -> anyhow::Result<()> {
    let mut query = window_query(&command.window);
    query.extend(command.flag.as_ref().map(|flag| ("flag", flag.clone())));
    query.push(("granularity", command.granularity.clone()));
    query.push(("groupBy", command.group_by.clone()));
    let answer = list(&command.window.reader, &environment_path(&command.window.environment, "evaluations"), &query)?;
    print(&command.window.reader, &answer, |answer| tables::evaluations(answer, command.flag.as_deref()))
}

/// `flagstream events`
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn events(command: &Window) -> anyhow::Result<()> {
    let answer = list(&command.reader, &environment_path(&command.environment, "events"), &window_query(command))?;
    print(&command.reader, &answer, tables::events)
}

/// `flagstream books`
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn books(command: &Books) -> anyhow::Result<()> {
    let query: Vec<_> = command.day.iter().map(|day| ("day", day.clone())).collect();
    let answer = ask(&command.reader, &environment_path(&command.environment, "books"), &query)?;
    print(&command.reader, &answer, books::books)
}

/// `flagstream pipeline`
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn pipeline(reader: &Reader) -> anyhow::Result<()> {
    let answer = ask(reader, "/v1/pipeline/health", &[])?;
    print(reader, &answer, pipeline::pipeline)
}

/// `flagstream gate show`
///
/// # Errors
/// What the server said, or that it could not be reached.
#[cfg(feature = "oldpath")]
pub fn gate(reader: &Reader) -> anyhow::Result<()> {
    let answer = list(reader, "/v1/pipeline/gate", &[])?;
    print(reader, &answer, gate::gate)
}

/// `flagstream compare`; the exit code says whether all is explained.
///
/// # Errors
/// What the server said, or that it could not be reached.
#[cfg(feature = "oldpath")]
pub fn compare(command: &crate::cli::Compare) -> anyhow::Result<ExitCode> {
    let window = &command.window;
    let mut query = window_query(window);
    query.push(("project", window.environment.project.clone()));
    query.push(("environment", window.environment.environment.clone()));
    query.extend(command.flag.as_ref().map(|flag| ("flag", flag.clone())));
    let answer = list(&window.reader, "/v1/pipeline/comparison", &query)?;
    print(&window.reader, &answer, gate::comparison)?;
    let told = answer.json()?;
    let unexplained = words::number(&told["totals"]["unexplained"]).context("the server's comparison has no totals")?;
    Ok(match (unexplained, told["complete"].is_true()) {
        (1.., _) => ExitCode::from(crate::gate::UNEXPLAINED),
        (_, false) => ExitCode::from(crate::gate::UNKNOWN),
        _ => ExitCode::SUCCESS,
    })
}

/// `flagstream health`
///
/// # Errors
/// When the server cannot be reached or is not ready.
pub fn health(reader: &Reader) -> anyhow::Result<()> {
    let ready = ready(reader);
    if reader.json {
        let why = ready.as_ref().err().map(crate::output::with_causes);
        crate::output::line(&serde_json::json!({ "ready": ready.is_ok(), "why": why }).to_string())?;
        return ready;
    }
    ready?;
    crate::output::line("ready")
}

fn ready(reader: &Reader) -> anyhow::Result<()> {
    let (status, url, mut answer) = call(reader, "/readyz", &[])?;
    let said = answer.body_mut().read_to_string().with_context(|| format!("{url} answered {status}"))?;
    anyhow::ensure!(status == 200, "not ready: {url} answered {status}: {}", said.trim());
    Ok(())
}

fn print(reader: &Reader, answer: &Answer, table: impl Fn(&Json) -> String) -> anyhow::Result<()> {
    let printed = if reader.json { answer.print() } else { answer.json().map(|answer| table(&for_people(answer))) };
    crate::output::line(&printed.context("cannot print the answer")?)
}

/// Long names are cut in tables, wherever these go; JSON and CSV have them whole.
fn for_people(answer: Json) -> Json {
    answer.with_items_cut(words::NAME_CHARS_MAX)
}

fn environment_path(environment: &Environment, what: &str) -> String {
    format!("/v1/projects/{}/environments/{}/{what}", segment(&environment.project), segment(&environment.environment))
}

/// A segment of a path.
pub fn segment(key: &str) -> String {
    utf8_percent_encode(key, SEGMENT).to_string()
}

fn window_query(window: &Window) -> Vec<(&'static str, String)> {
    let from = window.from.iter().map(|from| ("from", from.clone()));
    from.chain(window.to.iter().map(|to| ("to", to.clone()))).collect()
}

/// Follows `_links.next` until the list is whole. How far it reaches is what its first page says.
fn list(reader: &Reader, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
    let mut query = query.to_vec();
    query.push(("limit", "1000".to_owned()));
    let mut answer = ask(reader, path, &query)?;
    let mut items = answer.take_items()?;
    let mut next = answer.take_next();
    while let Some(path) = next {
        let mut page = ask(reader, &path, &[])?;
        items.extend(page.take_items()?);
        next = page.take_next();
    }
    answer.put_items(&items)?;
    Ok(answer)
}

fn call(
    reader: &Reader,
    path: &str,
    query: &[(&str, String)],
) -> anyhow::Result<(u16, String, ureq::http::Response<ureq::Body>)> {
    let url = format!("{}{path}", address(&reader.server)?);
    let mut request = agent().get(&url);
    for (name, value) in query {
        request = request.query(*name, value);
    }
    if let Some(key) = credential(reader)? {
        request = request.header("Authorization", key);
    }
    let answer = request.call().with_context(|| no_answer(reader))?;
    tell_of_idle_key(reader, &answer);
    Ok((answer.status().as_u16(), url, answer))
}

/// The server's address with its scheme, which may be left out.
fn address(server: &str) -> anyhow::Result<String> {
    let server = server.trim().trim_end_matches('/');
    match server.split_once("://") {
        None => Ok(format!("http://{server}")),
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => Ok(server.to_owned()),
        Some((scheme, _)) => bail!(
            "--server {server}: {scheme} is not in this build, which asks over http alone; give the http:// address behind \
             the proxy, or bring it here (ssh -L 8080:127.0.0.1:8080 HOST)"
        ),
    }
}

/// One for the whole process, so that connections are kept from one request to the next.
fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| ureq::Agent::config_builder().http_status_as_error(false).build().into())
}

/// The key without the blanks and line breaks that come along with a copy. (It is never printed.)
fn credential(reader: &Reader) -> anyhow::Result<Option<&str>> {
    let key = reader.key.as_deref().map(str::trim).filter(|key| !key.is_empty());
    if key.is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        bail!(
            "the key of --key (or FLAGSTREAM_KEY) has a character that no key has: a blank, a line break or a letter beyond \
               ASCII; copy it anew"
        );
    }
    Ok(key)
}

/// Says once that the server did not look at the key: it may be a wrong one, or the server another than was meant.
fn tell_of_idle_key(reader: &Reader, answer: &ureq::http::Response<ureq::Body>) {
    static TOLD: Once = Once::new();
    if answer.headers().contains_key("x-flagstream-key") {
        TOLD.call_once(|| {
            crate::output::aside(&format!(
                "note: {} asks for no key (it has no read or admin keys), so the one given was not checked",
                reader.server
            ));
        });
    }
}

/// Puts JSON; gives the answer's.
///
/// # Errors
/// What the server said, or that it could not be reached.
pub fn put(reader: &Reader, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let url = format!("{}{path}", address(&reader.server)?);
    send(reader, &url, agent().put(&url), body)
}

/// Sends a change of some fields as JSON; gives the answer's.
///
/// # Errors
/// As [`put`].
pub fn patch(reader: &Reader, path: &str, body: &serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let url = format!("{}{path}", address(&reader.server)?);
    send(reader, &url, agent().patch(&url), body)
}

/// Deletes; gives the answer's JSON.
///
/// # Errors
/// As [`put`].
pub fn delete(reader: &Reader, path: &str) -> anyhow::Result<serde_json::Value> {
    let url = format!("{}{path}", address(&reader.server)?);
    let mut request = agent().delete(&url);
    if let Some(key) = credential(reader)? {
        request = request.header("Authorization", key);
    }
    taken(reader, &url, request.call().with_context(|| no_answer(reader))?)
}

fn send(
    reader: &Reader,
    url: &str,
    mut request: ureq::RequestBuilder<ureq::typestate::WithBody>,
    body: &serde_json::Value,
) -> anyhow::Result<serde_json::Value> {
    if let Some(key) = credential(reader)? {
        request = request.header("Authorization", key);
    }
    taken(reader, url, request.send_json(body).with_context(|| no_answer(reader))?)
}

/// What the server says of a change.
fn taken(
    reader: &Reader,
    url: &str,
    mut answer: ureq::http::Response<ureq::Body>,
) -> anyhow::Result<serde_json::Value> {
    tell_of_idle_key(reader, &answer);
    let status = answer.status().as_u16();
    let said = answer.body_mut().read_to_string().with_context(|| format!("{url} answered {status}"))?;
    let said: serde_json::Value = serde_json::from_str(&said)
        .with_context(|| format!("{url} answered {status}, and not with JSON; is it a Flagstream server?"))?;
    if status >= 400 {
        let hint = if status == 401 { "; give an admin key with --key or FLAGSTREAM_KEY" } else { "" };
        bail!("{status}: {}{hint}", said["message"].as_str().unwrap_or("no message"));
    }
    Ok(said)
}

/// Asks for something that is no list.
///
/// # Errors
/// As [`put`].
pub fn told(reader: &Reader, path: &str) -> anyhow::Result<serde_json::Value> {
    let answer = ask(reader, path, &[])?;
    serde_json::from_str(&answer.print()?).context("cannot read the answer")
}

/// The items of a list, all pages of it.
///
/// # Errors
/// As [`put`].
pub fn items(reader: &Reader, path: &str) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut answer: serde_json::Value = serde_json::from_str(&list(reader, path, &[])?.print()?)?;
    match answer["items"].take() {
        serde_json::Value::Array(items) => Ok(items),
        _ => bail!("the answer has no list"),
    }
}

fn no_answer(reader: &Reader) -> String {
    format!("no answer from {}; is `flagstream up` running there? (--server URL or FLAGSTREAM_SERVER)", reader.server)
}

fn ask(reader: &Reader, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
    let (status, url, mut answer) = call(reader, path, query)?;
    let body = body(status, &url, &text(status, &url, &mut answer)?)?;
    if status >= 400 { Err(refused(status, &body)) } else { Ok(body) }
}

/// An answer that is no JSON unless it is a refusal, with its headers.
fn ask_text(reader: &Reader, path: &str, query: &[(&str, String)]) -> anyhow::Result<(HeaderMap, String)> {
    let (status, url, mut answer) = call(reader, path, query)?;
    let said = text(status, &url, &mut answer)?;
    if status >= 400 { Err(refused(status, &body(status, &url, &said)?)) } else { Ok((answer.headers().clone(), said)) }
}

fn text(status: u16, url: &str, answer: &mut ureq::http::Response<ureq::Body>) -> anyhow::Result<String> {
    let said = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    said.with_context(|| format!("{url} answered {status}, and then not to the end"))
}

fn body(status: u16, url: &str, said: &str) -> anyhow::Result<Answer> {
    Answer::read(said)
        .with_context(|| format!("{url} answered {status}, and not with JSON; is it a Flagstream server?"))
}

fn refused(status: u16, body: &Answer) -> anyhow::Error {
    let said = body.text("message").unwrap_or_else(|| "no message".to_owned());
    let hint = if status == 401 { "; give a read or admin key with --key or FLAGSTREAM_KEY" } else { "" };
    anyhow::anyhow!("{status}: {said}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_without_what_came_along_and_never_printed() {
        let of = |key: &str| {
            let reader = Reader { server: String::new(), key: Some(key.to_owned()), json: false };
            credential(&reader).map(|key| key.map(ToOwned::to_owned))
        };
        assert_eq!(of(" admin-1\n").unwrap().as_deref(), Some("admin-1"));
        assert_eq!(of(" \n").unwrap(), None);
        for wrong in ["admin-1\nadmin-2", "admin 1", "ädmin-1"] {
            let said = of(wrong).unwrap_err().to_string();
            assert!(said.contains("--key") && !said.contains("dmin"), "{said}");
        }
    }

    #[test]
    fn the_scheme_of_an_address_may_be_left_out_and_is_http() {
        for (server, expected) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://flags:80/", "http://flags:80"),
            ("HTTP://flags", "HTTP://flags"),
        ] {
            assert_eq!(address(server).unwrap(), expected);
        }
        let said = address("https://flags").unwrap_err().to_string();
        assert!(said.contains("https is not in this build") && said.contains("https://flags"), "{said}");
    }
}
