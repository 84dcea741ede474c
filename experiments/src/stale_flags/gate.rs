//! How many fleets are read and judged at once.
//!
//! Always true here: a fleet may fill hundreds of megabytes, so at most [`AT_ONCE`] are held by the process; who waits
//! for longer than [`WAIT`] is told to come again.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::refusal::Refusal;

const AT_ONCE: usize = 2;
const WAIT: Duration = Duration::from_secs(8);

static GATE: Semaphore = Semaphore::const_new(AT_ONCE);

/// A place; it is free again when this is dropped.
pub(super) async fn enter() -> Result<SemaphorePermit<'static>, Refusal> {
    enter_of(&GATE, WAIT).await
}

async fn enter_of(gate: &Semaphore, wait: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
    timeout(wait, gate.acquire()).await.ok().and_then(Result::ok).ok_or_else(|| {
        let message = "other questions about all flags of a project are being answered; try again in some seconds";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_told_so_and_a_place_is_free_again_after_use() {
        let gate = Semaphore::new(AT_ONCE);
        let (_first, second) = (enter_of(&gate, WAIT).await.unwrap(), enter_of(&gate, WAIT).await.unwrap());
        let said = enter_of(&gate, WAIT).await.unwrap_err();
        assert_eq!((said.status, said.code), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
        drop(second);
        assert!(enter_of(&gate, WAIT).await.is_ok());
    }
}
