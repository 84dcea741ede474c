//! What has come to the door: before the first event, how to send one; after it, only what went wrong.
//!
//! Always true here: no key is shown but by its last four characters.

use maud::{Markup, html};
use schemas::id::Environment;

use crate::Serve;
use crate::arrivals::Arrivals;
use crate::page::text;

/// How to send the first event, and what has been seen so far.
pub(crate) fn first_event(serve: &Serve, environment: &Environment, arrivals: &Arrivals, now_ms: i64) -> Markup {
    html! {
        h1 { "Waiting for the first event" span.pulse aria-hidden="true" {} }
        @match &arrivals.first_payload {
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
        (seen(environment, arrivals, now_ms))
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
            the vendor's key here: " code { (command(environment)) } " (key from standard input)."
        }
    }
}

/// What came and could not be taken; nothing when there is nothing.
pub(crate) fn seen(environment: &Environment, arrivals: &Arrivals, now_ms: i64) -> Markup {
    let refused = arrivals.rejections.iter().next().is_some();
    let quiet = arrivals.unknown_keys.is_empty()
        && arrivals.wrong_paths.is_empty()
        && arrivals.flag_delivery.is_empty()
        && !refused;
    html! {
        @if !quiet {
            section.card.attention {
                h2 { "At the door" }
                @if !arrivals.unknown_keys.is_empty() { (unknown_keys(environment, arrivals, now_ms)) }
                @if !arrivals.wrong_paths.is_empty() {
                    p { "Paths that no SDK sends events to (is the events address right? it has no path of its own):" }
                    (times(&arrivals.wrong_paths))
                }
                @if !arrivals.flag_delivery.is_empty() {
                    p { "Requests for flags. Flagstream takes events only; set the events address alone:" }
                    (times(&arrivals.flag_delivery))
                }
                @if refused {
                    p { "Refused since this process started, by reason:" }
                    dl.pairs {
                        @for (reason, number) in arrivals.rejections.iter() {
                            dt { code { (reason.code()) } } dd.num { (text::number(number)) }
                        }
                    }
                }
            }
        }
    }
}

fn unknown_keys(environment: &Environment, arrivals: &Arrivals, now_ms: i64) -> Markup {
    html! {
        p { "Keys that are not known here:" }
        dl.pairs {
            @for key in &arrivals.unknown_keys {
                dt {
                    code { "…" (text::foreign(&key.last_four)) }
                    @if !key.sdk.is_empty() { " " span.muted { (text::cut(&key.sdk, 64)) } }
                }
                dd { (text::counted(key.times, "time")) ", " (text::ago(key.last_ms, now_ms)) }
            }
        }
        p { "To admit one: " code { (command(environment)) } " (key from standard input), then restart the app: the \
            answer 401 has silenced its SDK." }
    }
}

fn times(list: &[(String, u64)]) -> Markup {
    html! {
        dl.pairs {
            @for (path, number) in list { dt { code { (text::cut(path, 80)) } } dd.num { (text::counted(*number, "time")) } }
        }
    }
}

/// The command that admits a key.
fn command(environment: &Environment) -> String {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let quoted = |text: &str| {
        if plain(text) { text.to_owned() } else { format!("'{}'", text::visible(text).replace('\'', r"'\''")) }
    };
    let project = match environment.project_str() {
        "default" => String::new(),
        project => format!(" --project {}", quoted(project)),
    };
    format!("flagstream keys add{project} --environment {}", quoted(environment.key_str()))
}

fn curl(address: &str, now_ms: i64) -> String {
    format!(
        r#"curl -i {address}/bulk \
  -H 'Authorization: YOUR_SDK_KEY' \
  -H 'Content-Type: application/json' \
  -H 'X-LaunchDarkly-Event-Schema: 4' \
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
