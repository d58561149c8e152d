//! Operations that burn's processor device, flex, is slow at.
//!
//! Each is one function on tensors that takes a faster way on flex, forward and backward, and burn's
//! own elsewhere: those that multiply ([`conv2d`], [`attend`], [`linear`]), and those that only pass
//! over their values ([`activate`], [`layer_norm`], [`add`], [`rearrange`] …). Loops are written so
//! that the compiler makes vectors of them; [`pulp`] compiles them for several generations of
//! processors and picks one at run time. Results do not depend on the number of threads. Products
//! multiply numbers of 32 bits, or of 16 within [`Numbers::within`].
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
mod batch_norm;
mod buffers;
mod channels;
mod convolution;
mod depthwise;
mod differentiable;
mod enlarge;
mod exponential;
mod features;
mod gated;
mod lattice;
mod layer_norm;
mod lengths;
mod linear;
mod matrix;
mod operations;
mod packed;
mod padded;
mod passes;
mod planes;
mod pointwise;
pub mod profile;
mod relative;
mod response_norm;
mod roll;
mod rotary;
mod star_relu;
mod tensors;
mod unfold;
mod vectors;

pub use activation::Activation;
pub use batch_norm::Scales;
pub use matrix::Numbers;
pub use operations::Kernels;
pub use passes::{
    Passes, add, add_scaled, batch_norm_train, expand_position_bias, gate, l2_normalize,
    mean_over_pixels, plain_turn, rearrange, respond, roll_maps, rope, scale_planes, star_relu,
    unfold_windows, upsample2x_concat,
};
pub use relative::pair_index;
pub use tensors::{
    activate, affine, attend, conv_transpose2d, conv2d, conv2d_affine, is_served, layer_norm,
    linear, plain_activation, plain_attention,
};
pub use unfold::Window;
