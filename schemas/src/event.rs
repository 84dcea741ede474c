//! What an event is: a payload decoded, before anything was decided about it.
//!
//! Always true here: rows are flat and borrow from the request's body; a row names the element (of the payload's
//! analytics array) that it came from; every key has passed [`crate::id::check_key`]; nothing here has been clamped,
//! judged late or dropped for its time. Which partition a row goes to is [`crate::split`]'s matter, what its time
//! becomes is ingest's.

use std::borrow::Cow;
use std::ops::Range;

use crate::fixed::Micros;
use crate::rejection::Rejections;

/// What was served: the SDK's index, a name (other protocols), or the caller's own default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Variation<'a> {
    /// The caller's own default was served.
    Default,
    /// The variation with this index.
    Index(u32),
    /// The variation with this name.
    Name(Cow<'a, str>),
}

/// Which kind of credential a payload came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Credential {
    /// A server SDK's key.
    #[default]
    Server = 1,
    /// A mobile SDK's key.
    Mobile = 2,
    /// A client-side id in the path: anyone who sees the page has it.
    ClientSide = 3,
}

/// Who sent a payload; names are cut at [`crate::id::NAME_BYTES_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Kind of credential.
    pub credential: Credential,
    /// Application id from the SDK's tags; empty = not told.
    pub application: Cow<'a, str>,
    /// Application version from the SDK's tags; empty = not told.
    pub application_version: Cow<'a, str>,
    /// Name of the SDK (`NodeJSClient`); empty = not told.
    pub sdk: Cow<'a, str>,
    /// Version of the SDK (`9.13.7`); empty = not told.
    pub sdk_version: Cow<'a, str>,
    /// Wrapper around the SDK, name and version; empty = none.
    pub wrapper: Cow<'a, str>,
    /// Id of the SDK instance; empty = not told.
    pub instance: Cow<'a, str>,
}

/// Kind of an element of the analytics array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ElementKind {
    /// Counters of evaluations over a time.
    Summary = 1,
    /// One evaluation in full.
    Feature = 2,
    /// One evaluation in full for a debugger; never counted.
    Debug = 3,
    /// A context described by the application.
    Identify = 4,
    /// A context seen for the first time by the SDK.
    Index = 5,
    /// A custom event.
    Custom = 6,
    /// One operation of a customer's migration.
    MigrationOp = 7,
    /// A click goal.
    Click = 8,
    /// A page-view goal.
    Pageview = 9,
    /// A page view counted by a click goal.
    ClickPageview = 10,
    /// Two users said to be one (old SDKs).
    Alias = 11,
}

/// An element that passed validation: the unit of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its kind.
    pub kind: ElementKind,
    /// Its time as sent (a summary's `endDate`, else `creationDate`), Unix milliseconds; `None` = of receipt.
    pub time_ms: Option<i64>,
}

/// One counter: evaluations of a flag's variation. From a summary, or one full event of an unsummarized payload. A
/// counter of 0 is a sight: a full event of a flag that its SDK keeps out of the summaries was seen, and counts
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count<'a> {
    /// Index into [`Payload::elements`].
    pub element: u32,
    /// The flag's key.
    pub flag: Cow<'a, str>,
    /// What was served.
    pub variation: Variation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// The value served, as JSON text of at most [`VALUE_BYTES_MAX`] bytes; longer ones are left out.
    pub value: Option<&'a str>,
    /// How often; 1 to [`COUNT_MAX`], or 0 for a sight.
    pub count: u64,
    /// The evaluation failed (flag not found, or an error reason).
    pub error: bool,
    /// The SDK sampled: `count` stands for evaluations that were not sent.
    pub estimated: bool,
}

/// Longest value kept beside a count, in bytes of JSON text.
pub const VALUE_BYTES_MAX: usize = 256;
/// Largest count of one counter.
pub const COUNT_MAX: u64 = 1_000_000_000;

/// Why a variation was served. The number is part of the record and never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// Not told.
    None = 0,
    /// The flag was off.
    Off = 1,
    /// No rule matched.
    Fallthrough = 2,
    /// The context was a target.
    TargetMatch = 3,
    /// A rule matched.
    RuleMatch = 4,
    /// A prerequisite was not met.
    PrerequisiteFailed = 5,
    /// Error: flag not found.
    FlagNotFound = 6,
    /// Error: the value had another type than asked for.
    WrongType = 7,
    /// Error: the flag's definition was broken.
    MalformedFlag = 8,
    /// Error: no context given.
    UserNotSpecified = 9,
    /// Error: the SDK had no definitions yet.
    ClientNotReady = 10,
    /// Error: an exception in the SDK.
    Exception = 11,
    /// Error of any other kind.
    OtherError = 12,
    /// A reason unknown to this version.
    Other = 13,
}

impl Reason {
    /// Every reason, in order of number.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Off,
        Self::Fallthrough,
        Self::TargetMatch,
        Self::RuleMatch,
        Self::PrerequisiteFailed,
        Self::FlagNotFound,
        Self::WrongType,
        Self::MalformedFlag,
        Self::UserNotSpecified,
        Self::ClientNotReady,
        Self::Exception,
        Self::OtherError,
        Self::Other,
    ];

    /// The reason with this number in a cell, where unknown ones are [`Reason::Other`]; a record with one is refused
    /// before.
    #[must_use]
    pub fn from_number(number: u32) -> Self {
        usize::try_from(number).ok().and_then(|n| Self::ALL.get(n)).copied().unwrap_or(Self::Other)
    }

    /// Its name in answers: the SDKs' own word, errors as `ERROR:KIND`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Off => "OFF",
            Self::Fallthrough => "FALLTHROUGH",
            Self::TargetMatch => "TARGET_MATCH",
            Self::RuleMatch => "RULE_MATCH",
            Self::PrerequisiteFailed => "PREREQUISITE_FAILED",
            Self::FlagNotFound => "ERROR:FLAG_NOT_FOUND",
            Self::WrongType => "ERROR:WRONG_TYPE",
            Self::MalformedFlag => "ERROR:MALFORMED_FLAG",
            Self::UserNotSpecified => "ERROR:USER_NOT_SPECIFIED",
            Self::ClientNotReady => "ERROR:CLIENT_NOT_READY",
            Self::Exception => "ERROR:EXCEPTION",
            Self::OtherError => "ERROR:OTHER",
            Self::Other => "OTHER",
        }
    }

    /// Whether it tells of an error.
    #[must_use]
    pub fn is_error(self) -> bool {
        (6..=12).contains(&(self as u8))
    }
}

/// One key of a context: `user` → `alice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextKey<'a> {
    /// The context kind.
    pub kind: Cow<'a, str>,
    /// The key within the kind.
    pub key: Cow<'a, str>,
}

/// One evaluation in full (a `feature` element): its reason is counted, and it is an exposure when `in_experiment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation<'a> {
    /// Index into [`Payload::elements`].
    pub element: u32,
    /// The flag's key.
    pub flag: Cow<'a, str>,
    /// What was served.
    pub variation: Variation<'a>,
    /// The flag's version, when told.
    pub version: Option<u64>,
    /// Why.
    pub reason: Reason,
    /// The evaluation was part of an experiment: an exposure.
    pub in_experiment: bool,
    /// Its context's keys: a range of [`Payload::context_keys`].
    pub contexts: Range<u32>,
}

/// What kind of element a conversion came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConversionKind {
    /// `track` was called.
    Custom = 1,
    /// A click goal.
    Click = 2,
    /// A page-view goal.
    Pageview = 3,
}

/// A custom event or a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion<'a> {
    /// Index into [`Payload::elements`].
    pub element: u32,
    /// Where it came from. Only [`ConversionKind::Custom`] is counted among custom events.
    pub kind: ConversionKind,
    /// The event's key.
    pub key: Cow<'a, str>,
    /// Its metric value, rounded once; `None` = none was given or it was out of range.
    pub value: Option<Micros>,
    /// How many events this one stands for; 1 unless the SDK sampled.
    pub sampling: u64,
    /// Its context's keys: a range of [`Payload::context_keys`].
    pub contexts: Range<u32>,
}

/// A pair of facts about the old and the new side of a customer's migration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OldNew<T> {
    /// Of the old side.
    pub old: T,
    /// Of the new side.
    pub new: T,
}

/// One operation of a customer's migration (`migration_op`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationOp<'a> {
    /// Index into [`Payload::elements`].
    pub element: u32,
    /// The migration flag's key.
    pub flag: Cow<'a, str>,
    /// What was served.
    pub variation: Variation<'a>,
    /// It was a write, not a read.
    pub write: bool,
    /// Which sides were invoked.
    pub invoked: OldNew<bool>,
    /// Whether both sides agreed, where that was checked.
    pub consistent: Option<bool>,
    /// Which sides failed.
    pub error: OldNew<bool>,
    /// Latency of each side in microseconds, where measured.
    pub latency_us: OldNew<Option<u64>>,
    /// How many operations this one stands for; 1 unless the SDK sampled.
    pub sampling: u64,
}

/// A fact about an SDK that it told by itself. Diagnostics are no events and are not in the books.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostic<'a> {
    /// The SDK's own id of itself.
    pub id: Cow<'a, str>,
    /// When it was made, Unix milliseconds.
    pub time_ms: Option<i64>,
    /// It tells of a start (`diagnostic-init`, `diagnostic-combined`).
    pub start: bool,
    /// Name of the SDK, when told.
    pub sdk: Cow<'a, str>,
    /// Version of the SDK, when told.
    pub sdk_version: Cow<'a, str>,
    /// Events that the SDK admits to have dropped.
    pub dropped_events: u64,
}

/// A payload decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Who sent it.
    pub origin: Origin<'a>,
    /// What identifies it on a re-send; `None` = nothing does.
    pub id: Option<PayloadId>,
    /// Elements that passed validation, in order.
    pub elements: Vec<Element>,
    /// Counters, grouped by element in rising order.
    pub counts: Vec<Count<'a>>,
    /// Full evaluations, in rising order of element.
    pub evaluations: Vec<Evaluation<'a>>,
    /// Custom events and goals, in rising order of element.
    pub conversions: Vec<Conversion<'a>>,
    /// Migration operations, in rising order of element.
    pub migrations: Vec<MigrationOp<'a>>,
    /// Keys that evaluations and conversions refer to.
    pub context_keys: Vec<ContextKey<'a>>,
    /// Contexts described by `identify`, `index` and `alias` elements: (kind, number).
    pub contexts_seen: Vec<(Cow<'a, str>, u64)>,
    /// Facts about SDKs.
    pub diagnostics: Vec<Diagnostic<'a>>,
    /// What was refused, by reason.
    pub rejections: Rejections,
}

/// The id by which a re-send is known: what the SDK sent, or the identity of a diagnostic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PayloadId {
    /// `X-LaunchDarkly-Payload-ID`, or another protocol's like.
    Sent(Vec<u8>),
    /// A diagnostic has no payload id; its own id, kind and creation time serve.
    Diagnostic(Vec<u8>),
    /// Of a record of outcomes ([`crate::old_path`]), which no SDK sends: random bytes of the process that made it.
    Outcome(Vec<u8>),
}
