//! A flagd flag file as a provider of the OpenFeature SDK: what the flags in it are worth, by flagd's own engine.
//!
//! Always true here: what was not understood is an error of every flag, with its cause, never an older value: what
//! holds meanwhile is the gate's matter. No cache and no I/O, so an answer is always of the file as it was told last.
//!
//! The crate `open-feature-flagd`, whose file mode this stands for, wants `protoc` and a gRPC stack to be built, stops
//! for ever after 1,000 changes in the file's directory, and answers with old flags where the file is broken, saying
//! nothing. Its engine (`flagd-evaluation-engine`: flag definitions, targeting, `fractional`) is what is used here.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use flagd_evaluation_engine::model::ParsingResult;
use flagd_evaluation_engine::{FeatureFlag, FlagParser, Operator};
use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata,
    FlagMetadataValue, StructValue,
};

/// Flags, or why there are none.
pub(super) type Flags = Result<ParsingResult, String>;

/// The provider; clones answer alike.
#[derive(Clone)]
pub(super) struct Flagd {
    flags: Arc<RwLock<Flags>>,
    engine: Arc<Operator>,
    metadata: ProviderMetadata,
}

/// Understands a flag file.
pub(super) fn understand(text: &[u8]) -> Flags {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    FlagParser::parse_string(text).map_err(|error| error.to_string())
}

impl Flagd {
    pub(super) fn new() -> Self {
        Self {
            flags: Arc::new(RwLock::new(Err("it was not read yet".into()))),
            engine: Arc::new(Operator::new()),
            metadata: ProviderMetadata::new("flagd"),
        }
    }

    /// Answers by these from now on.
    pub(super) fn set(&self, flags: Flags) {
        *self.flags.write().unwrap_or_else(PoisonError::into_inner) = flags;
    }

    /// The flag, with its metadata over those of the whole file.
    fn find(&self, key: &str) -> EvaluationResult<(FeatureFlag, FlagMetadata)> {
        let flags = self.flags.read().unwrap_or_else(PoisonError::into_inner);
        let flags = flags.as_ref().map_err(|why| failed(EvaluationErrorCode::ParseError, why.clone()))?;
        let missing = || failed(EvaluationErrorCode::FlagNotFound, format!("it has no flag `{key}`"));
        let flag = flags.flags.get(key).ok_or_else(missing)?.clone();
        let mut metadata = FlagMetadata::default();
        add(&mut metadata, &flags.flag_set_metadata);
        add(&mut metadata, &flag.metadata);
        Ok((flag, metadata))
    }

    /// Which variant is served, and its value.
    fn resolve(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<serde_json::Value>> {
        let (flag, metadata) = self.find(key)?;
        if flag.state != "ENABLED" {
            let said = format!("its flag `{key}` is {}", flag.state.to_lowercase());
            return Err(failed(EvaluationErrorCode::FlagNotFound, said));
        }
        let targeting = flag.get_targeting();
        let (variant, reason) = if targeting == "{}" {
            (flag.default_variant, EvaluationReason::Static)
        } else {
            let unclear = |error| failed(EvaluationErrorCode::ParseError, format!("its flag `{key}`: {error}"));
            match self.engine.apply(key, &targeting, context).map_err(unclear)? {
                Some(variant) => (variant, EvaluationReason::TargetingMatch),
                None => (flag.default_variant, EvaluationReason::Default),
            }
        };
        let Some(value) = flag.variants.get(&variant).cloned() else {
            let said = format!("its flag `{key}` says `{variant}`, which is none of its variants");
            return Err(failed(EvaluationErrorCode::General(said.clone()), said));
        };
        Ok(ResolutionDetails { value, variant: Some(variant), reason: Some(reason), flag_metadata: Some(metadata) })
    }

    fn resolve_as<T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        read: impl FnOnce(&serde_json::Value) -> Option<T>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let found = self.resolve(key, context)?;
        let said = || format!("its flag `{key}` has the value {}, of another type than asked for", found.value);
        let value = read(&found.value).ok_or_else(|| failed(EvaluationErrorCode::TypeMismatch, said()))?;
        let (variant, reason, flag_metadata) = (found.variant, found.reason, found.flag_metadata);
        Ok(ResolutionDetails { value, variant, reason, flag_metadata })
    }
}

fn failed(code: EvaluationErrorCode, message: String) -> EvaluationError {
    EvaluationError { code, message: Some(message) }
}

fn add(metadata: &mut FlagMetadata, values: &HashMap<String, serde_json::Value>) {
    for (key, value) in values {
        let value = match value {
            serde_json::Value::Bool(value) => FlagMetadataValue::Bool(*value),
            serde_json::Value::String(value) => FlagMetadataValue::String(value.clone()),
            serde_json::Value::Number(value) => match (value.as_i64(), value.as_f64()) {
                (Some(value), _) => FlagMetadataValue::Int(value),
                (None, Some(value)) => FlagMetadataValue::Float(value),
                (None, None) => continue,
            },
            _ => continue,
        };
        metadata.values.insert(key.clone(), value);
    }
}

#[async_trait]
impl FeatureProvider for Flagd {
    fn status(&self) -> ProviderStatus {
        let is_good = self.flags.read().unwrap_or_else(PoisonError::into_inner).is_ok();
        if is_good { ProviderStatus::Ready } else { ProviderStatus::Error }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.resolve_as(flag_key, context, serde_json::Value::as_bool)
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve_as(flag_key, context, serde_json::Value::as_i64)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve_as(flag_key, context, serde_json::Value::as_f64)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.resolve_as(flag_key, context, |value| value.as_str().map(str::to_owned))
    }

    /// A gate has no use for it.
    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        _context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        let said = format!("its flag `{flag_key}` was asked for as an object, which is not read here");
        Err(failed(EvaluationErrorCode::TypeMismatch, said))
    }
}
