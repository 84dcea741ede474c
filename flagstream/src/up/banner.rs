//! What `up` says to the person who started it: where the page is, which keys there are, how to send the first event, who came.

use std::io::IsTerminal;
use std::net::SocketAddr;

use ingest::Ingest;
use ingest::doorstep::News;
use tokio::sync::watch;

use crate::config::Settings;
use crate::config::written::EnvironmentKeys;
use crate::keys;

/// Says where everything is. The line with the page's address is the first, for programs that wait for it. Keys stand in the
/// clear on a terminal alone: what goes elsewhere may be kept by a log.
pub fn print(settings: &Settings, address: SocketAddr, environments: &[EnvironmentKeys], admit_command: &str) {
    let url = format!("http://{address}");
    let clear = std::io::stdout().is_terminal();
    println!("Flagstream listens on {url} (page, API and SDK events)");
    println!();
    for entry in environments {
        println!("  {}/{}", entry.project, entry.key);
        let kinds = [
            ("server key", &entry.server_keys),
            ("mobile key", &entry.mobile_keys),
            ("client-side id", &entry.client_side_ids),
            ("read key", &entry.read_keys),
        ];
        for (kind, secrets) in kinds {
            for secret in secrets {
                let shown = if clear { secret.0.clone() } else { secret.masked() };
                println!("    {kind:<15}{shown}");
            }
        }
    }
    println!("  keys lie in:       {}", keys::path(&settings.data).display());
    println!("  admit another:     {admit_command}");
    println!();
    let first = environments.iter().find_map(|entry| entry.server_keys.first()).filter(|_| clear);
    let key = first.map_or("$KEY", |secret| &secret.0);
    println!("Send an event:");
    println!(
        "  curl -i {url}/bulk -H \"Authorization: {key}\" -H 'X-LaunchDarkly-Event-Schema: 4' -d '[{{\"kind\":\"summary\",\"features\":\
         {{\"hello\":{{\"default\":false,\"counters\":[{{\"variation\":0,\"version\":1,\"value\":true,\"count\":1}}]}}}}}}]'"
    );
    println!(
        "Set an SDK's events address (Node): init(KEY, {{ eventsUri: '{url}' }}), and leave its other addresses as they are."
    );
    println!();
    println!("waiting for the first event…");
}

/// Prints who came, until `stop`.
pub async fn tell_news(ingest: Ingest, admit_command: String, mut stop: watch::Receiver<bool>) {
    let mut made = ingest.doorstep().watch();
    let mut told = 0;
    loop {
        let (news, number) = ingest.doorstep().news_since(told);
        told = number;
        for piece in news {
            tell(&piece, &admit_command);
        }
        tokio::select! {
            changed = made.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn tell(piece: &News, admit_command: &str) {
    println!("{piece}");
    if let News::UnknownKey { last_four, .. } = piece
        && !last_four.is_empty()
    {
        println!("  to admit it: {admit_command}");
    }
}
