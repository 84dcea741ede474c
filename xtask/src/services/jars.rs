//! The servers' published jars: fetched by Maven once for each set of pins, and held against the list of their sums.
//!
//! Always true here: a folder of jars that is there is whole and verified, and never changes: other pins, another
//! folder; Maven runs once at a time on this machine, for its local repository bears no two.

use super::servers::Jars;
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
const FETCH_MAX: Duration = Duration::from_secs(900);
/// The class files of the newest server want this.
const JAVA_MIN: u32 = 17;

/// The Java on the path.
pub(crate) struct Java {
    /// Its version, in characters that a file name may have.
    pub(crate) version: String,
}

/// Finds Java.
///
/// # Errors
/// It is not there, or too old.
pub(crate) fn java() -> Result<Java> {
    let install = format!("install a JDK, {JAVA_MIN} or newer (on Debian `apt-get install openjdk-17-jdk maven`)");
    let output = Command::new("java").arg("-version").output();
    let output = output.with_context(|| format!("run java; {install}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = version_of(&said).with_context(|| format!("`java -version` names no version; {install}"))?;
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    ensure!(major >= JAVA_MIN, "java is version {version}; {install}");
    Ok(Java { version })
}

/// The version between quotation marks in what Java says of itself, which may come after warnings.
fn version_of(said: &str) -> Option<String> {
    let line = said.lines().find(|line| line.contains(" version \""))?;
    let version = line.split('"').nth(1)?;
    Some(version.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect())
}

/// The folder with the jars, which are fetched if it is not there.
///
/// # Errors
/// Maven is not there or fails; a jar is not the one that was pinned.
pub(crate) fn get(jars: &Jars) -> Result<PathBuf> {
    let folder = folder(jars);
    if folder.is_dir() {
        return Ok(folder);
    }
    let _lock = maven_lock()?;
    if folder.is_dir() {
        return Ok(folder);
    }
    let partial = folder.with_extension("partial");
    let begun = Instant::now();
    fetch(jars, &partial)?;
    let found = sums(&partial.join("lib"))?;
    compare(jars, &found)?;
    compile(jars, &partial)?;
    fs::rename(&partial, &folder).with_context(|| format!("rename to {}", folder.display()))?;
    eprintln!("{}: {} files, as pinned, in {:.1} s", title(jars), found.len(), begun.elapsed().as_secs_f64());
    Ok(folder)
}

/// Fetches anew and gives the list of sums, for those that are to be pinned.
pub(crate) fn pin(jars: &Jars) -> Result<String> {
    let _lock = maven_lock()?;
    let partial = folder(jars).with_extension("partial");
    fetch(jars, &partial)?;
    let found = sums(&partial.join("lib"))?;
    fs::remove_dir_all(&partial).context("remove what was fetched")?;
    Ok(found.iter().map(|(file, sum)| format!("{sum}  {file}\n")).collect())
}

fn folder(jars: &Jars) -> PathBuf {
    let source = jars.source.map_or("", |(_, text)| text);
    let pins = hex(&Sha256::digest(format!("{}{}{source}", pom(jars), jars.sums)));
    workspace::target_dir().join("services/jars").join(format!("{}_{}", title(jars).replace(' ', "-"), &pins[..8]))
}

fn title(jars: &Jars) -> String {
    format!("{} {}", jars.name, jars.version())
}

fn fetch(jars: &Jars, folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).ok();
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    fs::write(folder.join("pom.xml"), pom(jars)).context("write the pom")?;
    let log = folder.join("maven.log");
    let mut maven = Command::new("mvn");
    // A download whose sum is not the one that the repository names is an error, not a warning.
    maven.args(["--batch-mode", "--strict-checksums", "-Dstyle.color=never", COPY]);
    maven.args(["-DoutputDirectory=lib", "-DincludeScope=runtime"]).current_dir(folder);
    let file = File::create(&log).with_context(|| format!("write {}", log.display()))?;
    maven.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = maven.spawn().context("run mvn; install Maven (on Debian `apt-get install maven`)")?;
    eprintln!("{}: Maven fetches it, unless it has it", title(jars));
    let (begun, mut told) = (Instant::now(), 0);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let seconds = begun.elapsed().as_secs();
        if seconds >= told + 5 {
            told = seconds;
            eprintln!("{}: {seconds} s, {} files downloaded", title(jars), downloads(&read(&log)));
        }
        if begun.elapsed() > FETCH_MAX {
            child.kill()?;
            child.wait()?;
            bail!("Maven did not end within {} s; its last words:\n{}", FETCH_MAX.as_secs(), tail(&read(&log), 20));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    ensure!(status.success(), "Maven: {status}; its last words:\n{}", tail(&read(&log), 20));
    Ok(())
}

/// How many files Maven says that it downloaded, the small ones with sums and descriptions included.
fn downloads(log: &str) -> usize {
    log.lines().filter(|line| line.contains("Downloaded from ")).count()
}

fn read(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

/// The last `count` lines.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Held as long as the file is open.
fn maven_lock() -> Result<File> {
    let path = std::env::temp_dir().join("flagstream-maven.lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another run that fetches with Maven");
        file.lock().with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

/// Sum by file name.
fn sums(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry?;
        let bytes = fs::read(entry.path()).with_context(|| format!("read {}", entry.path().display()))?;
        sums.insert(entry.file_name().to_string_lossy().into_owned(), hex(&Sha256::digest(&bytes)));
    }
    Ok(sums)
}

/// What was found is what is pinned, no less and no more.
fn compare(jars: &Jars, found: &BTreeMap<String, String>) -> Result<()> {
    let pinned: BTreeMap<&str, &str> =
        jars.sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, file)| (file, sum)).collect();
    let mut wrong = Vec::new();
    for (file, sum) in found {
        match pinned.get(file.as_str()) {
            Some(pinned) if pinned == sum => {}
            Some(pinned) => wrong.push(format!("{file} has sha256 {sum}, pinned is {pinned}")),
            None => wrong.push(format!("{file} is not pinned")),
        }
    }
    let missing = pinned.keys().filter(|file| !found.contains_key(**file));
    wrong.extend(missing.map(|file| format!("{file} did not come")));
    if !wrong.is_empty() {
        bail!(
            "{}: not what is pinned:\n  {}\nif the change is meant, `cargo xtask services pin`",
            title(jars),
            wrong.join("\n  ")
        );
    }
    Ok(())
}

fn compile(jars: &Jars, folder: &Path) -> Result<()> {
    let Some((name, text)) = jars.source else { return Ok(()) };
    let source = folder.join(format!("{name}.java"));
    fs::write(&source, text).with_context(|| format!("write {}", source.display()))?;
    let mut javac = Command::new("javac");
    javac.args(["-d", "classes", "-cp", "lib/*"]).arg(&source).current_dir(folder);
    let output = javac.output().context("run javac; install a JDK, not only a runtime")?;
    ensure!(output.status.success(), "javac: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What Maven is asked for.
fn pom(jars: &Jars) -> String {
    let dependency = |(group, artifact, version): &(&str, &str, &str), more: &str| {
        format!(
            "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version>{more}</dependency>\n"
        )
    };
    let bill = jars.bill.map_or(String::new(), |bill| {
        let bill = dependency(&bill, "<type>pom</type><scope>import</scope>");
        format!("  <dependencyManagement><dependencies>\n{bill}  </dependencies></dependencyManagement>\n")
    });
    let artifacts: String = jars.artifacts.iter().map(|artifact| dependency(artifact, "")).collect();
    format!(
        "<project>\n  <modelVersion>4.0.0</modelVersion>\n  <groupId>flagstream</groupId>\n  \
         <artifactId>services-{}</artifactId>\n  <version>1</version>\n{bill}  <dependencies>\n{artifacts}  \
         </dependencies>\n</project>\n",
        jars.name
    )
}

/// Bytes as two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jars(sums: &'static str) -> Jars {
        Jars { name: "x", artifacts: &[("g", "a", "1")], bill: None, sums, source: None }
    }

    #[test]
    fn a_jar_that_changed_came_or_stayed_away_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("a.jar", "");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a.jar\n";
        let check = |sums: &'static str| {
            let found = super::sums(folder.path()).unwrap();
            compare(&jars(sums), &found).map_err(|error| error.to_string())
        };
        assert_eq!(check(empty), Ok(()));
        assert!(check("").unwrap_err().contains("\n  a.jar is not pinned\n"));
        write("b.jar", "");
        assert!(check(empty).unwrap_err().contains("\n  b.jar is not pinned\n"));
        fs::remove_file(folder.path().join("a.jar")).unwrap();
        assert!(check(empty).unwrap_err().contains("\n  a.jar did not come\n"));
        write("a.jar", "other");
        assert!(check(empty).unwrap_err().contains("\n  a.jar has sha256 d9298a10"));
    }

    #[test]
    fn other_pins_other_folder() {
        let one = folder(&jars(""));
        assert!(one.file_name().unwrap().to_string_lossy().starts_with("x-1_"), "{}", one.display());
        assert_ne!(one, folder(&jars("a")));
        assert_ne!(one, folder(&Jars { artifacts: &[("g", "b", "1")], ..jars("") }));
        assert_ne!(one, folder(&Jars { source: Some(("A", "class A {}")), ..jars("") }));
        assert_ne!(one, folder(&Jars { bill: Some(("g", "bom", "1")), ..jars("") }));
    }

    #[test]
    fn java_tells_its_version_after_warnings() {
        let said = "Picked up JAVA_TOOL_OPTIONS: -Dx=\"y\"\nopenjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime\n";
        assert_eq!(version_of(said).as_deref(), Some("17.0.15"));
        assert_eq!(version_of("java version \"21\" 2023\n").as_deref(), Some("21"));
        assert_eq!(version_of("no such thing\n"), None);
    }
}
