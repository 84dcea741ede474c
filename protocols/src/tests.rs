//! Tests of the package as its users see it: requests in, rows and replies out.

mod golden;
