//! F2: two shares of units.
//!
//! Intervals: R. G. Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
//! Medicine 17, 1998 (method 10, from E. B. Wilson's of 1927); A. Agresti, B. Caffo, The American Statistician 54,
//! 2000; Wald's for comparison alone. Risk ratio: D. Katz et al., Biometrics 34, 1978. Newcombe's exists at 0 % and at
//! 100 %.

use crate::alpha::Alpha;
use crate::interval::Interval;
use crate::no_number::{NoNumber, finite};
use crate::p::P;
use crate::special::normal;

/// Units of one arm and how many of them converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    n: u64,
    successes: u64,
}

/// A test of normal theory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZTest {
    /// Standard errors between the difference and 0.
    pub z: f64,
    /// Of a difference this large, either way.
    pub p: P,
}

/// Treatment less control.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TwoProportions {
    /// The difference with Newcombe's interval.
    pub newcombe: Interval,
    /// … with Agresti's and Caffo's.
    pub agresti_caffo: Interval,
    /// … with Wald's: for large n alone.
    pub wald: Interval,
    /// With the variance of no effect; `ZeroVariance` where no unit differs from any other.
    pub pooled: Result<ZTest, NoNumber>,
    /// With the variance of the arms as they are; agrees with Wald's interval.
    pub unpooled: Result<ZTest, NoNumber>,
    /// The standard error of the latter.
    pub se_unpooled: f64,
    /// Treatment's share over control's, with an interval on the log scale; `ZeroDenominator` without conversions in
    /// either arm.
    pub risk_ratio: Result<Interval, NoNumber>,
}

impl Share {
    /// `OutOfRange` for more successes than units, `InsufficientData` for none.
    pub fn new(n: u64, successes: u64) -> Result<Self, NoNumber> {
        match n {
            0 => Err(NoNumber::InsufficientData),
            _ if successes > n => Err(NoNumber::OutOfRange),
            _ => Ok(Self { n, successes }),
        }
    }

    /// successes/n.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.successes as f64 / self.n as f64
    }

    /// Wilson's interval of this share alone, within [0, 1].
    #[must_use]
    pub fn wilson(&self, alpha: Alpha) -> Interval {
        let (n, p, z) = (self.n as f64, self.rate(), alpha.z());
        let shrink = 1.0 + z * z / n;
        let middle = (p + z * z / (2.0 * n)) / shrink;
        let half = z / shrink * (self.variance() + z * z / (4.0 * n * n)).sqrt();
        let (low, high) = ((middle - half).max(0.0), (middle + half).min(1.0));
        Interval { estimate: p, low: low.min(p), high: high.max(p) }
    }

    fn variance(&self) -> f64 {
        self.rate() * ((self.n - self.successes) as f64 / self.n as f64) / self.n as f64
    }
}

/// Compares two shares.
pub fn two_proportions(control: &Share, treatment: &Share, alpha: Alpha) -> Result<TwoProportions, NoNumber> {
    let z = alpha.z();
    let difference = treatment.rate() - control.rate();
    let se_unpooled = (treatment.variance() + control.variance()).sqrt();
    Ok(TwoProportions {
        newcombe: newcombe(control, treatment, alpha),
        agresti_caffo: agresti_caffo(control, treatment, z)?,
        wald: Interval::around(difference, z * se_unpooled)?,
        pooled: z_test(difference, pooled_variance(control, treatment).sqrt()),
        unpooled: z_test(difference, se_unpooled),
        se_unpooled,
        risk_ratio: risk_ratio(control, treatment, z),
    })
}

fn newcombe(control: &Share, treatment: &Share, alpha: Alpha) -> Interval {
    let (c, t) = (control.wilson(alpha), treatment.wilson(alpha));
    let difference = t.estimate - c.estimate;
    Interval {
        estimate: difference,
        low: difference - (t.estimate - t.low).hypot(c.high - c.estimate),
        high: difference + (t.high - t.estimate).hypot(c.estimate - c.low),
    }
}

/// Wald's, after one success and one failure more in each arm. It is not about the difference itself, so the ends are
/// widened to it where it lies outside.
fn agresti_caffo(control: &Share, treatment: &Share, z: f64) -> Result<Interval, NoNumber> {
    let more = |share: &Share| Share { n: share.n + 2, successes: share.successes + 1 };
    let (c, t) = (more(control), more(treatment));
    let interval = Interval::around(t.rate() - c.rate(), z * (t.variance() + c.variance()).sqrt())?;
    Ok(Interval { estimate: treatment.rate() - control.rate(), ..interval })
}

fn pooled_variance(control: &Share, treatment: &Share) -> f64 {
    let (nc, nt) = (control.n as f64, treatment.n as f64);
    let successes = control.successes as f64 + treatment.successes as f64;
    let p = successes / (nc + nt);
    let rest = (nc + nt - successes) / (nc + nt);
    p * rest * (1.0 / nt + 1.0 / nc)
}

fn z_test(difference: f64, se: f64) -> Result<ZTest, NoNumber> {
    if se <= 0.0 {
        return Err(NoNumber::ZeroVariance);
    }
    let z = finite(difference / se)?;
    Ok(ZTest { z, p: P::two_sided(normal::ln_upper_tail(z.abs())) })
}

fn risk_ratio(control: &Share, treatment: &Share, z: f64) -> Result<Interval, NoNumber> {
    if control.successes == 0 || treatment.successes == 0 {
        return Err(NoNumber::ZeroDenominator);
    }
    let part = |share: &Share| 1.0 / share.successes as f64 - 1.0 / share.n as f64;
    let ratio = treatment.rate() / control.rate();
    let half = z * (part(control) + part(treatment)).sqrt();
    Ok(Interval { estimate: finite(ratio)?, low: finite(ratio * (-half).exp())?, high: finite(ratio * half.exp())? })
}
