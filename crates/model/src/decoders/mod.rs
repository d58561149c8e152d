//! Decoders: networks that turn an encoder's feature maps back into one fine map.

mod unet;

pub use unet::{Unet, UnetConfig};
