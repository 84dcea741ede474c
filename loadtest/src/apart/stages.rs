//! The gate's stages: what is written into its flag file, whether it is in force, and whether the old path and the new
//! one differ by known causes alone.
//!
//! Always true here: one environment never goes to `off`, so that its ledger is the new path's whole; the other goes
//! there and back, and is compared only. A stage is in force when ingest has taken a payload in it, by its own count.

use super::house::{ADMIN_KEY, House};
use crate::api::Api;
use crate::environments::Target;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The environment that goes to `off` and back, and its SDK key.
pub(super) const OTHER: (&str, &str) = ("other", "sdk-loadtest-apart-other");
const IN_FORCE_LIMIT: Duration = Duration::from_secs(30);
/// Longest time until the paths can be compared.
const COMPARED_LIMIT: Duration = Duration::from_secs(180);
const ASK_EVERY: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A stage of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Off,
    Shadow,
    Live,
    Complete,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::Live => "live",
            Self::Complete => "complete",
        }
    }
}

/// The gate's flag file.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    path: PathBuf,
}

impl Gate {
    /// In this folder; both environments begin in shadow.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let gate = Self { path: Self::path(folder) };
        gate.save(Stage::Shadow)?;
        Ok(gate)
    }

    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join("gate.json")
    }

    /// Saves the stage for both environments; the one with the ledger stays in shadow where the other goes to off.
    fn save(&self, stage: Stage) -> Result<()> {
        let ledgered = if stage == Stage::Off { Stage::Shadow } else { stage };
        let variants = [Stage::Off, Stage::Shadow, Stage::Live, Stage::Complete].map(Stage::name);
        let variants: serde_json::Map<_, _> =
            variants.iter().map(|name| ((*name).to_owned(), (*name).into())).collect();
        let other = serde_json::json!({ "==": [{ "var": "environment" }, OTHER.0] });
        // Forced: whether a step may be made is another test's matter, here stages change whatever is under way.
        let flag = serde_json::json!({
            "state": "ENABLED", "variants": variants, "defaultVariant": ledgered.name(), "metadata": { "force": true },
            "targeting": { "if": [other, stage.name(), null] }
        });
        let file = serde_json::json!({ "flags": { "flagstream-path": flag } });
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, file.to_string())?;
        std::fs::rename(&beside, &self.path).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Saves a stage, and waits until ingest has taken a payload in it: how long that took.
    pub(super) async fn set(&self, stage: Stage, house: &mut House) -> Result<Duration> {
        let mut metrics = Api::new(house.ingest_address(), None);
        let before = payloads(&mut metrics, stage).await.unwrap_or(0);
        self.save(stage)?;
        let saved = Instant::now();
        loop {
            // One that was just killed does not answer, and begins its count anew.
            let now = payloads(&mut metrics, stage).await.unwrap_or(0);
            if now > before || (now > 0 && now < before) {
                return Ok(saved.elapsed());
            }
            house.all_are_there()?;
            let waited = saved.elapsed();
            ensure!(waited < IN_FORCE_LIMIT, "no payload was taken in stage {} within {waited:.0?}", stage.name());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

async fn payloads(metrics: &mut Api, stage: Stage) -> Result<u64> {
    let text = metrics.text("/metrics").await?;
    let name = format!("flagstream_gate_payloads_total{{stage=\"{}\"}} ", stage.name());
    let line =
        text.lines().find_map(|line| line.strip_prefix(&name)).context("ingest has no count of payloads by stage")?;
    line.trim().parse().context("ingest's count of payloads is no number")
}

/// What a comparison of the two paths says of an environment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    pub(super) environment: String,
    pub(super) complete: bool,
    pub(super) old: u64,
    pub(super) new: u64,
    pub(super) unexplained: u64,
    /// Each with its least and its most.
    pub(super) causes: Vec<(String, i64, i64)>,
}

impl Compared {
    /// All is explained, and there was something to explain.
    pub(super) fn holds(&self) -> bool {
        self.complete && self.unexplained == 0 && self.old > 0 && self.new > 0
    }
}

/// Compares both environments.
pub(super) async fn compare(house: &House) -> Result<Vec<Compared>> {
    let mut all = Vec::new();
    for environment in [Target::default_under("").environment.as_ref(), &format!("default/{}", OTHER.0)] {
        let (project, key) = Target::names(environment);
        // A connection of its own each: an answer may take longer than others keep theirs.
        let mut api = Api::new(house.reads_address(), Some(ADMIN_KEY.to_owned()));
        let path = format!("/v1/pipeline/comparison?project={project}&environment={key}&limit=1");
        let said = asked(&mut api, &path).await?;
        let totals = &said["totals"];
        let number =
            |name: &str| totals[name].as_u64().with_context(|| format!("the comparison has no `{name}`: {said}"));
        let cause = |cause: &serde_json::Value| {
            let size = |end: &str| cause[end].as_i64().unwrap_or_default();
            (cause["cause"].as_str().unwrap_or_default().to_owned(), size("low"), size("high"))
        };
        all.push(Compared {
            environment: environment.to_owned(),
            complete: said["complete"] == true,
            old: number("old")?,
            new: number("new")?,
            unexplained: number("unexplained")?,
            causes: totals["causes"].as_array().into_iter().flatten().map(cause).collect(),
        });
    }
    Ok(all)
}

/// Asks until there is an answer: the old path's store may still be busy with what nobody waits for any more.
async fn asked(api: &mut Api, path: &str) -> Result<serde_json::Value> {
    let began = Instant::now();
    loop {
        match api.text(path).await {
            Ok(text) => return Ok(serde_json::from_str(&text)?),
            Err(error) if began.elapsed() > COMPARED_LIMIT => return Err(error),
            Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

/// Prints it for people.
pub(super) fn print(all: &[Compared]) {
    for compared in all {
        let Compared { environment, old, new, unexplained, .. } = compared;
        let causes = compared.causes.iter().map(|(cause, low, high)| match low == high {
            true => format!("{low:+} {cause}"),
            false => format!("{low:+} to {high:+} {cause}"),
        });
        let causes: Vec<String> = causes.collect();
        println!("{environment}: old path {old}, new path {new}: {}; {unexplained} unexplained", causes.join(", "));
    }
}
