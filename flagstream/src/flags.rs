//! `flagstream flags`: what people say about flags, told to a running server.
//!
//! Always true here: every row of a file is checked before the first is sent; to send the same again does no harm.

mod rows;
mod scan;

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::cli::{Flags, FlagsImport, FlagsScan, FlagsShow, FlagsSnooze, Reader};
use crate::output::line;
use crate::read::{items, put, segment, told};

/// Longest file, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Bad rows named one by one.
const BAD_SHOWN_MAX: usize = 100;

/// Runs `flagstream flags …`.
///
/// # Errors
/// What is wrong with the file, what the server said, or that it could not be reached.
pub fn run(command: &Flags) -> anyhow::Result<()> {
    match command {
        Flags::Import(command) => import(command),
        Flags::Scan(command) => find(command),
        Flags::Snooze(command) => snooze(command),
        Flags::Show(command) => show(command),
    }
}

fn flag_path(project: &str, flag: &str) -> String {
    format!("/v1/projects/{}/flags/{}", segment(project), segment(flag))
}

fn import(command: &FlagsImport) -> anyhow::Result<()> {
    let text = read(&command.file)?;
    let rows = rows::read(&text, &command.file).with_context(|| format!("cannot read {}", command.file))?;
    let (good, bad): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.said.is_ok());
    let wrong = bad.iter().filter_map(|row| Some((row, row.said.as_ref().err()?)));
    for (row, what) in wrong.take(BAD_SHOWN_MAX) {
        eprintln!("{}:{}: {what}", command.file, row.line);
    }
    if bad.len() > BAD_SHOWN_MAX {
        eprintln!("… and {} more", bad.len() - BAD_SHOWN_MAX);
    }
    if !bad.is_empty() && !command.skip_bad {
        bail!(
            "{} of {} rows are bad; nothing was sent (--skip-bad sends the others)",
            bad.len(),
            bad.len() + good.len()
        );
    }
    if command.dry_run {
        return line(&format!("{} flags would be sent, {} bad rows would be skipped", good.len(), bad.len()));
    }
    let mut unseen = 0_usize;
    for (sent, row) in good.iter().enumerate() {
        let Ok((key, fields)) = &row.said else { continue };
        let answer = put(&command.reader, &flag_path(&command.project, key), &Value::Object(fields.clone()))
            .with_context(|| {
                format!("{}:{}: flag {key:?}: {sent} flags were sent before it", command.file, row.line)
            })?;
        unseen += usize::from(answer["seen"] == false);
        if (sent + 1) % 100 == 0 {
            eprintln!("{} of {} flags", sent + 1, good.len());
        }
    }
    line(&format!("{} flags sent, of which {unseen} were never evaluated; {} bad rows skipped", good.len(), bad.len()))
}

fn find(command: &FlagsScan) -> anyhow::Result<()> {
    let keys: BTreeSet<String> = match &command.keys {
        Some(file) => read(file)?.lines().map(str::trim).filter(|key| !key.is_empty()).map(ToOwned::to_owned).collect(),
        None => {
            let flags = items(&command.reader, &format!("/v1/projects/{}/stale-flags", segment(&command.project)))?;
            flags.iter().filter_map(|flag| flag["key"].as_str().map(ToOwned::to_owned)).collect()
        }
    };
    ensure!(!keys.is_empty(), "there is no flag to look for: give keys with --keys FILE");
    let keys: Vec<String> = keys.into_iter().collect();
    let found = scan::scan(&command.directory, &keys)?;
    if command.reader.json {
        let places = |(key, places): (&String, &Vec<(PathBuf, u64)>)| {
            let places: Vec<_> =
                places.iter().map(|(file, line)| json!({ "file": file.to_string_lossy(), "line": line })).collect();
            json!({ "key": key, "codeReferences": places.len(), "places": places })
        };
        let flags: Vec<_> = found.places.iter().map(places).collect();
        let passed_over = json!({ "binary": found.binary, "large": found.large, "unreadable": found.unreadable });
        line(&json!({ "flags": flags, "files": found.files, "passedOver": passed_over }).to_string())?;
    } else {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY).set_header(["flag", "file", "line"]);
        // Debug's form, so that no control character of a name reaches the terminal.
        for (key, places) in &found.places {
            for (file, at) in places {
                table.add_row([
                    key.escape_debug().to_string(),
                    file.to_string_lossy().escape_debug().to_string(),
                    at.to_string(),
                ]);
            }
            if places.is_empty() {
                table.add_row([&key.escape_debug().to_string(), "nowhere", ""]);
            }
        }
        line(&table.to_string())?;
    }
    eprintln!(
        "{} files looked at; passed over: {} binary, {} over 4 MiB, {} unreadable",
        found.files, found.binary, found.large, found.unreadable
    );
    if command.upload { upload(command, &found) } else { Ok(()) }
}

/// Reads what was said of all flags, then puts it back with the number alone changed. (What somebody else says of one of
/// them between the two is lost.)
fn upload(command: &FlagsScan, found: &scan::Found) -> anyhow::Result<()> {
    ensure!(found.unreadable == 0, "some files could not be read, so the numbers may be too low; nothing was sent");
    let mut to_send = Vec::new();
    for (key, places) in &found.places {
        let mut said = told(&command.reader, &flag_path(&command.project, key))?;
        ensure!(
            said["complete"] == true,
            "the server lags, so what was said last is not known yet; nothing was sent, run it again in a second"
        );
        said["metadata"]["codeReferences"] = json!(places.len());
        to_send.push((key, said["metadata"].take()));
    }
    for (key, metadata) in &to_send {
        put(&command.reader, &flag_path(&command.project, key), metadata).with_context(|| format!("flag {key:?}"))?;
    }
    eprintln!("{} flags sent", found.places.len());
    Ok(())
}

fn read(file: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().lock().take(FILE_BYTES_MAX + 1).read_to_string(&mut text),
        file => std::fs::File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)),
    };
    read.with_context(|| format!("cannot read {file}"))?;
    ensure!(text.len() as u64 <= FILE_BYTES_MAX, "{file} is over {FILE_BYTES_MAX} bytes; split it");
    Ok(text)
}

fn snooze(command: &FlagsSnooze) -> anyhow::Result<()> {
    let until = match (&command.until, &command.for_) {
        (Some(until), _) if until == "now" => Value::Null,
        (Some(until), _) => time(until)?,
        (None, Some(long)) => json!(now_ms()? + duration_ms(long)?),
        (None, None) => bail!("say --until DATE or --for 30d (--until now ends a snooze)"),
    };
    let path = format!("{}/snooze", flag_path(&command.project, &command.flag));
    print(&command.reader, &put(&command.reader, &path, &json!({ "until": until }))?)
}

fn show(command: &FlagsShow) -> anyhow::Result<()> {
    print(&command.reader, &told(&command.reader, &flag_path(&command.project, &command.flag))?)
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

/// Milliseconds and RFC 3339 as they are; a date is its beginning in UTC.
fn time(text: &str) -> anyhow::Result<Value> {
    if let Ok(ms) = text.parse::<i64>() {
        return Ok(json!(ms));
    }
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let time: jiff::Timestamp = whole
        .parse()
        .ok()
        .with_context(|| format!("--until {text:?}: give a date (2026-01-31), RFC 3339, Unix milliseconds, or now"))?;
    Ok(json!(time.as_millisecond()))
}

fn duration_ms(text: &str) -> anyhow::Result<i64> {
    let unit = match text.chars().last() {
        Some('d') => 24,
        Some('h') => 1,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).and_then(|number| number.parse::<u32>().ok());
    match number.filter(|number| *number > 0 && unit > 0) {
        Some(number) => Ok(i64::from(number) * unit * 3_600_000),
        None => bail!("--for {text:?}: give days or hours, like 30d or 12h"),
    }
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
    fn times_and_durations_are_read_or_named() {
        assert_eq!(time("1970-01-02").unwrap(), json!(86_400_000));
        assert_eq!(time("77").unwrap(), json!(77));
        assert_eq!(duration_ms("2d").unwrap(), 2 * 86_400_000);
        for wrong in ["", "d", "0d", "3w", "é"] {
            assert!(duration_ms(wrong).unwrap_err().to_string().contains("like 30d"), "{wrong}");
        }
        assert!(time("soon").unwrap_err().to_string().contains("soon"));
    }
}
