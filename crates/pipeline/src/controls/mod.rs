//! Controls of a reading: the same network on what holds no ink, or holds it in another order.

mod control;
mod decoys;
mod fourier;
mod layer_order;
mod noise;
mod page;
mod reading;

pub use control::Control;
pub use reading::{ControlSettings, Controls, run_controls};
