//! The real binary, as people and scripts run it.

mod approaches;
mod bad_input;
mod bare_papyrus;
mod datasets;
mod demo;
mod doctor;
mod events;
mod export;
mod foreign_fragments;
mod gallery;
mod kills;
mod limits;
mod masks;
mod odd_sheets;
mod one_truth;
mod parts;
mod prediction_mistakes;
mod production;
mod published;
#[cfg(feature = "mpi")]
mod ranks;
mod recipes;
mod remote_segments;
mod resume;
mod safe_files;
// That of the readers' own tests, which need more of it.
#[expect(dead_code)]
#[path = "../../../fragment/tests/remote/server.rs"]
mod server;
mod shells;
mod test_fragment;
mod training;
mod trust;
