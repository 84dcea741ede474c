//! `[snapshots]`: where copies of the processors' state are.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// `[snapshots]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotsSection {
    /// `file:///…`: a folder that all processors reach; `s3://BUCKET/PREFIX`; left out, a folder in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Another object store than AWS's own; only here may it be `http://…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The bucket's region; left out, as the environment says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Where snapshots are, as understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshots {
    /// In the data directory, where no other process finds them.
    Beside,
    /// In a folder that all processors reach.
    Folder(PathBuf),
    /// In an object store.
    #[cfg(feature = "objects")]
    Bucket(stores::snapshots::bucket::Options),
}

impl SnapshotsSection {
    /// Where snapshots are.
    ///
    /// # Errors
    /// When it is neither an absolute path as a `file://` URL nor a bucket, or a bucket and this build has none.
    pub fn understand(&self) -> anyhow::Result<Snapshots> {
        let url = self.url.as_deref().unwrap_or_default();
        let object = url.strip_prefix("s3://");
        for (field, is_written) in [("endpoint", self.endpoint.is_some()), ("region", self.region.is_some())] {
            ensure!(
                object.is_some() || !is_written,
                "snapshots.{field} is for snapshots.url = \"s3://BUCKET/PREFIX\"; take it out, or set the url"
            );
        }
        if let Some(object) = object {
            return self.bucket(url, object);
        }
        if self.url.is_none() {
            return Ok(Snapshots::Beside);
        }
        let path = url.strip_prefix("file://").filter(|path| path.starts_with('/'));
        let path = path.with_context(|| {
            format!(
                "snapshots.url = {url:?} must be file:///PATH, a folder that all processors reach (a shared file system), \
                 or s3://BUCKET/PREFIX"
            )
        })?;
        Ok(Snapshots::Folder(PathBuf::from(path)))
    }

    #[cfg(not(feature = "objects"))]
    fn bucket(&self, url: &str, _: &str) -> anyhow::Result<Snapshots> {
        anyhow::bail!(
            "snapshots.url = {url:?}: object stores are not in this build (it has: file); build with --features objects"
        )
    }

    #[cfg(feature = "objects")]
    fn bucket(&self, url: &str, object: &str) -> anyhow::Result<Snapshots> {
        let (bucket, prefix) = object.split_once('/').unwrap_or((object, ""));
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        ensure!(
            (3..=63).contains(&bucket.len()) && bucket.bytes().all(is_name),
            "snapshots.url = {url:?}: {bucket:?} is no bucket: 3 to 63 small letters, digits, dots and -"
        );
        let prefix = prefix.trim_end_matches('/');
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| is_name(byte) || byte.is_ascii_uppercase() || byte == b'_')
        };
        ensure!(
            prefix.is_empty() || prefix.split('/').all(|part| is_part(part) && !part.starts_with('.')),
            "snapshots.url = {url:?}: {prefix:?} is no prefix: names of letters, digits, dots, - and _, slashes between"
        );
        let endpoint = self.endpoint.clone();
        if let Some(endpoint) = &endpoint {
            let host = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
            ensure!(
                host.is_some_and(|host| !host.is_empty()),
                "snapshots.endpoint = {endpoint:?} must be http://HOST:PORT or https://HOST"
            );
        }
        let region = self.region.clone();
        let new = stores::snapshots::bucket::Options::new(bucket, prefix);
        Ok(Snapshots::Bucket(stores::snapshots::bucket::Options { endpoint, region, ..new }))
    }

    /// One with every field, for those who need their names.
    pub fn with_all() -> Self {
        let text = || Some(String::new());
        Self { url: text(), endpoint: text(), region: text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_lie_in_a_folder() {
        let folder = |url: &str| SnapshotsSection { url: Some(url.to_owned()), ..Default::default() }.understand();
        assert_eq!(SnapshotsSection::default().understand().unwrap(), Snapshots::Beside);
        assert_eq!(
            folder("file:///var/lib/snapshots").unwrap(),
            Snapshots::Folder(PathBuf::from("/var/lib/snapshots"))
        );
        for wrong in ["gs://bucket/x", "/var/lib", "file://relative", ""] {
            let said = folder(wrong).unwrap_err().to_string();
            assert!(said.contains(&format!("{wrong:?}")) && said.contains("file:///PATH"), "{said}");
        }
        let endpoint = SnapshotsSection { endpoint: Some("http://h:1".to_owned()), ..Default::default() };
        let said = endpoint.understand().unwrap_err().to_string();
        assert!(said.starts_with("snapshots.endpoint is for snapshots.url = \"s3://"), "{said}");
    }

    #[cfg(not(feature = "objects"))]
    #[test]
    fn a_bucket_is_not_in_every_build() {
        let section = SnapshotsSection { url: Some("s3://bucket/x".to_owned()), ..Default::default() };
        let said = section.understand().unwrap_err().to_string();
        assert!(said.contains("not in this build") && said.contains("--features objects"), "{said}");
    }

    #[cfg(feature = "objects")]
    #[test]
    fn snapshots_lie_in_a_bucket() {
        let section = |url: &str, endpoint: Option<&str>| {
            let (url, endpoint) = (Some(url.to_owned()), endpoint.map(str::to_owned));
            SnapshotsSection { url, endpoint, region: Some("eu-west-1".to_owned()) }.understand()
        };
        for (url, prefix) in [("s3://some.bucket", ""), ("s3://some.bucket/a/B_c/", "a/B_c")] {
            let Snapshots::Bucket(options) = section(url, Some("http://127.0.0.1:9000")).unwrap() else { panic!() };
            assert_eq!((options.bucket.as_str(), options.prefix.as_str()), ("some.bucket", prefix));
            assert_eq!(options.region.as_deref(), Some("eu-west-1"));
        }
        for (url, endpoint, what) in [
            ("s3://", None, "is no bucket"),
            ("s3://Bucket/x", None, "is no bucket"),
            ("s3://bucket/a//b", None, "is no prefix"),
            ("s3://bucket/a/../b", None, "is no prefix"),
            ("s3://bucket/a", Some("127.0.0.1:9000"), "must be http://HOST:PORT"),
        ] {
            let said = section(url, endpoint).unwrap_err().to_string();
            assert!(said.contains(what), "{said}");
        }
    }
}
