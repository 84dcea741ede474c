//! Counters of the gate, for whoever exports them.
//!
//! Always true here: they rise only, but for what is under way, which is asked when they are read.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::Stage;
use crate::budget::Budget;
use crate::door::Door;

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    payloads: Family<Label, Counter>,
    /// Members of `payloads`, by number of the stage.
    by_stage: [Counter; Stage::ALL.len()],
    changes: Family<Label, Counter>,
    /// Members of `changes`, by number of the stage.
    to_stage: [Counter; Stage::ALL.len()],
    /// Times that the flag began to say nothing, each cause for itself.
    pub(super) flag_errors: Counter,
    /// Times that stages could not be kept on disk.
    pub(super) kept_errors: Counter,
    /// Payloads of which the old path was told that it gets nothing.
    pub(super) old_refused: Counter,
    /// Payloads answered 503 because the old path did not say that it wrote them.
    pub(super) old_unwritten: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let (payloads, changes) = (Family::default(), Family::default());
        let members =
            |family: &Family<Label, Counter>| Stage::ALL.map(|stage| family.get_or_create_owned(&Label(stage)));
        Self {
            by_stage: members(&payloads),
            payloads,
            to_stage: members(&changes),
            changes,
            flag_errors: Counter::default(),
            kept_errors: Counter::default(),
            old_refused: Counter::default(),
            old_unwritten: Counter::default(),
        }
    }
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("payloads", "Payloads by the stage that they were in", self.payloads.clone());
        registry.register("changes", "Changes of stage, by the new one", self.changes.clone());
        let plain = [
            ("flag_errors", "Times that the flag began to say nothing, each cause for itself", &self.flag_errors),
            ("kept_errors", "Times that stages could not be kept on disk", &self.kept_errors),
            ("old_refused", "Payloads answered whose old write was refused for want of room", &self.old_refused),
            ("old_unwritten", "Payloads answered 503 for want of the old path's word", &self.old_unwritten),
        ];
        for (name, help, counter) in plain {
            registry.register(name, help, counter.clone());
        }
    }

    pub(super) fn payload(&self, stage: Stage) {
        self.by_stage[stage as usize].inc();
    }

    pub(super) fn changed(&self, to: Stage) {
        self.to_stage[to as usize].inc();
    }
}

/// The label `stage`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Label(Stage);

impl EncodeLabelSet for Label {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("stage", self.0.name())].encode(encoder)
    }
}

/// Old writes under way when it is asked.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) door: Door,
    pub(super) room: Budget,
}

impl Collector for UnderWay {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let number = ConstGauge::new(self.door.inside() as u64);
        let help = "Old writes under way.";
        number.encode(encoder.encode_descriptor("old_waiting", help, None, number.metric_type())?)?;
        let held = ConstGauge::new(self.room.held() as u64);
        let help = "Bytes of old writes under way.";
        held.encode(encoder.encode_descriptor("old_waiting", help, Some(&Unit::Bytes), held.metric_type())?)
    }
}
