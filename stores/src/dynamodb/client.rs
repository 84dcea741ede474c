//! How DynamoDB is reached, and what its errors mean.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::Options;
use crate::Error;

/// Attempts of one call, with the library's growing, scattered pauses between them.
const ATTEMPTS: u32 = 4;
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ATTEMPT_WITHIN: Duration = Duration::from_secs(5);
const CALL_WITHIN: Duration = Duration::from_secs(15);

/// Region where none is told and the server is a local one, to which it means nothing.
const LOCAL_REGION: &str = "us-east-1";

pub(super) async fn connect(options: &Options) -> Client {
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let patience = TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .operation_attempt_timeout(ATTEMPT_WITHIN)
        .operation_timeout(CALL_WITHIN)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(patience);
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &options.endpoint {
        // A local server takes any credentials, and must not need some of AWS.
        let local = Credentials::new("local", "local", None, None, "a local server");
        let either = CredentialsProviderChain::first_try("environment", EnvironmentVariableCredentialsProvider::new());
        loader = loader.endpoint_url(endpoint).credentials_provider(either.or_else("local", local));
        if options.region.is_none() {
            loader = loader.region(Region::new(LOCAL_REGION));
        }
    }
    Client::new(&loader.load().await)
}

/// A call that failed for now: throttled, timed out, no connection, or an outage; nobody knows whether it took effect.
pub(super) fn unavailable<E, R>(call: &str, table: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    match code {
        Some("ResourceNotFoundException") => Error::Setting(missing(table)),
        Some("ValidationException") => Error::Setting(format!("{call} of {table}: {}", told(error))),
        _ => Error::Unavailable(format!("{call} of {table}: {}", told(error))),
    }
}

/// What DynamoDB says, or why it could not be asked.
fn told<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let Some(refused) = error.as_service_error() {
        let (code, message) = (refused.code().unwrap_or("an error"), refused.message().unwrap_or("no words"));
        return format!("{code}: {message}");
    }
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

pub(super) fn missing(table: &str) -> String {
    format!(
        "there is no table {table}; make it with `flagstream setup`, or look at `[store] prefix`, `region` and `endpoint`"
    )
}
