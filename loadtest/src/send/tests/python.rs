//! `check/check.py` against a load on the real ingest: it holds, and each way to break ledger or log is found.

use super::{arguments, send};
use crate::environments::Target;
use crate::load::now_ms;
use bytes::Bytes;
use eventlog::memory::{Fault, MemoryLog};
use ingest::Ingest;
use ingest::keys::{EnvironmentKeys, KeyTable};
use schemas::id::Environment;
use schemas::record::Header;
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

    // One evaluation more or fewer, in the contents of the first payload acknowledged.
    let first_send = std::fs::read_to_string(done.ledger()).unwrap();
    let first_send = first_send.lines().find(|line| line.starts_with("{\"send\"")).unwrap().to_owned();
    let number = first_send.rsplit_once("\"contents\":").unwrap().1.trim_end_matches('}').to_owned();
    let of_first = format!("{{\"contents\":{{\"number\":{number},");
    let counts = |line: &str| {
        let (before, after) = line.starts_with(&of_first).then(|| line.split_once("\"count\":"))??;
        let end = after.find('}')?;
        let count: u64 = after[..end].parse().ok()?;
        Some((before.to_owned(), count, after[end..].to_owned()))
    };
    for wrong in [1_i64, -1] {
        let (code, text) = done.with_line(&dump, |line| {
            let (before, count, after) = counts(line)?;
            Some(format!("{before}\"count\":{}{after}", count.checked_add_signed(wrong)?))
        });
        assert!(code == 1 && text.contains("difference: evaluations in load/environment-"), "{wrong}: {text}");
    }
    // Another minute.
    let (code, text) = done.with_line(&dump, |line| {
        let (before, after) = line.starts_with(&of_first).then(|| line.split_once("\"minute_ms\":"))??;
        Some(format!("{before}\"minute_ms\":6{after}"))
    });
    assert!(code == 1 && text.contains("difference: evaluations in load/environment-"), "{text}");
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
