//! Tests of the whole: records made by `schemas` go into a log, cells come out of a store, and are compared with what a
//! few loops and maps say.

mod apart;
mod beginning;
mod bench;
mod driven;
mod exact;
mod moving;
mod oracle;
mod payloads;
mod poison;
mod power;
mod revoked;
mod rules;
mod seeds;
mod snapshots;
mod trouble;
mod unacknowledged;
