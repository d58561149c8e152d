//! Weights on disk: one safetensors file under PyTorch's names, the resolved settings in its
//! metadata, so that a file alone can predict.

mod adapt;
mod export;
mod file;
mod foreign_names;
mod hub;
mod hub_client;
mod inflate;
mod names;
mod pickle;
mod pytorch;
mod read;
mod resample;
mod safetensors_file;
mod tensors;

pub use export::Naming;
pub(crate) use file::SETTINGS_KEY;
pub use file::{
    Checkpoint, EncoderReport, WeightsFile, load, load_encoder, load_weights, save,
    sha256 as file_sha256,
};
pub use hub::{Hub, HubFile, revision_of};
pub use names::{
    Mismatch, NamedMapper, NamedVisitor, map_named, parameter_count, tensor_names, visit_named,
};
pub use tensors::Tensors;
