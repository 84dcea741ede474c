//! A bucket of an object store that speaks S3: `PREFIX/gGENERATION-pPARTITION/NAME`.
//!
//! Always true here: an object appears whole or not at all, since a put and the completion of an upload by parts are
//! each one step; an upload whose content failed is never completed; of a snapshot no more than some parts are in memory
//! beside the state itself; plain HTTP is spoken only with an endpoint that was configured so. Two writers need no lock
//! and no condition: other content has another name, and the same content is the same object.

mod pipe;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, Error as Refusal, MultipartUpload, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::sync::mpsc::Receiver;

use super::{Content, Name, Place, Reader, Snapshots};
use crate::Error;

/// A server that does not take a connection for so long is away,
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// and so is one that says nothing for so long; a part must have arrived by then.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Its name.
    pub bucket: String,
    /// What the names of our objects begin with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Another server than AWS's own, `http://…` or `https://…`.
    pub endpoint: Option<String>,
    /// Its region; `None` = as `AWS_REGION` or `AWS_DEFAULT_REGION` says, else `us-east-1`.
    pub region: Option<String>,
    /// For how long a request is tried again before it is given up as one that may pass.
    pub patience: Duration,
}

impl Options {
    /// AWS's own server.
    #[must_use]
    pub fn new(bucket: &str, prefix: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            patience: Duration::from_secs(10),
        }
    }
}

/// Snapshots in a bucket. Credentials come from the environment (`AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and
/// `AWS_SESSION_TOKEN`; else the role that a web identity, a container or this machine has).
///
/// # Errors
/// [`Error::Setting`] when there is no such bucket, or these credentials may not list it; [`Error::Unavailable`] when
/// nobody answers.
pub async fn open(options: &Options) -> Result<Snapshots, Error> {
    let bucket = Bucket::new(options)?;
    match bucket.store.list(Some(&bucket.prefix)).next().await {
        None | Some(Ok(_)) => Ok(Snapshots::new(std::sync::Arc::new(bucket))),
        Some(Err(error)) => Err(bucket.explain(&error)),
    }
}

/// What an administrator may run: the bucket, and the end of parts that an upload left which a kill cut short.
#[must_use]
pub fn plan(options: &Options) -> Vec<String> {
    let Options { bucket, prefix, .. } = options;
    vec![
        format!(
            "aws s3api create-bucket --bucket {bucket}   # beyond us-east-1: --create-bucket-configuration LocationConstraint=REGION"
        ),
        format!(
            "aws s3api put-bucket-lifecycle-configuration --bucket {bucket} --lifecycle-configuration '{{\"Rules\": [{{\"ID\": \
             \"flagstream-parts\", \"Status\": \"Enabled\", \"Filter\": {{\"Prefix\": \"{}\"}}, \
             \"AbortIncompleteMultipartUpload\": {{\"DaysAfterInitiation\": 1}}}}]}}'",
            folder(prefix)
        ),
    ]
}

/// The policy that allows what processors do, and nothing else; `ingest` and `serve` need none of it.
#[must_use]
pub fn policy(options: &Options) -> String {
    let Options { bucket, prefix, .. } = options;
    let folder = folder(prefix);
    format!(
        "{{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\", \
         \"s3:PutObject\", \"s3:DeleteObject\", \"s3:AbortMultipartUpload\"], \"Resource\": \
         \"arn:aws:s3:::{bucket}/{folder}*\"}}, {{\"Effect\": \"Allow\", \"Action\": \"s3:ListBucket\", \"Resource\": \
         \"arn:aws:s3:::{bucket}\", \"Condition\": {{\"StringLike\": {{\"s3:prefix\": \"{folder}*\"}}}}}}]}}"
    )
}

fn folder(prefix: &str) -> String {
    if prefix.is_empty() { String::new() } else { format!("{prefix}/") }
}

#[derive(Debug)]
struct Bucket {
    store: AmazonS3,
    prefix: Path,
    /// For messages.
    url: String,
}

impl Bucket {
    fn new(options: &Options) -> Result<Self, Error> {
        // Once in a process; who has chosen before has chosen.
        rustls::crypto::ring::default_provider().install_default().ok();
        let url = format!("s3://{}/{}", options.bucket, options.prefix);
        let wrong = |error: String| Error::Setting(format!("snapshots in {url}: {error}"));
        let client = ClientOptions::new()
            .with_timeout_disabled()
            .with_read_timeout(SILENCE_MAX)
            .with_connect_timeout(CONNECT_WITHIN);
        let is_plain = options.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut s3 = AmazonS3Builder::from_env()
            .with_client_options(client)
            .with_allow_http(is_plain)
            .with_bucket_name(&options.bucket)
            .with_retry(RetryConfig { retry_timeout: options.patience, ..RetryConfig::default() });
        if let Some(endpoint) = &options.endpoint {
            // This one, since the environment's would go before the other.
            s3 = s3.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        if is_plain && s3.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_none() {
            // A local server takes any credentials, and must not need some of AWS.
            s3 = s3.with_access_key_id("local").with_secret_access_key("local");
        }
        if let Some(region) = &options.region {
            s3 = s3.with_region(region);
        }
        let store = s3.build().map_err(|error| wrong(error.to_string()))?;
        let prefix = Path::parse(&options.prefix).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { store, prefix, url })
    }

    fn folder(&self, generation: u32, partition: u32) -> Path {
        self.prefix.clone().join(format!("g{generation}-p{partition}"))
    }

    fn path(&self, name: Name) -> Path {
        self.folder(name.generation, name.partition).join(name.to_string())
    }

    fn unavailable(&self, what: &str, error: &dyn std::fmt::Display) -> Error {
        Error::Unavailable(format!("snapshot in {} cannot be {what}: {error}", self.url))
    }

    /// At the start, what will not pass by itself is told with what to do.
    fn explain(&self, error: &Refusal) -> Error {
        // Of a list the library tells no kind, only the server's words.
        let said = error.to_string();
        if said.contains("NoSuchBucket") {
            return Error::Setting(format!(
                "there is no bucket for snapshots at {}; `flagstream setup --plan` prints how one is made",
                self.url
            ));
        }
        if ["403 Forbidden", "401 Unauthorized"].iter().any(|refused| said.contains(refused)) {
            return Error::Setting(format!(
                "snapshots in {}: these credentials may not list them; look at AWS_ACCESS_KEY_ID or the role of this \
                 machine, and at its policy (`flagstream setup --plan` prints one): {said}",
                self.url
            ));
        }
        self.unavailable("listed", error)
    }

    async fn upload(&self, path: &Path, mut parts: Receiver<Bytes>, written: pipe::Written) -> Result<(), Error> {
        let failed = |error: Refusal| self.unavailable("written", &error);
        let first = parts.recv().await.unwrap_or_default();
        let Some(second) = parts.recv().await else {
            written.await?;
            return self.store.put(path, first.into()).await.map(drop).map_err(failed);
        };
        let mut upload = self.store.put_multipart(path).await.map_err(failed)?;
        let sent = async {
            upload.put_part(first.into()).await.map_err(failed)?;
            let mut next = Some(second);
            while let Some(part) = next {
                upload.put_part(part.into()).await.map_err(failed)?;
                next = parts.recv().await;
            }
            // There are no more parts, also where the content failed.
            written.await?;
            upload.complete().await.map(drop).map_err(failed)
        };
        let sent = sent.await;
        if sent.is_err() {
            // Its parts would be kept, and paid for, until a rule of the bucket lets them go.
            upload.abort().await.ok();
        }
        sent
    }
}

impl Place for Bucket {
    fn list(&self, generation: u32, partition: u32) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        let folder = self.folder(generation, partition);
        let mut listed = self.store.list(Some(&folder));
        async move {
            let mut names = Vec::new();
            while let Some(object) = listed.next().await {
                let object = object.map_err(|error| self.unavailable("listed", &error))?;
                let name = object.location.filename();
                names.extend(name.and_then(|name| Name::parse(name, generation, partition)));
            }
            Ok(names)
        }
        .boxed()
    }

    fn open(&self, name: Name) -> BoxFuture<'_, Result<Option<Reader>, Error>> {
        async move {
            match self.store.get(&self.path(name)).await {
                Ok(found) => Ok(Some(pipe::reader(found.into_stream()))),
                // Where the bucket is gone, the list that follows says so.
                Err(Refusal::NotFound { .. }) => Ok(None),
                Err(error) => Err(self.unavailable("opened", &error)),
            }
        }
        .boxed()
    }

    fn keep(&self, name: Name, content: Content) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            let (parts, written) = pipe::parts(content);
            self.upload(&self.path(name), parts, written).await
        }
        .boxed()
    }

    fn remove(&self, name: Name) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            match self.store.delete(&self.path(name)).await {
                Ok(()) | Err(Refusal::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.unavailable("removed", &error)),
            }
        }
        .boxed()
    }
}
