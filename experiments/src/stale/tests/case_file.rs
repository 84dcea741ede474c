//! A file of cases, as `golden/stale/README.md` has its format.
//!
//! Always true here: an unknown field in `expected`, an unknown status, reason, blocker or advice does not parse; other
//! unknown fields are ignored.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::stale::{
    Advice, BlockerCode, Environment, Flag, FlagEnvironment, FlagType, Fleet, Hours, Metadata, Override, ReasonCode,
    Row, Settings, Status, Variation,
};

/// A fleet, and what the rule should say of it.
#[derive(Debug)]
pub(super) struct CaseFile {
    pub(super) fleet: Fleet,
    pub(super) expected: Vec<Expected>,
}

/// Of a flag; what is left out is not compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Expected {
    pub(super) key: String,
    pub(super) stale: Option<bool>,
    #[serde(default, deserialize_with = "statuses")]
    pub(super) status: BTreeMap<String, Status>,
    #[serde(default, deserialize_with = "reasons")]
    pub(super) reasons: Option<BTreeSet<ReasonCode>>,
    #[serde(default, deserialize_with = "blockers")]
    pub(super) blockers: Option<BTreeSet<BlockerCode>>,
    #[serde(default, deserialize_with = "advice")]
    pub(super) advice: Option<Option<Advice>>,
    #[serde(default, deserialize_with = "variation")]
    pub(super) forward_variation: Option<Option<Variation>>,
    /// Not compared.
    #[serde(rename = "score")]
    _score: Option<Value>,
    /// Not compared.
    #[serde(rename = "confidence")]
    _confidence: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileText {
    as_of: i64,
    settings: Option<SettingsText>,
    environments: Option<BTreeMap<String, Option<EnvironmentText>>>,
    flags: Vec<FlagText>,
    expected: Vec<Expected>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettingsText {
    inactive_days: Option<u32>,
    stale_days: Option<u32>,
    coverage_min: Option<f64>,
    types: Option<BTreeMap<String, OfType>>,
    environments: Option<BTreeMap<String, OfEnvironment>>,
    lifetimes_days: Option<BTreeMap<String, Option<u32>>>,
    weights: Option<BTreeMap<String, u32>>,
}

/// Thresholds for flags of a type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfType {
    inactive_days: Option<u32>,
    stale_days: Option<u32>,
    coverage_min: Option<f64>,
}

/// Thresholds in an environment, and there for flags of a type.
#[derive(Default, Deserialize)]
struct OfEnvironment {
    #[serde(flatten)]
    all: OfType,
    types: Option<BTreeMap<String, OfType>>,
}

#[derive(Default, Deserialize)]
struct EnvironmentText {
    critical: Option<bool>,
    hours: Option<HoursText>,
}

#[derive(Deserialize)]
struct HoursText {
    expected: u64,
    reported: u64,
}

#[derive(Deserialize)]
struct FlagText {
    key: String,
    metadata: Option<MetadataText>,
    environments: Option<BTreeMap<String, Option<SeenText>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataText {
    created_at: Option<i64>,
    temporary: Option<bool>,
    #[serde(rename = "type")]
    flag_type: Option<String>,
    archived: Option<bool>,
    snoozed_until: Option<i64>,
    dependents: Option<Vec<String>>,
    running_experiment: Option<bool>,
    code_references: Option<CodeReferences>,
}

/// Both are written.
#[derive(Deserialize)]
#[serde(untagged)]
enum CodeReferences {
    Count(u64),
    Places(Vec<Value>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeenText {
    version: Option<u64>,
    version_since: Option<i64>,
    seen: Option<Vec<RowText>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowText {
    variation: Option<VariationText>,
    default: Option<bool>,
    error: Option<bool>,
    bulk: Option<bool>,
    application: Option<String>,
    application_version: Option<String>,
    sdk: Option<String>,
    first: i64,
    last: i64,
    days: Option<Vec<(u32, u64)>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VariationText {
    Index(u32),
    Name(String),
}

impl CaseFile {
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut file: Value = serde_json::from_str(text)?;
        whole(&mut file);
        let file: FileText = serde_json::from_value(file)?;
        let environments = file.environments.unwrap_or_default().into_iter();
        let fleet = Fleet {
            as_of_ms: file.as_of,
            settings: file.settings.unwrap_or_default().settings().map_err(serde_json::Error::custom)?,
            environments: environments
                .map(|(name, environment)| (name, environment.unwrap_or_default().into()))
                .collect(),
            hours_by_type: BTreeMap::new(),
            hidden_deciding: 0,
            flags: file.flags.into_iter().map(Flag::from).collect(),
        };
        Ok(Self { fleet, expected: file.expected })
    }
}

impl SettingsText {
    /// A type or reason that nobody knows fails: what hangs on it could not be judged.
    fn settings(self) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let held = &mut settings.thresholds;
        held.inactive_days = self.inactive_days.unwrap_or(held.inactive_days);
        held.stale_days = self.stale_days.unwrap_or(held.stale_days);
        held.coverage_min_ppm = self.coverage_min.map_or(held.coverage_min_ppm, ppm);
        settings.overrides = of_types(self.types, None)?;
        for (name, of) in self.environments.unwrap_or_default() {
            settings.overrides.push(of.all.named(Some(&name), None));
            settings.overrides.extend(of_types(of.types, Some(&name))?);
        }
        for (name, days) in self.lifetimes_days.unwrap_or_default() {
            let flag_type = flag_type(&name)?;
            match days {
                Some(days) => settings.lifetimes_days.insert(flag_type, days),
                None => settings.lifetimes_days.remove(&flag_type),
            };
        }
        for (name, weight) in self.weights.unwrap_or_default() {
            settings.weights.insert(reason(&name)?, weight);
        }
        Ok(settings)
    }
}

impl OfType {
    fn named(&self, environment: Option<&str>, flag_type: Option<FlagType>) -> Override {
        Override {
            environment: environment.map(str::to_owned),
            flag_type,
            inactive_days: self.inactive_days,
            stale_days: self.stale_days,
            coverage_min_ppm: self.coverage_min.map(ppm),
        }
    }
}

fn of_types(types: Option<BTreeMap<String, OfType>>, environment: Option<&str>) -> Result<Vec<Override>, String> {
    let types = types.unwrap_or_default();
    types.iter().map(|(name, of)| Ok(of.named(environment, Some(flag_type(name)?)))).collect()
}

fn flag_type(name: &str) -> Result<FlagType, String> {
    FlagType::of_name(name).ok_or_else(|| format!("settings name type `{name}`, which is none"))
}

fn reason(name: &str) -> Result<ReasonCode, String> {
    let found = ReasonCode::ALL.into_iter().find(|code| code.as_str() == name);
    found.ok_or_else(|| format!("settings weigh reason `{name}`, which is none"))
}

fn ppm(share: f64) -> u32 {
    (share * 1e6).round() as u32
}

impl From<EnvironmentText> for Environment {
    fn from(text: EnvironmentText) -> Self {
        let hours = text.hours.map(|hours| Hours { expected: hours.expected, reported: hours.reported });
        Self { critical: text.critical.unwrap_or(false), hours }
    }
}

impl From<FlagText> for Flag {
    fn from(text: FlagText) -> Self {
        let environments = text.environments.unwrap_or_default().into_iter();
        Self {
            key: text.key,
            metadata: text.metadata.unwrap_or_default().into(),
            environments: environments.map(|(name, seen)| (name, seen.unwrap_or_default().into())).collect(),
        }
    }
}

impl From<MetadataText> for Metadata {
    fn from(text: MetadataText) -> Self {
        Self {
            created_at_ms: text.created_at,
            temporary: text.temporary,
            flag_type: text.flag_type.and_then(|name| FlagType::of_name(&name)),
            archived: text.archived,
            snoozed_until_ms: text.snoozed_until,
            dependents: text.dependents.unwrap_or_default(),
            running_experiment: text.running_experiment.unwrap_or(false),
            code_references: text.code_references.map(|references| match references {
                CodeReferences::Count(count) => count,
                CodeReferences::Places(places) => places.len() as u64,
            }),
            ..Self::default()
        }
    }
}

impl From<SeenText> for FlagEnvironment {
    fn from(text: SeenText) -> Self {
        let seen = text.seen.unwrap_or_default();
        let intentional = seen.iter().filter(|row| row.bulk != Some(true));
        let days = intentional.filter_map(|row| row.days.as_ref()).flatten().map(|(day, _)| *day).collect();
        Self {
            version: text.version,
            version_since_ms: text.version_since,
            rows: seen.into_iter().map(Row::from).collect(),
            days,
            values: Vec::new(),
        }
    }
}

impl From<RowText> for Row {
    fn from(text: RowText) -> Self {
        Self {
            variation: text.variation.map(Variation::from),
            default: text.default.unwrap_or(false),
            error: text.error.unwrap_or(false),
            bulk: text.bulk.unwrap_or(false),
            application: text.application.unwrap_or_default(),
            application_version: text.application_version.unwrap_or_default(),
            sdk: text.sdk.unwrap_or_default(),
            first_ms: text.first,
            last_ms: text.last,
        }
    }
}

impl From<VariationText> for Variation {
    fn from(text: VariationText) -> Self {
        match text {
            VariationText::Index(index) => Self::Index(index),
            VariationText::Name(name) => Self::Name(name),
        }
    }
}

/// Writes `3.0` as `3`: some languages write every number with a point.
fn whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 2_f64.powi(53));
            if let Some(float) = whole {
                *value = Value::from(float as i64);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(whole),
        Value::Object(fields) => fields.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The one of `all` that is spelled so.
fn spelled<T: Copy, E: Error>(text: &str, all: &[T], spell: fn(T) -> &'static str) -> Result<T, E> {
    let found = all.iter().copied().find(|one| spell(*one) == text);
    found.ok_or_else(|| {
        let known: Vec<_> = all.iter().map(|one| spell(*one)).collect();
        E::custom(format!("`{text}` is none of {}", known.join(", ")))
    })
}

fn statuses<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Status>, D::Error> {
    let texts = Option::<BTreeMap<String, String>>::deserialize(from)?.unwrap_or_default();
    texts.into_iter().map(|(name, text)| Ok((name, spelled(&text, &Status::ALL, Status::as_str)?))).collect()
}

fn reasons<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeSet<ReasonCode>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    let spelled = |text: &String| spelled(text, &ReasonCode::ALL, ReasonCode::as_str);
    texts.map(|texts| texts.iter().map(spelled).collect()).transpose()
}

fn blockers<'de, D: Deserializer<'de>>(from: D) -> Result<Option<BTreeSet<BlockerCode>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    let spelled = |text: &String| spelled(text, &BlockerCode::ALL, BlockerCode::as_str);
    texts.map(|texts| texts.iter().map(spelled).collect()).transpose()
}

/// `null` is compared; left out is not.
fn advice<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Advice>>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| spelled(&text, &Advice::ALL, Advice::as_str)).transpose().map(Some)
}

/// `null` is compared; left out is not.
fn variation<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Variation>>, D::Error> {
    Ok(Some(Option::<VariationText>::deserialize(from)?.map(Variation::from)))
}
