//! The fields of a flag's metadata: what each may hold, from JSON and back.
//!
//! Always true here: a field that is missing or null is not known; a field of any other name is refused; what is
//! written can be read again and is then the same. Times come as Unix milliseconds, RFC 3339 or a date (its beginning
//! in UTC) and are written as milliseconds; places in code come as a number or as a list and are written as their
//! number, with the first of them beside it ([`places`]). What comes in anew has times that can be meant; what is
//! stored already may have any.

use schemas::id::{KEY_BYTES_MAX, check_key_text};
use serde::Serialize;
use serde_json::{Map, Value};

use super::places;
use crate::stale::{CodePlace, CodeScan, FlagType, Metadata};

/// Longest owner, in bytes.
const OWNER_BYTES_MAX: usize = 256;
const FIELDS: &str = "createdAt, temporary, type, archived, snoozedUntil, dependents, prerequisites, runningExperiment, \
                      codeReferences, codePlaces, codeScan, owner";
const TIME: &str = "a date (2026-01-31), RFC 3339 or Unix milliseconds, or null";
/// 2000-01-01: before it there were no flags, but there are seconds and days taken for milliseconds.
const EARLIEST_MS: i64 = 946_684_800_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// A snooze ends within so many milliseconds.
pub(super) const SNOOZE_MS_MAX: i64 = 366 * DAY_MS;
const FLAG: &str = "true, false or null";
const TYPE: &str = "release, experiment, operational, kill-switch, permission, or null";
const PLACES: &str = "a whole number from 0, a list of the places, or null";
const FIRST_PLACES: &str =
    "a list of {\"file\": …, \"line\": …}, no more than `codeReferences` says, beside it, or null";
const SCAN: &str = "{\"id\": 1 to 64 bytes, \"at\": a time} beside `codeReferences`, or null";
const KEYS: &str = "a list of flag keys of 1 to 256 bytes each, or null";

/// A flag's metadata as it is sent, stored and answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary: Option<bool>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    flag_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) snoozed_until: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependents: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) prerequisites: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_experiment: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_references: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_places: Vec<CodePlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_scan: Option<CodeScan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
}

impl Body {
    /// Reads the fields; an error says which is wrong and what is allowed.
    pub(crate) fn of_fields(fields: &Map<String, Value>) -> Result<Self, String> {
        let mut body = Self::default();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let wrong = |allowed: &str| wrong(name, value, allowed);
            match name.as_str() {
                "createdAt" => body.created_at = Some(time(value).ok_or_else(|| wrong(TIME))?),
                "temporary" => body.temporary = Some(value.as_bool().ok_or_else(|| wrong(FLAG))?),
                "type" => {
                    let known = value.as_str().and_then(FlagType::of_name);
                    body.flag_type = Some(known.ok_or_else(|| wrong(TYPE))?.as_str());
                }
                "archived" => body.archived = Some(value.as_bool().ok_or_else(|| wrong(FLAG))?),
                "snoozedUntil" => body.snoozed_until = Some(time(value).ok_or_else(|| wrong(TIME))?),
                "dependents" => body.dependents = keys(value).ok_or_else(|| wrong(KEYS))?,
                "prerequisites" => body.prerequisites = keys(value).ok_or_else(|| wrong(KEYS))?,
                "runningExperiment" => body.running_experiment = Some(value.as_bool().ok_or_else(|| wrong(FLAG))?),
                "codeReferences" => {
                    let number = value.as_u64().map(|number| (number, None));
                    let listed = || value.as_array().map(|list| places::of_list(list)).map(|(n, of)| (n, Some(of)));
                    let (number, listed) = number.or_else(listed).ok_or_else(|| wrong(PLACES))?;
                    body.code_references = Some(number);
                    body.code_places = listed.unwrap_or(body.code_places);
                }
                "codePlaces" => body.code_places = places::all_of(value).ok_or_else(|| wrong(FIRST_PLACES))?,
                "codeScan" => body.code_scan = Some(places::scan(value).ok_or_else(|| wrong(SCAN))?),
                "owner" => {
                    let owner = value.as_str().filter(|owner| owner.len() <= OWNER_BYTES_MAX);
                    body.owner = Some(owner.ok_or_else(|| wrong("a text of at most 256 bytes, or null"))?.to_owned());
                }
                _ => return Err(unknown(name)),
            }
        }
        let value = |name: &str| fields.get(name).unwrap_or(&Value::Null);
        if body.code_places.len() as u64 > body.code_references.unwrap_or(0) {
            return Err(wrong("codePlaces", value("codePlaces"), FIRST_PLACES));
        }
        if body.code_scan.is_some() && body.code_references.is_none() {
            return Err(wrong("codeScan", value("codeScan"), SCAN));
        }
        // A null under an unknown name is a field that was meant to be one of ours all the same.
        match fields.keys().find(|name| !FIELDS.split(", ").any(|known| known == name.as_str())) {
            Some(name) => Err(unknown(name)),
            None => Ok(body),
        }
    }

    /// Reads fields that come in at `now_ms`: as [`Body::of_fields`], and each time must be one that can be meant.
    pub(crate) fn of_request(fields: &Map<String, Value>, now_ms: i64) -> Result<Self, String> {
        let body = Self::of_fields(fields)?;
        let latest = [
            ("createdAt", body.created_at, DAY_MS, "now"),
            ("snoozedUntil", body.snoozed_until, SNOOZE_MS_MAX, "1 year ahead"),
        ];
        for (name, ms, ahead_ms, said) in latest {
            let Some(ms) = ms.filter(|ms| *ms < EARLIEST_MS || *ms - ahead_ms > now_ms) else { continue };
            let value = fields.get(name).unwrap_or(&Value::Null);
            return Err(wrong(name, value, &format!("{TIME}; from 2000-01-01 until {said}{}", looks_like(ms))));
        }
        Ok(body)
    }

    /// This with the fields that are named put in the place of what was; null ends what was known, all others stay.
    /// Places and scan belong to their number: another number without them is one of which they are not known.
    pub(crate) fn with(&self, fields: &Map<String, Value>) -> Result<Self, String> {
        let mut all = self.fields();
        if fields.contains_key("codeReferences") {
            all.retain(|name, _| !matches!(name.as_str(), "codePlaces" | "codeScan"));
        }
        all.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self::of_fields(&all)
    }

    /// Whether number and places in code are those of the other, whichever scan found them.
    pub(super) fn has_places_of(&self, other: &Self) -> bool {
        (self.code_references, &self.code_places) == (other.code_references, &other.code_places)
    }

    /// Its known fields.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// What the rule looks at.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            created_at_ms: self.created_at,
            temporary: self.temporary,
            flag_type: self.flag_type.and_then(FlagType::of_name),
            archived: self.archived,
            snoozed_until_ms: self.snoozed_until,
            dependents: self.dependents.clone(),
            running_experiment: self.running_experiment.unwrap_or(false),
            code_references: self.code_references,
            code_places: self.code_places.clone(),
            code_scan: self.code_scan.clone(),
            owner: self.owner.clone(),
        }
    }
}

/// Unix milliseconds from 0, RFC 3339, or a date: its beginning in UTC.
pub(super) fn time(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => time_of(text),
        _ => None,
    }
    .filter(|ms| *ms >= 0)
}

/// Unix milliseconds of RFC 3339 or of a date (its beginning in UTC).
pub(super) fn time_of(text: &str) -> Option<i64> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    whole.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// What a number that is no time in milliseconds may have been meant as.
fn looks_like(ms: i64) -> &'static str {
    match ms {
        20_000..80_000 => " (it looks like a day number of a spreadsheet: format the column as YYYY-MM-DD)",
        946_684_800..4_102_444_800 => " (it looks like seconds: give milliseconds)",
        _ => "",
    }
}

fn keys(value: &Value) -> Option<Vec<String>> {
    let key =
        |value: &Value| value.as_str().filter(|key| check_key_text(key, KEY_BYTES_MAX).is_ok()).map(ToOwned::to_owned);
    value.as_array()?.iter().map(key).collect()
}

/// Which field is wrong, its value, and what is allowed.
pub(super) fn wrong(name: &str, value: &Value, allowed: &str) -> String {
    let value: String = value.to_string().chars().take(100).collect();
    format!("field `{name}` is {value}; allowed: {allowed}")
}

fn unknown(name: &str) -> String {
    let name: String = name.chars().take(100).collect();
    let meant = FIELDS.split(", ").find(|known| known.eq_ignore_ascii_case(name.trim()));
    let meant = meant.map(|known| format!("did you mean `{known}`? ")).unwrap_or_default();
    format!("there is no field {name:?}; {meant}allowed: {FIELDS}")
}
