//! Places in code that name a flag: how many, the first of them, and the scan that found them so.
//!
//! Always true here: the number is exact, the places are the first ones and bounded: at most 20, whose JSON is at most
//! 8 KiB, so that a flag's metadata fits its cell. What is no place (a list may hold anything) is in the number alone.

use serde_json::{Map, Value, json};

use super::body::time;
use crate::stale::{CodePlace, CodeScan};

/// Places kept of a flag.
pub(super) const PLACES_MAX: usize = 20;
/// Bytes of their JSON.
const PLACES_BYTES_MAX: usize = 8 * 1024;
/// Longest id of a scan, in bytes.
const SCAN_ID_BYTES_MAX: usize = 64;

/// The number of a list, and what is kept of it.
pub(super) fn of_list(list: &[Value]) -> (u64, Vec<CodePlace>) {
    let number = u64::try_from(list.len()).unwrap_or(u64::MAX);
    (number, bounded(list.iter().filter_map(place)))
}

/// Places alone, each of which must be one; `None` = something is none.
pub(super) fn all_of(value: &Value) -> Option<Vec<CodePlace>> {
    let places = value.as_array()?.iter().map(place).collect::<Option<Vec<_>>>()?;
    Some(bounded(places.into_iter()))
}

/// `{id, at}`
pub(super) fn scan(value: &Value) -> Option<CodeScan> {
    let fields = value.as_object().filter(|fields| fields.len() == 2)?;
    let id = fields.get("id")?.as_str().filter(|id| (1..=SCAN_ID_BYTES_MAX).contains(&id.len()))?;
    Some(CodeScan { id: id.to_owned(), at: time(fields.get("at")?)? })
}

/// `{file, line}`, where the line may be left out, or `file:line`.
fn place(value: &Value) -> Option<CodePlace> {
    let (file, line) = match value {
        Value::String(text) => {
            let split = text.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
            split.map_or((text.as_str(), None), |(file, line)| (file, Some(line)))
        }
        Value::Object(fields) if fields.keys().all(|name| name == "file" || name == "line") => {
            let line = fields.get("line").filter(|line| !line.is_null());
            let line = line.map(|line| line.as_u64().ok_or(())).transpose().ok()?;
            (fields.get("file")?.as_str()?, line)
        }
        _ => return None,
    };
    (!file.is_empty() && line != Some(0)).then(|| CodePlace { file: file.to_owned(), line })
}

/// The first of them, as many as are kept.
fn bounded(places: impl Iterator<Item = CodePlace>) -> Vec<CodePlace> {
    let mut bytes = 0;
    let fits = |place: &CodePlace| {
        bytes += serde_json::to_vec(place).map_or(PLACES_BYTES_MAX, |json| json.len() + 1);
        bytes <= PLACES_BYTES_MAX
    };
    places.take(PLACES_MAX).take_while(fits).collect()
}

/// A list under `codeReferences` as what is kept of it: the number, and the first places as `codePlaces`. A list may be
/// longer than a request.
pub fn shorten_code_references(fields: &mut Map<String, Value>) {
    let Some((number, places)) = fields.get("codeReferences").and_then(Value::as_array).map(|list| of_list(list))
    else {
        return;
    };
    fields.insert("codeReferences".to_owned(), number.into());
    if !places.is_empty() {
        fields.insert("codePlaces".to_owned(), json!(places));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_as_text_or_object_and_what_is_none_counts_all_the_same() {
        let list = json!(["a.rs:1", {"file": "b.rs", "line": 7}, {"file": "c"}, "d", "C:\\e", 5, {"line": 1}, "a:0", "", {
            "file": "f", "line": "x"
        }]);
        let (number, places) = of_list(list.as_array().unwrap());
        let shown: Vec<String> = places.iter().map(ToString::to_string).collect();
        assert_eq!((number, shown.join(" ")), (10, "a.rs:1 b.rs:7 c d C:\\e".to_owned()));
        assert_eq!(all_of(&list), None);
        assert_eq!(all_of(&json!(places)), Some(places), "what is kept is read again as it is");
    }

    #[test]
    fn the_first_places_are_kept_within_bounds() {
        let many: Vec<Value> = (1..=3000).map(|line| json!({ "file": "web/cart.ts", "line": line })).collect();
        let (number, places) = of_list(&many);
        assert_eq!((number, places.len(), places[19].line), (3000, 20, Some(20)));
        // What JSON writes long counts as long.
        for file in ["x".repeat(2000), "\u{1}".repeat(330)] {
            let (number, places) = of_list(&vec![json!({ "file": file, "line": 1 }); 9]);
            assert_eq!(number, 9);
            assert!((1..9).contains(&places.len()) && json!(places).to_string().len() <= PLACES_BYTES_MAX + 2);
        }
    }
}
