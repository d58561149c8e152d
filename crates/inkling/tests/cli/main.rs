//! The real binary, as people and scripts run it.

mod approaches;
mod bad_input;
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
#[cfg(feature = "mpi")]
mod ranks;
mod recipes;
mod resume;
mod safe_files;
mod test_fragment;
mod training;
mod trust;
