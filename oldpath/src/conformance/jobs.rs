//! Cases of queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;

use super::{Bench, Outcome, same, text};
use crate::jobs::{BATCH_MAX, DELIVERIES_MAX, Delivery, Held, Job, Jobs, Served, What};

type World = Arc<dyn Bench>;

/// How long a job that is there may take to come.
const PATIENCE: Duration = Duration::from_secs(3);
/// More than it takes to come into sight again.
const MARGIN: Duration = Duration::from_millis(200);

fn job(key: impl Into<String>) -> Job {
    let what = What::Event { key: key.into(), value_micros: Some(-1), sampling: 3 };
    Job { project: "project".into(), environment: "a".into(), time_ms: 1_780_000_000_000, off: false, what }
}

async fn send(jobs: &dyn Jobs, sent: &[Job]) -> Outcome {
    for batch in sent.chunks(BATCH_MAX) {
        let answers = jobs.send(batch.to_vec()).await;
        same("answers", answers.len(), batch.len())?;
        answers.into_iter().collect::<Result<(), _>>().map_err(text)?;
    }
    Ok(())
}

/// Takes until there are so many, or none for a while.
async fn take(jobs: &dyn Jobs, many: usize) -> Result<Vec<Delivery>, String> {
    let mut taken = Vec::new();
    while taken.len() < many {
        let more = jobs.receive(PATIENCE).await.map_err(text)?;
        if more.is_empty() {
            return Err(format!("{} jobs came, {many} were expected", taken.len()));
        }
        taken.extend(more);
    }
    Ok(taken)
}

async fn delete(jobs: &dyn Jobs, taken: &[Delivery]) -> Outcome {
    for batch in taken.chunks(BATCH_MAX) {
        let receipts: Vec<_> = batch.iter().map(|delivery| delivery.receipt.clone()).collect();
        let answers = jobs.delete(receipts).await;
        same("answers", answers.len(), batch.len())?;
        answers.into_iter().collect::<Result<(), _>>().map_err(text)?;
    }
    Ok(())
}

async fn nothing_comes(jobs: &dyn Jobs) -> Outcome {
    same("what comes", jobs.receive(Duration::ZERO).await.map_err(text)?, Vec::new())
}

/// How often each job came, by its JSON.
fn tally(taken: &[Delivery]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for delivery in taken {
        let job = delivery.job.as_ref().map_or_else(Clone::clone, Job::to_json);
        *tally.entry(job).or_default() += 1;
    }
    tally
}

fn each_once(sent: &[Job]) -> BTreeMap<String, usize> {
    sent.iter().map(|job| (job.to_json(), 1)).collect()
}

pub(super) async fn once(world: World) -> Outcome {
    let jobs = world.open().await;
    nothing_comes(&*jobs).await?;
    let sent: Vec<Job> = (0..3).map(|n| job(format!("event-{n}"))).collect();
    send(&*jobs, &sent).await?;
    same("held", jobs.held().await.map_err(text)?, Held { waiting: 3, ..Held::default() })?;
    let taken = take(&*jobs, 3).await?;
    same("jobs", tally(&taken), each_once(&sent))?;
    same("deliveries", taken.iter().map(|delivery| delivery.deliveries).collect(), vec![1; 3])?;
    nothing_comes(&*jobs).await?;
    same("held", jobs.held().await.map_err(text)?, Held { taken: 3, ..Held::default() })?;
    delete(&*jobs, &taken).await?;
    world.pass(jobs.visibility() + MARGIN).await;
    nothing_comes(&*jobs).await?;
    same("held", jobs.held().await.map_err(text)?, Held::default())
}

pub(super) async fn again(world: World) -> Outcome {
    let jobs = world.open().await;
    send(&*jobs, &[job("a"), job("b")]).await?;
    drop(jobs);
    let jobs = world.open().await;
    let taken = take(&*jobs, 2).await?;
    let (gone, kept): (Vec<Delivery>, Vec<Delivery>) =
        taken.into_iter().partition(|delivery| delivery.job == Ok(job("a")));
    delete(&*jobs, &gone).await?;
    let visibility = jobs.visibility();
    drop((jobs, kept));
    let jobs = world.open().await;
    nothing_comes(&*jobs).await?;
    world.pass(visibility + MARGIN).await;
    let taken = take(&*jobs, 1).await?;
    same("job", taken[0].job.clone(), Ok(job("b")))?;
    same("deliveries", taken[0].deliveries, 2)?;
    nothing_comes(&*jobs).await
}

pub(super) async fn dead(world: World) -> Outcome {
    let jobs = world.open().await;
    send(&*jobs, &[job("a")]).await?;
    for deliveries in 1..=DELIVERIES_MAX {
        let taken = take(&*jobs, 1).await?;
        same("deliveries", taken[0].deliveries, deliveries)?;
        same("held", jobs.held().await.map_err(text)?, Held { taken: 1, ..Held::default() })?;
        world.pass(jobs.visibility() + MARGIN).await;
    }
    nothing_comes(&*jobs).await?;
    same("held", jobs.held().await.map_err(text)?, Held { dead: 1, ..Held::default() })
}

pub(super) async fn takers(world: World) -> Outcome {
    const TAKERS: usize = 4;
    let jobs = world.open().await;
    let sent: Vec<Job> = (0..12 * TAKERS).map(|n| job(format!("event-{n}"))).collect();
    send(&*jobs, &sent).await?;
    let take_all = || async {
        let mut all = Vec::new();
        loop {
            let taken = jobs.receive(Duration::ZERO).await.map_err(text)?;
            if taken.is_empty() {
                return Ok::<_, String>(all);
            }
            delete(&*jobs, &taken).await?;
            all.extend(taken);
        }
    };
    let taken = try_join_all((0..TAKERS).map(|_| take_all())).await?.concat();
    same("jobs", tally(&taken), each_once(&sent))
}

pub(super) async fn texts(world: World) -> Outcome {
    let longest = |n: usize| format!("{n}{}", "é".repeat(127));
    let odd = ["\u{1}\u{7f}\u{85}", "\u{fffe}\u{ffff}\u{fffd}", "\"\\/<&>'", "🦀\u{10ffff}", " leading, trailing "];
    let jobs = world.open().await;
    let mut sent: Vec<Job> = odd.iter().map(|key| job(*key)).collect();
    sent.extend((0..BATCH_MAX - odd.len()).map(|n| {
        let variation = Served::Name("n".repeat(4_096));
        Job { what: What::Exposure { flag: longest(n), variation }, ..job("") }
    }));
    send(&*jobs, &sent).await?;
    same("jobs", tally(&take(&*jobs, sent.len()).await?), each_once(&sent))
}
