//! The way from phantoms to ink maps through the library, without a process of its own.

mod folds;
mod phantoms;
mod whole_way;
