//! Finds ink that nobody can see in X-ray scans of carbonised papyrus
fn main() {}
