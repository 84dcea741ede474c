//! Properties: whatever the bytes are, no panic; whatever the order of fields is, the same rows; and one grammar.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::ask::{Ask, shown};

/// Whether `serde_json` takes these bytes for one JSON value, without a look at what is not asked for.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Text made of the pieces that matter to the grammar.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"\\u00e4\"",
        "\\u",
        "d8",
        "0",
        "-",
        "1",
        ".",
        "e",
        "+",
        "1.5e3",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\n",
        "\u{1}",
        "ü",
        "\u{7f}",
        "\"kind\":",
        "\"k\":1",
        "12345678",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// A place, and what is put there; `None` = the byte is taken out.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, Option<u8>)> {
    let byte = prop_oneof![prop::sample::select(b"{}[],:\"\\0-.e \n\x01tnu".to_vec()), any::<u8>()];
    (any::<prop::sample::Index>(), prop::option::weighted(0.7, byte))
}

/// A valid payload, as a tree. `value` is left to scalars, since a kept value is text and has an order of its own.
fn payload() -> impl Strategy<Value = Value> {
    let key = "[a-z./:ü😀\"\\\\]{1,6}";
    let context = prop_oneof![
        key.prop_map(|key| serde_json::json!({"context": {"kind": "org", "key": key, "name": "x"}})),
        key.prop_map(|key| serde_json::json!({"context": {"kind": "multi", "user": {"key": key, "a": 1}}})),
        key.prop_map(|key| serde_json::json!({"contextKeys": {"user": key}})),
        key.prop_map(|key| serde_json::json!({"userKey": key})),
        key.prop_map(|key| serde_json::json!({"user": {"key": key, "custom": {"key": 1}}})),
    ];
    let event = (key, context, 0..9_u32, 0..99_u32, any::<bool>(), 0..5_usize).prop_map(|(key, context, n, v, flag, kind)| {
        let mut event = match kind {
            0 => serde_json::json!({"kind": "feature", "key": key, "variation": n, "version": v, "value": flag, "creationDate": v,
                "reason": {"kind": "RULE_MATCH", "ruleIndex": 1, "inExperiment": flag}, "samplingRatio": n}),
            1 => serde_json::json!({"kind": "custom", "key": key, "metricValue": f64::from(v) / 8.0, "creationDate": v}),
            2 => serde_json::json!({"kind": "index", "creationDate": v}),
            3 => serde_json::json!({"kind": "migration_op", "operation": "read", "evaluation": {"key": key, "variation": n},
                "measurements": [{"key": "latency_ms", "values": {"old": 0.25, "new": v}}, {"key": "consistent", "value": flag}]}),
            _ => serde_json::json!({"kind": "summary", "startDate": 1, "endDate": v, "features": {key:
                {"default": null, "counters": [{"count": v, "variation": n, "version": 1, "value": "x"}, {"count": 1, "unknown": flag}]}}}),
        };
        let members = event.as_object_mut().unwrap();
        members.extend(context.as_object().unwrap().clone());
        event
    });
    prop::collection::vec(event, 0..6).prop_map(Value::from)
}

/// Writes a tree with its members in an order that `seed` chooses, with unknown members in between and text escaped.
/// Members that are data by name (flags, kinds of a context) get no strangers, which would be data too.
fn written_otherwise(value: &Value, seed: &mut u64, strangers: bool) -> String {
    let mut dice = |sides: u64| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 33) % sides
    };
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            if strangers {
                members.push(("stranger".into(), serde_json::json!({"kind": ["x", {"key": null}], "counters": 7})));
            }
            for at in (1..members.len()).rev() {
                members.swap(at, dice(at as u64 + 1) as usize);
            }
            let spell = |name: &str, escape: bool| {
                if !escape {
                    return Value::from(name).to_string();
                }
                let units: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                format!("\"{units}\"")
            };
            let parts: Vec<String> = members
                .iter()
                .map(|(name, value)| {
                    let escape = dice(4) == 0;
                    let mut inner_seed = dice(u64::MAX);
                    let inner = !matches!(name.as_str(), "features" | "contextKeys" | "context");
                    let text = match name.as_str() {
                        "stranger" => value.to_string(),
                        _ => written_otherwise(value, &mut inner_seed, inner),
                    };
                    format!("{} :{text}", spell(name, escape))
                })
                .collect();
            format!("{{{} }}", parts.join(" ,"))
        }
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(|item| written_otherwise(item, seed, strangers)).collect();
            format!("[ {}]", parts.join(",\n"))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..400), gzip in any::<bool>()) {
        let ask = if gzip { Ask::bulk(body).header("content-encoding", "gzip") } else { Ask::bulk(body) };
        _ = ask.shown();
        _ = Ask { path: "/diagnostic".into(), ..ask }.reply();
    }

    #[test]
    fn no_pieces_of_json_make_it_panic(body in jsonish()) {
        let array = [b"[{\"kind\":\"summary\",\"features\":".to_vec(), body.clone(), b"}]".to_vec()].concat();
        _ = (Ask::bulk(array).shown(), Ask::bulk(body).reply());
    }

    #[test]
    fn no_path_makes_it_panic(path in "\\PC*", query in "\\PC*") {
        for method in ["GET", "POST", "OPTIONS"] {
            _ = crate::route(method, &path);
        }
        let mut ask = Ask::post("/a/e.gif", "");
        (ask.method, ask.query) = ("GET", format!("d={query}"));
        _ = ask.shown();
    }

    #[test]
    fn a_payload_that_is_json_is_never_refused_whole(value in json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        for body in [format!("[{value}]"), format!("[{pretty}]")] {
            prop_assert!(Ask::bulk(&body).rows().is_ok(), "{}", body);
        }
    }

    #[test]
    fn a_mutant_is_refused_whole_exactly_when_it_is_no_json(tree in prop_oneof![json(), payload()], changes in prop::collection::vec(mutation(), 1..4)) {
        let mut body = format!("[{tree}]").into_bytes();
        for (at, byte) in changes {
            let at = at.index(body.len());
            // The outermost array stays, since what is no array is refused whatever it is.
            match (body.get_mut(at), byte) {
                (Some(b'['), _) if at == 0 => {}
                (Some(place), Some(byte)) => *place = byte,
                _ => _ = body.remove(at),
            }
        }
        prop_assert_eq!(Ask::bulk(&body).rows().is_ok(), is_json(&body), "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_payload_is_refused_whole_exactly_when_it_is_no_json(body in jsonish()) {
        let array = [b"[".to_vec(), body, b"]".to_vec()].concat();
        prop_assert_eq!(Ask::bulk(&array).rows().is_ok(), is_json(&array), "{}", String::from_utf8_lossy(&array));
    }

    #[test]
    fn the_order_of_fields_and_strangers_among_them_change_nothing(tree in payload(), mut seed in any::<u64>(), unsummarized in any::<bool>()) {
        let ask = |body: String| if unsummarized { Ask::bulk(body).unsummarized() } else { Ask::bulk(body) };
        let straight = ask(tree.to_string()).rows().unwrap();
        let otherwise = ask(written_otherwise(&tree, &mut seed, true)).rows().unwrap();
        prop_assert!(straight.rejections.is_empty(), "{}", shown(&straight));
        prop_assert_eq!(straight.elements.len(), tree.as_array().unwrap().len());
        prop_assert_eq!(straight, otherwise);
    }

    #[test]
    fn a_key_is_the_same_however_it_is_spelled(key in "[^\\x00]{1,60}") {
        let spelled: String = key.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        for key_text in [Value::from(key.as_str()).to_string(), format!("\"{spelled}\"")] {
            let event = format!(r#"{{"kind":"custom","key":{key_text},"contextKeys":{{{key_text}:{key_text}}}}}"#);
            let payload = Ask::event(&event).rows().unwrap();
            prop_assert_eq!(&*payload.conversions[0].key, key.as_str());
            prop_assert_eq!((&*payload.context_keys[0].kind, &*payload.context_keys[0].key), (key.as_str(), key.as_str()));
        }
    }
}
