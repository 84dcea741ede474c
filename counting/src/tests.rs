//! Tests of the whole: records made by `schemas`, folded by this package, compared with a naive fold.

mod bounds;
mod crash;
mod cuts;
pub(crate) mod dice;
mod join;
pub(crate) mod naive;
pub(crate) mod payloads;
pub(crate) mod world;

use std::sync::Once;

/// How many seeds a test tries: `FLAGSTREAM_SEEDS` where it is set, else as many as are quick. `--nocapture` shows it.
pub(crate) fn seeds(quick: u64) -> u64 {
    let seeds = match std::env::var("FLAGSTREAM_SEEDS") {
        Ok(seeds) => seeds.parse().unwrap_or_else(|e| panic!("FLAGSTREAM_SEEDS = {seeds:?}: {e}; give a number")),
        Err(_) => quick,
    };
    println!("{}: {seeds} seeds", std::thread::current().name().unwrap_or("a test"));
    seeds
}

/// Panics that a test asked for say nothing; all others are told as ever.
pub(crate) fn quiet_wanted_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let wanted = panic.payload().downcast_ref::<String>().is_some_and(|text| text.starts_with("a test wants"));
            if !wanted {
                told(panic);
            }
        }));
    });
}
