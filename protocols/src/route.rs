//! Where a request belongs: decided from method and path alone, before anything else is read.
//!
//! Always true here: no path is in two protocols; a path under a protocol's prefix that the protocol does not know is a
//! miss with its own answer (400: an SDK lives on), never somebody else's 404 (which would silence it).

use std::borrow::Cow;

use schemas::event::Credential;

use crate::path::Path;
use crate::protocol::Protocol;
use crate::request::header;

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// Events.
    Analytics,
    /// Facts of an SDK about itself.
    Diagnostic,
    /// Events in the query of an image request.
    Image,
    /// Nothing: a browser asks whether it may. It gets its answer whatever the key, which it does not show yet.
    Preflight,
}

/// Where the credential lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialPlace<'a> {
    /// In the `Authorization` header, perhaps after `api_key `.
    Authorization,
    /// In the path; percent signs are undone.
    Path(Cow<'a, [u8]>),
}

/// A request that belongs to a protocol.
#[derive(Clone)]
pub struct Route<'a> {
    /// Whose it is.
    pub protocol: &'static dyn Protocol,
    /// What it carries.
    pub carries: Carries,
    /// Which keys open it.
    pub credential_kind: Credential,
    /// Where its key lies.
    pub credential_place: CredentialPlace<'a>,
}

impl<'a> Route<'a> {
    /// The credential as sent; `None` = none was sent.
    #[must_use]
    pub fn credential(&self, headers: &[(&str, &'a [u8])]) -> Option<Cow<'a, [u8]>> {
        let found = match &self.credential_place {
            CredentialPlace::Path(id) => id.clone(),
            CredentialPlace::Authorization => {
                let value = header(headers, "authorization")?.trim_ascii();
                Cow::Borrowed(value.strip_prefix(b"api_key ").unwrap_or(value).trim_ascii())
            }
        };
        Some(found).filter(|credential| !credential.is_empty())
    }

    /// Whether a browser may be asking, so that every answer needs CORS headers.
    #[must_use]
    pub fn is_for_browsers(&self) -> bool {
        self.credential_kind == Credential::ClientSide
    }
}

impl std::fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route")
            .field("protocol", &self.protocol.name())
            .field("carries", &self.carries)
            .field("credential_kind", &self.credential_kind)
            .finish_non_exhaustive()
    }
}

/// A request that belongs to no protocol, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteMiss {
    /// Under an SDK's prefix, but unknown: 400, numbered `unknown_path`.
    UnknownUnderPrefix,
    /// The path is known, the method is not: 405. No SDK does this.
    WrongMethod {
        /// The methods that are.
        allow: &'static str,
    },
    /// An SDK asks for flags: all its addresses were set to us. 404, counted and shown.
    FlagDelivery,
    /// No SDK's path: perhaps the API's or the page's.
    Foreign,
}

/// Paths by which SDKs of any protocol fetch flags, as leading segments.
const FLAG_DELIVERY: [&[&str]; 15] = [
    &["all"],
    &["sdk"],
    &["msdk"],
    &["eval"],
    &["meval"],
    &["ping"],
    &["mping"],
    &["clientstream"],
    &["api", "client", "features"],
    &["api", "client", "delta"],
    &["api", "client", "streaming"],
    &["api", "frontend"],
    &["api", "proxy"],
    &["api", "v1", "flags"],
    &["api", "v1", "environment-document"],
];

/// Whether an SDK asks for flags at this path.
pub(crate) fn delivers_flags(path: &Path<'_>) -> bool {
    FLAG_DELIVERY.iter().any(|prefix| path.segments().starts_with(prefix))
}
