//! Operations that burn's processor device, flex, is slow at.
//!
//! Each is one function on tensors ([`activate`], [`conv2d`], [`attend`], [`layer_norm`],
//! [`linear`], [`affine`]) that takes a faster way on flex, forward and backward, and burn's own
//! elsewhere. Loops are written so that the compiler makes vectors of them; [`pulp`] compiles them
//! for several generations of processors and picks one at run time. Results do not
//! depend on the number of threads. Products multiply numbers of 32 bits, or of 16 within
//! [`Numbers::within`].
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use inkling_kernels::{Activation, activate};
//!
//! let x = Tensor::<1>::from_floats([-1.0, 0.0, 1.0], &Device::flex());
//! let y: Vec<f32> = activate(x, Activation::Silu).into_data().try_to_vec().unwrap();
//! assert!((y[2] - 0.731_058_6).abs() < 1e-6);
//! ```

mod activation;
mod attention;
mod buffers;
mod channels;
mod convolution;
mod depthwise;
mod differentiable;
mod exponential;
mod lattice;
mod layer_norm;
mod linear;
mod matrix;
mod operations;
mod padded;
mod pointwise;
pub mod profile;
mod tensors;
mod vectors;

pub use activation::Activation;
pub use matrix::Numbers;
pub use operations::Kernels;
pub use tensors::{
    activate, affine, attend, conv2d, is_served, layer_norm, linear, plain_activation,
    plain_attention,
};
