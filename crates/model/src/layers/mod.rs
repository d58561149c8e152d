//! Layers with PyTorch's parameter names and shapes.
//!
//! burn-nn has most of these, under other names (`gamma`, `beta`) and with transposed linear
//! weights. Here a field is called what PyTorch calls it, so that a module's path *is* its
//! tensor's name in a weights file and no renaming table can be wrong.

mod acs_conv;
mod batch_norm;
mod constant;
mod conv;
mod conv2d;
mod conv3d;
mod conv_transpose2d;
mod depth;
mod drop_path;
mod dropout;
mod folded;
mod group_norm;
mod heads;
mod initializer;
mod layer_norm;
mod layer_scale;
mod layer_window;
mod linear;
mod mlp;
mod normed_volume_conv;
mod partition;
mod projection;
mod relative_position;
mod relative_position_table;
mod resize;
mod response_norm;
mod rotary;
mod scse;
mod squeeze_excite;
mod star_relu;
mod swiglu;
mod volume_conv;

pub use batch_norm::{BatchNorm2d, BatchNorm2dConfig};
pub use constant::Constant;
pub use conv::Conv;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::{Conv2d, Conv2dConfig};
pub use depth::Depth;
pub use drop_path::{DropPath, drop_path_rates};
pub use dropout::Dropout;
pub use folded::{
    DepthPadding, in_parts, max_pool, mean_of_layers, repeat_layers, resize_layers, roll_layers,
    unfolded,
};
pub use group_norm::GroupNorm;
pub use heads::split_heads;
pub use initializer::Initializer;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use layer_scale::{LayerScale, LayerScaleConfig};
pub use layer_window::LayerWindow;
pub use linear::{Linear, LinearConfig};
pub use mlp::{Mlp, MlpConfig};
pub use normed_volume_conv::NormedVolumeConv;
pub use partition::{Partition, PartitionKind};
pub use projection::Projection;
pub use relative_position::{RelativePositionMlp, RelativePositionMlpConfig};
pub use relative_position_table::RelativePositionTable;
pub use resize::Resize;
pub use response_norm::{GlobalResponseNorm, GlobalResponseNormConfig};
pub use rotary::{Rotary, RotaryAngles};
pub use scse::Scse;
pub use squeeze_excite::{SqueezeExcite, SqueezeExciteConfig};
pub use star_relu::StarRelu;
pub use swiglu::{SwiGlu, SwiGluConfig};
pub use volume_conv::{VolumeConv, VolumeConvConfig, same_border};
