//! The real binary, as people and scripts run it.

mod bad_input;
mod demo;
mod events;
mod foreign_fragments;
mod gallery;
mod painting_mistakes;
mod parts;
mod recipes;
mod resume;
mod scrap;
mod training;
