//! `flagstream flags`: what people say about flags, told to a running server.
//!
//! Always true here: what is not named stays as it is; to send the same again does no harm; what was sent is in the
//! answers when a command ends, or it says that it is not yet.

mod import;
mod rows;
mod scan;
mod snooze;
mod upload;

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

pub use self::snooze::{End, duration_ms, end};
use crate::cli::{Flags, FlagsShow, Reader};
use crate::output::{aside, line};
use crate::read::{segment, told};

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Longest wait for the answers to have what was said.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at the answers.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs `flagstream flags …`.
///
/// # Errors
/// What is wrong with the file, what the server said, or that it could not be reached.
pub fn run(command: &Flags) -> anyhow::Result<()> {
    match command {
        Flags::Import(command) => import::import(command),
        Flags::Scan(command) => upload::find(command),
        Flags::Snooze(command) => snooze::snooze(command),
        Flags::Show(command) => show(command),
    }
}

fn flag_path(project: &str, flag: &str) -> String {
    format!("/v1/projects/{}/flags/{}", segment(project), segment(flag))
}

fn show(command: &FlagsShow) -> anyhow::Result<()> {
    let Some(answer) = known(&command.reader, &flag_path(&command.project, &command.flag))? else {
        bail!("flag {:?} is not known: it was never evaluated, and nothing was said of it", command.flag);
    };
    if answer["complete"] != true {
        aside("note: the server lags; something newer may have been said of this flag");
    }
    print(&command.reader, &answer)
}

/// What is known of a flag; `None` = it was never evaluated and nothing was said of it. Where the server lags, that is
/// told after a wait only.
fn known(reader: &Reader, path: &str) -> anyhow::Result<Option<Value>> {
    let give_up = Instant::now() + SHOWN_WITHIN;
    loop {
        let answer = told(reader, path)?;
        if answer["version"] != 0 || answer["seen"] == true {
            return Ok(Some(answer));
        }
        if answer["complete"] == true {
            return Ok(None);
        }
        if Instant::now() >= give_up {
            aside("note: the server lags; what was sent to it last is not known yet");
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the answers have this version of a flag, or a later one; `false` = they still lag, which is told.
fn until_shown(reader: &Reader, path: &str, version: u64) -> anyhow::Result<bool> {
    let give_up = Instant::now() + SHOWN_WITHIN;
    while told(reader, path)?["version"].as_u64() < Some(version) {
        if Instant::now() >= give_up {
            aside("note: it is kept, and the server lags: `flags show` and `stale` have it later");
            return Ok(false);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(true)
}

fn read(file: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.with_context(|| format!("cannot read {file}"))?;
    ensure!(bytes.len() as u64 <= FILE_BYTES_MAX, "{file} is over {FILE_BYTES_MAX} bytes; split it");
    decoded(bytes).with_context(|| format!("cannot read {file}"))
}

fn decoded(bytes: Vec<u8>) -> anyhow::Result<String> {
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.contains(&0);
    ensure!(!is_wide, "it looks like UTF-16; save it as UTF-8");
    let text = String::from_utf8(bytes).map_err(|error| error.utf8_error().valid_up_to());
    text.map_err(|at| anyhow::anyhow!("byte {} is no UTF-8 (it looks like Latin-1); save it as UTF-8", at + 1))
}

fn print(reader: &Reader, answer: &Value) -> anyhow::Result<()> {
    if reader.json {
        return line(&answer.to_string());
    }
    line(&format!("flag     {}", answer["key"]))?;
    line(&format!(
        "version  {}{}",
        answer["version"],
        if answer["version"] == 0 { " (nothing was said yet)" } else { "" }
    ))?;
    line(&format!("seen     {}", if answer["seen"] == true { "yes" } else { "never evaluated" }))?;
    for (name, value) in answer["metadata"].as_object().into_iter().flatten() {
        let is_time = matches!(name.as_str(), "createdAt" | "snoozedUntil");
        let time = value.as_i64().filter(|_| is_time).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        // JSON's own form: a foreign string's control characters stay escaped.
        line(&format!("{name}  {}", time.map_or(value.to_string(), |time| time.to_string())))?;
    }
    Ok(())
}

/// `1 flag`, `2 flags`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn now_ms() -> anyhow::Result<i64> {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(i64::try_from(since.as_millis())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_another_encoding_is_told_with_what_to_do() {
        assert_eq!(decoded("key\né".into()).unwrap(), "key\né");
        for (bytes, words) in [
            (&b"\xff\xfek\0"[..], "UTF-16; save it as UTF-8"),
            (b"k\0e\0", "UTF-16"),
            (b"key\n\xe9", "byte 5 is no UTF-8"),
        ] {
            let said = decoded(bytes.to_vec()).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }
}
