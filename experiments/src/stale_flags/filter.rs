//! Which flags are asked for: the same words on the page as in the API, so that the two show the same flags.
//!
//! Always true here: a word that is not known is refused with those that are; filters narrow each other.

use crate::parameters::Parameters;
use crate::refusal::Refusal;
use crate::stale::{Advice, ReasonCode, Status, Verdict};

/// The parameters that are read here.
pub(crate) const KNOWN: [&str; 6] = ["environment", "status", "reason", "advice", "stale", "q"];

/// Which verdicts are wanted; what is empty or `None` wants all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Whose status is looked at; `None` = that of the critical environment in which the flag is liveliest.
    pub(crate) environment: Option<String>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) reasons: Vec<ReasonCode>,
    pub(crate) advices: Vec<Advice>,
    pub(crate) stale: Option<bool>,
    /// A part of the key, as it is written.
    pub(crate) part: Option<String>,
}

impl Filter {
    /// Reads the parameters of [`KNOWN`]; whether the environment may be read is asked elsewhere.
    pub(crate) fn read(given: &mut Parameters) -> Result<Self, Refusal> {
        Ok(Self {
            environment: given.text("environment"),
            statuses: words(given.text("status"), "status", &Status::ALL, Status::as_str)?,
            reasons: words(given.text("reason"), "reason", &ReasonCode::ALL, ReasonCode::as_str)?,
            advices: words(given.text("advice"), "advice", &Advice::ALL, Advice::as_str)?,
            stale: given.choice("stale", None, &[("true", Some(true)), ("false", Some(false))])?,
            part: given.text("q"),
        })
    }

    /// Whether the verdict is asked for: one of the statuses, any of the reasons, one of the advices, stale or not, the
    /// part in its key.
    pub(crate) fn wants(&self, verdict: &Verdict) -> bool {
        let status = super::entry::status(verdict, self.environment.as_deref());
        let has_reason = || verdict.reasons.iter().any(|reason| self.reasons.contains(&reason.code));
        let is_advised = || verdict.advice.is_some_and(|advice| self.advices.contains(&advice));
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.reasons.is_empty() || has_reason())
            && (self.advices.is_empty() || is_advised())
            && self.stale.is_none_or(|stale| stale == verdict.stale)
            && self.part.as_ref().is_none_or(|part| verdict.key.contains(part.as_str()))
    }
}

/// Words with commas between; case does not matter, for codes are shouted and statuses are not.
fn words<T: Copy>(
    text: Option<String>,
    name: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Vec<T>, Refusal> {
    let Some(text) = text else { return Ok(Vec::new()) };
    let known = |word: &str| all.iter().copied().find(|known| as_str(*known).eq_ignore_ascii_case(word.trim()));
    text.split(',').map(known).collect::<Option<Vec<T>>>().ok_or_else(|| {
        let all: Vec<&str> = all.iter().map(|known| as_str(*known)).collect();
        Refusal::parameter(name, &text, &format!("{}, or several with commas", all.join(", ")))
    })
}
