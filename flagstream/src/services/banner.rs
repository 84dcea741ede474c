//! What `up` says to the person who started it: where the page is, which keys there are, how to send the first event,
//! who came.

use std::io::IsTerminal;
use std::net::SocketAddr;

use ingest::Ingest;
use ingest::doorstep::News;
use ingest::doorstep::news::kind_word;
use tokio::sync::watch;

use super::Role;
use crate::config::Settings;
use crate::config::written::EnvironmentKeys;
use crate::keys;
use crate::output::tell;

macro_rules! say {
    ($($text:tt)*) => { tell(&format!($($text)*)) };
}

/// Says where everything is. The line with the page's address is the first, for programs that wait for it. Keys stand
/// in the clear on a terminal alone: what goes elsewhere may be kept by a log.
pub fn print(
    role: Role,
    settings: &Settings,
    address: SocketAddr,
    environments: &[EnvironmentKeys],
    admit_command: &str,
) {
    let url = format!("http://{address}");
    let what = match role {
        Role::All => "page, API and SDK events",
        Role::Ingest => "SDK events",
        Role::Process => "/livez, /readyz and /metrics of a processor",
        Role::Serve => "page and API",
        #[cfg(feature = "oldpath")]
        Role::Worker => "/livez, /readyz and /metrics of a worker of the old path",
    };
    say!("Flagstream listens on {url} ({what})");
    if !role.admits() {
        return;
    }
    tell("");
    print_keys(settings, environments, admit_command);
    if matches!(role, Role::All | Role::Ingest) {
        print_first_steps(&url, environments);
    }
}

fn print_keys(settings: &Settings, environments: &[EnvironmentKeys], admit_command: &str) {
    let clear = std::io::stdout().is_terminal();
    for entry in environments {
        say!("  {}/{}", entry.project.escape_debug(), entry.key.escape_debug());
        let kinds = [
            ("server key", &entry.server_keys),
            ("mobile key", &entry.mobile_keys),
            ("client-side id", &entry.client_side_ids),
            ("read key", &entry.read_keys),
        ];
        for (kind, secrets) in kinds {
            for secret in secrets {
                let shown = if clear { secret.0.clone() } else { secret.masked() };
                say!("    {kind:<15}{shown}");
            }
        }
    }
    say!("  keys lie in:       {}", keys::path(&settings.data).display());
    say!("  admit another:     {admit_command}");
    tell("");
}

fn print_first_steps(url: &str, environments: &[EnvironmentKeys]) {
    let clear = std::io::stdout().is_terminal();
    let first = environments.iter().find_map(|entry| entry.server_keys.first()).filter(|_| clear);
    let key = first.map_or("$KEY", |secret| &secret.0);
    let hint = if clear { "" } else { " (KEY = a server key of that file)" };
    say!("Send an event{hint}:");
    say!(
        "  curl -i {url}/bulk -H \"Authorization: {key}\" -H 'X-LaunchDarkly-Event-Schema: 4' \
         -H \"X-LaunchDarkly-Payload-ID: $(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen)\" -d '[{{\"kind\":\"summary\",\"features\":\
         {{\"hello\":{{\"default\":false,\"counters\":[{{\"variation\":0,\"version\":1,\"value\":true,\"count\":1}}]}}}}}}]'"
    );
    say!(
        "Set an SDK's events address (Node): init(KEY, {{ baseUri, streamUri, eventsUri: '{url}' }}); the first two stay the vendor's."
    );
    tell("");
    say!("waiting for the first event since this start…");
}

/// Prints who came, until `stop`.
pub async fn tell_news(ingest: Ingest, admit_command: String, mut stop: watch::Receiver<bool>) {
    let mut made = ingest.doorstep().watch();
    let mut told = 0;
    loop {
        let (news, number) = ingest.doorstep().news_since(told);
        told = number;
        for piece in news {
            tell_piece(&piece, &admit_command);
        }
        tokio::select! {
            changed = made.changed() => if changed.is_err() { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn tell_piece(piece: &News, admit_command: &str) {
    say!("{piece}");
    if let News::UnknownKey { kind, last_four } = piece
        && !last_four.is_empty()
    {
        say!("  to admit it: {admit_command} --kind {}", kind_word(*kind));
    }
}
