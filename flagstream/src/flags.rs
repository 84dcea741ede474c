//! `flagstream flags`: what people say about flags, told to a running server.
//!
//! Always true here: what is not named stays as it is; to send the same again does no harm; what was sent is in the
//! answers when a command ends, or it says that it is not yet.

mod found;
mod import;
mod remove;
mod rows;
mod scan;
mod snooze;
mod upload;

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use experiments::visible;
use serde_json::Value;

pub use self::snooze::{End, duration_ms, end};
use crate::cli::{Flags, FlagsShow, Reader};
use crate::output::{aside, line};
use crate::read::{segment, told};

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// So many names are told where there are more.
const NAMED_MAX: usize = 10;
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
        Flags::Scan(command) => found::find(command),
        Flags::Snooze(command) => snooze::snooze(command),
        Flags::Show(command) => show(command),
        Flags::Remove(command) => remove::remove(command),
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
        let is_said = answer["version"] != 0 && answer["withdrawn"] != true;
        if is_said || answer["seen"] == true {
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

/// Waits until the answers have this version of what is asked for, or a later one; `false` = they still lag, which is
/// told.
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
    line(&format!("said     {}", when(answer)))?;
    line(&format!("version  {}", answer["version"]))?;
    line(&format!("seen     {}", if answer["seen"] == true { "yes" } else { "never evaluated" }))?;
    let metadata = &answer["metadata"];
    for (name, value) in metadata.as_object().into_iter().flatten() {
        let said = match name.as_str() {
            "codePlaces" => continue,
            "codeReferences" => format!("{value}{}", places(&metadata["codePlaces"], value)),
            "codeScan" => format!("first found so by the scan of {}", moment(&value["at"])),
            "createdAt" | "snoozedUntil" => moment(value),
            // JSON's own form: a foreign string's control characters stay escaped.
            _ => value.to_string(),
        };
        line(&format!("{name}  {said}"))?;
    }
    Ok(())
}

/// When what is in force was said.
fn when(answer: &Value) -> String {
    match (answer["version"].as_u64(), answer["saidAt"].is_null()) {
        (Some(0) | None, _) => "nothing yet".to_owned(),
        (_, true) => "before times were kept".to_owned(),
        _ if answer["withdrawn"] == true => format!("nothing any more, since {}", moment(&answer["saidAt"])),
        _ => format!("{} (the version is its place in the log of all that was said)", moment(&answer["saidAt"])),
    }
}

fn moment(value: &Value) -> String {
    let time = value.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or(value.to_string(), |time| time.to_string())
}

/// The first places in code, behind their number.
fn places(places: &Value, number: &Value) -> String {
    let told = places.as_array().map_or(&[][..], Vec::as_slice);
    // Without its quotes, and with control characters still escaped.
    let place = |place: &Value| match place["line"].as_u64() {
        Some(line) => format!("{}:{line}", visible(place["file"].as_str().unwrap_or_default())),
        None => visible(place["file"].as_str().unwrap_or_default()),
    };
    let more = number.as_u64().unwrap_or(0) > told.len() as u64;
    match told {
        [] => String::new(),
        told => format!(": {}{}", told.iter().map(place).collect::<Vec<_>>().join(", "), if more { ", …" } else { "" }),
    }
}

/// `1 flag`, `2,000 flags`.
fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Thousands apart: `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let comma = |place: usize| place > 0 && (digits.len() - place).is_multiple_of(3);
    digits.char_indices().flat_map(|(place, c)| comma(place).then_some(',').into_iter().chain([c])).collect()
}

/// The first of many names, of which no control character reaches the terminal.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut named: Vec<_> = names.take(NAMED_MAX).map(visible).collect();
    if more > 0 {
        named.push(format!("and {} more", grouped(more)));
    }
    named.join(", ")
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
