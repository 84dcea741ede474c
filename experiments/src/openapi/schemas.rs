//! What answers and bodies are made of, as the document has it.

use serde_json::{Value, json};

/// All of them, by name.
pub(super) fn schemas() -> Value {
    let count = json!({ "type": "integer", "format": "uint64", "minimum": 0 });
    let time = json!({ "type": "integer", "format": "int64", "description": "Unix milliseconds" });
    let maybe_time = json!({ "type": ["integer", "null"], "format": "int64", "description": "Unix milliseconds" });
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let flag = json!({ "type": "boolean" });
    let maybe_flag = json!({ "type": ["boolean", "null"] });
    let links = json!({ "type": "object" });
    let interval = json!({ "from": time, "to": time });
    let evaluation = object(
        json!({
            "flag": maybe_text, "variation": { "type": ["integer", "string", "null"] }, "default": flag,
            "value": { "description": "newest value of the variation" }, "version": { "type": ["integer", "null"] },
            "application": maybe_text, "sdk": maybe_text, "reason": text,
            "other": { "type": "boolean", "description": "what is beyond a limit of rows (or of flags: flag is null)" },
            "estimated": { "type": "boolean", "description": "some of it was sampled by the SDK; by application and SDK: may have \
                been, since the hours that are kept do not tell which row was; not known by reason" },
            "saturated": { "type": "boolean", "description": "a counter has stopped: the count is a lower bound" },
            "bulkOnly": { "type": "boolean", "description": "nothing but bulk reads (all flags at once), which the stale rule takes \
                for no use" },
            "count": count,
            "firstSeen": { "type": ["integer", "null"], "format": "int64",
                "description": "to the hour; null where it is not kept: by version and reason" },
            "lastSeen": { "type": ["integer", "null"], "format": "int64",
                "description": "to the minute where that is known; null where it is not kept: by version and reason" },
            "seenBound": { "type": "boolean", "description": "the flag's rows of last seen are full: firstSeen is the \
                latest that it can be, lastSeen the earliest" },
            "series": { "type": "array", "description": "[start of bucket, count]; empty buckets are left out",
                "items": { "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2 } }
        }),
        &["flag", "count", "firstSeen", "lastSeen"],
    );
    let mut evaluations = interval.clone();
    merge(
        &mut evaluations,
        json!({
            "granularity": text, "groupBy": { "type": "array", "items": text },
            "path": { "enum": ["old", "new"], "description": "which path counted it, where a gate runs" },
            "basis": { "type": "string", "description": "by reason: full events only" },
            "seenOnly": { "type": "object", "description": "flags that were seen in the interval and not counted, by full events \
                alone: how many, and the first 100; left out where there are none", "required": ["count", "flags"],
                "properties": { "count": count, "flags": { "type": "array", "items": text } } }
        }),
    );
    let event = object(
        json!({ "key": maybe_text, "other": flag, "saturated": flag, "count": count, "metricCount": count,
            "metricSum": { "type": "number", "description": "exact, in up to 6 decimals" } }),
        &["key", "count", "metricCount", "metricSum"],
    );
    let letter = json!({ "generation": count, "partition": count, "offset": count, "environment": maybe_text, "reason": text,
        "receivedMs": time, "bytes": count });
    let partition = json!({ "partition": count, "first": count, "end": count, "position": count, "lag": count,
        "logTime": maybe_time, "dedupeAgeMs": { "type": ["integer", "null"] },
        "owner": { "type": ["object", "null"], "required": ["name", "since", "told", "flushed", "refusedWrites"],
            "properties": { "name": text, "since": time, "told": time, "flushed": maybe_time, "refusedWrites": count } } });
    let keys = json!({ "type": ["array", "null"], "items": text });
    let fields = object(
        json!({
            "createdAt": maybe_time, "temporary": maybe_flag, "archived": maybe_flag, "runningExperiment": maybe_flag,
            "type": { "enum": ["release", "experiment", "operational", "kill-switch", "permission", null] },
            "snoozedUntil": maybe_time, "dependents": keys, "prerequisites": keys,
            "codeReferences": { "type": ["integer", "array", "null"], "minimum": 0,
                "description": "places in code: how many, or a list of them (`file:line`, or file and line), of which the length and \
                    the first places are kept; null = nobody looked" },
            "codePlaces": { "type": ["array", "null"], "items": code_place(),
                "description": "the first of them, beside their number: at most 20, and 8 KiB; ends when the number changes" },
            "codeScan": { "description": "the scan that found them so; ends when the number changes", "type": ["object", "null"],
                "properties": code_scan()["properties"], "required": ["id", "at"] },
            "owner": maybe_text
        }),
        &[],
    );
    let lag = json!({ "records": count, "seconds": { "type": "number",
        "description": "for how long the oldest of them has waited at most; 0 without lag. The bound is the nearer the more \
            often health or a page is asked for: idle time before the first ask may be in it" } });
    let stale = json!({ "project": text, "environments": { "type": "array", "items": text }, "judged": count,
        "heard": { "type": "array", "items": heard(), "description": "how well each environment was heard, for flags of no type" },
        "rule": rule(),
        "notes": { "type": "array", "items": text, "description": "what to know beside the list" }, "codeScan": upload() });
    json!({
        "StaleFlags": list(stale_flag(), stale),
        "StaleBacktest": list(called_flag(), backtest()),
        "Evaluations": list(evaluation, evaluations),
        "Events": list(event, interval),
        "Books": object(json!({
            "asOf": time,
            "complete": { "type": "boolean", "description": "all that ingest had acknowledged is in it, as in every answer (numbers of \
                payloads refused whole, which are acknowledged with an error, follow within 10 s, best effort); \
                the day itself is over where `asOf` has reached `to`" }, "day": text, "from": time, "to": time,
            "accepted": { "type": "integer", "description": "counted + duplicate + late + poison, exactly" },
            "counted": count, "duplicate": count, "late": count, "poison": count,
            "rejected": { "type": "object", "additionalProperties": count, "description": "by reason; `metric_out_of_range` refused \
                nothing: the event is counted without its value" }, "clamped": count, "withoutId": count,
            "saturated": { "type": "boolean", "description": "a counter has stopped: its number is a lower bound" }
        }), &["asOf", "complete", "day", "from", "to", "accepted", "counted", "duplicate", "late", "poison", "rejected",
            "clamped", "withoutId"]),
        "Comparison": comparison(),
        "Gate": gate(),
        "Health": object(
            json!({
                "asOf": time, "complete": flag, "lag": all(lag),
                "partitions": { "type": "array", "items": all(partition) },
                "warnings": { "type": "array", "items": text }
            }),
            &["asOf", "complete", "lag", "partitions"],
        ),
        "FlagFields": fields,
        "FlagSnooze": object(json!({ "until": maybe_time }), &["until"]),
        "CodeReferencesPart": object(
            json!({
                "scan": all(json!({ "id": text, "at": time, "flags": { "type": "integer", "description": "all that it sends" } })),
                "before": { "type": "integer", "description": "flags of the scan that were sent in requests before; 0 begins it" },
                "flags": { "type": "object", "maxProperties": 500, "additionalProperties": object(
                    json!({ "codeReferences": count, "codePlaces": { "type": "array", "items": code_place() } }), &["codeReferences"],
                ) }
            }),
            &["scan", "flags"],
        ),
        "CodeReferencesTaken": all(json!({ "changed": count, "unchanged": count, "version": count, "codeScan": upload() })),
        "CodeReferences": all(json!({ "codeScan": { "type": ["object", "null"], "properties": upload()["properties"] },
            "version": count, "asOf": time, "complete": flag })),
        "FlagMetadata": object(
            json!({ "key": text, "metadata": { "$ref": "#/components/schemas/FlagFields" },
                "version": { "type": "integer", "description": "which one of all that was said in the log this is: it rises with \
                    each, not by one; 0 = nothing was said" },
                "saidAt": { "type": ["integer", "null"], "format": "int64", "description": "when; null = nothing was said, or it was \
                    before this was kept" },
                "withdrawn": { "type": "boolean", "description": "what was said is no more" },
                "seen": { "type": "boolean", "description": "some environment has evaluated it" }, "asOf": time, "complete": flag,
                "changed": { "type": "boolean", "description": "of PATCH and DELETE: false = it was so already, no new version" } }),
            &["key", "metadata", "version", "saidAt", "withdrawn", "seen"],
        ),
        "DeadLetters": list(all(letter), json!({})),
        "Series": object(
            json!({
                "_links": links, "metadata": { "type": "array", "items": { "type": "object" } },
                "series": { "type": "array", "items": { "type": "object", "additionalProperties": { "type": "integer" } } },
                "path": { "enum": ["old", "new"], "description": "which path counted it, where a gate runs" },
                "totalEvaluations": count, "asOf": time, "complete": flag, "from": time, "to": time
            }),
            &["_links", "metadata", "series", "asOf", "complete", "from", "to"],
        ),
        "FlagStatuses": object(
            json!({ "_links": links, "items": { "type": "array", "items": flag_status(&json!({})) }, "asOf": time, "complete": flag }),
            &["_links", "items"],
        ),
        "FlagStatus": flag_status(&json!({ "asOf": time, "complete": flag })),
        "FlagStatusAcross": object(
            json!({ "environments": { "type": "object", "additionalProperties": flag_status(&json!({})) }, "key": text, "_links": links,
                "asOf": time, "complete": flag }),
            &["environments", "key", "_links"],
        ),
        "Error": all(json!({ "code": text, "message": text, "requestId": text }))
    })
}

/// A flag in an environment, as the vendor has it, with what more is told of it.
fn flag_status(more: &Value) -> Value {
    let mut properties = json!({
        "_links": { "type": "object" },
        "name": { "type": "string", "enum": ["new", "inactive", "active", "launched"],
            "description": "`active` too where too little was heard to tell" },
        "lastRequested": { "type": "string", "format": "date-time", "description": "to the hour, though it has milliseconds: \
            the beginning of the hour of the last request; left out of flags never requested" },
        "default": { "description": "newest of the callers' own defaults, where told" },
        "key": { "type": "string" },
        "status": { "type": "string", "enum": ["unknown", "new", "inactive", "launched", "active"],
            "description": "the rule's own word" },
        "coverage": { "type": "number", "minimum": 0, "maximum": 1 }, "coverageMeasured": coverage_measured()
    });
    for (name, property) in more.as_object().into_iter().flatten() {
        properties[name] = property.clone();
    }
    object(properties, &["name", "status", "coverage", "coverageMeasured"])
}

fn heard() -> Value {
    let hours = json!({ "type": "integer", "minimum": 0 });
    all(json!({ "environment": { "type": "string" }, "expected": hours, "reported": hours,
        "coverage": { "type": "number", "minimum": 0, "maximum": 1 }, "measured": coverage_measured(), "days": hours }))
}

fn coverage_measured() -> Value {
    json!({ "type": "boolean", "description": "false = no hour was expected, and `coverage` is 1 because nothing could be missed" })
}

/// An entry of the stale flags.
fn stale_flag() -> Value {
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let flag = json!({ "type": "boolean" });
    let whole = json!({ "type": "integer", "format": "int64" });
    let maybe_time = json!({ "type": ["integer", "null"], "format": "int64", "description": "Unix milliseconds" });
    let last_requested = json!({ "type": ["integer", "null"], "format": "int64", "description": "Unix milliseconds, to the \
        hour: the beginning of the hour of the last one" });
    let share = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let points = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
    let variation = json!({ "type": ["integer", "string", "null"] });
    let evidence = json!({ "type": "object", "description": "the numbers that made it hold" });
    let by = all(json!({ "environment": text, "variation": variation, "application": text, "applicationVersion": text,
        "sdk": text }));
    let served = json!({ "type": "array", "items": variation });
    let last_served = all(json!({ "environment": text, "variation": variation,
        "value": { "description": "null = not told" }, "lastSeen": last_requested,
        "bulk": { "type": "boolean", "description": "that was a bulk read" } }));
    let place = all(json!({
        "key": text, "critical": flag, "status": text,
        "dead": { "type": ["string", "null"], "enum": ["quiet", "settled", null] },
        "settledVariation": variation, "settledSince": maybe_time, "inactiveDays": whole, "staleDays": whole,
        "coverageMin": share, "hours": all(json!({ "expected": whole, "reported": whole })), "coverage": share,
        "version": { "type": ["integer", "null"] }, "versionSince": maybe_time, "servedWithinInactive": served,
        "servedWithinStale": served, "lastBulkRead": last_requested, "lastRequested": last_requested, "lastRequestedBy": by
    }));
    let reason = all(json!({ "code": text, "deciding": flag, "since": maybe_time, "evidence": evidence }));
    let blocker = all(json!({ "code": text, "evidence": evidence }));
    let conditions = all(json!({ "temporary": flag, "archived": flag, "snoozed": flag, "snoozedUntil": maybe_time,
        "oldEnough": flag, "staleDays": whole }));
    let mut entry = all(json!({
        "key": text, "status": text, "stale": flag, "score": points, "confidence": points,
        "reasons": { "type": "array", "items": reason }, "blockers": { "type": "array", "items": blocker },
        "conditions": conditions, "advice": maybe_text, "forwardVariation": variation,
        "forwardValue": { "description": "to put in the flag's place" }, "lastRequested": last_requested,
        "lastRequestedBy": by, "coverage": share,
        "coverageMeasured": coverage_measured(), "lastServed": { "type": "array", "items": last_served,
            "description": "of a flag that nobody asks for in any environment that decides: what was served last, newest first" },
        "ageMs": whole, "asOf": whole,
        "environments": { "type": "array", "items": place }
    }));
    merge(
        &mut entry["properties"],
        json!({
            "environment": text, "owner": text, "codeReferences": { "type": "integer", "description": "places in code" },
            "codePlaces": { "type": "array", "items": code_place(), "description": "the first of them" }, "codeScan": code_scan()
        }),
    );
    entry
}

fn code_place() -> Value {
    object(json!({ "file": { "type": "string" }, "line": { "type": "integer", "minimum": 1 } }), &["file"])
}

/// A scan of source trees.
fn code_scan() -> Value {
    all(
        json!({ "id": { "type": "string" }, "at": { "type": "integer", "format": "int64", "description": "Unix milliseconds" } }),
    )
}

/// The scan that was begun last.
fn upload() -> Value {
    let mut scan = code_scan();
    merge(
        &mut scan["properties"],
        json!({
            "flags": { "type": "integer", "description": "all that it sends" },
            "finished": { "type": "boolean", "description": "all of them came; false = places in code are of more than one scan" }
        }),
    );
    scan
}

/// What stands before the flags of a back-test.
fn backtest() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let counts = json!({ "type": "object", "additionalProperties": count });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let rate = json!({ "type": ["number", "null"], "minimum": 0, "maximum": 1 });
    let day = all(json!({
        "asOf": { "type": "integer", "format": "int64", "description": "beginning of the UTC day" }, "watchedDays": count,
        "flags": count, "stale": count, "byReason": counts, "byAdvice": counts,
        "lowCoverage": { "type": "integer", "description": "flags that too little was heard of" },
        "revivedWithin": { "type": "integer", "description": "of the stale, alive again within so many days" },
        "revivedLater": count
    }));
    json!({
        "project": { "type": "string" }, "environments": texts, "rule": rule(), "within": count,
        "days": { "type": "array", "items": day },
        "called": { "type": "integer", "description": "flags called stale on any of the days" },
        "revived": { "type": "integer", "description": "of these, came alive again" },
        "rate": rate,
        "watched": { "type": "integer", "description": "of these, first called at least `within` days ago" },
        "revivedWithin": { "type": "integer", "description": "of the watched, alive again within so many days of a call" },
        "rateWithin": rate,
        "read": all(json!({ "flags": count, "usageFlags": count, "usageCells": count })),
        "notes": { "type": "array", "items": { "type": "string" }, "description": "what cannot be known of the past" }
    })
}

/// A flag of a back-test.
fn called_flag() -> Value {
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let day =
        json!({ "type": "integer", "format": "int64", "description": "beginning of a UTC day, Unix milliseconds" });
    let maybe_day = json!({ "type": ["integer", "null"], "format": "int64" });
    let variation = json!({ "type": ["integer", "string", "null"] });
    all(json!({
        "key": text, "calledOn": day, "lastCalledOn": day, "timesCalled": { "type": "integer" },
        "reasons": { "type": "array", "items": text }, "advice": maybe_text, "forwardVariation": variation,
        "revived": { "type": "boolean" }, "revivedOn": maybe_day,
        "revivedAfterDays": { "type": ["integer", "null"] }, "revivedIn": maybe_text, "revivedVariation": variation
    }))
}

/// The settings of the stale rule that an answer was made with.
fn rule() -> Value {
    let days = json!({ "type": "integer", "minimum": 1 });
    let share = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let points = json!({ "type": "integer", "minimum": 0, "maximum": 100 });
    let thresholds = json!({ "inactiveDays": days, "staleDays": days, "coverageMin": share });
    let mut own = json!({ "environment": { "type": "string" }, "type": { "type": "string" } });
    merge(&mut own, thresholds.clone());
    let mut fields = thresholds;
    merge(
        &mut fields,
        json!({
            "lifetimesDays": { "type": "object", "additionalProperties": { "type": ["integer", "null"] },
                "description": "by flag type; null = never past it" },
            "weights": { "type": "object", "additionalProperties": points, "description": "points by reason" },
            "unknownCosts": all(json!({ "createdAt": points, "codeReferences": points, "versionSince": points })),
            "critical": { "type": "array", "items": { "type": "string" }, "description": "environments that decide" },
            "overrides": { "type": "array", "items": object(own, &[]), "description": "other thresholds, of an environment, of flags \
                of a type, or both; from the least specific to the most, the last that fits wins, number by number" }
        }),
    );
    all(fields)
}

/// Old path and new path compared.
fn comparison() -> Value {
    let whole = json!({ "type": "integer", "format": "int64" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let cause = all(json!({
        "cause": { "type": "string", "enum": ["duplicate", "late", "new_path_only", "before_the_gate", "old_path_only", "write_refused",
            "write_uncertain", "written_twice", "job_refused", "job_waiting", "job_lost", "job_redelivered", "in_flight"] },
        "low": whole, "high": whole
    }));
    let numbers = json!({
        "old": count, "new": count, "difference": { "type": "integer", "description": "old − new" },
        "low": { "type": "integer", "description": "the old path must hold at least so many" },
        "high": { "type": "integer", "description": "and at most so many" },
        "causes": { "type": "array", "items": cause, "description": "what each adds to the difference, at least and at most" },
        "unexplained": { "type": "integer", "minimum": 0, "description": "how far the difference lies outside of them: 0, or something \
            is broken" }
    });
    let mut item = json!({
        "kind": { "enum": ["evaluations", "events"] }, "default": { "type": "boolean" },
        "other": { "type": "boolean", "description": "all variations together, or all beyond a limit" },
        "hour": { "type": "integer", "format": "int64", "description": "its beginning, Unix milliseconds" }
    });
    merge(&mut item, numbers.clone());
    let mut item = all(item);
    merge(
        &mut item["properties"],
        json!({ "flag": { "type": ["string", "null"] }, "key": { "type": ["string", "null"] },
            "variation": { "type": ["integer", "string", "null"] } }),
    );
    list(
        item,
        json!({ "from": whole, "to": whole, "project": { "type": "string" }, "environment": { "type": "string" },
        "stage": { "type": ["string", "null"] }, "totals": all(numbers) }),
    )
}

/// Which path is in charge of each environment.
fn gate() -> Value {
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let time = json!({ "type": "integer", "format": "int64", "description": "Unix milliseconds" });
    let maybe_whole = json!({ "type": ["integer", "null"] });
    let change = all(json!({ "at": time, "from": maybe_text, "to": text, "cause": text }));
    let item = all(json!({
        "project": text, "environment": text, "stage": { "enum": ["off", "shadow", "live", "complete"] },
        "asked": { "type": ["string", "null"], "description": "what the flag asked for when it could last be read" }, "since": time,
        "heldBack": { "type": ["string", "null"], "description": "why the step forward that the flag asks for is not made" },
        "flagError": { "type": ["string", "null"], "description": "why the flag says nothing now; the last good stage holds" },
        "history": { "type": "array", "items": change },
        "unexplained": { "type": ["integer", "null"], "description": "by the newest comparison of the last 24 hours" },
        "compared": maybe_whole
    }));
    list(item, json!({}))
}

/// A page of a list: what its items are, and what stands before them.
fn list(of: Value, more: Value) -> Value {
    let time = json!({ "type": "integer", "format": "int64", "description": "Unix milliseconds" });
    let mut fields = json!({
        "asOf": time, "complete": { "type": "boolean" }, "items": { "type": "array", "items": of },
        "totalCount": { "type": "integer", "minimum": 0 },
        "_links": { "type": "object" }
    });
    merge(&mut fields, more);
    object(fields, &["asOf", "complete", "items", "totalCount", "_links"])
}

fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

/// An object whose fields are all required.
fn all(fields: Value) -> Value {
    let required: Vec<String> = fields.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "properties": fields, "required": required })
}

pub(super) fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
