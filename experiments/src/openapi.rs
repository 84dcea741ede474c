//! `/openapi.json`, written by hand: small, and held to the truth by a test that compares it with the router's table
//! and by one that compares answers with the schemas' fields.
//!
//! Always true here: every route is in the document and nothing else is.

mod schemas;

use serde_json::{Value, json};

use self::schemas::{merge, schemas};

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
        "/v1/pipeline/comparison": { "get": get(
            "What the old path and the new one counted, and why they differ (admin key); the totals are of all rows, `items` begins with \
                those that matter most; it waits until all is counted. 404 where no gate is configured", "Comparison", &[],
            &[OF_PROJECT, OF_ENVIRONMENT, FROM, TO, FLAG, ROWS],
        ) },
        "/v1/pipeline/gate": { "get": get(
            "Which path is in charge of each environment, and how that came (admin key). 404 where no gate is configured", "Gate", &[],
            &[ROWS],
        ) },
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
        "/pipeline/comparison": { "get": page("The page of an environment's old and new path, compared (admin); 404 where no gate is configured") },
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
const OF_PROJECT: Parameter = ("project", "string", "its key; needed");
const OF_ENVIRONMENT: Parameter = ("environment", "string", "its key; needed");
const ROWS: Parameter = ("limit", "integer", "rows, at most 10000; default 1000");
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
