//! Tests of the package as its users see it: requests in, rows and replies out.

mod ask;
mod bodies;
mod counting_rules;
mod golden;
mod headers;
mod limits;
mod properties;
mod replies;
mod routes;
mod traps;
