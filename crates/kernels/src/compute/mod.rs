//! Operations whose time is spent in multiplications: convolutions, linear layers, attention, and the
//! activations and layer norms beside them.

pub mod backward;
pub mod ops;
pub mod tensors;
