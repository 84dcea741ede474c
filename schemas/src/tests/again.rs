//! An encoder that is used again.
//!
//! Always true here: what an encoder wrote before, and to how many parts, leaves no trace in what it writes next.

use super::payloads::{RECEIVED_MS, environment, full};
use crate::event::Payload;
use crate::old_path::Gated;
use crate::record::{Encoder, Judged, Stamp, encode};
use crate::rejection::Rejections;
use crate::split::split;

#[test]
fn an_encoder_writes_the_same_whatever_it_wrote_before() {
    let environment = environment();
    let stamp = Stamp {
        environment: &environment,
        received_ms: RECEIVED_MS,
        carried: &Rejections::default(),
        gated: Gated::No,
    };
    let (whole, judged) = full();
    let all_late: Vec<_> = judged.iter().map(|judged| Judged { late: true, ..*judged }).collect();
    let counts_alone = Payload {
        elements: whole.elements.clone(),
        counts: whole.counts.clone(),
        id: whole.id.clone(),
        ..Payload::default()
    };
    let empty = Payload::default();
    let cases =
        [(&whole, &judged), (&counts_alone, &judged), (&whole, &all_late), (&empty, &judged), (&whole, &judged)];
    let mut encoder = Encoder::default();
    for (payload, judged) in cases {
        for partitions in [1, 4] {
            let split = split(&environment, payload, partitions);
            let again = encoder.encode(payload, &split, judged, &stamp);
            assert_eq!(again, encode(payload, &split, judged, &stamp));
            let gated = Stamp { gated: Gated::Both, ..stamp };
            let again = encoder.encode(payload, &split, judged, &gated);
            assert_eq!(again, encode(payload, &split, judged, &gated));
        }
    }
}
