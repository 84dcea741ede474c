//! What the demo plays: through which stages the gate goes, and when the store is in trouble.
//!
//! Always true here: each scene's stage is that of the scene before or the next one; the store is in trouble only where
//! both paths are written, and well again before the next stage.

use std::time::Duration;

use ingest::gate::Stage;
use stores::trouble::Trouble;

/// What is the matter with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// Nothing.
    #[default]
    Calm,
    /// It has too little capacity.
    Throttled,
    /// It answers nobody.
    Down,
}

/// A stretch of time in which nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    /// The gate's stage.
    pub stage: Stage,
    /// The store's state.
    pub weather: Weather,
    /// How long.
    pub lasts: Duration,
}

/// Stage, weather, seconds of the whole demo, seconds of the quick one.
const SCENES: [(Stage, Weather, u64, u64); 9] = [
    (Stage::Off, Weather::Calm, 6, 1),
    (Stage::Shadow, Weather::Calm, 8, 2),
    (Stage::Shadow, Weather::Throttled, 25, 5),
    (Stage::Shadow, Weather::Down, 12, 3),
    (Stage::Shadow, Weather::Calm, 10, 1),
    (Stage::Live, Weather::Calm, 6, 1),
    (Stage::Live, Weather::Down, 15, 3),
    (Stage::Live, Weather::Calm, 10, 1),
    (Stage::Complete, Weather::Calm, 6, 2),
];

/// A demo.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// A few seconds of each scene, and few clients: for a test.
    pub is_quick: bool,
}

impl Script {
    /// Its scenes, in order.
    pub fn scenes(self) -> impl Iterator<Item = Scene> {
        SCENES.into_iter().map(move |(stage, weather, whole, quick)| {
            let lasts = Duration::from_secs(if self.is_quick { quick } else { whole });
            Scene { stage, weather, lasts }
        })
    }

    /// How long the scenes last together; steps of the gate come on top.
    pub fn lasts(self) -> Duration {
        self.scenes().map(|scene| scene.lasts).sum()
    }

    /// Clients that send.
    pub fn clients(self) -> u64 {
        if self.is_quick { 10 } else { 24 }
    }

    /// How long a job that a worker took stays out of sight: short enough that what came of it is seen before the end.
    pub fn job_visibility(self) -> Duration {
        Duration::from_secs(if self.is_quick { 4 } else { 15 })
    }
}

/// Which paths are written, which is what truth is kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The old one: stage `off`.
    OldOnly,
    /// Both: `shadow` and `live`.
    Both,
    /// The new one: `complete`.
    NewOnly,
}

impl Part {
    /// Every one, in order.
    #[cfg(test)]
    pub const ALL: [Self; 3] = [Self::OldOnly, Self::Both, Self::NewOnly];

    /// That of a stage.
    pub fn of(stage: Stage) -> Self {
        match stage {
            Stage::Off => Self::OldOnly,
            Stage::Shadow | Stage::Live => Self::Both,
            Stage::Complete => Self::NewOnly,
        }
    }
}

impl Weather {
    const REFUSED_PERMILLE: u16 = 450;
    const SLOWER: Duration = Duration::from_millis(150);
    const APPLIED_PERMILLE: u16 = 150;
    const HANG: Duration = Duration::from_millis(1_500);

    /// What the store does then.
    pub fn trouble(self) -> Trouble {
        match self {
            Self::Calm => Trouble::None,
            Self::Throttled => Trouble::Throttled { refused_permille: Self::REFUSED_PERMILLE, slower: Self::SLOWER },
            Self::Down => Trouble::Down { applied_permille: Self::APPLIED_PERMILLE, hang: Self::HANG },
        }
    }

    /// The same for people.
    pub fn words(self) -> String {
        match self {
            Self::Calm => "the store is well".to_owned(),
            Self::Throttled => format!(
                "the store is throttled: it refuses {} % of its calls, the others take {} ms longer",
                Self::REFUSED_PERMILLE / 10,
                Self::SLOWER.as_millis()
            ),
            Self::Down => {
                format!(
                    "the store is down: no call is answered, and {} % are done all the same",
                    Self::APPLIED_PERMILLE / 10
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Script; 2] = [Script { is_quick: false }, Script { is_quick: true }];

    #[test]
    fn stages_follow_one_another_from_the_first_to_the_last() {
        let mut stages: Vec<Stage> = BOTH[0].scenes().map(|scene| scene.stage).collect();
        stages.dedup();
        assert_eq!(stages, Stage::ALL);
    }

    #[test]
    fn trouble_is_where_both_paths_are_written_and_over_before_the_next_stage() {
        let scenes: Vec<Scene> = BOTH[0].scenes().collect();
        for (scene, next) in scenes.iter().zip(scenes.iter().skip(1)) {
            let in_trouble = scene.weather != Weather::Calm;
            assert!(!in_trouble || Part::of(scene.stage) == Part::Both, "{scene:?}");
            assert!(!in_trouble || next.stage == scene.stage, "{scene:?} before {next:?}");
        }
        for weather in [Weather::Throttled, Weather::Down] {
            assert!(scenes.iter().any(|scene| scene.weather == weather));
        }
        let in_trouble = |script: Script| -> Duration {
            script.scenes().filter(|scene| scene.weather != Weather::Calm).map(|scene| scene.lasts).sum()
        };
        assert!((50..=70).contains(&in_trouble(BOTH[0]).as_secs()), "about a minute of it");
    }

    #[test]
    fn it_lasts_about_two_minutes_and_half_of_one_when_quick() {
        let [whole, quick] = BOTH.map(|script| script.lasts().as_secs());
        assert!((90..=110).contains(&whole) && (15..=25).contains(&quick), "{whole}, {quick}");
        assert!(BOTH.iter().all(|script| script.scenes().all(|scene| scene.lasts > Duration::ZERO)));
    }
}
