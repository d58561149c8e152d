//! Transforms: what training and prediction do to voxels before a network sees them.
//!
//! [`TrainTransform`] draws a sample's parameters ([`Params`]) from its address ([`SampleKey`])
//! and applies them: a random crop with its centre on papyrus, rotated, resized, flipped, turned,
//! brightened, with noise or blur, distorted, with a hole, normalised, mixed with another. All
//! geometry is one map of places, through which the volume is sampled once. The same address gives
//! the same sample, on any thread, in any order. Each transform is one file; `transforms.rs` lists
//! them.
//! [`TestTransform`] reads a tile of prediction: the central layers, neither moved nor changed.
//!
//! ```
//! use inkling_augment::{AugmentSettings, SampleKey, Scratch, Source, TrainTransform};
//! use ndarray::{Array2, Array3};
//!
//! let volume = Array3::<u16>::from_elem((24, 90, 80), 30_000);
//! let mask = Array2::from_elem((90, 80), true);
//! let source = Source { volume: &volume, mask: &mask, labels: None, supervision: None, z: 0..24 };
//! let transform = TrainTransform::new(AugmentSettings::default(), 32, 18)?;
//! let key = SampleKey { seed: 1, epoch: 0, index: 5 };
//! let params = transform.draw(&source, key)?;
//! let sample = transform.apply(&source, &params, &mut Scratch::default())?;
//! assert_eq!(sample.volume.dim(), (18, 32, 32));
//! assert_eq!(params, transform.draw(&source, key)?);
//! # Ok::<(), inkling_augment::Error>(())
//! ```

mod border;
mod contrast_brightness;
mod crop_box;
mod crop_layers;
mod crop_settings;
mod crop_stage;
mod degradation;
mod dropout;
mod error;
mod gallery;
mod gaussian_blur;
mod gaussian_noise;
mod geometry;
mod grid_distortion;
mod horizontal_flip;
mod image_rotation;
mod layer_taps;
mod mixing;
mod motion_blur;
mod nearest_masks;
mod negative;
mod noise;
mod normalize;
mod place_maps;
mod quarter_turns;
mod range_checks;
mod registry;
mod rotation;
mod sample;
mod sampling;
mod settings_group;
mod step;
mod test_transform;
mod tilt;
mod tone;
mod train_transform;
mod transform;
mod transforms;
mod vectors;
mod vertical_flip;
mod weighted_rows;

pub use contrast_brightness::ContrastBrightnessSettings;
pub use crop_layers::Slices;
pub use crop_settings::CropSettings;
pub use degradation::{Degradation, DegradationSettings};
pub use dropout::{Dropout, DropoutSettings};
pub use error::Error;
pub use gallery::GalleryVariant;
pub use gaussian_blur::{GaussianBlur, GaussianBlurSettings};
pub use gaussian_noise::{GaussianNoise, GaussianNoiseSettings, NoiseRange};
pub use grid_distortion::{GridDistortion, GridDistortionSettings};
pub use horizontal_flip::HorizontalFlipSettings;
pub use mixing::{Mix, Mixing, MixingKind};
pub use motion_blur::{MotionBlur, MotionBlurSettings};
pub use negative::{Negative, NegativeSettings};
pub use normalize::{DENORMALIZE, normalize};
pub use quarter_turns::QuarterTurnsSettings;
pub use rotation::RotationSettings;
pub use sample::{Sample, SampleKey, SampleMut, Scratch, Source};
pub use test_transform::TestTransform;
pub use tilt::TiltSettings;
pub use train_transform::TrainTransform;
pub use transforms::{AugmentSettings, Params};
pub use vertical_flip::VerticalFlipSettings;
