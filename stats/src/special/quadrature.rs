//! Integrals of smooth functions: Gauss and Legendre's rule, on panels.

use std::f64::consts::PI;

/// Points of one panel.
const POINTS: usize = 16;

/// Points and weights on [−1, 1].
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    points: Vec<(f64, f64)>,
}

impl Rule {
    /// With `n` points, the roots of the Legendre polynomial of that degree, found by Newton's steps.
    pub(crate) fn new(n: usize) -> Self {
        let points = (0..n).map(|i| {
            let mut x = (PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (value, derivative) = legendre(n, x);
                slope = derivative;
                let step = value / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (x, 2.0 / ((1.0 - x * x) * slope * slope))
        });
        Self { points: points.collect() }
    }

    /// Points and weights on [low, high].
    pub(crate) fn on(&self, low: f64, high: f64) -> impl Iterator<Item = (f64, f64)> {
        let (middle, half) = (f64::midpoint(low, high), (high - low) / 2.0);
        self.points.iter().map(move |(x, weight)| (middle + half * x, weight * half))
    }
}

/// The polynomial of degree `n` and its derivative at `x`.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (0.0, 1.0);
    for j in 1..=n {
        let j = j as f64;
        (before, value) = (value, ((2.0 * j - 1.0) * x * value - (j - 1.0) * before) / j);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

/// ∫ f over [low, high], cut into `panels` equal parts.
pub(crate) fn integral(low: f64, high: f64, panels: u32, f: impl Fn(f64) -> f64) -> f64 {
    let width = (high - low) / f64::from(panels);
    let cuts: Vec<f64> = (0..=panels).map(|k| low + f64::from(k) * width).collect();
    integral_over(&cuts, f)
}

/// ∫ f from the first of `cuts` to the last, in ascending order, a panel between each two.
pub(crate) fn integral_over(cuts: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let rule = Rule::new(POINTS);
    let panel = |cut: &[f64]| rule.on(cut[0], cut[1]).map(|(x, weight)| weight * f(x)).sum::<f64>();
    cuts.windows(2).map(panel).sum()
}
