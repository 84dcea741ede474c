//! Rule 4, the supporting reasons: they make a verdict stronger, and none of them makes it.

use super::case::{Case, Place};
use super::fleet::Row;
use super::settings::DAY_MS;
use super::verdict::{Evidence, Figure, Reason, ReasonCode};

/// "`PAST_LIFETIME` = age > lifetime of its type."
pub(super) fn past_lifetime(case: &Case<'_>) -> Option<Reason> {
    let lifetime_days = *case.settings.lifetimes_days.get(&case.flag.metadata.flag_type?)?;
    let lifetime_ms = i64::from(lifetime_days) * DAY_MS;
    (case.age_ms() > lifetime_ms).then(|| {
        let evidence = Evidence::from([
            ("ageMs", Figure::Number(case.age_ms())),
            ("lifetimeDays", Figure::Number(i64::from(lifetime_days))),
        ]);
        let since_ms = case.born_ms.map(|born_ms| born_ms.saturating_add(lifetime_ms));
        Reason { code: ReasonCode::PastLifetime, since_ms, evidence }
    })
}

/// "`NO_CODE_REFS` = code references known and none."
pub(super) fn no_code_refs(case: &Case<'_>) -> Option<Reason> {
    (case.flag.metadata.code_references == Some(0)).then(|| {
        let evidence = Evidence::from([("codeReferences", Figure::Number(0))]);
        Reason { code: ReasonCode::NoCodeRefs, since_ms: None, evidence }
    })
}

/// "`ERRORS_ONLY` = intentional rows within W in critical environments, all of them errors."
pub(super) fn errors_only(case: &Case<'_>) -> Option<Reason> {
    all_are(case, ReasonCode::ErrorsOnly, |row| row.error)
}

/// "`DEFAULTS_ONLY` = … or all defaults (not errors)."
pub(super) fn defaults_only(case: &Case<'_>) -> Option<Reason> {
    all_are(case, ReasonCode::DefaultsOnly, |row| row.default && !row.error)
}

/// Holds since the last row that was not so, else since the first one that was.
fn all_are(case: &Case<'_>, code: ReasonCode, is_so: fn(&Row) -> bool) -> Option<Reason> {
    let mut rows = case.critical_intentional().map(|(_, row)| row).peekable();
    rows.peek()?;
    rows.all(is_so).then(|| {
        let ever = || case.critical().flat_map(Place::intentional);
        let other_ms = ever().filter(|row| !is_so(row)).map(|row| row.last_ms).max();
        let first_ms = ever().filter(|row| is_so(row)).map(|row| row.first_ms).min();
        let count = i64::try_from(case.critical_intentional().count()).unwrap_or(i64::MAX);
        let last_ms = case.critical_intentional().map(|(_, row)| row.last_ms).max();
        let mut evidence = Evidence::from([
            ("staleDays", Figure::Number(i64::from(case.stale_days()))),
            ("rows", Figure::Number(count)),
        ]);
        evidence.extend(last_ms.map(|last_ms| ("lastMs", Figure::Number(last_ms))));
        Reason { code, since_ms: other_ms.or(first_ms), evidence }
    })
}

/// "`OLD_APP_VERSIONS_ONLY` = intentional rows within W in critical environments, each from a version that is not its
/// application's newest." Holds since both versions of the last of these pairs were there.
pub(super) fn old_app_versions_only(case: &Case<'_>) -> Option<Reason> {
    let mut since_ms = None;
    let mut names = Vec::new();
    for (place, row) in case.critical_intentional() {
        let settled_ms = case.as_of_ms.saturating_sub(place.thresholds.inactive_ms());
        let [newest, own] = case.versions.newest_other_than(place.name, row, settled_ms)?;
        since_ms = since_ms.max(Some(newest.first_ms.max(own.first_ms)));
        let sign = if own.first_ms < newest.first_ms { '<' } else { '>' };
        names.push(format!("{} {} {sign} {}", row.application, row.application_version, newest.version));
    }
    since_ms?;
    names.sort_unstable();
    names.dedup();
    let evidence = Evidence::from([("versions", Figure::Names(names))]);
    Some(Reason { code: ReasonCode::OldAppVersionsOnly, since_ms, evidence })
}
