//! Starts one server from its jars.
//!
//! Always true here: the server outlives this program, has its folder to itself, and writes what it says to a log of
//! its own.

use super::jars::{self, Java};
use super::process::Process;
use super::servers::{Ground, Plan, Service};
use super::state::{NodeRecord, Place};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What all of them get: little memory and a quick start count here, not what they do in an hour.
const JAVA: [&str; 4] =
    ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"];
const PREPARE_MAX: Duration = Duration::from_secs(120);
/// The archive of loaded classes that Java writes at a clean end, before it is known to be whole.
const ARCHIVE_NEW: &str = "classes.new";

/// A server that may be started.
pub(crate) struct Launch<'a> {
    pub(crate) place: &'a Place,
    pub(crate) service: &'static Service,
    pub(crate) java: &'a Java,
    pub(crate) jars: &'a Path,
    /// More options for Java, which stand over ours.
    pub(crate) options: &'a [String],
}

impl Launch<'_> {
    fn plan(&self, nodes: &[NodeRecord], index: usize) -> Plan {
        let ports: Vec<_> = nodes.iter().filter_map(|node| node.ports).collect();
        let folder = self.place.node(&nodes[index].name);
        let cluster = self.place.cluster(self.service.name);
        (self.service.plan)(&Ground { folder: &folder, jars: self.jars, index, ports: &ports, cluster: &cluster })
    }

    /// Changes when another version or configuration is to run.
    pub(crate) fn fingerprint(&self, nodes: &[NodeRecord], index: usize) -> String {
        let plan = self.plan(nodes, index);
        let all = format!("{:?}", (&plan.files, self.arguments(&plan), self.jars, &self.java.version));
        jars::hex(&Sha256::digest(all))[..16].to_owned()
    }

    /// Starts the server `nodes[index]` and puts its process on record there.
    pub(crate) fn start(&self, nodes: &mut [NodeRecord], index: usize) -> Result<()> {
        let plan = self.plan(nodes, index);
        let fingerprint = self.fingerprint(nodes, index);
        let node = &mut nodes[index];
        let folder = self.place.node(&node.name);
        for name in plan.folders.iter().chain(&["tmp"]) {
            fs::create_dir_all(folder.join(name)).with_context(|| format!("make {name} in {}", folder.display()))?;
        }
        for (name, text) in &plan.files {
            fs::write(folder.join(name), text).with_context(|| format!("write {name} in {}", folder.display()))?;
        }
        let log = folder.join("log");
        if log.exists() {
            fs::rename(&log, folder.join("log.1")).context("keep the last log")?;
        }
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("write {}", log.display()))?;
        if let Some((done, main)) = &plan.prepare
            && !folder.join(done).exists()
        {
            self.prepare(main, &folder).with_context(|| format!("prepare {}", node.name))?;
        }
        let mut java = Command::new("java");
        // Not in the group that Ctrl-C reaches.
        java.process_group(0).current_dir(&folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let word = self.place.word(&node.name);
        java.arg(&word).arg(format!("-Djava.io.tmpdir={}", folder.join("tmp").display()));
        java.args(self.archive(&plan, &folder)).args(self.arguments(&plan));
        let child = java.spawn().context("run java")?;
        let process = Process::just_started(child.id(), &word);
        node.process = Some(process.with_context(|| format!("{} ended at once; see {}", node.name, log.display()))?);
        node.log = Some(log);
        node.plan = fingerprint;
        node.stopped = false;
        node.fresh = true;
        Ok(())
    }

    fn arguments(&self, plan: &Plan) -> Vec<String> {
        let mut all: Vec<String> = JAVA.map(str::to_owned).to_vec();
        all.extend(plan.java.iter().chain(self.options).cloned());
        all.extend(["-cp".to_owned(), self.class_path()]);
        all.extend(plan.main.iter().cloned());
        all
    }

    fn class_path(&self) -> String {
        let own = self.service.jars.source.map(|_| format!(":{}", self.jars.join("classes").display()));
        format!("{}/*{}", self.jars.join("lib").display(), own.unwrap_or_default())
    }

    fn prepare(&self, main: &[String], folder: &Path) -> Result<()> {
        let log = folder.join("prepare.log");
        let file = File::create(&log).with_context(|| format!("write {}", log.display()))?;
        let mut java = Command::new("java");
        java.args(JAVA).args(["-Xmx256m", "-cp", &self.class_path()]).args(main).current_dir(folder);
        let mut child = java.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn().context("run java")?;
        let status = workspace::wait(&mut child, PREPARE_MAX, |_| ())?;
        ensure!(status.success(), "{}: {status}; see {}", main[0], log.display());
        Ok(())
    }

    /// Loads the archive of classes if there is one for these jars and this Java; else one is written at the end.
    fn archive(&self, plan: &Plan, folder: &Path) -> Option<String> {
        if !plan.archive {
            return None;
        }
        let jars = self.jars.file_name().unwrap_or_default().to_string_lossy();
        let archive = folder.join(format!("{jars}_{}.jsa", self.java.version));
        let new = folder.join(ARCHIVE_NEW);
        if archive.exists() {
            return Some(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        // Under which name `keep_archive` is to keep it.
        fs::write(folder.join("classes.name"), archive.as_os_str().as_encoded_bytes()).ok()?;
        fs::remove_file(&new).ok();
        Some(format!("-XX:ArchiveClassesAtExit={}", new.display()))
    }
}

/// Keeps the archive that a server wrote when it ended of itself: one that was killed may have written half.
pub(crate) fn keep_archive(folder: &Path) {
    let Ok(name) = fs::read_to_string(folder.join("classes.name")) else { return };
    if fs::rename(folder.join(ARCHIVE_NEW), PathBuf::from(name)).is_ok() {
        fs::remove_file(folder.join("classes.name")).ok();
    }
}
