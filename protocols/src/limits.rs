//! The limits of decoding: what one request may make this process do.
//!
//! Always true here: the defaults are DESIGN's numbers; a limit that is passed costs the smallest thing that holds it
//! (a counter, a flag's entry, an event, and only then the payload), which is numbered by its reason.

/// Limits of decoding; each is inclusive. Keys have theirs in [`schemas::id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest body on the wire, in bytes. Ingest keeps it; what is inflated is measured against it.
    pub body_bytes_max: usize,
    /// Largest body inflated, in bytes.
    pub inflated_bytes_max: usize,
    /// Largest ratio of inflated to sent bytes, past the first [`Self::ratio_free_bytes`] inflated.
    pub ratio_max: usize,
    /// Inflated bytes for which no ratio is asked.
    pub ratio_free_bytes: usize,
    /// Most elements of a payload; those beyond are refused.
    pub events_max: usize,
    /// Largest event, in bytes of JSON; of a summary, the largest entry of one flag.
    pub event_bytes_max: usize,
    /// Deepest nesting of a body, counted from the outermost array; an event that goes deeper is refused (of a summary,
    /// the entry of one flag).
    pub depth_max: usize,
    /// Largest count of one counter.
    pub count_max: u64,
    /// Most counters of a payload (10,000 flags with 10 variations); those beyond are refused.
    pub counters_max: usize,
    /// Most kinds in one context; an event with more is refused.
    pub context_kinds_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 5 << 20,
            inflated_bytes_max: 10 << 20,
            ratio_max: 100,
            ratio_free_bytes: 1 << 20,
            events_max: 10_000,
            event_bytes_max: 64 << 10,
            depth_max: 32,
            count_max: schemas::event::COUNT_MAX,
            counters_max: 100_000,
            context_kinds_max: 64,
        }
    }
}
