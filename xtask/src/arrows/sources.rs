//! What a pure package's own source must not say. A plain look at the text: enough to catch a slip, not meant to stop a
//! will. Tests are exempt: a module under a `#[cfg(… test …)]`, in the file or in a file of its own.

use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a pure package does not say, and what it would mean.
const FORBIDDEN: &[(&str, &str)] = &[
    ("SystemTime::now", "tells the time"),
    ("Instant::now", "tells the time"),
    ("std::fs", "reads or writes files"),
    ("std::net", "opens sockets"),
    ("std::thread", "starts threads"),
    ("std::env::", "reads the environment"),
    ("std::process", "runs programs"),
    ("RandomState", "throws dice"),
    ("println!", "prints"),
    ("async fn", "waits"),
    (".await", "waits"),
];

/// One line for each forbidden word in the sources under `folder`, with file and line; `shown` is how the folder is
/// named in them.
pub(crate) fn check(folder: &Path, shown: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let mut violations = Vec::new();
    let mut tests = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        tests.extend(test_files(file, &text));
    }
    for file in files.iter().filter(|file| !tests.iter().any(|test| file.starts_with(test))) {
        let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        let name = Path::new(shown).join(file.strip_prefix(folder).unwrap_or(file));
        violations.extend(slips(&text).map(|(line, word, meaning)| {
            format!("{}:{line}: `{word}` {meaning}; a pure package is given such things as values", name.display())
        }));
    }
    Ok(violations)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// The files and folders of the modules that `text`, the source of `file`, declares for tests alone.
fn test_files(file: &Path, text: &str) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(file);
    let stem = file.file_stem().unwrap_or_default();
    let children =
        if ["lib", "main", "mod"].iter().any(|name| stem == *name) { folder.into() } else { folder.join(stem) };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared =
        lines.windows(2).filter(|pair| is_for_tests(pair[0])).filter_map(|pair| module(pair[1])?.strip_suffix(';'));
    declared.flat_map(|name| [children.join(format!("{name}.rs")), children.join(name)]).collect()
}

fn is_for_tests(line: &str) -> bool {
    line.starts_with("#[cfg(") && line.contains("test") && !line.contains("not(")
}

/// What follows the `mod` of a line.
fn module(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    line.strip_prefix("mod ")
}

/// Forbidden words of one source: line (from 1), word, meaning. Comments and test modules are left out.
fn slips(text: &str) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    let mut for_tests = false;
    let mut skipped_until: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        if let Some(end) = &skipped_until {
            if line == end {
                skipped_until = None;
            }
            continue;
        }
        let trimmed = line.trim();
        if for_tests && module(trimmed).is_some_and(|rest| rest.ends_with('{')) {
            let indent = &line[..line.len() - line.trim_start().len()];
            skipped_until = Some(format!("{indent}}}"));
        }
        for_tests = is_for_tests(trimmed);
        let code = line.split("//").next().unwrap_or(line);
        found.extend(
            FORBIDDEN
                .iter()
                .filter(|(word, _)| code.contains(word))
                .map(|(word, meaning)| (number + 1, *word, *meaning)),
        );
        if code.trim_start().starts_with("use std::{") {
            let names = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            found.extend(names.filter_map(|name| {
                let (word, meaning) =
                    FORBIDDEN.iter().find(|(word, _)| word.trim_end_matches(':') == format!("std::{name}"))?;
                Some((number + 1, *word, *meaning))
            }));
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(usize, &'static str)> {
        slips(text).map(|(line, word, _)| (line, word)).collect()
    }

    #[test]
    fn each_word_is_seen_where_it_stands() {
        for (word, _) in FORBIDDEN {
            assert_eq!(words(&format!("fn f() {{\n    {word}\n}}")), [(2, *word)], "{word}");
        }
        assert_eq!(words("use std::{collections::BTreeMap, fs, thread};"), [(1, "std::fs"), (1, "std::thread")]);
    }

    #[test]
    fn comments_and_test_modules_are_exempt_and_what_follows_is_not() {
        assert_eq!(words("/// never calls Instant::now\nfn f() {} // std::fs"), []);
        let text = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::net::Ipv4Addr;";
        assert_eq!(words(text), [(5, "std::net")]);
        assert_eq!(words("#[cfg(not(test))]\nmod real {\n    use std::fs;\n}"), [(3, "std::fs")]);
    }

    #[test]
    fn a_folder_is_walked_and_files_of_test_modules_are_exempt() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("lib.rs", "mod deep;\n#[cfg(test)]\nmod golden;\n");
        write("golden.rs", "use std::fs;\n");
        write("deep/mod.rs", "mod inner;\n#[cfg(any(test, feature = \"testing\"))]\npub mod cases;");
        write("deep/cases.rs", "use std::fs;\n");
        write("deep/inner.rs", "\nlet now = Instant::now();\n");
        let found = check(folder.path(), "counting/src").unwrap();
        assert_eq!(
            found,
            [
                "counting/src/deep/inner.rs:2: `Instant::now` tells the time; a pure package is given such things as values"
            ]
        );
    }
}
