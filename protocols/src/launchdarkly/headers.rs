//! What LaunchDarkly's headers say: schema, summaries or not, and who sends.
//!
//! Always true here: no header can make a request fail; what is missing or odd has a meaning (schema 1, nothing told).

use std::borrow::Cow;

use schemas::event::{Credential, Origin};
use schemas::id::cut_name;

use crate::request::Request;

/// The schema of the events: absent, 0 or no number = 1.
pub(super) fn schema(request: &Request<'_>) -> u64 {
    let text = request.header_text("x-launchdarkly-event-schema");
    text.parse().ok().filter(|schema| *schema > 0).unwrap_or(1)
}

/// Whether feature events stand for evaluations that no summary counts: the header's presence says so, not its value.
pub(super) fn is_unsummarized(request: &Request<'_>) -> bool {
    request.header("x-launchdarkly-unsummarized").is_some()
}

/// Who sent it.
pub(super) fn origin<'a>(credential: Credential, request: &Request<'a>) -> Origin<'a> {
    let tags = request.header_text("x-launchdarkly-tags");
    let (sdk, sdk_version) = sdk(request);
    Origin {
        credential,
        application: cut(tag(&tags, "application-id/")),
        application_version: cut(tag(&tags, "application-version/")),
        sdk,
        sdk_version,
        wrapper: cut(request.header_text("x-launchdarkly-wrapper")),
        instance: cut(request.header_text("x-launchdarkly-instance-id")),
    }
}

/// One of the space-separated tags; the first of a name counts.
fn tag<'a>(tags: &Cow<'a, str>, name: &str) -> Cow<'a, str> {
    part(tags, |tags| tags.split(' ').find_map(|tag| tag.strip_prefix(name)).unwrap_or_default())
}

/// Name and version of the SDK, from what stands before the first space. Browsers cannot set `User-Agent`, so their
/// SDKs send a header of their own; a browser's own user agent (image requests) tells no SDK.
fn sdk<'a>(request: &Request<'a>) -> (Cow<'a, str>, Cow<'a, str>) {
    let mut agent = request.header_text("x-launchdarkly-user-agent");
    if agent.is_empty() {
        agent = request.header_text("user-agent");
    }
    if agent.starts_with("Mozilla/") {
        return (Cow::Borrowed(""), Cow::Borrowed(""));
    }
    let first_word = part(&agent, |agent| agent.split(' ').next().unwrap_or_default());
    let name = part(&first_word, |word| word.rsplit_once('/').map_or(word, |(name, _)| name));
    let version = part(&first_word, |word| word.rsplit_once('/').map_or("", |(_, version)| version));
    (cut(name), cut(version))
}

/// A part of a text, borrowed where the text is.
fn part<'a>(text: &Cow<'a, str>, choose: impl Fn(&str) -> &str) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(choose(text)),
        Cow::Owned(text) => Cow::Owned(choose(text).to_owned()),
    }
}

/// Cuts a name at its limit.
pub(super) fn cut(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(cut_name(name)),
        Cow::Owned(name) => Cow::Owned(cut_name(&name).to_owned()),
    }
}
