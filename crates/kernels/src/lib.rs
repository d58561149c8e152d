//! Operations that burn's processor device, flex, is slow at.
//!
//! Each is one function on tensors that runs a kernel of this crate on flex, forward and backward, and
//! burn's own operations elsewhere: those bound by multiplications ([`conv2d`], [`attention`],
//! [`linear`]), and those bound by memory ([`add`], [`rearrange`], [`grn`] …). Loops are written so
//! that the compiler makes vectors of them; [`pulp`] compiles them for several generations of
//! processors and picks one at run time, or what the variable `INKLING_SIMD` says ([`simd_level`]).
//! Results do not depend on the number of threads. The factors of products are f32, or rounded to
//! bf16 within [`MulPrecision::within`].
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
mod adamw;
mod attention;
mod batch_norm;
mod channel_affine;
mod channels_first;
mod channels_last;
mod compute;
mod computed;
mod conv3d;
mod conv3x3;
mod conv_unfolded;
mod depthwise;
mod dispatch;
mod exponential;
mod flex_tensors;
mod from_weights;
mod glu;
mod grn;
mod l2_normalize;
mod layer_norm;
mod linear;
mod matrix;
mod max_pool;
mod memory_bound;
mod over_layers;
mod padded;
mod peak;
mod plain;
mod pointwise;
mod position_bias;
pub mod profile;
mod roll;
mod rope;
mod simd;
mod star_relu;
mod strided_view;
mod upsample;
mod vectors;
mod weight_cache;
mod window_mask;
mod winograd;

pub use activation::Activation;
pub use adamw::{AdamWStep, adamw};
pub use batch_norm::BatchNormStats;
pub use compute::ops::ComputeOps;
pub use compute::tensors::{
    activate, add_activated, affine, attention, conv_transpose2d, conv2d, conv2d_affine,
    conv2d_affine_onto, conv2d_before_norm, conv3d, layer_norm, linear, plain_attention,
    plain_conv3d,
};
pub use conv_unfolded::Conv3dOptions;
pub use conv3d::DepthBorder;
pub use dispatch::{has_kernels, is_final, is_flex};
pub use from_weights::from_weights;
pub use glu::GateHalf;
pub use matrix::MulPrecision;
pub use max_pool::{PoolAxis, max_pool3d};
pub use memory_bound::ops::MemoryBoundOps;
pub use memory_bound::tensors::{
    add, add_scaled, batch_norm_train, expand_position_bias, global_avg_pool, glu, grn, group_norm,
    l2_normalize, plain_rope, rearrange, roll, rope, scale_channels, star_relu, upsample2x_concat,
};
pub use over_layers::{attend_over_layers, max_over_layers};
pub use peak::peak_flops;
pub use plain::plain_activation;
pub use position_bias::relative_position_index;
pub use simd::{SIMD_VARIABLE, SimdError, SimdLevel, simd_level};
pub use window_mask::add_window_mask;
