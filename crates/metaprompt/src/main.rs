//! The `metaprompt` command line.
fn main() {}
