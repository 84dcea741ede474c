//! The fleet: flags with a known story, four months of their SDKs' reports through the product's own pipeline, and what
//! the stale report then says of each, held against what is true.
//!
//! Always true here: truth comes from a flag's story and was drawn before anything ran; what is reported goes through
//! ingest's router, the log, the processor and the store, what is asked through the query API; nothing here looks at a
//! cell or calls the rule. One seed and one number of flags are one fleet and one result, at whatever speed it ran.
//!
//! Where to go next: [`kinds`] is the table of stories and of what should be said; [`flags`] draws a fleet, `bodies`
//! writes what SDKs send, `pipeline` takes it; [`answer`] reads the report and [`score`] counts.

pub mod answer;
mod bodies;
pub mod command;
pub mod flags;
pub mod kinds;
mod pipeline;
mod places;
pub mod score;
mod shown;
mod stories;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use counting::Break;

use self::answer::Answers;
use self::bodies::Asking;
use self::flags::Flag;
use self::pipeline::Pipeline;
pub use self::places::DAYS;
use self::places::day_ms;
use crate::chance::Chance;

const HOURS_A_DAY: u32 = 24;
/// Of an hour's reports, by the receiver's clock.
const RECEIVED_AFTER_MS: i64 = 51 * 60_000;

/// A deliberate mistake, which the fleet must notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mistake {
    /// A bulk read counts as use.
    BulkAsUse,
    /// Nobody learns that an environment was blind: its lost payloads count as heard.
    BlindnessUnseen,
    /// What people say of flags does not arrive.
    NothingTold,
}

/// A fleet to be run.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Decides everything.
    pub seed: u64,
    /// How many flags; at least one of each kind.
    pub flags: usize,
    /// The days at whose beginning the report is asked for, rising, each at most [`DAYS`].
    pub ask_on: Vec<u32>,
    /// Mistakes that are made on purpose.
    pub mistakes: Vec<Mistake>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The flags, with their truth.
    pub flags: Vec<Flag>,
    /// The report of each day that was asked for.
    pub answers: Vec<Answers>,
    /// Payloads that ingest took.
    pub payloads: u64,
}

impl Fleet {
    /// Runs it; `progress` is told of each day that is over.
    ///
    /// # Errors
    /// When the pipeline refuses or cannot go on.
    pub fn run(&self, progress: &dyn Fn(u32)) -> Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
        runtime.block_on(self.run_in(progress))
    }

    async fn run_in(&self, progress: &dyn Fn(u32)) -> Result<Outcome> {
        let flags = flags::draw(self.seed, self.flags);
        let rule = self.mistakes.contains(&Mistake::BulkAsUse).then_some(Break::BulkAsUse);
        let mut pipeline = Pipeline::start(day_ms(0), rule).await?;
        let asking = Asking::new(&flags, self.mistakes.contains(&Mistake::BlindnessUnseen));
        let mut chance = Chance::new(self.seed).aside();
        let mut answers = Vec::new();
        for day in 0..=DAYS {
            pipeline.set_now(day_ms(day));
            if self.ask_on.contains(&day) {
                answers.push(Answers::ask(&pipeline, day).await?);
            }
            if day == DAYS {
                break;
            }
            if !self.mistakes.contains(&Mistake::NothingTold) {
                self.tell(&pipeline, &flags, day).await?;
            }
            for hour in day * HOURS_A_DAY..(day + 1) * HOURS_A_DAY {
                pipeline.set_now(bodies::hour_ms(hour) + RECEIVED_AFTER_MS);
                for sent in asking.hour(hour, &mut chance) {
                    pipeline.send(sent).await?;
                }
            }
            progress(day + 1);
        }
        let payloads = pipeline.payloads();
        drop(asking);
        pipeline.stop().await?;
        Ok(Outcome { flags, answers, payloads })
    }

    /// What people say of a flag, they say on the day of its creation.
    async fn tell(&self, pipeline: &Pipeline, flags: &[Flag], day: u32) -> Result<()> {
        for flag in flags.iter().filter(|flag| flag.draft.created == day) {
            if let Some(told) = &flag.draft.told {
                pipeline.tell(flag.kind.project, &flag.key, told).await?;
            }
        }
        Ok(())
    }
}
