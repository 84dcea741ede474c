//! What has come to the door: before the first event, how to send one; after it, only what went wrong.
//!
//! Always true here: no key is shown but by its last four characters.

use std::collections::BTreeSet;

use maud::{Markup, html};
use schemas::id::Environment;

use crate::Serve;
use crate::arrivals::AtDoor;
use crate::page::reasons::reasons;
use crate::page::text;

/// How to send the first event, and what has been seen so far.
pub(crate) fn first_event(serve: &Serve, environment: &Environment, door: &AtDoor, now_ms: i64) -> Markup {
    html! {
        h1 { "Waiting for the first event" span.pulse aria-hidden="true" {} }
        @match &door.first_payload {
            Some(first) => p.lead {
                "A payload has come"
                @if !first.sdk.is_empty() { " from " strong { (text::foreign(&first.sdk)) } }
                " (" (text::counted(first.flags, "flag")) "), " (text::ago(first.time_ms, now_ms))
                "; its counts appear here when they are durable."
            },
            None => p.lead {
                "Nothing has been counted in " strong { (text::foreign(environment.project_str())) " / "
                (text::foreign(environment.key_str())) } " yet. Point an SDK here, or send one event by hand. \
                This page refreshes by itself."
            },
        }
        (seen(serve, environment, door, now_ms))
        section.card {
            h2 { "One event by hand" }
            pre { code { (curl(&serve.address, now_ms)) } }
            @if !serve.keys_file.is_empty() {
                p.muted { "The SDK key of this environment is in " code { (text::foreign(&serve.keys_file)) } "." }
            }
        }
        div.columns.pair {
            section.card { h2 { "Node" } pre { code { (node(&serve.address)) } } }
            section.card { h2 { "Python" } pre { code { (python(&serve.address)) } } }
        }
        p.muted {
            "Only the events address changes; flags keep coming from the vendor. An SDK uses one key for both, so admit \
            the vendor's key here: " code { (command(serve, environment, "")) } " (key from standard input)."
        }
    }
}

/// What came and could not be taken; nothing when there is nothing.
pub(crate) fn seen(serve: &Serve, environment: &Environment, door: &AtDoor, now_ms: i64) -> Markup {
    let quiet = door.unknown_keys.is_empty()
        && door.wrong_paths.is_empty()
        && door.flag_delivery.is_empty()
        && door.rejections.is_empty()
        && door.discarded == 0;
    html! {
        @if !quiet {
            section.card.attention {
                h2 { "At the door" }
                @if !door.unknown_keys.is_empty() { (unknown_keys(serve, environment, door, now_ms)) }
                @if !door.wrong_paths.is_empty() {
                    p { "Paths that no SDK sends events to (is the events address right? it has no path of its own):" }
                    (times(&door.wrong_paths))
                }
                @if !door.flag_delivery.is_empty() {
                    p { "Requests for flags. Flagstream takes events only; set the events address alone:" }
                    (times(&door.flag_delivery))
                }
                @if door.discarded > 0 {
                    p {
                        strong { (text::counted(door.discarded, "payload")) } " of a removed key "
                        (if door.discarded == 1 { "was" } else { "were" })
                        " discarded since this process started, though answered 202, as a removed key is for some time. To \
                        count what it sends, admit it again: " code { (command(serve, environment, "")) } "."
                    }
                }
                (reasons(&door.rejections, "Refused since this process started, by reason:", ""))
            }
        }
    }
}

fn unknown_keys(serve: &Serve, environment: &Environment, door: &AtDoor, now_ms: i64) -> Markup {
    let kinds: BTreeSet<&str> = door.unknown_keys.iter().map(|key| key.kind).collect();
    html! {
        p { "Keys that are not known here:" }
        dl.pairs {
            @for key in &door.unknown_keys {
                dt {
                    code { "…" (text::foreign(&key.last_four)) }
                    @if !kind_option(key.kind).is_empty() { " " span.muted { (key.kind) } }
                    @if !key.sdk.is_empty() { " " span.muted { (text::cut(&key.sdk, 64)) } }
                }
                dd { (text::counted(key.times, "time")) ", " (text::ago(key.last_ms, now_ms)) }
            }
        }
        p {
            "To admit one: "
            @for (place, kind) in kinds.iter().enumerate() {
                @if place > 0 { ", or " }
                code { (command(serve, environment, kind)) }
            }
            " (key from standard input), then restart the app: the answer 401 has silenced its SDK."
        }
    }
}

fn times(list: &[(String, u64)]) -> Markup {
    html! {
        dl.pairs {
            @for (path, number) in list { dt { code { (text::cut(path, 80)) } } dd.num { (text::counted(*number, "time")) } }
        }
    }
}

/// The command that admits a key, whole: pasted into any shell of this machine it finds the data directory.
fn command(serve: &Serve, environment: &Environment, kind: &str) -> String {
    let kind = kind_option(kind);
    let project = match environment.project_str() {
        "default" => String::new(),
        project => format!(" --project {}", quoted(project)),
    };
    let data = if serve.data.is_empty() { String::new() } else { format!(" --data {}", quoted(&serve.data)) };
    format!("flagstream keys add{project} --environment {}{kind}{data}", quoted(environment.key_str()))
}

/// What the command needs besides, for this kind of key: nothing for a server's.
fn kind_option(kind: &str) -> String {
    if matches!(kind, "" | "server") { String::new() } else { format!(" --kind {kind}") }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    match word {
        word if !word.is_empty() && plain(word) && !word.starts_with('-') => word.to_owned(),
        word => format!("'{}'", text::visible(word).replace('\'', r"'\''")),
    }
}

fn curl(address: &str, now_ms: i64) -> String {
    format!(
        r#"curl -i {address}/bulk \
  -H 'Authorization: YOUR_SDK_KEY' \
  -H 'Content-Type: application/json' \
  -H 'X-LaunchDarkly-Event-Schema: 4' \
  -H "X-LaunchDarkly-Payload-ID: $(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)" \
  -d '[{{"kind":"summary","startDate":{now_ms},"endDate":{now_ms},
    "features":{{"my-first-flag":{{"default":false,"contextKinds":["user"],
      "counters":[{{"variation":0,"version":1,"value":true,"count":3}}]}}}}}}]'"#
    )
}

fn node(address: &str) -> String {
    format!(
        "import {{ init }} from '@launchdarkly/node-server-sdk';\n\n\
         const client = init('YOUR_SDK_KEY', {{\n  \
           baseUri: 'https://sdk.launchdarkly.com',\n  \
           streamUri: 'https://stream.launchdarkly.com',\n  \
           eventsUri: '{address}',\n\
         }});"
    )
}

fn python(address: &str) -> String {
    format!(
        "import ldclient\nfrom ldclient.config import Config\n\n\
         ldclient.set_config(Config(\n    \
           'YOUR_SDK_KEY',\n    \
           base_uri='https://sdk.launchdarkly.com',\n    \
           stream_uri='https://stream.launchdarkly.com',\n    \
           events_uri='{address}',\n\
         ))"
    )
}
