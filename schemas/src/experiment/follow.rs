//! Which definition may come after which: one rule for those who publish and for the fold.
//!
//! Always true here: within an iteration what was counted keeps its meaning. Flag, unit, variations, start, policy and
//! dimensions stay, metrics are only added at the end, and nothing changes once the log's time has reached the end, so
//! that no unit which has been forgotten is needed again. Anything else is a new iteration.

use super::{Experiment, Metric, Problem};

impl Experiment {
    /// Whether this definition may take the place of `held`; `log_time_ms` is the running log time.
    ///
    /// # Errors
    /// The first [`Problem`] that keeps it from being so.
    pub fn may_follow(&self, held: &Self, log_time_ms: i64) -> Result<(), Problem> {
        let problem = |field: &str, what: String| Err(Problem { field: field.to_owned(), what });
        if self.iteration < held.iteration {
            let what = format!("is {}, and {} has begun; give that or a later one", self.iteration, held.iteration);
            return problem("iteration", what);
        }
        if self.iteration > held.iteration {
            return Ok(());
        }
        if let Some(field) = self.differs(held) {
            return problem(field, format!("cannot change within iteration {}; begin another", held.iteration));
        }
        let changes_what_counts = self.end_ms != held.end_ms || self.metrics.len() != held.metrics.len();
        if changes_what_counts && log_time_ms >= held.end_ms() {
            let (iteration, end_ms) = (held.iteration, held.end_ms());
            return problem("end", format!("cannot change: iteration {iteration} ended at {end_ms}; begin another"));
        }
        Ok(())
    }

    /// The number that a definition gets which follows `held`: the same as long as it may go on within the iteration,
    /// else the next.
    #[must_use]
    pub fn iteration_after(&self, held: Option<&Self>, log_time_ms: i64) -> u32 {
        let Some(held) = held else { return 1 };
        let within = Self { iteration: held.iteration, ..self.clone() };
        match within.may_follow(held, log_time_ms) {
            Ok(()) => held.iteration,
            Err(_) => held.iteration.saturating_add(1),
        }
    }

    /// The first field in which another definition is another iteration.
    fn differs(&self, held: &Self) -> Option<&'static str> {
        let metrics_stay = self.metrics.len() >= held.metrics.len()
            && self.metrics.iter().zip(&held.metrics).all(|(metric, held)| metric.counts_as(held));
        let fields = [
            ("flag", self.flag == held.flag),
            ("unitKind", self.unit_kind == held.unit_kind),
            ("variations", self.arms == held.arms),
            ("start", self.start_ms == held.start_ms),
            ("multiple", self.multiple == held.multiple),
            ("dimensions", self.dimensions == held.dimensions),
            ("metrics", metrics_stay),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }
}

impl Metric {
    /// Whether both count the same; what is only told of them may differ.
    fn counts_as(&self, other: &Self) -> bool {
        let Self { direction, role, minimum_effect, since_ms, .. } = other.clone();
        Self { direction, role, minimum_effect, since_ms, ..self.clone() } == *other
    }
}
