//! Flags that an SDK keeps out of its summaries: full events are all that is ever heard of them.
//!
//! Always true here: a sight says that a flag was evaluated and counts nothing; no flag has one where a counter of the
//! same payload names it, since that tells more. (Node and Python mark such events in no way, so a flag that no counter
//! names is all there is to know them by.)

use std::collections::HashSet;

use schemas::event::Count;

/// Puts the sights of flags that no counter names among the counters, in rising order of element.
pub(super) fn add<'a>(mut sights: Vec<Count<'a>>, counts: &mut Vec<Count<'a>>) {
    if sights.is_empty() {
        return;
    }
    let counted: HashSet<&str> = counts.iter().map(|row| &*row.flag).collect();
    sights.retain(|row| !counted.contains(&*row.flag));
    if !sights.is_empty() {
        counts.append(&mut sights);
        counts.sort_by_key(|row| row.element);
    }
}
