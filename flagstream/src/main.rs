//! flagstream
fn main() {}
