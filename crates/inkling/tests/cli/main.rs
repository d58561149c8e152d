//! The real binary, as people and scripts run it.

mod bad_input;
mod demo;
mod events;
mod export;
mod foreign_fragments;
mod gallery;
mod limits;
mod painting_mistakes;
mod parts;
#[cfg(feature = "mpi")]
mod ranks;
mod recipes;
mod resume;
mod scrap;
mod training;
