//! `/openapi.json`, written by hand: small, and held to the truth by a test that compares it with the router's table
//! and by one that compares answers with the schemas' fields.
//!
//! Always true here: every route is in the document and nothing else is.

use serde_json::{Value, json};

/// The document.
pub(crate) fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Flagstream",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "How often each feature-flag variation was served, by whom, and when last. Times are Unix \
                milliseconds or RFC 3339; intervals are [from, to); a slash in a key is written %2F. Every answer tells \
                how far it reaches: `complete` = everything that ingest had acknowledged when the request arrived is in \
                it; `asOf` = now when complete, else the log's time up to which all is in it. Events accepted are exact; the \
                numbers of payloads refused whole are best effort: they follow within 10 s, and a crash may lose them. \
                An SDK falls silent until its process restarts on any 4xx but 400, 408 and 429, so a payload over a limit is \
                answered 400, and 413 only to SDKs that are known to go on after it (Node 9, Go, C++, Flutter)."
        },
        "security": [{ "key": [] }, { "bearer": [] }],
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "Authorization", "description": "the key alone; one that was not \
                    looked at, where every read is open, is answered with the header X-Flagstream-Key: not-needed" },
                "bearer": { "type": "http", "scheme": "bearer" }
            },
            "schemas": schemas()
        }
    })
}

fn paths() -> Value {
    json!({
        "/v1/projects/{project}/environments/{environment}/evaluations": { "get": get(
            "Evaluations by flag and variation", "Evaluations",
            &["project", "environment"],
            &[FLAG, FROM, TO, GRANULARITY, GROUP_BY, LIMIT, TOKEN],
        ) },
        "/v1/projects/{project}/environments/{environment}/events": { "get": get(
            "Custom events with exact sums; by whole hours", "Events",
            &["project", "environment"], &[FROM, TO, LIMIT, TOKEN],
        ) },
        "/v1/projects/{project}/environments/{environment}/books": { "get": get(
            "Where every event of a UTC day of receipt went", "Books", &["project", "environment"], &[DAY],
        ) },
        "/v1/projects/{project}/stale-flags": { "get": of_fleet(stale_flags()) },
        "/v1/projects/{project}/stale-flags/backtest": { "get": of_fleet(get(
            "What the stale rule would have said on past days, and which flags called stale came alive again", "StaleBacktest",
            &["project"],
            &[PAST_DAY, PAST_FROM, PAST_TO, PAST_STEP, WITHIN, REVIVED, CRITICAL, KEY_PART, LIMIT, TOKEN, FORMAT_PAST],
        )) },
        "/v1/projects/{project}/flags/{flag}": {
            "get": get("What people said about a flag; version 0 = nothing yet", "FlagMetadata", &["project", "flag"], &[]),
            "put": put("Replaces all that was said about a flag (admin key); answers when it is in force", "FlagFields"),
            "patch": put("Changes the fields it names, null ends what was known, the others stay (admin key); `changed` is \
                false where it was so already", "FlagFields"),
            "delete": get("Withdraws all that was said of a flag (admin key): it is forgotten unless it was evaluated; `changed` \
                is false where nothing was said", "FlagMetadata", &["project", "flag"], &[])
        },
        "/v1/projects/{project}/code-references": {
            "get": get("Which scan of source trees was begun last, and whether all of it came", "CodeReferences", &["project"], &[]),
            "put": code_references()
        },
        "/v1/projects/{project}/flags/{flag}/snooze": { "put": put(
            "Changes a flag's `snoozedUntil` alone (admin key); of two servers that are asked at the same time one may undo the \
                other's change", "FlagSnooze",
        ) },
        "/v1/pipeline/health": { "get": get("How far the numbers lag (admin key)", "Health", &[], &[]) },
        "/v1/pipeline/dead-letters": { "get": get(
            "Records that could not be folded (admin key)", "DeadLetters", &[], &[LIMIT, TOKEN],
        ) },
        "/api/v2/usage/evaluations/{project}/{environment}/{flag}": { "get": get(
            "A flag's evaluations in LaunchDarkly's shape", "Series",
            &["project", "environment", "flag"], &[FROM_30, TO, TZ, STEP],
        ) },
        "/api/v2/usage/events/{type}": { "get": get(
            "Events received or published by UTC day, in LaunchDarkly's shape", "Series", &["type"], &[FROM_30, TO],
        ) },
        "/api/v2/flag-statuses/{project}/{environment}": { "get": of_fleet(get(
            "Statuses of all flags of an environment, in LaunchDarkly's shape", "FlagStatuses", &["project", "environment"], &[],
        )) },
        "/api/v2/flag-statuses/{project}/{environment}/{flag}": { "get": of_fleet(get(
            "A flag's status, in LaunchDarkly's shape", "FlagStatus", &["project", "environment", "flag"], &[],
        )) },
        "/api/v2/flag-status/{project}/{flag}": { "get": of_fleet(get(
            "A flag's status in every environment, in LaunchDarkly's shape", "FlagStatusAcross", &["project", "flag"], &[ENV],
        )) },
        "/livez": { "get": open("The process runs", "text/plain") },
        "/readyz": { "get": open("It can do its work; 503 when not", "text/plain") },
        "/metrics": { "get": open("What it counts about itself", "application/openmetrics-text") },
        "/openapi.json": { "get": open("This document", "application/json") },
        "/": { "get": page("The page of an environment") },
        "/flag": { "get": of_fleet(page("The page of a flag")) },
        "/stale": { "get": of_fleet(page("The page of a project's stale flags, with the evidence of one of them")) },
        "/stale/snooze": { "post": form("Takes `until` (YYYY-MM-DD) or `end=now` for the flag of the query (admin); 303 to its evidence") },
        "/login": {
            "get": open("The log-in form", "text/html"),
            "post": form("Takes `key` and keeps it in a cookie; 303 to the page of ours that `to` names, else to the first")
        },
        "/logout": { "post": form("Takes the cookie away; 303 to the log-in form") },
        "/page.css": { "get": open("The page's style", "text/css") },
        "/evidence.js": { "get": open("The stale page's script", "text/javascript") },
        "/page.js": { "get": open("The page's refresh", "text/javascript") }
    })
}

/// An operation that judges all flags of a project: what it may answer besides.
fn of_fleet(mut operation: Value) -> Value {
    let seconds = json!({ "description": "seconds to wait", "schema": { "type": "integer" } });
    let answers = [
        ("400", "a parameter that cannot be honoured, or more flags than one answer may judge (`too_much`)", json!({})),
        (
            "503",
            "others ask for all flags of a project (two at once are answered), or the store or the log does not answer",
            json!({ "Retry-After": seconds }),
        ),
    ];
    for (status, why, headers) in answers {
        let mut answer = error();
        merge(&mut answer, json!({ "description": why, "headers": headers }));
        operation["responses"][status] = answer;
    }
    operation
}

/// The forms that are no JSON stand beside it.
fn stale_flags() -> Value {
    let query = [ENVIRONMENT, CRITICAL, STATUS, REASON, ADVICE, STALE, KEY_PART, SORT, AS_OF, LIMIT, TOKEN, FORMAT];
    let mut operation = get("Which flags are dead, why, how sure, and what to do", "StaleFlags", &["project"], &query);
    for kind in ["text/csv", "text/markdown"] {
        operation["responses"]["200"]["content"][kind] = json!({ "schema": { "type": "string" } });
    }
    operation
}

/// A query parameter: name, JSON type, what it means.
type Parameter = (&'static str, &'static str, &'static str);

const FLAG: Parameter = ("flag", "string", "one flag only");
const FROM: Parameter = (
    "from",
    "string",
    "default 24 h ago; rounded down to the whole minute, or hour where only hours are kept (the answer's `from`), unless all of it is yet to come; at most 92 days before `to`",
);
const FROM_30: Parameter = ("from", "string", "default 30 days ago; at most 92 days before `to`");
const TO: Parameter =
    ("to", "string", "default now + 5 min, since clocks may run ahead by that; rounded up as `from` is rounded down");
const GRANULARITY: Parameter = ("granularity", "string", "total (default), minute, hour or day (UTC)");
const STEP: Parameter = ("granularity", "string", "minute, hour or day; default by the age of `from`, as the vendor's");
const GROUP_BY: Parameter = (
    "groupBy",
    "string",
    "variation (default), version, application, sdk, with commas, or reason; the last three by whole hours. A flag that \
     its SDK keeps out of summaries has counts by reason alone",
);
const LIMIT: Parameter =
    ("limit", "integer", "items of one answer: default 100, at most 1000; fewer come where its 10,000 points are full");
const TOKEN: Parameter = ("continuationToken", "string", "from `_links.next.href` of the page before");
const ENVIRONMENT: Parameter = (
    "environment",
    "string",
    "whose `status`, `coverage` and `lastRequested` stand in each entry; the verdict stays that of the project, since a flag is \
     removed from the code of all environments at once",
);
const CRITICAL: Parameter = (
    "critical",
    "string",
    "environments that decide, with commas; default those configured as critical, else all that the caller may read",
);
const STATUS: Parameter = ("status", "string", "only these: unknown, new, inactive, launched, active, with commas");
const REASON: Parameter = ("reason", "string", "only flags with any of these reasons, with commas");
const ADVICE: Parameter = ("advice", "string", "READY_FOR_CODE_REMOVAL, READY_TO_ARCHIVE, or both with a comma");
const KEY_PART: Parameter = ("q", "string", "only flags with this in their key, as it is written");
const STALE: Parameter = ("stale", "boolean", "only stale flags, or only the others");
const SORT: Parameter = (
    "sort",
    "string",
    "score (default: falling, then by key), key, or lastRequested (never first, then the longest ago)",
);
const ENV: Parameter = ("env", "string", "these environments alone, with commas");
const AS_OF: Parameter = ("asOf", "string", "now (default); for the past ask …/stale-flags/backtest");
const PAST_DAY: Parameter =
    ("asOf", "string", "one past day alone, rounded down to its beginning in UTC, instead of `from`, `to` and `step`");
const PAST_FROM: Parameter = ("from", "string", "the earliest day; default 90 days before `to`");
const PAST_TO: Parameter = ("to", "string", "the last day; default today: verdicts are of the beginning of a UTC day");
const PAST_STEP: Parameter =
    ("step", "integer", "days from one verdict to the next, back from `to`; default 7; at most 92 verdicts");
const WITHIN: Parameter = ("within", "integer", "days within which coming alive again counts as soon; default 30");
const REVIVED: Parameter = ("revived", "boolean", "list only flags that came alive again, or only the others");
const FORMAT: Parameter = (
    "format",
    "string",
    "json (default), csv or markdown; the last two have all flags unless `limit` is given, their next page in the header \
     `Link`, `complete` in `X-Flagstream-Complete`, and in `X-Flagstream-Found` the advices and reasons of stale flags",
);
const FORMAT_PAST: Parameter =
    ("format", "string", "json (default), or csv: the flags called stale, all unless `limit` is given");
const DAY: Parameter = ("day", "string", "a UTC day as YYYY-MM-DD; default today");
const TZ: Parameter = ("tz", "string", "IANA time zone for breaks between days; default UTC");

fn get(summary: &str, schema: &str, path: &[&str], query: &[Parameter]) -> Value {
    let in_path =
        path.iter().map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = query.iter().map(|(name, kind, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let body = json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    json!({
        "summary": summary,
        "parameters": parameters,
        "responses": { "200": { "description": "the answer", "content": body }, "default": error() }
    })
}

/// A body of JSON for a flag, at most 16 KiB.
fn put(summary: &str, schema: &str) -> Value {
    let mut operation = get(summary, "FlagMetadata", &["project", "flag"], &[]);
    let body = json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    merge(&mut operation, json!({ "requestBody": { "required": true, "content": body } }));
    operation
}

/// A part of a scan: a body of JSON of at most 4 MiB.
fn code_references() -> Value {
    let mut operation = get(
        "Number and first places in code of many flags, as a scan of source trees found them (admin key). A large scan comes in \
         parts of at most 500 flags, one after the other, each answered when it is in force; flags that were so already get no \
         new version, so a scan may be sent again. 409 where another scan was begun meanwhile",
        "CodeReferencesTaken",
        &["project"],
        &[],
    );
    let body = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/CodeReferencesPart" } } });
    merge(&mut operation, json!({ "requestBody": { "required": true, "content": body } }));
    operation
}

fn open(summary: &str, kind: &str) -> Value {
    let body = json!({ kind: { "schema": { "type": "string" } } });
    json!({
        "summary": summary,
        "security": [],
        "responses": { "200": { "description": "the answer", "content": body }, "default": error() }
    })
}

fn page(summary: &str) -> Value {
    let body = json!({ "text/html": { "schema": { "type": "string" } } });
    json!({ "summary": summary, "responses": { "200": { "description": "a page", "content": body }, "default": error() } })
}

fn form(summary: &str) -> Value {
    json!({ "summary": summary, "security": [], "responses": { "303": { "description": "see other" }, "default": error() } })
}

fn error() -> Value {
    let body = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    json!({ "description": "why not", "content": body })
}

fn schemas() -> Value {
    let count = json!({ "type": "integer", "format": "uint64", "minimum": 0 });
    let time = json!({ "type": "integer", "format": "int64", "description": "Unix milliseconds" });
    let maybe_time = json!({ "type": ["integer", "null"], "format": "int64", "description": "Unix milliseconds" });
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let flag = json!({ "type": "boolean" });
    let maybe_flag = json!({ "type": ["boolean", "null"] });
    let links = json!({ "type": "object" });
    let list = |of: Value, more: Value| {
        let mut fields = json!({
            "asOf": time, "complete": flag, "items": { "type": "array", "items": of }, "totalCount": count, "_links": links
        });
        merge(&mut fields, more);
        object(fields, &["asOf", "complete", "items", "totalCount", "_links"])
    };
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

fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

/// An object whose fields are all required.
fn all(fields: Value) -> Value {
    let required: Vec<String> = fields.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
    json!({ "type": "object", "properties": fields, "required": required })
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
