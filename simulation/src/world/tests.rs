//! Worlds in which a topic is made again by hand, at the worst time that the dice let come.

use schemas::log::Append;

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

/// Once seed 1,078,334: the topic was made again while one reader still found the checkpoint of its first record.
#[test]
fn a_topic_stays_while_a_reader_misses_the_checkpoint_that_another_finds() {
    let mut times = 0;
    for seed in 0..WORLDS {
        let mut chance = Chance::new(seed);
        let setup = Setup { topic_again: false, overrun: false, ..Setup::throw(Model::LastWriteWins, &mut chance) };
        let mut world = World::new(setup, None, chance, Trace::default());
        for _ in 0..TURNS {
            world.turn().unwrap();
            let (_, only_some) = world.counted_by_readers();
            times += usize::from(only_some);
            if only_some {
                world.topic_again().unwrap();
                assert!(world.looker.old.is_none(), "seed {seed}");
            }
        }
    }
    assert!(times >= TIMES, "{times} times in {WORLDS} worlds");
}

/// Once seeds 2,276,449 and 2,287,022: records sent again took the very places in the new topic that they had in the
/// old.
#[test]
fn a_topic_made_again_of_the_same_records_is_followed_by_another_generation() {
    for &model in Model::ALL {
        for mut world in worlds(model, |_| true) {
            let partitions = world.site.log.partitions();
            let old: Vec<_> = (0..partitions).map(|partition| world.site.log.all(partition).to_vec()).collect();
            world.make_topic_again().unwrap();
            for (partition, records) in (0..).zip(old) {
                for logged in records.into_iter().skip(1) {
                    let append = Append { partition, header: logged.header, body: logged.body };
                    world.site.log.append(&append, world.now_ms, &mut world.chance);
                }
            }
            let (generation, untold) = (world.looker.generation, world.chance.tally.of(Fault::TopicUntold));
            world.settle().unwrap();
            assert_eq!(world.chance.tally.of(Fault::TopicUntold), untold + 1);
            assert_eq!(world.looker.generation, generation + 1);
        }
    }
}
