//! The flag that chooses stages: a flagd flag file, watched, asked through the OpenFeature SDK.
//!
//! Always true here: the file is read whole at each look, so that a save is seen whichever way it is made (written in
//! place, renamed, a link moved); what can be understood counts at once, what cannot only when two looks in a row saw
//! the same, so that a save under way is no error.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use open_feature::{Client, EvaluationContext, FlagMetadataValue, OpenFeature};
use schemas::id::Environment;

use super::flagd::{Flagd, understand};
use super::stages::{Ask, Stage};

/// The flag's key; its variants are named as the stages.
pub const FLAG_KEY: &str = "flagstream-path";
/// A flag whose metadata say `"force": true` is held back for no environment, with `"force": "PROJECT/ENVIRONMENT"` not for
/// that one.
const FORCE: &str = "force";
/// Largest flag file, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

type Contents = Result<Vec<u8>, String>;

/// The watched flag.
pub(super) struct Watched {
    path: PathBuf,
    provider: Flagd,
    client: Client,
    seen: Mutex<Seen>,
}

/// What the looks saw.
#[derive(Default)]
struct Seen {
    last: Option<Contents>,
    /// What the provider answers by.
    in_force: Option<Contents>,
}

impl Watched {
    /// Watches `path`. Nothing is read yet.
    pub(super) async fn new(path: PathBuf) -> Self {
        let provider = Flagd::new();
        // An API of our own: the process-wide one belongs to whoever runs us.
        let mut api = OpenFeature::default();
        api.set_provider(provider.clone()).await;
        Self { path, provider, client: api.create_client(), seen: Mutex::default() }
    }

    /// Looks at the file.
    pub(super) async fn look(&self) {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        self.saw(read.unwrap_or_else(|error| Err(error.to_string())));
    }

    fn saw(&self, read: Contents) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let is_twice = seen.last.as_ref() == Some(&read);
        if seen.in_force.as_ref() != Some(&read) {
            let flags = read.as_ref().map_err(Clone::clone).and_then(|text| understand(text));
            if flags.is_ok() || is_twice {
                self.provider.set(flags);
                seen.in_force = Some(read.clone());
            }
        }
        seen.last = Some(read);
    }

    /// What the flag says of this environment, and how it came to that. Of an error, all is told but the file's name.
    pub(super) async fn ask(&self, environment: &Environment) -> Result<(Ask, String), String> {
        let (project, key) = (environment.project_str(), environment.key_str());
        let targeting_key = format!("{project}/{key}");
        let context = EvaluationContext::default()
            .with_targeting_key(targeting_key.clone())
            .with_custom_field("project", project)
            .with_custom_field("environment", key);
        let found = self.client.get_string_details(FLAG_KEY, Some(&context), None).await;
        let found = found.map_err(|error| error.message.unwrap_or_else(|| error.code.to_string()))?;
        let variant = found.variant.unwrap_or(found.value);
        let Some(stage) = Stage::from_name(&variant) else {
            let stages = Stage::ALL.map(Stage::name).join(", ");
            return Err(format!("its flag `{FLAG_KEY}` says `{variant}`, which is no stage; stages are {stages}"));
        };
        let forced = match found.flag_metadata.values.get(FORCE) {
            Some(FlagMetadataValue::Bool(forced)) => *forced,
            Some(FlagMetadataValue::String(one)) => *one == targeting_key,
            _ => false,
        };
        let reason = found.reason.map(|reason| reason.to_string()).unwrap_or_default();
        let how = format!("flag says `{variant}` ({reason}{})", if forced { ", forced" } else { "" });
        Ok((Ask { stage, forced }, how))
    }

    /// The file's path, for people.
    pub(super) fn path(&self) -> std::path::Display<'_> {
        self.path.display()
    }
}

fn read(path: &Path) -> Contents {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(key: &str) -> Environment {
        Environment::new("shop", key).unwrap()
    }

    /// A file with one flag; `rest` comes behind its variants.
    fn file(rest: &str) -> String {
        format!(
            r#"{{"flags":{{"flagstream-path":{{"state":"ENABLED","variants":{{"off":"off","shadow":"shadow",
            "live":"live","complete":"complete","blue":"blue"}},{rest}}}}}}}"#
        )
    }

    async fn watched(text: &str) -> Watched {
        let watched = Watched::new("unread".into()).await;
        watched.saw(Ok(text.as_bytes().to_vec()));
        watched
    }

    /// The stage asked for, or the error.
    async fn said(watched: &Watched, key: &str) -> String {
        match watched.ask(&environment(key)).await {
            Ok((ask, _)) if ask.forced => format!("{} forced", ask.stage),
            Ok((ask, _)) => ask.stage.to_string(),
            Err(error) => error,
        }
    }

    #[tokio::test]
    async fn the_variant_served_is_the_stage() {
        let by_rule = r#""defaultVariant":"off","targeting":{"if":[
            {"==":[{"var":"targetingKey"},"shop/a"]},"shadow",
            {"==":[{"var":"environment"},"b"]},"rampdown",
            {"and":[{"==":[{"var":"project"},"shop"]},{"==":[{"var":"environment"},"c"]}]},"complete",null]}"#;
        let cases = [
            (file(r#""defaultVariant":"live""#), ["live", "live", "live", "live"]),
            (file(r#""defaultVariant":"live","targeting":{}"#), ["live", "live", "live", "live"]),
            (file(by_rule).replace("\"blue\":", "\"rampdown\":"), ["shadow", "live", "complete", "off"]),
            (file(r#""defaultVariant":"off","metadata":{"force":true}"#), ["off forced"; 4]),
            (file(r#""defaultVariant":"off","metadata":{"force":"true"}"#), ["off"; 4]),
            (file(r#""defaultVariant":"off","metadata":{"force":"shop/b"}"#), ["off", "off forced", "off", "off"]),
        ];
        for (text, expected) in cases {
            let watched = watched(&text).await;
            for (key, expected) in ["a", "b", "c", "d"].into_iter().zip(expected) {
                assert_eq!(said(&watched, key).await, expected, "{key} in {text}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_told() {
        let cases = [
            (String::new(), "JSON error: EOF"),
            ("{}".into(), "Parse error: No flag"),
            (r#"{"flags":{}}"#.into(), "it has no flag `flagstream-path`"),
            (
                file(r#""defaultVariant":"blue""#),
                "its flag `flagstream-path` says `blue`, which is no stage; stages are",
            ),
            (file(r#""defaultVariant":"red""#), "its flag `flagstream-path` says `red`, which is none of its variants"),
            (
                file(r#""defaultVariant":"off""#).replace("ENABLED", "DISABLED"),
                "its flag `flagstream-path` is disabled",
            ),
            (file(r#""defaultVariant":"off","targeting":{"nonsense":[1]}"#), "its flag `flagstream-path`"),
            (
                file(r#""defaultVariant":"off""#).replace("\"off\":\"off\"", "\"off\":1"),
                "its flag `flagstream-path` has the value 1",
            ),
        ];
        for (text, expected) in cases {
            let watched = watched(&text).await;
            watched.saw(Ok(text.clone().into_bytes()));
            let said = said(&watched, "a").await;
            assert!(said.starts_with(expected), "{said:?} in {text}");
        }
    }

    /// By the provider's own arithmetic, and each environment as before when the share grows.
    #[tokio::test]
    async fn a_share_of_the_environments_is_rolled_out_and_keeps_its_stage() {
        let share = |percent: u32| {
            let rest = 100 - percent;
            file(&format!(
                r#""defaultVariant":"off","targeting":{{"fractional":[["shadow",{percent}],["off",{rest}]]}}"#
            ))
        };
        let (tenth, half) = (watched(&share(10)).await, watched(&share(50)).await);
        let mut numbers = [0, 0];
        for key in (0..1_000).map(|n| format!("environment-{n}")) {
            let is_shadow = [said(&tenth, &key).await == "shadow", said(&half, &key).await == "shadow"];
            assert!(is_shadow[1] || !is_shadow[0], "{key} went back");
            numbers = [numbers[0] + u32::from(is_shadow[0]), numbers[1] + u32::from(is_shadow[1])];
        }
        assert!((60..140).contains(&numbers[0]) && (440..560).contains(&numbers[1]), "{numbers:?}");
    }

    #[tokio::test]
    async fn a_save_under_way_is_no_error_and_a_broken_file_is_one() {
        let (good, newer) = (file(r#""defaultVariant":"live""#), file(r#""defaultVariant":"shadow""#));
        let watched = watched(&good).await;
        let half = || Ok(newer.as_bytes()[..newer.len() / 2].to_vec());
        for read in [half(), Err("gone".into()), Ok(vec![])] {
            watched.saw(read);
            assert_eq!(said(&watched, "a").await, "live");
        }
        watched.saw(Ok(newer.clone().into_bytes()));
        assert_eq!(said(&watched, "a").await, "shadow", "what is understood counts at once");
        watched.saw(half());
        watched.saw(half());
        assert!(said(&watched, "a").await.starts_with("JSON error"));
        watched.saw(Err("gone".into()));
        watched.saw(Err("gone".into()));
        assert_eq!(said(&watched, "a").await, "gone");
        watched.saw(Ok(good.into_bytes()));
        assert_eq!(said(&watched, "a").await, "live");
    }
}
