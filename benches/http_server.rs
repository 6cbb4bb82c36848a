//! Small requests a second.
fn main() {}
