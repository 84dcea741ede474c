//! Worlds in which a topic is made again by hand, at the worst time that the dice let come.

use super::*;
use crate::stores::Model;

/// Turns of a world, and worlds, within which a time comes that is looked for.
const TURNS: usize = 500;
const WORLDS: u64 = 200;
/// Times that are to be found.
const TIMES: usize = 5;

/// Worlds at the first time at which something is so, all of whose records but the first are counted somewhere.
fn worlds(model: Model, is_so: impl Fn(&World) -> bool) -> Vec<World> {
    let at_that_time = |seed| {
        let mut chance = Chance::new(seed);
        let setup = Setup { audited: false, topic_again: false, overrun: false, ..Setup::throw(model, &mut chance) };
        let mut world = World::new(setup, None, chance, Trace::default());
        let comes = (0..TURNS).any(|_| {
            world.turn().unwrap();
            world.is_counted() && is_so(&world)
        });
        comes.then_some(world)
    };
    let found: Vec<World> = (0..WORLDS).filter_map(at_that_time).take(TIMES).collect();
    assert_eq!(found.len(), TIMES, "in {WORLDS} worlds");
    found
}

/// Once seed 18,870: what the old topic had sent arrived after it was made again, and was held against the new one.
#[test]
fn a_write_of_the_old_topic_arrives_before_the_topic_is_made_again() {
    for &model in Model::ALL {
        for mut world in worlds(model, |world| world.site.stores.late() > 0) {
            world.make_topic_again().unwrap();
            assert_eq!(world.site.stores.late(), 0);
            world.site.stores.everything_arrives();
            assert_eq!(world.look(), Ok(()));
            world.settle().unwrap();
        }
    }
}

/// Once seed 55,911: a reader found cells of the old topic before anybody had noticed, and they were held against the
/// new.
#[test]
fn a_reader_finds_cells_of_the_old_topic_before_anybody_has_noticed() {
    for &model in Model::ALL {
        for mut world in worlds(model, |world| world.site.stores.late() == 0) {
            let keys: Vec<Vec<_>> =
                world.looker.oracles.iter().map(|oracle| oracle.keys(u64::MAX).cloned().collect()).collect();
            world.make_topic_again().unwrap();
            let known_again = |world: &World| {
                let keys = world.looker.oracles.iter().zip(&keys);
                keys.flat_map(|(oracle, old)| oracle.keys(u64::MAX).filter(|key| old.contains(key))).count()
            };
            for _ in 0..TURNS {
                let World { site, traffic, now_ms, chance, trace, .. } = &mut world;
                traffic.turn(&mut site.log, *now_ms, chance, trace);
                world.look().unwrap();
            }
            assert!(known_again(&world) > 0, "the new topic has no cell that the old one had");
            for _ in 0..TURNS {
                assert_eq!(world.stale_reader(), Ok(()));
            }
            world.settle().unwrap();
        }
    }
}
