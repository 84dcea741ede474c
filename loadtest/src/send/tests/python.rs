//! `check/check.py` against a load on the real ingest: it holds, and each way to break ledger or log is found.

use super::{arguments, send};
use crate::environments::Target;
use crate::ledger::{self, Attempt, Holds, Line, Meaning};
use crate::load::now_ms;
use bytes::Bytes;
use eventlog::memory::{Fault, MemoryLog};
use ingest::Ingest;
use ingest::keys::{EnvironmentKeys, KeyTable};
use schemas::id::Environment;
use schemas::record::Header;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

const ENVIRONMENTS: u32 = 3;

/// A folder with the ledger of a load, and the log that took it.
struct Done {
    folder: tempfile::TempDir,
    log: MemoryLog,
}

/// Sends to an ingest of its own; so many answers are lost, and as many payloads find the log full.
async fn load(faults: u32) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let log = MemoryLog::new(4);
    let ingest = Ingest::new(Arc::new(log.clone()), Default::default(), Default::default(), Arc::new(now_ms));
    ingest.keys().swap(keys(), now_ms(), 0);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, ingest::service(ingest)).await });
    for _ in 0..faults {
        log.fail_next(Fault::AnswerLost);
        log.fail_next(Fault::Refused);
    }
    let words = "--environments 3 --requests-per-second 300 --seconds 1 --connections 8 --diagnostics 0";
    let arguments = arguments(address, Some(&folder.path().join("ledger")), words);
    let report = send(&arguments, std::future::pending()).await.unwrap();
    let denied = report.statuses.iter().filter(|status| status.answer == "503").map(|status| status.requests);
    // After a failure ingest refuses for a while by itself.
    assert!(denied.sum::<u64>() >= 2 * u64::from(faults));
    server.abort();
    Done { folder, log }
}

fn keys() -> KeyTable {
    let environments = (1..=ENVIRONMENTS).map(Target::numbered).map(|target| {
        let (project, key) = Target::names(&target.environment);
        EnvironmentKeys {
            environment: Environment::new(project, key).unwrap(),
            server_keys: vec![target.key.to_string()],
            mobile_keys: Vec::new(),
            client_side_ids: Vec::new(),
        }
    });
    KeyTable::new(&environments.collect::<Vec<_>>()).unwrap()
}

impl Done {
    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    async fn dump(&self) -> PathBuf {
        let path = self.folder.path().join("dump");
        eventlog::dump::dump(&self.log, &mut std::fs::File::create(&path).unwrap()).await.unwrap();
        path
    }

    /// Numbers of contents which no payload holds that was not acknowledged, and some do that was.
    fn sure(&self) -> HashSet<u64> {
        let (mut numbers, mut acknowledged) = (HashMap::new(), HashSet::new());
        ledger::read(&self.ledger(), |line| {
            match line {
                Line::Send(Attempt { payload, contents: Holds::Numbered(number), .. }) => {
                    numbers.insert(payload, number);
                }
                Line::Answer(answered) if answered.outcome.meaning() == Meaning::Acknowledged => {
                    acknowledged.insert(answered.payload);
                }
                _ => {}
            }
            Ok(())
        })
        .unwrap();
        let (sure, unsure): (HashMap<_, _>, HashMap<_, _>) =
            numbers.into_iter().partition(|(payload, _)| acknowledged.contains(payload));
        let unsure: HashSet<u64> = unsure.into_values().collect();
        sure.into_values().filter(|number| !unsure.contains(number)).collect()
    }

    /// What the program says of a ledger with one line changed. `change` gives the line anew, for the first that it
    /// knows.
    fn with_line(&self, dump: &Path, change: impl Fn(&str) -> Option<String>) -> (i32, String) {
        let text = std::fs::read_to_string(self.ledger()).unwrap();
        let place = text.lines().position(|line| change(line).is_some()).expect("no line can be changed so");
        let changed = text.lines().enumerate();
        let changed =
            changed.map(|(at, line)| if at == place { change(line).unwrap_or_default() } else { line.to_owned() });
        let path = self.folder.path().join("changed");
        std::fs::write(&path, changed.map(|line| line + "\n").collect::<String>()).unwrap();
        python(&path, dump)
    }
}

/// A line with the first number of this name off by `wrong`.
fn off_by(line: &str, name: &str, wrong: i64) -> Option<String> {
    let named = format!("\"{name}\":");
    // Some variations and versions are null.
    line.match_indices(&named).find_map(|(at, _)| {
        let from = at + named.len();
        let end = from + line[from..].find([',', '}'])?;
        let number: i64 = line[from..end].parse().ok()?;
        Some(format!("{}{}{}", &line[..from], number + wrong, &line[end..]))
    })
}

/// Exit code and output.
fn python(ledger: &Path, dump: &Path) -> (i32, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("check/check.py");
    let output = Command::new("python3").arg(program).arg(ledger).arg(dump).output();
    let output = output.expect("python3 is needed for this test");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_finds_what_the_log_holds_and_every_way_to_break_it() {
    let done = load(3).await;
    let dump = done.dump().await;
    let (code, text) = python(&done.ledger(), &dump);
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains(" 0 of them copies"), "payloads whose answers were lost were sent again: {text}");
    assert!(text.ends_with("holds\n"), "{text}");

    // A number of what acknowledged payloads hold, off by one.
    let sure = done.sure();
    for (name, wrong, found) in [
        ("count", 1, "difference: evaluations in load/environment-"),
        ("count", -1, "difference: evaluations in load/environment-"),
        ("minute_ms", 60_000, "difference: evaluations in load/environment-"),
        ("version", 1, "difference: evaluations in load/environment-"),
        ("variation", 5, "difference: evaluations in load/environment-"),
        ("metric_count", 1, "difference: values of event"),
        ("metric_micros", 1, "difference: sum of the values, in millionths of event"),
        ("elements", 1, "difference: elements of payload"),
    ] {
        let (code, text) = done.with_line(&dump, |line| {
            let told: Line = serde_json::from_str(line).ok()?;
            let is_sure = matches!(told, Line::Contents(described) if sure.contains(&described.number));
            is_sure.then(|| off_by(line, name, wrong))?
        });
        assert!(code == 1 && text.contains(found), "{name} {wrong}: {text}");
    }
    // A payload in another environment.
    let (code, text) = done.with_line(&dump, |line| {
        let other = line.strip_prefix("{\"send\"")?.replace("load/environment-1", "load/environment-9");
        Some(format!("{{\"send\"{other}")).filter(|changed| changed != line)
    });
    assert!(code == 1 && text.contains("of load/environment-9"), "{text}");
    // An acknowledged payload that was refused, says the ledger.
    let (code, text) = done.with_line(&dump, |line| {
        Some(line.replace("{\"status\":202}", "{\"status\":413}")).filter(|changed| changed != line)
    });
    assert!(code == 1 && text.contains("difference: elements of payload"), "{text}");
    // A payload that the ledger does not have.
    let (code, text) = done.with_line(&dump, |line| {
        line.strip_prefix("{\"send\":{\"payload\":\"").map(|rest| format!("{{\"send\":{{\"payload\":\"x{rest}"))
    });
    assert!(code != 0, "{text}");
}

/// A record of a dump.
#[derive(Clone)]
struct Record {
    partition: u32,
    header: Vec<u8>,
    body: Vec<u8>,
}

fn read(dump: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = &dump[eventlog::dump::MAGIC.len()..];
    while !rest.is_empty() {
        let number = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        let (partition, header, body) = (number(0), number(20) as usize, number(24) as usize);
        let (header, behind) = rest[28..].split_at(header);
        let (body, behind) = behind.split_at(body);
        records.push(Record { partition, header: header.to_vec(), body: body.to_vec() });
        rest = behind;
    }
    records
}

/// A dump of these records, their offsets anew.
fn written(records: &[Record], path: &Path) -> PathBuf {
    let mut next = [0_u64; 4];
    let mut dump = eventlog::dump::MAGIC.to_vec();
    for Record { partition, header, body } in records {
        dump.extend(partition.to_be_bytes());
        dump.extend(next[*partition as usize].to_be_bytes());
        next[*partition as usize] += 1;
        dump.extend([0; 8]);
        [header, body].iter().for_each(|bytes| dump.extend((bytes.len() as u32).to_be_bytes()));
        dump.extend([header.as_slice(), body].concat());
    }
    std::fs::write(path, dump).unwrap();
    path.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_finds_a_record_too_few_or_too_many() {
    let done = load(0).await;
    let path = done.dump().await;
    let whole = std::fs::read(&path).unwrap();
    let records = read(&whole);
    let header = |record: &Record| Header::decode(&Bytes::from(record.header.clone())).unwrap();
    let home = records.iter().rposition(|record| header(record).home).unwrap();
    assert_eq!(python(&done.ledger(), &written(&records, &path)).0, 0);

    let mut fewer = records.clone();
    fewer.remove(home);
    let (code, text) = python(&done.ledger(), &written(&fewer, &path));
    assert!(code == 1 && text.contains("difference: elements of payload"), "{text}");

    let mut copied = records.clone();
    copied.push(records[home].clone());
    let (code, text) = python(&done.ledger(), &written(&copied, &path));
    assert!(code == 1 && text.contains("accepted elements of"), "a copy counts nothing, and is accepted: {text}");
    assert!(!text.contains("evaluations in"), "{text}");

    let mut unknown = header(&records[home]);
    unknown.id = Some(schemas::event::PayloadId::Sent(b"another".to_vec()));
    copied.pop();
    copied.push(Record { header: unknown.encode().to_vec(), ..records[home].clone() });
    let (code, text) = python(&done.ledger(), &written(&copied, &path));
    assert!(code == 1 && text.contains("payload another, which nobody sent"), "{text}");

    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let (code, text) = python(&done.ledger(), &path);
    assert!(code == 2 && text.contains("ends in the middle of a record"), "{text}");
    let first = eventlog::dump::MAGIC.len() + 28 + records[0].header.len() + records[0].body.len();
    std::fs::write(&path, [eventlog::dump::MAGIC, &whole[first..]].concat()).unwrap();
    let (code, text) = python(&done.ledger(), &path);
    assert!(code == 2 && text.contains("offset 1 where 0 was expected"), "{text}");
}
