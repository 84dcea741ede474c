//! What is refused at the door, numbered by reason.
//!
//! Always true here: a reason's code (for people and programs) and number (in records) never change their meaning.

/// Why something was not counted. Codes are stable: they stand in the books and in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rejection {
    /// A kind of event that this version does not know.
    UnknownKind = 1,
    /// A field that the kind needs is missing or has another type.
    MalformedEvent = 2,
    /// A key is empty, too long, has NUL in it or is not Unicode.
    InvalidKey = 3,
    /// The event is larger than the limit.
    EventTooLarge = 4,
    /// The payload has more events than the limit; those beyond it.
    TooManyEvents = 5,
    /// A count is no whole number from 0 to the limit.
    CountOutOfRange = 6,
    /// A metric value is out of range: the event is counted, without its value.
    MetricOutOfRange = 7,
    /// The whole body is no JSON, or JSON of another shape.
    MalformedPayload = 8,
    /// The whole body could not be inflated, or inflates beyond the limits.
    BadCompression = 9,
    /// The whole body is larger than the limit.
    PayloadTooLarge = 10,
    /// The body nests deeper than the limit.
    TooDeep = 11,
    /// A header is over its limit.
    HeaderTooLarge = 12,
    /// The path under an SDK's prefix is not known.
    UnknownPath = 13,
}

impl Rejection {
    /// Every reason, in order of number.
    pub const ALL: [Self; 13] = [
        Self::UnknownKind,
        Self::MalformedEvent,
        Self::InvalidKey,
        Self::EventTooLarge,
        Self::TooManyEvents,
        Self::CountOutOfRange,
        Self::MetricOutOfRange,
        Self::MalformedPayload,
        Self::BadCompression,
        Self::PayloadTooLarge,
        Self::TooDeep,
        Self::HeaderTooLarge,
        Self::UnknownPath,
    ];

    /// The stable code: `unknown_kind`, `invalid_key`, …
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownKind => "unknown_kind",
            Self::MalformedEvent => "malformed_event",
            Self::InvalidKey => "invalid_key",
            Self::EventTooLarge => "event_too_large",
            Self::TooManyEvents => "too_many_events",
            Self::CountOutOfRange => "count_out_of_range",
            Self::MetricOutOfRange => "metric_out_of_range",
            Self::MalformedPayload => "malformed_payload",
            Self::BadCompression => "bad_compression",
            Self::PayloadTooLarge => "payload_too_large",
            Self::TooDeep => "too_deep",
            Self::HeaderTooLarge => "header_too_large",
            Self::UnknownPath => "unknown_path",
        }
    }

    /// The reason with this number, when this version knows it.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        usize::try_from(number).ok()?.checked_sub(1).and_then(|n| Self::ALL.get(n)).copied()
    }
}

/// Numbers of rejections by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rejections {
    numbers: [u64; Rejection::ALL.len()],
}

impl Rejections {
    /// Adds `number` rejections for a reason.
    pub fn add(&mut self, reason: Rejection, number: u64) {
        let slot = &mut self.numbers[reason as usize - 1];
        *slot = slot.saturating_add(number);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for reason in Rejection::ALL {
            self.add(reason, other.of(reason));
        }
    }

    /// How many for this reason.
    #[must_use]
    pub fn of(&self, reason: Rejection) -> u64 {
        self.numbers[reason as usize - 1]
    }

    /// Reasons that have a number above 0, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        Rejection::ALL.into_iter().map(|reason| (reason, self.of(reason))).filter(|(_, number)| *number > 0)
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.iter().all(|number| *number == 0)
    }

    /// All rejections together, by reason or not. A metric out of range is a label, not a refusal, and is not in it.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.iter().filter(|(reason, _)| *reason != Rejection::MetricOutOfRange).map(|(_, number)| number).sum()
    }
}
