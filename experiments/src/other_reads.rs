//! Evaluations as another path counted them, while it is in charge of an environment: in the form that answers are made
//! of here.
//!
//! Always true here: an answer says which path it is of; what the other path does not keep is refused, never answered
//! from this one.

use std::collections::BTreeMap;

use counting::cells::LastSeen;
use schemas::cell::CellName;
use schemas::id::Environment;

use crate::Serve;
use crate::cells::Served;
use crate::interval::{HOUR_MS, Step, hour_ms};
use crate::other_path::{Counts, OtherHours};
use crate::reading::Progress;
use crate::refusal::Refusal;
use crate::tally::{FlagTally, Group, Grouping, Span, Tally};

/// Counters of one answer.
const COUNTERS_MAX: usize = 100_000;

/// Which path answers for an environment: `old` = the other one; `None` = there is only this one.
pub(crate) fn path(serve: &Serve, environment: &Environment) -> Option<&'static str> {
    let other = serve.other_path.as_ref()?;
    Some(if other.is_in_charge(environment) { OLD } else { "new" })
}

/// The word for the other path.
pub(crate) const OLD: &str = "old";

/// When a flag's variation was last written there, about, Unix milliseconds.
pub(crate) type LastWritten = BTreeMap<(CellName, Served), i64>;

/// What the other path counted.
pub(crate) struct Read {
    pub(crate) flags: Vec<FlagTally>,
    pub(crate) last: LastWritten,
    /// All of it is there as soon as it is answered.
    pub(crate) progress: Progress,
}

/// The interval in whole hours, if what is asked for is kept by the other path.
pub(crate) fn span(span: Span, grouping: Grouping) -> Result<Span, Refusal> {
    let refused = |name: &str, value: &str, allowed: &str| {
        let allowed = format!("{allowed}: the old path is in charge of this environment, and keeps nothing else");
        Err(Refusal::parameter(name, value, &allowed))
    };
    if span.step == Step::Minute {
        return refused("granularity", "minute", "total, hour or day");
    }
    if grouping != Grouping::BY_VARIATION {
        return refused("groupBy", "more", "variation");
    }
    Ok(Span { interval: span.interval.rounded(HOUR_MS), ..span })
}

/// Reads one flag or all.
pub(crate) async fn read(
    serve: &Serve,
    environment: &Environment,
    flag: Option<&CellName>,
    span: Span,
    now_ms: i64,
) -> Result<Read, Refusal> {
    let other = crate::comparison::other(serve)?;
    let key = flag.and_then(crate::evaluations::flag_key);
    let asked = OtherHours {
        environment,
        counts: Counts::Evaluations,
        key: key.as_deref(),
        hours: span.interval.hours(),
        limit: COUNTERS_MAX,
    };
    let mut flags: BTreeMap<String, BTreeMap<Group, Tally>> = BTreeMap::new();
    let mut last = LastWritten::new();
    for count in other.counts(asked).await? {
        let name = CellName::Key(count.key.clone().into());
        let seen = last.entry((name, count.served.clone())).or_insert(count.seen_ms);
        *seen = count.seen_ms.max(*seen);
        let group = Group { served: Some(count.served), ..Group::default() };
        let tally = flags.entry(count.key).or_default().entry(group).or_default();
        tally.add(count.number, hour_ms(count.hour), span.step);
    }
    let flags = flags.into_iter().map(|(key, groups)| FlagTally {
        name: CellName::Key(key.into()),
        seen: LastSeen::default(),
        groups,
    });
    Ok(Read { flags: flags.collect(), last, progress: Progress { complete: true, as_of_ms: now_ms } })
}
