//! What `[stale]` and `[environment.stale]` mean: the settings of the stale rule, checked.
//!
//! Always true here: the most specific number wins: of a type in an environment, then of the environment, then of the
//! type, then of all; S is at most W wherever both hold; W does not reach further back than the cells do.

use anyhow::{bail, ensure};
use experiments::stale::{FlagType, Override, Settings, Thresholds, UnknownCosts};
use experiments::{EnvironmentStale, StaleSettings};
use schemas::id::Environment;

use super::stale::{Lifetime, OfType, Types, Whole};
use super::written::Written;

/// Days that the cells keep: a longer W would ask about days that nobody remembers.
const DAYS_MAX: u32 = counting::cells::DAYS_MAX;
/// A lifetime compares an age, for which nothing needs to be kept: ten years.
const LIFETIME_DAYS_MAX: u32 = 3650;
const POINTS_MAX: u32 = 100;

/// Checks and understands the rule's settings.
///
/// # Errors
/// The field that is wrong, its value, and what is allowed.
pub fn understand(written: &Written) -> anyhow::Result<StaleSettings> {
    let stale = &written.stale;
    let mut everywhere = Settings {
        thresholds: Thresholds {
            inactive_days: inactive_days("stale", stale.inactive_days)?,
            stale_days: stale_days("stale", stale.stale_days)?,
            coverage_min_ppm: coverage("stale", stale.coverage_min)?,
        },
        overrides: of_types("stale", &stale.types)?,
        ..Settings::default()
    };
    everywhere.lifetimes_days.clear();
    for (flag_type, name, lifetime) in stale.lifetimes_days.all() {
        if let Lifetime::Days(days) = lifetime {
            let allowed = "; a type whose flags are never too old has \"never\"";
            let days = number(&format!("stale.lifetimes_days.{name}"), days, 1, LIFETIME_DAYS_MAX, allowed)?;
            everywhere.lifetimes_days.insert(flag_type, days);
        }
    }
    for (code, name, weight) in stale.weights.all() {
        everywhere.weights.insert(code, points(&format!("stale.weights.{name}"), weight)?);
    }
    let costs = &stale.unknown_costs;
    everywhere.unknown_costs = UnknownCosts {
        created_at: points("stale.unknown_costs.created_at", costs.created_at)?,
        code_references: points("stale.unknown_costs.code_references", costs.code_references)?,
        version_since: points("stale.unknown_costs.version_since", costs.version_since)?,
    };
    check(&everywhere, None)?;
    let environments = written.environment.iter().map(|entry| {
        let at = format!("[[environment]] {}/{}: stale", entry.project, entry.key);
        let own = OfType {
            inactive_days: entry.stale.inactive_days,
            stale_days: entry.stale.stale_days,
            coverage_min: entry.stale.coverage_min,
        };
        let mut overrides = vec![of_type(&at, None, &own)?];
        overrides.extend(of_types(&at, &entry.stale.types)?);
        overrides.retain(|held| *held != Override { flag_type: held.flag_type, ..Override::default() });
        let mut here = everywhere.clone();
        here.overrides.extend(overrides.iter().cloned());
        check(&here, Some(&at))?;
        let environment = Environment::new(&entry.project, &entry.key)?;
        Ok(EnvironmentStale { environment, critical: entry.critical, overrides })
    });
    let environments = environments.collect::<anyhow::Result<_>>()?;
    Ok(StaleSettings { everywhere, environments })
}

fn of_types(at: &str, types: &Types) -> anyhow::Result<Vec<Override>> {
    let set = types.all().into_iter().filter(|(_, _, of)| **of != OfType::default());
    set.map(|(flag_type, name, of)| of_type(&format!("{at}.types.{name}"), Some(flag_type), of)).collect()
}

fn of_type(at: &str, flag_type: Option<FlagType>, of: &OfType) -> anyhow::Result<Override> {
    Ok(Override {
        environment: None,
        flag_type,
        inactive_days: of.inactive_days.map(|days| inactive_days(at, days)).transpose()?,
        stale_days: of.stale_days.map(|days| stale_days(at, days)).transpose()?,
        coverage_min_ppm: of.coverage_min.map(|share| coverage(at, share)).transpose()?,
    })
}

/// S is at most W, for each type that flags may have: the numbers may come from different tables.
fn check(settings: &Settings, at: Option<&str>) -> anyhow::Result<()> {
    let types = [None].into_iter().chain(FlagType::ALL.map(Some));
    for flag_type in types {
        let Thresholds { inactive_days, stale_days, .. } = settings.thresholds(None, flag_type);
        if inactive_days > stale_days {
            let of = flag_type.map_or_else(String::new, |of| format!(" for flags of type {}", of.as_str()));
            bail!(
                "{}.inactive_days = {inactive_days} is more than stale_days = {stale_days}{of}; a flag cannot be dead before it is \
                 inactive: set inactive_days to {stale_days} or less, or raise stale_days",
                at.unwrap_or("stale")
            );
        }
    }
    Ok(())
}

fn inactive_days(at: &str, days: Whole) -> anyhow::Result<u32> {
    number(&format!("{at}.inactive_days"), days, 1, DAYS_MAX, " days")
}

fn stale_days(at: &str, days: Whole) -> anyhow::Result<u32> {
    let why = format!(" days: days of use are kept for {DAYS_MAX}, so nobody could say more of a flag");
    number(&format!("{at}.stale_days"), days, 1, DAYS_MAX, &why)
}

fn points(field: &str, points: Whole) -> anyhow::Result<u32> {
    number(field, points, 0, POINTS_MAX, " points")
}

fn number(field: &str, Whole(number): Whole, least: u32, greatest: u32, more: &str) -> anyhow::Result<u32> {
    match u32::try_from(number).ok().filter(|number| (least..=greatest).contains(number)) {
        Some(number) => Ok(number),
        None => bail!("{field} = {number} must lie between {least} and {greatest}{more}"),
    }
}

/// A share in parts per million.
fn coverage(at: &str, share: f64) -> anyhow::Result<u32> {
    ensure!(
        (0.0..=1.0).contains(&share),
        "{at}.coverage_min = {share} must lie between 0 and 1: it is a share, 0.95 for 95 %"
    );
    Ok((share * 1e6).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<StaleSettings> {
        understand(&written(text)?)
    }

    fn written(text: &str) -> anyhow::Result<Written> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), text)?;
        Written::read(Some(file.path()))
    }

    fn days(settings: &StaleSettings, flag_type: Option<FlagType>) -> (u32, u32) {
        let mut settings = settings.clone();
        let own = settings.environments.iter().flat_map(|of| of.overrides.clone());
        settings.everywhere.overrides.extend(own);
        let held = settings.everywhere.thresholds(None, flag_type);
        (held.inactive_days, held.stale_days)
    }

    #[test]
    fn nothing_written_is_the_rules_own_default() {
        assert_eq!(read("").unwrap(), StaleSettings::default());
    }

    #[test]
    fn the_most_specific_number_wins() {
        let text = "
            [stale]
            stale_days = 31
            [stale.types.release]
            inactive_days = 5
            stale_days = 32
            [[environment]]
            project = \"p\"
            key = \"e\"
            critical = true
            [environment.stale]
            stale_days = 33
            [environment.stale.types.release]
            stale_days = 34
        ";
        let settings = read(text).unwrap();
        assert!(settings.environments[0].critical);
        let everywhere = StaleSettings { environments: Vec::new(), ..settings.clone() };
        assert_eq!(days(&everywhere, None), (7, 31));
        assert_eq!(days(&everywhere, Some(FlagType::Release)), (5, 32));
        assert_eq!(days(&settings, Some(FlagType::Permission)), (7, 33));
        assert_eq!(days(&settings, Some(FlagType::Release)), (5, 34));
        let without = text.replace("[environment.stale.types.release]\n            stale_days = 34", "");
        let settings = read(&without).unwrap();
        assert_eq!(days(&settings, Some(FlagType::Release)), (5, 33), "the environment's wins over the type's");
    }

    #[test]
    fn nonsense_is_refused_with_the_field_its_value_and_what_is_allowed() {
        let environment = "[[environment]]\nproject = \"p\"\nkey = \"e\"\n";
        let here = |text: &str| format!("{environment}{text}");
        for (text, said) in [
            ("[stale]\nstale_days = 0".to_owned(), "stale.stale_days = 0 must lie between 1 and 400 days"),
            (
                "[stale]\nstale_days = 401".to_owned(),
                "stale.stale_days = 401 must lie between 1 and 400 days: days of use are kept for 400",
            ),
            ("[stale]\ninactive_days = -1".to_owned(), "stale.inactive_days = -1 must lie between 1 and"),
            ("[stale]\ninactive_days = 31".to_owned(), "stale.inactive_days = 31 is more than stale_days = 30; "),
            ("[stale]\ncoverage_min = 1.01".to_owned(), "stale.coverage_min = 1.01 must lie between 0 and 1"),
            ("[stale]\ncoverage_min = nan".to_owned(), "stale.coverage_min = NaN must lie between 0 and 1"),
            (
                "[stale.weights]\nno_code_refs = -5".to_owned(),
                "stale.weights.no_code_refs = -5 must lie between 0 and 100",
            ),
            ("[stale.weights]\nno_code_refs = 101".to_owned(), "stale.weights.no_code_refs = 101 must lie"),
            ("[stale.unknown_costs]\ncreated_at = 101".to_owned(), "stale.unknown_costs.created_at = 101 must lie"),
            (
                "[stale.lifetimes_days]\nrelease = 0".to_owned(),
                "stale.lifetimes_days.release = 0 must lie between 1 and 3650; a type whose flags are never too old has \"never\"",
            ),
            (
                "[stale.types.release]\nstale_days = 6".to_owned(),
                "inactive_days = 7 is more than stale_days = 6 for flags of type release",
            ),
            (
                here("[environment.stale]\ninactive_days = 60"),
                "[[environment]] p/e: stale.inactive_days = 60 is more than stale_days = 30",
            ),
            (
                here("[environment.stale.types.kill_switch]\nstale_days = 500"),
                "p/e: stale.types.kill_switch.stale_days = 500 must lie",
            ),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_does_not_exist_or_is_no_number_is_refused_by_name() {
        let environment = "[[environment]]\nproject = \"p\"\nkey = \"e\"\n";
        for (text, said) in [
            ("[stale]\nstale_day = 30".to_owned(), "unknown field `stale_day`"),
            ("[stale.types.kill]\nstale_days = 30".to_owned(), "unknown field `kill`"),
            ("[stale.types.release]\nlifetime = 30".to_owned(), "unknown field `lifetime`"),
            (format!("{environment}[environment.stale.weights]\nno_code_refs = 1"), "unknown field `weights`"),
            (
                "[stale]\nstale_days = 30.5".to_owned(),
                "stale.stale_days: of the wrong type or out of range, expected a whole number",
            ),
            ("[stale]\nstale_days = \"never\"".to_owned(), "expected a whole number"),
            (
                "[stale.lifetimes_days]\nrelease = \"always\"".to_owned(),
                "expected a whole number of days, or \"never\"",
            ),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_lifetime_may_be_never_and_what_is_printed_can_be_read_again() {
        let text = "
            [stale]
            coverage_min = 0.9
            [stale.lifetimes_days]
            release = \"never\"
            kill_switch = 400
            [stale.types.experiment]
            inactive_days = 3
            [[environment]]
            project = \"p\"
            key = \"e\"
            critical = true
            [environment.stale]
            stale_days = 60
        ";
        let settings = read(text).unwrap();
        let lifetimes = &settings.everywhere.lifetimes_days;
        assert_eq!((lifetimes.get(&FlagType::Release), lifetimes.get(&FlagType::KillSwitch)), (None, Some(&400)));
        assert_eq!(lifetimes.get(&FlagType::Operational), Some(&7), "what is left out has its default");
        let printed = written(text).unwrap().print().unwrap();
        assert_eq!(read(&printed).unwrap(), settings, "{printed}");
        for part in
            ["inactive_days = 7", "release = \"never\"", "critical = true", "stale_days = 60", "no_code_refs = 20"]
        {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }
}
