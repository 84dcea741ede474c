//! What holds for all shares, splits, families and beliefs.

use super::means::{agree, alphas, holds};
use crate::best::{Belief, chance_of_best};
use crate::beta_binomial::{Posterior, beta_binomial};
use crate::multiplicity::{benjamini_hochberg, bonferroni, holm};
use crate::p::running_minimum;
use crate::proportions::{Share, two_proportions};
use crate::{P, srm};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn families_keep_their_order(ps in prop::collection::vec(prop::option::of(0.0..1.0_f64), 1..30)) {
        let family: Vec<Option<P>> = ps.iter().map(|p| P::new((*p)?)).collect();
        let (strict, holm, bh) = (bonferroni(&family), holm(&family), benjamini_hochberg(&family));
        let mut ranked = Vec::new();
        for i in 0..family.len() {
            prop_assert_eq!(family[i].is_some(), holm[i].is_some());
            let Some(p) = family[i] else { continue };
            let at = [Some(p), bh[i], holm[i], strict[i]].map(|p| p.unwrap().log10());
            prop_assert!(at.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{at:?}");
            ranked.push((p.log10(), at));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        prop_assert!(ranked.windows(2).all(|pair| (0..4).all(|k| pair[0].1[k] <= pair[1].1[k] + 1e-12)));
        let looks = running_minimum(&family.iter().flatten().copied().collect::<Vec<_>>());
        prop_assert!(looks.windows(2).all(|pair| pair[1] <= pair[0]));
    }

    #[test]
    fn chances_of_all_add_up(
        beliefs in prop::collection::vec((-5.0..5.0_f64, 0.0..3.0_f64), 1..6), still in any::<bool>(),
    ) {
        let mut beliefs: Vec<Belief> = beliefs.into_iter().map(|(mean, sd)| Belief { mean, sd }).collect();
        beliefs[0].sd *= if still { 0.0 } else { 1.0 };
        let chances = chance_of_best(&beliefs).unwrap();
        prop_assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{chances:?}");
        prop_assert!(chances.iter().all(|chance| (0.0..=1.0 + 1e-9).contains(chance)), "{chances:?}");
    }

    #[test]
    fn two_shares_are_symmetric_and_hold_their_difference(
        (nc, nt) in (1_u64..100_000, 1_u64..100_000), (c, t) in (0.0..1.0_f64, 0.0..1.0_f64), alpha in alphas(),
    ) {
        let share = |n: u64, rate: f64| Share::new(n, (n as f64 * rate).round() as u64).unwrap();
        let (control, treatment) = (share(nc, c), share(nt, t));
        let there = two_proportions(&control, &treatment, alpha).unwrap();
        let back = two_proportions(&treatment, &control, alpha).unwrap();
        prop_assert!(holds(&there.newcombe) && holds(&there.wald) && holds(&control.wilson(alpha)));
        prop_assert!((there.newcombe.low + back.newcombe.high).abs() < 1e-12);
        prop_assert!(there.newcombe.low >= -1.0 - 1e-12 && there.newcombe.high <= 1.0 + 1e-12);
        prop_assert_eq!(there.pooled.map(|test| test.p), back.pooled.map(|test| test.p));
        if let Ok(test) = there.unpooled {
            prop_assert!(agree(test.p, alpha, &there.wald), "{there:?}");
        }
    }

    #[test]
    fn the_order_of_variations_does_not_break_a_split(
        counts in prop::collection::vec((0_u64..1_000_000, 0.01..1.0_f64), 2..8),
    ) {
        let test = |counts: &[(u64, f64)]| {
            let (counts, weights): (Vec<u64>, Vec<f64>) = counts.iter().copied().unzip();
            srm::chi_square(&counts, &weights)
        };
        let mut turned = counts.clone();
        turned.reverse();
        if let (Ok(there), Ok(back)) = (test(&counts), test(&turned)) {
            prop_assert!((there.chi2 - back.chi2).abs() <= 1e-9 * there.chi2.max(1.0) && there.df == back.df);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn beta_posteriors_share_one_chance(
        (nc, nt) in (0_u64..50_000, 0_u64..50_000), (c, t) in (0.0..1.0_f64, 0.0..1.0_f64), prior in 0.5..5.0_f64,
    ) {
        let posterior = |n: u64, rate: f64| Posterior::new(n, (n as f64 * rate) as u64, prior, prior).unwrap();
        let (control, treatment) = (posterior(nc, c), posterior(nt, t));
        let found = beta_binomial(&control, &treatment);
        prop_assert!((found.treatment_beats.value() + found.control_beats.value() - 1.0).abs() < 1e-6, "{found:?}");
        // What one gains on average is the difference of the two losses.
        let gain = treatment.a / (treatment.a + treatment.b) - control.a / (control.a + control.b);
        prop_assert!((found.loss_of_control - found.loss_of_treatment - gain).abs() < 1e-6, "{found:?} {gain}");
        let back = beta_binomial(&treatment, &control);
        prop_assert!((back.loss_of_control - found.loss_of_treatment).abs() < 1e-9);
    }
}
