//! How DynamoDB refuses a call: a row each, in the words and forms of its documentation ("Error handling with
//! DynamoDB").
//!
//! Always true here: each is one that a client is to try again.

use crate::dice::Dice;
use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::CONTENT_TYPE;

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    /// As `__type` has it.
    kind: &'static str,
    message: &'static str,
    /// The call takes effect, and nobody is told: an answer that was lost.
    pub(super) is_done_all_the_same: bool,
    /// How often it comes, among all.
    weight: u64,
}

/// Throttling above all; the rest is what a store in trouble says beside it.
const REFUSALS: &[Refusal] = &[
    Refusal {
        status: 400,
        kind: "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException",
        message: "The level of configured provisioned throughput for the table was exceeded. Consider increasing your \
                  provisioning level with the UpdateTable API.",
        is_done_all_the_same: false,
        weight: 10,
    },
    Refusal {
        status: 400,
        kind: "com.amazon.coral.availability#ThrottlingException",
        message: "Rate of requests exceeds the allowed throughput.",
        is_done_all_the_same: false,
        weight: 6,
    },
    Refusal {
        status: 400,
        kind: "com.amazonaws.dynamodb.v20120810#RequestLimitExceeded",
        message: "Throughput exceeds the current throughput limit for your account.",
        is_done_all_the_same: false,
        weight: 1,
    },
    Refusal {
        status: 500,
        kind: "com.amazonaws.dynamodb.v20120810#InternalServerError",
        message: "The request could not be processed because of an internal failure.",
        is_done_all_the_same: false,
        weight: 1,
    },
    Refusal {
        status: 500,
        kind: "com.amazonaws.dynamodb.v20120810#InternalServerError",
        message: "The request could not be processed because of an internal failure.",
        is_done_all_the_same: true,
        weight: 1,
    },
    Refusal {
        status: 503,
        kind: "com.amazon.coral.availability#ServiceUnavailableException",
        message: "Service unavailable. Please try again later.",
        is_done_all_the_same: false,
        weight: 1,
    },
];

impl Refusal {
    /// One of them, each as often as its weight says.
    pub(super) fn drawn(dice: &mut Dice) -> &'static Self {
        let mut drawn = dice.below(REFUSALS.iter().map(|refusal| refusal.weight).sum());
        let found = REFUSALS.iter().find(|refusal| {
            let is_it = drawn < refusal.weight;
            drawn = drawn.saturating_sub(refusal.weight);
            is_it
        });
        found.unwrap_or(&REFUSALS[0])
    }

    /// It, as the store would say it.
    pub(super) fn response(&self) -> Result<Response<Full<Bytes>>> {
        let body = serde_json::json!({ "__type": self.kind, "message": self.message });
        let response = Response::builder().status(self.status).header(CONTENT_TYPE, "application/x-amz-json-1.0");
        Ok(response.header("x-amzn-requestid", "refused-by-loadtest").body(Full::new(body.to_string().into()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn each_is_drawn_as_often_as_it_weighs() {
        let mut dice = Dice::new(1);
        let mut drawn: BTreeMap<(&str, bool), u64> = BTreeMap::new();
        for _ in 0..20_000 {
            let refusal = Refusal::drawn(&mut dice);
            *drawn.entry((refusal.kind, refusal.is_done_all_the_same)).or_default() += 1;
        }
        assert_eq!(REFUSALS.iter().map(|refusal| refusal.weight).sum::<u64>(), 20);
        for refusal in REFUSALS {
            let times = drawn[&(refusal.kind, refusal.is_done_all_the_same)];
            assert!(times.abs_diff(1_000 * refusal.weight) < 200, "{}: {times}", refusal.kind);
        }
    }
}
