//! The command line: keys, configuration, reads, and what it says when something is wrong.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Output, Stdio};

use crate::server::{SDK_KEY, Server, flagstream};

/// `flagstream keys add` with the key on standard input.
pub(crate) fn add_key(data: &Path, key: &str, kind: &str) {
    let data = data.to_str().expect("a path");
    let output = input(&["keys", "add", "--environment", "development", "--kind", kind, "--data", data], key);
    assert!(output.status.success());
    assert!(!said(&output).contains(key), "the key was printed");
}

/// Runs it with a line on standard input.
pub(crate) fn input(arguments: &[&str], line: &str) -> Output {
    let mut child = flagstream()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start flagstream");
    // It may end without having read what it does not need.
    let _ = writeln!(child.stdin.take().expect("its input"), "{line}");
    child.wait_with_output().expect("wait")
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    flagstream().args(arguments).output().expect("run flagstream")
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// It failed, and said so in one line with these words.
fn assert_one_line(output: &Output, words: &str) {
    let said = said(output);
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains(words), "{said}");
}

pub(crate) const SUMMARY: &str = r#"[{"kind":"summary","startDate":0,"features":{"hello":{"default":false,"contextKinds":["user"],
    "counters":[{"variation":1,"version":3,"value":true,"count":7}]}}}]"#;

#[test]
fn what_was_sent_is_what_every_command_shows_also_after_kill_and_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    for _ in 0..2 {
        assert_eq!(server.bulk("4dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", SUMMARY).0, 202);
    }
    server.kill();
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.bulk("4dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", SUMMARY).0, 202);
    server.settle();
    let table = said(&run(&["evaluations", "--server", &server.url]));
    assert!(table.contains("hello") && table.contains(" 7 "), "{table}");
    let json = run(&["evaluations", "--server", &server.url, "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["items"][0]["count"], 7, "{json}");
    let books = run(&["books", "--server", &server.url, "--json"]);
    let books: serde_json::Value = serde_json::from_slice(&books.stdout).expect("JSON");
    assert_eq!(
        (&books["accepted"], &books["counted"], &books["duplicate"]),
        (&3.into(), &1.into(), &2.into()),
        "{books}"
    );
    for arguments in [&["pipeline"][..], &["events"], &["health"]] {
        let output = run(&[arguments, &["--server", &server.url]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    assert!(server.stop().success());
}

#[test]
fn a_key_added_while_it_runs_is_taken_without_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let headers = [("authorization".to_owned(), "sdk-late-comer-99".to_owned())];
    let send = || server.send("POST", "/bulk", &headers, b"[]").0;
    assert_eq!(send(), 401);
    add_key(data.path(), "sdk-late-comer-99", "server");
    let start = std::time::Instant::now();
    while send() != 202 {
        assert!(start.elapsed().as_secs() < 20, "the key is not taken");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn beyond_loopback_it_does_not_start_without_read_keys() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("a path");
    let output = run(&["up", "--listen", "0.0.0.0:0", "--data", data]);
    assert!(!output.status.success());
    assert!(said(&output).contains("admin_keys"), "{}", said(&output));
}

#[test]
fn two_processes_on_one_data_directory_are_told_apart() {
    let data = tempfile::tempdir().expect("a folder");
    let _server = Server::start(data.path(), &[]);
    let output = run(&["up", "--listen", "127.0.0.1:0", "--data", data.path().to_str().expect("a path")]);
    assert_one_line(&output, "another process");
}

#[test]
fn a_generation_that_differs_is_refused_with_the_value_named() {
    let data = tempfile::tempdir().expect("a folder");
    Server::start(data.path(), &[]).kill();
    let output = flagstream()
        .args(["up", "--listen", "127.0.0.1:0", "--data", data.path().to_str().expect("a path")])
        .env("FLAGSTREAM_LOG__PARTITIONS", "8")
        .output()
        .expect("run flagstream");
    assert!(!output.status.success());
    assert!(said(&output).contains("partitions"), "{}", said(&output));
}

#[test]
fn the_configuration_prints_without_secrets() {
    let data = tempfile::tempdir().expect("a folder");
    let data = data.path().to_str().expect("a path");
    let file = Path::new(data).join("config.toml");
    std::fs::write(&file, "admin_keys = [\"admin-secret-1234\"]\n[log]\npartitions = 2\n").expect("write");
    let output = run(&[
        "up",
        "--config",
        file.to_str().expect("a path"),
        "--data",
        data,
        "--sdk-key",
        SDK_KEY,
        "--print-config",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert!(said.contains("partitions = 2") && said.contains("…1234") && !said.contains("secret"), "{said}");
}

#[test]
fn a_wrong_variable_is_named_and_its_value_is_not_repeated() {
    for (name, value) in [
        ("FLAGSTREAM_LOG__PARTITIONS", "sdk-secret"),
        ("FLAGSTREAM_LOG__PARTITIONS", "-7123"),
        ("FLAGSTREAM_ADMIN_KEYS", "7123"),
        ("FLAGSTREAM_LOG", "sdk-secret"),
    ] {
        let output = flagstream().args(["keys", "list"]).env(name, value).output().expect("run flagstream");
        let said = said(&output);
        assert!(!output.status.success() && said.contains(name), "{name}={value}: {said}");
        assert!(!said.contains("secret") && !said.contains("7123"), "{name}={value}: {said}");
    }
}

#[test]
fn a_misspelt_variable_is_refused_and_an_unknown_one_is_told_of() {
    let output = flagstream().args(["keys", "list"]).env("FLAGSTREAM_ADMIN_KEY", "secret").output().expect("run");
    let said = said(&output);
    assert!(!output.status.success() && !said.contains("secret"), "{said}");
    assert!(said.contains("FLAGSTREAM_ADMIN_KEY is unknown; is FLAGSTREAM_ADMIN_KEYS meant?"), "{said}");

    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(&[("FLAGSTREAM_BOGUS_NAME", "secret")], data.path());
    server.until_logged("FLAGSTREAM_BOGUS_NAME", 1);
    assert!(server.stop().success());
}

#[test]
fn a_misspelt_variable_is_refused_by_commands_that_read_too() {
    for command in ["evaluations", "pipeline", "health"] {
        let output = flagstream().arg(command).env("FLAGSTREAM_SERVERS", "http://other").output().expect("run");
        assert!(!output.status.success() && said(&output).contains("FLAGSTREAM_SERVER meant"), "{}", said(&output));
    }
}

#[test]
fn health_answers_programs_in_json_and_a_server_needs_no_scheme() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let host = server.url.strip_prefix("http://").expect("its scheme").to_owned();
    let ask = || {
        let output = run(&["health", "--json", "--server", &host]);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.success(), json)
    };
    let (is_success, json) = ask();
    assert!(is_success && json["ready"] == true && json["why"].is_null(), "{json}");
    assert!(server.stop().success());
    let (is_success, json) = ask();
    assert!(!is_success && json["ready"] == false, "{json}");
    assert!(json["why"].as_str().is_some_and(|why| why.contains("no answer from")), "{json}");
}

#[test]
fn a_port_that_cannot_be_had_leaves_no_data_directory_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    let data = folder.path().join("data");
    for (listen, expected) in [(taken.as_str(), "another process"), ("203.0.113.7:0", "no address of this machine")] {
        let output = run(&["up", "--listen", listen, "--data", data.to_str().expect("a path")]);
        assert_one_line(&output, expected);
        assert!(!data.exists(), "{listen}");
    }
}

#[test]
fn keys_that_nobody_can_be_admitted_by_leave_no_data_directory_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("flagstream.toml"));
    let environment = |key: &str| {
        format!("[[environment]]\nproject = \"p\"\nkey = \"{key}\"\nserver_keys = [\"sdk-of-both-4711\"]\n")
    };
    let one = environment("e");
    let bad_hash = "admin_keys = [\"sha256:12\"]\n".to_owned();
    for (config, listen, key, expected) in [
        (one.clone() + &environment("f"), ":0", "sdk-1", "p/e and p/f have a key in common"),
        (one.clone(), ":0", "sdk-of-both-4711", "belongs to p/e already"),
        (one.clone(), ":0", " ", "--sdk-key is empty"),
        (one, "0.0.0.0:0", "sdk-1", "admin_keys"),
        (bad_hash, ":0", "sdk-1", "64 hexadecimal digits"),
    ] {
        std::fs::write(&file, &config).expect("write the configuration");
        let mut up = flagstream();
        up.args(["up", "--listen", listen, "--sdk-key", key, "--config"]).arg(&file).arg("--data").arg(&data);
        let output = up.output().expect("run flagstream");
        assert!(!output.status.success() && said(&output).contains(expected), "{config}: {}", said(&output));
        assert!(!data.exists(), "{config}");
    }
}

#[test]
fn a_file_in_the_place_of_the_data_directory_is_named_and_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").expect("write");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("its mode");
    let (file_path, below) = (file.to_str().expect("a path"), file.join("data"));
    for data in [file_path, below.to_str().expect("a path")] {
        for arguments in [&["up", "--listen", ":0"][..], &["keys", "list"], &["keys", "add", "--environment", "e"]] {
            let output = input(&[arguments, &["--data", data]].concat(), "sdk-1");
            assert_one_line(&output, "is a file; name another with --data DIR");
        }
    }
    let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
    assert_eq!((mode & 0o777, std::fs::read_to_string(&file).expect("the file").as_str()), (0o644, "mine"));
}

#[test]
fn an_empty_flag_is_refused() {
    let output = run(&["evaluations", "--flag", ""]);
    assert!(!output.status.success() && said(&output).contains("--flag"), "{}", said(&output));
}

#[test]
fn trouble_with_a_file_at_the_start_is_said_once() {
    let data = tempfile::tempdir().expect("a folder");
    std::fs::write(data.path().join("log"), "no folder").expect("write");
    let output = run(&["up", "--listen", ":0", "--data", data.path().to_str().expect("a path")]);
    let said = said(&output);
    assert!(!output.status.success());
    assert_eq!(said.matches("(os error").count(), 1, "{said}");
}

#[test]
fn a_bad_address_says_what_is_expected() {
    let output = run(&["up", "--listen", "8080"]);
    let said = said(&output);
    assert!(!output.status.success());
    assert!(said.contains("\"8080\"") && said.contains("HOST:PORT") && said.contains("port 0 (127.0.0.1:0"), "{said}");
}

#[test]
fn the_directory_that_a_first_key_makes_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    add_key(&data, "sdk-first", "server");
    let mode = std::fs::metadata(&data).expect("the data directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let data = tempfile::tempdir().expect("a folder");
    add_key(data.path(), SDK_KEY, "server");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = flagstream();
    let status =
        command.args(["keys", "list", "--data"]).arg(data.path()).stdout(writer).stderr(Stdio::null()).status();
    assert!(status.expect("run flagstream").success());
}

#[test]
fn a_server_that_nobody_listens_to_works_and_stops_as_any_other() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_unheard(data.path());
    assert_eq!(server.bulk("4dd83bb6-73c1-4a3b-a0a4-8e8ac4a4a5f6", SUMMARY).0, 202);
    server.settle();
    assert!(server.stop().success());
}

#[test]
fn the_last_line_of_the_banner_is_the_last_of_the_beginning() {
    let data = tempfile::tempdir().expect("a folder");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = flagstream();
    // So many that some begin late.
    command.env("FLAGSTREAM_LOG__PARTITIONS", "64");
    command.args(["up", "--listen", ":0", "--data"]).arg(data.path());
    let writers = (writer.try_clone().expect("the pipe"), writer);
    let mut child = command.stdout(writers.0).stderr(writers.1).spawn().expect("start flagstream");
    let lines = BufReader::new(reader).lines().map(|line| line.expect("a line"));
    let before: Vec<String> = lines.take_while(|line| !line.starts_with("waiting for the first event")).collect();
    child.kill().expect("kill");
    child.wait().expect("wait");
    assert_eq!(before.iter().filter(|line| line.contains("begin to read")).count(), 64, "{before:#?}");
}

#[test]
fn a_key_that_an_open_server_does_not_look_at_is_told_of_once() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path(), &[]);
    let errors = |more: &[&str]| {
        let output = run(&[&["evaluations", "--server", &server.url], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(errors(&[]), "");
    let told = errors(&["--key", "read-nonsense"]);
    assert!(told.lines().count() == 1 && told.contains("was not checked") && !told.contains("nonsense"), "{told}");
}

#[test]
fn a_key_of_two_environments_is_refused_and_the_server_still_starts() {
    let data = tempfile::tempdir().expect("a folder");
    add_key(data.path(), SDK_KEY, "server");
    let place = data.path().to_str().expect("a path");
    let output = input(&["keys", "add", "--environment", "production", "--data", place], SDK_KEY);
    assert!(!output.status.success());
    let said = said(&output);
    assert!(said.contains("default/development") && !said.contains(SDK_KEY), "{said}");
    assert!(Server::start(data.path(), &[]).stop().success());
}
