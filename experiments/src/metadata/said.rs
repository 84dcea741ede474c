//! What a definition of a flag's metadata holds beside the fields: when it was said, and whether all of it was
//! withdrawn.
//!
//! Always true here: what is withdrawn has no fields; what was written before there were these two is read as said at a
//! time that is not known. Bodies of old versions are read for ever.

use bytes::Bytes;
use counting::cells::BODY_BYTES_MAX;
use schemas::wire::record::Definition;
use serde_json::{Map, Value, json};

use super::{Body, KIND};
use crate::refusal::Refusal;

const SAID_AT: &str = "saidAt";
const WITHDRAWN: &str = "withdrawn";

/// What people said about a flag, and which version of it this is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Where it stands in partition 0, plus 1; 0 = nothing was said.
    pub(crate) version: u64,
    /// Unix milliseconds; `None` = nothing was said, or it was before this was kept.
    pub(crate) at_ms: Option<i64>,
    /// All that was said before is no more.
    pub(crate) withdrawn: bool,
    pub(crate) body: Body,
}

impl Said {
    /// Something that is said now.
    pub(super) fn now(body: Body, now_ms: i64) -> Self {
        Self { version: 0, at_ms: Some(now_ms), withdrawn: false, body }
    }

    /// That nothing is said any more.
    pub(super) fn nothing(now_ms: i64) -> Self {
        Self { withdrawn: true, ..Self::now(Body::default(), now_ms) }
    }

    /// Whether something is said of the flag.
    pub(crate) fn is_something(&self) -> bool {
        self.version > 0 && !self.withdrawn
    }

    /// Reads a definition's body; an error says what is wrong with it.
    pub(crate) fn stored(version: u64, bytes: &[u8]) -> Result<Self, String> {
        let mut fields = match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err("it is no JSON object".to_owned()),
            Err(error) => return Err(format!("it is no JSON: {error}")),
        };
        let at_ms = fields.remove(SAID_AT).and_then(|at| at.as_i64());
        let withdrawn = fields.remove(WITHDRAWN) == Some(Value::Bool(true));
        Ok(Self { version, at_ms, withdrawn, body: Body::of_fields(&fields)? })
    }

    /// As it is published. (A list of flags that is too long is all that can make it too large.)
    pub(super) fn definition(&self, project: &str, flag: &str) -> Result<Definition, Refusal> {
        let body = Value::Object(self.stored_fields()).to_string();
        if body.len() > BODY_BYTES_MAX {
            let what = format!(
                "what is said of flag {flag:?} would have {} bytes, and at most {BODY_BYTES_MAX} can be kept; shorten \
                 `dependents` or `prerequisites`",
                body.len()
            );
            return Err(super::answers::invalid(&what));
        }
        Ok(definition(KIND, project, flag, body))
    }

    fn stored_fields(&self) -> Map<String, Value> {
        let mut fields = self.body.fields();
        fields.extend(self.at_ms.map(|at_ms| (SAID_AT.to_owned(), json!(at_ms))));
        if self.withdrawn {
            fields.insert(WITHDRAWN.to_owned(), json!(true));
        }
        fields
    }
}

/// A definition of a whole project that no partition has.
pub(super) fn definition(kind: u8, project: &str, key: &str, body: String) -> Definition {
    Definition {
        project: Bytes::copy_from_slice(project.as_bytes()),
        environment: Bytes::new(),
        kind: kind.into(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        version: 0,
        body: body.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let fields = json!({ "owner": "web", "codeReferences": ["a.rs:1", "b.rs"], "createdAt": 1 });
        let body = Body::of_fields(fields.as_object().unwrap()).unwrap();
        for said in [Said::now(body, 7), Said::now(Body::default(), 8), Said::nothing(9)] {
            let written = said.definition("default", "checkout").unwrap().body;
            assert_eq!(Said::stored(3, &written), Ok(Said { version: 3, ..said }));
        }
    }

    #[test]
    fn bodies_of_old_versions_are_read_for_ever() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden/v1");
        let read = |name: &str| {
            let bytes = Bytes::from(std::fs::read(folder.join(name)).unwrap());
            Said::stored(1, &schemas::record::decode_definition(&bytes).unwrap().body).unwrap()
        };
        assert_eq!(
            (read("definition.bin").at_ms, read("definition.bin").body.metadata().temporary),
            (None, Some(true))
        );
        let placed = read("definition-places.bin");
        let metadata = placed.body.metadata();
        let places: Vec<String> = metadata.code_places.iter().map(ToString::to_string).collect();
        assert_eq!(
            (metadata.code_references, places.join(" ")),
            (Some(3), "web/src/cart.ts:12 api/cart.rs".to_owned())
        );
        assert_eq!(metadata.code_scan.map(|scan| (scan.id, scan.at)), Some(("5f3c".to_owned(), 1_768_480_000_000)));
        assert_eq!((placed.at_ms, metadata.owner.as_deref()), (Some(1_768_480_496_789), Some("web")));
        let withdrawn = read("definition-withdrawn.bin");
        assert!(withdrawn.withdrawn && !withdrawn.is_something() && withdrawn.body == Body::default());
    }

    #[test]
    fn the_largest_that_comes_in_fits_its_cell() {
        let keys: Vec<String> = (0..60).map(|number| format!("{number:0>256}")).collect();
        let places = vec![json!({ "file": "\u{1}".repeat(60), "line": u64::MAX }); 20];
        let fields = json!({ "dependents": keys, "prerequisites": keys, "codeReferences": u64::MAX, "codePlaces": places,
            "codeScan": { "id": "\u{1}".repeat(64), "at": i64::MAX }, "owner": "\u{1}".repeat(256) });
        let said = Said::now(Body::of_fields(fields.as_object().unwrap()).unwrap(), i64::MAX);
        assert!(said.definition("default", "checkout").unwrap().body.len() > 40_000);
        let keys: Vec<String> = (0..300).map(|number| format!("{number:0>256}")).collect();
        let fields = json!({ "dependents": keys });
        let said = Said::now(Body::of_fields(fields.as_object().unwrap()).unwrap(), 1);
        let refusal = said.definition("default", "checkout").unwrap_err();
        assert!(refusal.message.contains("at most 65520 can be kept"), "{}", refusal.message);
    }
}
