//! How DynamoDB and SQS are reached, and what an error says of a call's effect.
//!
//! Always true here: AWS's library makes one attempt only, so that every attempt is ours and known; what was never
//! sent, or was answered as wrong or too much, was surely not done; of all else nobody knows.

use std::error::Error as _;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{Error, WriteError};

/// Less than an attempt of the writer, so that a connection that is never made is told as refused.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// For calls that have no deadline of their caller's.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Region where none is told and the server is a local one, to which it means nothing.
const LOCAL_REGION: &str = "us-east-1";

/// Where a service is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// A local server's `http://HOST:PORT`; `None` = AWS's own for the region.
    pub endpoint: Option<String>,
    /// The region; `None` = as the environment or the profile says.
    pub region: Option<String>,
}

impl Place {
    /// The option by which AWS's command line goes there, with a blank before it.
    pub(crate) fn as_option(&self) -> String {
        match (&self.endpoint, &self.region) {
            (Some(endpoint), _) => format!(" --endpoint-url {endpoint}"),
            (None, Some(region)) => format!(" --region {region}"),
            (None, None) => String::new(),
        }
    }
}

/// The library's settings for this place: one attempt a call.
pub(crate) async fn settings(place: &Place) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let patience = TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN).operation_timeout(CALL_WITHIN).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(patience);
    if let Some(region) = &place.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &place.endpoint {
        // A local server takes any credentials, and must not need some of AWS.
        let local = aws_credential_types::Credentials::new("local", "local", None, None, "a local server");
        let either = CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new());
        loader = loader.endpoint_url(endpoint).credentials_provider(either.or_else("local", local));
        if place.region.is_none() {
            loader = loader.region(Region::new(LOCAL_REGION));
        }
    }
    loader.load().await
}

/// What an error says of the effect of a call.
pub(crate) fn write_error<E>(call: &str, error: &SdkError<E, HttpResponse>) -> WriteError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = format!("{call}: {}", told(error));
    let is_refused = match error {
        SdkError::ConstructionFailure(_) => true,
        SdkError::DispatchFailure(failure) => failure.as_connector_error().is_some_and(never_connected),
        SdkError::ServiceError(answer) => refuses(answer.raw().status().as_u16()),
        // A time-out, or an answer that makes no sense.
        _ => false,
    };
    if is_refused { WriteError::Refused(what) } else { WriteError::Unknown(what) }
}

/// Whether an answer with this status surely means that nothing was done: the caller's fault, throttling included.
fn refuses(status: u16) -> bool {
    const REQUEST_TIMEOUT: u16 = 408;
    (400..500).contains(&status) && status != REQUEST_TIMEOUT
}

fn never_connected(error: &ConnectorError) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect()) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What an error says of a call without an effect, or with one that may be had twice.
pub(crate) fn error<E>(call: &str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = format!("{call}: {}", told(error));
    match code(error) {
        Some("ValidationException" | "ResourceNotFoundException" | "QueueDoesNotExist") => Error::Setting(what),
        Some(
            "AccessDeniedException"
            | "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "ExpiredTokenException"
            | "MissingAuthenticationTokenException",
        ) => Error::Setting(format!(
            "{what}; look at AWS_ACCESS_KEY_ID, AWS_PROFILE or the role of this machine, and at its policy"
        )),
        _ => Error::Unavailable(what),
    }
}

/// The service's word for its error, without what stands before `#` or a dot.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<&str> {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code)?;
    code.rsplit(['#', '.']).next()
}

/// What the service says, or why it could not be asked.
fn told<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(refused) = error.as_service_error() {
        let (code, message) = (refused.code().unwrap_or("an error"), refused.message().unwrap_or("no words"));
        return format!("{code}: {message}");
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
