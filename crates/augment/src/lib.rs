//! Transforms: what training and prediction do to voxels before a network sees them.
//!
//! [`TrainTransform`] draws a sample's parameters ([`Params`]) from its address ([`SampleKey`])
//! and applies them: a random crop with its centre on papyrus, rotated, resized, flipped, turned,
//! brightened, spoilt, distorted, with a hole, normalised, mixed with another. All geometry is one
//! map of places, through which the volume is sampled once. The same address gives the same
//! sample, on any thread, in any order.
//! [`TestTransform`] reads a tile as the networks saw the world on average.
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
mod crop_box;
mod draw;
mod dropout;
mod error;
mod exact;
mod gaussian_blur;
mod geometry;
mod grid_distortion;
mod layer_taps;
mod marks;
mod mixing;
mod motion_blur;
mod noise;
mod normalize;
mod params;
mod rotation;
mod sample;
mod sampling;
mod settings;
mod slices;
mod spoil;
mod test_transform;
mod tilt;
mod tone;
mod train_transform;
mod vectors;
mod weighted_rows;

pub use dropout::Dropout;
pub use error::Error;
pub use grid_distortion::GridDistortion;
pub use mixing::{Mix, Mixing, MixingKind};
pub use normalize::normalize;
pub use params::Params;
pub use sample::{Sample, SampleKey, Scratch, Source};
pub use settings::{AugmentSettings, NoiseRange};
pub use slices::Slices;
pub use spoil::Spoil;
pub use test_transform::TestTransform;
pub use train_transform::TrainTransform;
