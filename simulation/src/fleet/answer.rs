//! The report, as the query API gives it.
//!
//! Always true here: what is missing in an answer, or is of another shape than the API promises, is an error and never
//! a default.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::pipeline::Pipeline;
use super::places::{PROJECTS, Project, day_ms};

/// The report of a day.
#[derive(Debug)]
pub struct Answers {
    /// The day at whose beginning it was asked for.
    pub day: u32,
    /// By key.
    said: BTreeMap<String, Said>,
}

/// What it says of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// In the environment `production`.
    pub status: String,
    /// Whether the status of an environment that decides is `unknown`.
    pub unknown: bool,
    /// Whether it is called stale.
    pub stale: bool,
    /// Codes of reasons.
    pub reasons: BTreeSet<String>,
    /// Codes of blockers.
    pub blockers: BTreeSet<String>,
    /// Conditions that are not met: `permanent`, `archived`, `snoozed`, `young`.
    pub held: BTreeSet<String>,
    /// What to do.
    pub advice: Option<String>,
    /// The variation to put in its place.
    pub forward: Option<u64>,
}

impl Answers {
    /// Asks for all projects' reports.
    pub(super) async fn ask(pipeline: &Pipeline, day: u32) -> Result<Self> {
        let mut said = BTreeMap::new();
        for project in PROJECTS {
            let mut path = first_page(project);
            loop {
                let answer = pipeline.ask(&path).await?;
                ensure!(answer["complete"] == true, "{path}: the answer is not complete: {}", answer["notes"]);
                ensure!(answer["asOf"] == day_ms(day), "{path}: as of {}, asked on day {day}", answer["asOf"]);
                for item in answer["items"].as_array().context("no items")? {
                    let key = item["key"].as_str().context("an item without a key")?;
                    let read = read(item, project).with_context(|| format!("flag {key}: {item}"))?;
                    // Each application's own flag is in the report too.
                    if !key.starts_with("config.") {
                        ensure!(said.insert(key.to_owned(), read).is_none(), "flag {key} is told twice");
                    }
                }
                match answer["_links"]["next"]["href"].as_str() {
                    Some(next) => next.clone_into(&mut path),
                    None => break,
                }
            }
        }
        Ok(Self { day, said })
    }

    /// What is said of a flag; `None` = nothing.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<&Said> {
        self.said.get(key)
    }
}

fn first_page(project: &Project) -> String {
    format!("/v1/projects/{}/stale-flags?limit=1000&critical={}", project.name, project.critical.join(","))
}

fn read(item: &Value, project: &Project) -> Result<Said> {
    let status = |name: &str| -> Result<&str> {
        let environments = item["environments"].as_array().context("no environments")?;
        let place = environments.iter().find(|place| place["key"] == name);
        place.and_then(|place| place["status"].as_str()).with_context(|| format!("no status in {name}"))
    };
    let mut unknown = false;
    for name in project.critical {
        unknown |= status(name)? == "unknown";
    }
    Ok(Said {
        status: status("production")?.to_owned(),
        unknown,
        stale: item["stale"].as_bool().context("no stale")?,
        reasons: codes(&item["reasons"])?,
        blockers: codes(&item["blockers"])?,
        held: held(&item["conditions"])?,
        advice: item["advice"].as_str().map(str::to_owned),
        forward: item["forwardVariation"].as_u64(),
    })
}

fn codes(list: &Value) -> Result<BTreeSet<String>> {
    let code = |item: &Value| item["code"].as_str().map(str::to_owned).context("a reason without a code");
    list.as_array().context("no list of reasons")?.iter().map(code).collect()
}

/// Which conditions keep the flag, in a word each.
fn held(conditions: &Value) -> Result<BTreeSet<String>> {
    let rows = [("temporary", true, "permanent"), ("archived", false, "archived"), ("snoozed", false, "snoozed")];
    let mut held = BTreeSet::new();
    for (name, free, word) in rows.into_iter().chain([("oldEnough", true, "young")]) {
        let is = conditions[name].as_bool().with_context(|| format!("no condition {name}"))?;
        if is != free {
            held.insert(word.to_owned());
        }
    }
    Ok(held)
}
