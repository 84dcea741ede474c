//! Records read once: header, id and body, each as far as it can be read.
//!
//! Always true here: reading never fails as a whole. A record that cannot be read is kept with the reason, so that the
//! duplicate check can come before it is booked as poison; of a header of an unknown version what can be booked is
//! read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use schemas::event::PayloadId;
use schemas::id::Environment;
use schemas::log::Logged;
use schemas::old_path::{OutcomeView, decode_outcomes};
use schemas::record::{self, Header, PayloadView, RecordId, RecordKind};
use schemas::wire::record as wire;

use super::Rules;
use crate::breakage::{Break, PanicIn};

/// A batch, read.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Its records, in order of offset.
    pub records: Vec<Record>,
}

/// A record, read.
#[derive(Debug)]
pub struct Record {
    pub(crate) logged: Logged,
    pub(crate) header: Option<Header>,
    pub(crate) id: Option<RecordId>,
    pub(crate) content: Content,
}

/// A record's body, read.
#[derive(Debug)]
pub(crate) enum Content {
    Payload(Box<PayloadView>),
    Definition(wire::Definition),
    Generation,
    Numbers,
    Outcomes(Box<OutcomeView>),
    Unreadable(String),
}

impl Record {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.logged.offset
    }

    /// As the log gave it.
    #[must_use]
    pub fn logged(&self) -> &Logged {
        &self.logged
    }
}

impl Rules {
    /// Reads a batch: each record once, header first.
    #[must_use]
    pub fn decode(&self, batch: Vec<Logged>) -> Prepared {
        Prepared { records: batch.into_iter().map(|logged| self.decode_one(logged)).collect() }
    }

    fn decode_one(&self, logged: Logged) -> Record {
        let unreadable = |said| Content::Unreadable(format!("reading it panicked: {said}"));
        let read = guarded(|| {
            self.breakage.panic_in(PanicIn::Reading, &logged);
            read(&logged)
        });
        let (header, mut content) = read.unwrap_or_else(|said| {
            let header = guarded(|| Header::salvage(&logged.header)).unwrap_or_default();
            (header, unreadable(said))
        });
        // Without its id it could not be known again: it is poison, whatever else can be read.
        let id = header.as_ref().map(|header| guarded(|| self.id(&logged, header))).transpose();
        let id = id.unwrap_or_else(|said| {
            content = unreadable(said);
            None
        });
        Record { logged, header, id: id.flatten(), content }
    }

    fn id(&self, logged: &Logged, header: &Header) -> Option<RecordId> {
        self.breakage.panic_in(PanicIn::Id, logged);
        if self.breakage.is(Break::DedupeWithoutPart) {
            return Header { part: 0, ..header.clone() }.record_id();
        }
        if self.breakage.is(Break::IdWithoutEnvironment) {
            let environment = Environment { project: Bytes::new(), key: Bytes::new() };
            return Header { environment, ..header.clone() }.record_id();
        }
        if self.breakage.is(Break::IdWithoutKind)
            && let Some(PayloadId::Diagnostic(id)) = &header.id
        {
            return Header { id: Some(PayloadId::Sent(id.clone())), ..header.clone() }.record_id();
        }
        header.record_id()
    }
}

fn read(logged: &Logged) -> (Option<Header>, Content) {
    let header = match Header::decode(&logged.header) {
        Ok(header) => header,
        Err(error) => return (Header::salvage(&logged.header), Content::Unreadable(error.to_string())),
    };
    let content = match header.kind {
        RecordKind::Payload => record::decode_payload(logged, header.received_ms).map(|view| {
            let view = Box::new(view);
            Content::Payload(view)
        }),
        RecordKind::Definition => record::decode_definition(&logged.body).map(Content::Definition),
        RecordKind::Generation => Ok(Content::Generation),
        RecordKind::Numbers => Ok(Content::Numbers),
        RecordKind::Outcome => {
            decode_outcomes(&logged.body, header.received_ms).map(|view| Content::Outcomes(Box::new(view)))
        }
    };
    (Some(header), content.unwrap_or_else(|error| Content::Unreadable(error.to_string())))
}

/// Runs what a record may make panic; the error is what the panic said. What it was building is dropped then, and what
/// it may have changed outside is for the caller to take back.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use schemas::generation::Generation;

    use super::*;

    /// Three payloads of one id: two kinds in one environment, one in another.
    #[test]
    fn a_switch_leaves_one_thing_out_of_an_id() {
        let header = |environment: &'static str, id| {
            let environment = Environment::new("p", environment).unwrap();
            let mut header =
                Header::decode(&record::numbers_record(&environment, 1, &Default::default(), 0).header).unwrap();
            header.id = Some(id);
            header
        };
        let (sent, diagnostic) = (PayloadId::Sent(b"a".to_vec()), PayloadId::Diagnostic(b"a".to_vec()));
        let headers = [header("dev", sent.clone()), header("dev", diagnostic), header("prod", sent)];
        let logged = Logged { offset: 0, append_ms: 0, header: Bytes::new(), body: Bytes::new() };
        let equal = |rule| {
            let mut rules = Rules::new(Generation::new(1, "t", 1, crate::FOLD_VERSION), 0);
            rules.breakage.which = rule;
            let [a, b, c] = headers.each_ref().map(|header| rules.id(&logged, header));
            assert!(a.is_some() && b.is_some() && c.is_some());
            (a == b, a == c)
        };
        assert_eq!(equal(None), (false, false));
        assert_eq!(equal(Some(Break::IdWithoutKind)), (true, false));
        assert_eq!(equal(Some(Break::IdWithoutEnvironment)), (false, true));
    }
}
