//! Named workloads, one JSON line each.

fn main() {}
