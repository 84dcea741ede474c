//! Tests of what two processes must agree on: golden bytes, round trips, the split rule, cell addresses, broken bytes.

mod addresses;
mod again;
mod broken;
mod describe;
mod experiment;
mod golden;
mod limits;
mod old_path;
mod payloads;
mod round_trip;
