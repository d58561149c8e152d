//! Operations that read and write each value once and are as fast as memory is.

pub mod backward;
pub mod ops;
pub mod tensors;
