//! What happens to a whole topic: it is made again, its records are lost, its generation is followed by another, a node
//! does not fit it.
//!
//! Always true here: nobody folds a topic made again under the same generation; a node on other settings does not
//! start.

use counting::worker::{Input, Mode, Settings};
use schemas::generation::Generation;

use super::World;
use super::looking::Looker;
use crate::faults::Fault;
use crate::log::Log;
use crate::note;
use crate::process::Post;
use crate::stores::Stores;

/// Turns of traffic within which a topic is to become longer than another was.
const TURNS_MAX: usize = 600;

impl World {
    /// A node that was told other settings tries to fold.
    pub(super) fn strange_node(&mut self) -> Result<(), String> {
        let free = |post: &Post| self.seats[post.node][post.partition as usize].is_none();
        let posts: Vec<Post> = (0..self.seats.len())
            .flat_map(|node| (0..self.owners.len() as u32).map(move |partition| Post { node, partition }))
            .filter(free)
            .collect();
        // The first to come writes the generation's row: that one has it right.
        if posts.is_empty() || self.site.stores.generation(self.looker.generation).is_none() {
            return Ok(());
        }
        let post = self.chance.pick(&posts);
        let mut settings = self.settings(post);
        let fault = strange(&mut settings.generation, self.chance.below(6));
        if !self.chance.fault(fault, 700) {
            return Ok(());
        }
        note!(self.trace, "node {}/{}", post.node, post.partition; "tries to begin with other settings: {}", fault.name());
        if self.setup.mode == Mode::Apart && self.chance.percent(40) {
            return self.strange_node_at_an_empty_store(post.partition, settings);
        }
        match self.site.begin(post, settings, &mut self.chance, &mut self.trace) {
            Ok(mut seat) => {
                // Whoever let it begin is told by the numbers, or at the latest by this.
                seat.strange = true;
                self.strange = Some(format!("node {} began on other settings, and nobody minded", post.node));
                self.seats[post.node][post.partition as usize] = Some(seat);
            }
            Err(why) => note!(self.trace, "node {}/{}", post.node, post.partition; "does not begin: {why:?}"),
        }
        Ok(())
    }

    /// It was told another store as well, an empty one, where no row says that it is wrong: the log's own record does.
    fn strange_node_at_an_empty_store(&mut self, partition: u32, settings: Settings) -> Result<(), String> {
        let post = Post { node: self.seats.len(), partition };
        note!(self.trace, "node {}/{partition}", post.node; "has an empty store of its own");
        let stores = std::mem::replace(&mut self.site.stores, Stores::new(self.setup.model, None));
        let objects = std::mem::take(&mut self.site.objects);
        let begun = self.site.begin(post, settings, &mut self.chance, &mut self.trace);
        (self.site.stores, self.site.objects) = (stores, objects);
        let Ok(mut seat) = begun else { return Ok(()) };
        if seat.next < self.site.log.range(partition).from {
            return Err(began_in_a_gap(post));
        }
        let first = self.site.log.read(partition, seat.next, 1);
        if first.is_empty() {
            return Ok(());
        }
        match seat.give(Input::Batch(first)) {
            Err(_) => Ok(()),
            Ok(()) => Err(format!("a node on other settings folds partition {partition} of this log")),
        }
    }

    /// Somebody deletes the topic and makes it again under the same name and generation.
    pub(super) fn topic_again(&mut self) -> Result<(), String> {
        if self.looker.old.is_some() {
            return Ok(());
        }
        if !self.is_counted() {
            note!(self.trace, "topic", "is not made again: {}", self.why_not_counted());
            return Ok(());
        }
        if !self.chance.fault(Fault::TopicAgain, 500) {
            return Ok(());
        }
        self.make_topic_again()?;
        if self.chance.percent(50) {
            self.grow_beyond_what_was_counted();
        }
        Ok(())
    }

    /// Whether everybody can tell the topic from one of which nothing was counted.
    pub(super) fn is_counted(&self) -> bool {
        // Whoever begins is to find a checkpoint that says more than that the generation's own record was read: a topic
        // made again before that is a topic of which nothing was counted, for all that anybody can tell.
        self.counted_by_readers().0
    }

    /// Whether every reader finds such a checkpoint in every partition, and whether only some do in one.
    pub(super) fn counted_by_readers(&self) -> (bool, bool) {
        let generation = self.looker.generation;
        let partitions = self.setup.generation.partitions as usize;
        let (mut readers, mut counted) = (0, vec![0; partitions]);
        self.site.stores.every_view(|view| {
            readers += 1;
            for (partition, counted) in (0..).zip(&mut counted) {
                let position = view.checkpoint(generation, partition).map_or(0, |at| at.position);
                *counted += usize::from(position >= 2);
            }
        });
        (counted.iter().all(|by| *by == readers), counted.iter().any(|by| (1..readers).contains(by)))
    }

    fn why_not_counted(&self) -> &'static str {
        if self.counted_by_readers().1 {
            "a reader misses a checkpoint that another finds"
        } else {
            "it is not counted"
        }
    }

    pub(super) fn make_topic_again(&mut self) -> Result<(), String> {
        note!(self.trace, "topic", "is made again under the same name");
        self.everybody_ends()?;
        let old = std::mem::replace(&mut self.site.log, Log::new(&self.setup.generation, self.now_ms));
        self.looker = Looker::new(&self.setup.generation);
        self.looker.old = Some(old);
        self.traffic.topic_again();
        Ok(())
    }

    /// The log lets go records that are counted in no state any more: disks and snapshots of a partition are gone.
    pub(super) fn overrun(&mut self) -> Result<(), String> {
        let partition = self.chance.below(self.owners.len()) as u32;
        let end = self.site.log.range(partition).to;
        let below = 1 + self.chance.below(usize::try_from(end).unwrap_or(usize::MAX)) as u64;
        if self.looker.cut.is_some() || !self.chance.fault(Fault::Overrun, 500) {
            return Ok(());
        }
        self.everybody_ends()?;
        self.site.log.retain(partition, below);
        let from = self.site.log.range(partition).from;
        note!(
            self.trace,
            "log",
            "partition {partition} loses what is below {from}, its disks and its snapshots are gone"
        );
        (0..self.seats.len()).for_each(|node| self.site.disks.lose(node, partition));
        self.site.objects.lose(self.looker.generation, partition);
        self.looker.cut = Some((partition, from));
        Ok(())
    }

    /// Nobody folds for a while: the new topic becomes longer than the old one was, and its end tells nothing.
    fn grow_beyond_what_was_counted(&mut self) {
        let Self { site, traffic, now_ms, chance, trace, looker, .. } = self;
        for _ in 0..TURNS_MAX {
            let mut counted = vec![0; looker.oracles.len()];
            site.stores.every_view(|view| {
                for (partition, counted) in (0..).zip(&mut counted) {
                    let position = view.checkpoint(looker.generation, partition).map_or(0, |at| at.position);
                    *counted = position.max(*counted);
                }
            });
            if (0..).zip(&counted).all(|(partition, counted)| site.log.range(partition).to > *counted) {
                chance.tally.add(Fault::OtherLog);
                return;
            }
            traffic.turn(&mut site.log, *now_ms, chance, trace);
        }
    }

    /// People were told, and begin another generation.
    pub(super) fn next_generation(&mut self) -> Result<(), String> {
        self.everybody_ends()?;
        self.setup.generation.number += 1;
        note!(self.trace, "people", "begin generation {}", self.setup.generation.number);
        self.site.log = Log::new(&self.setup.generation, self.now_ms);
        self.site.disks = crate::disks::Disks::new(self.setup.failing_disks);
        self.looker = Looker::new(&self.setup.generation);
        self.traffic.topic_again();
        Ok(())
    }

    /// All processes end, and what they had sent arrives while it can still be held against its own log.
    fn everybody_ends(&mut self) -> Result<(), String> {
        for node in 0..self.seats.len() {
            for partition in 0..self.owners.len() {
                self.give(Post { node, partition: partition as u32 }, Input::Revoked)?;
                self.seats[node][partition] = None;
            }
        }
        self.site.stores.everything_arrives();
        self.look()
    }
}

/// A worker began below what its partition holds.
pub(super) fn began_in_a_gap(post: Post) -> String {
    format!("the worker of node {}, partition {} began where records are lost", post.node, post.partition)
}

/// Another value for one of the things that a generation fixes.
fn strange(generation: &mut Generation, which: usize) -> Fault {
    match which {
        0 => generation.dedupe_records += 1,
        1 => generation.fold.flags_max += 1,
        2 => generation.fold.usage_pairs_max += 1,
        3 => generation.clock.lateness_ms += 60_000,
        4 => generation.fold_version += 1,
        _ => {
            generation.partitions += 1;
            return Fault::PartitionsChanged;
        }
    }
    Fault::OtherSettings
}
