//! The `model` crate's readers of weights by themselves: the crate brings burn, which takes ten
//! minutes to build, and they need nothing of it.

#[path = "../../crates/model/src/weights/pickle.rs"]
mod pickle;
#[path = "../../crates/model/src/weights/pytorch.rs"]
mod pytorch;
#[path = "../../crates/model/src/weights/tensors.rs"]
mod tensors;

pub use tensors::Tensors;

/// Reads a pickle.
pub fn read_pickle(bytes: &[u8]) {
    let _ = pickle::Pickle::read(bytes);
}
