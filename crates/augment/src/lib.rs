//! Transforms: what training and prediction do to voxels before a network sees them.
//!
//! [`TrainTransform`] draws a sample's parameters ([`Params`]) from its address ([`SampleKey`])
//! and applies them: a random crop with its centre on papyrus, resized, flipped, turned,
//! brightened, normalised. The same address gives the same sample, on any thread, in any order.
//! [`TestTransform`] reads a tile as the networks saw the world on average.
//!
//! ```
//! use inkling_augment::{AugmentSettings, SampleKey, Source, TrainTransform};
//! use ndarray::{Array2, Array3};
//!
//! let volume = Array3::<u16>::from_elem((24, 90, 80), 30_000);
//! let mask = Array2::from_elem((90, 80), true);
//! let source = Source { volume: &volume, mask: &mask, labels: None, z: 0..24 };
//! let transform = TrainTransform::new(AugmentSettings::default(), 32, 18)?;
//! let key = SampleKey { seed: 1, epoch: 0, index: 5 };
//! let params = transform.draw(&source, key)?;
//! let sample = transform.apply(&source, &params)?;
//! assert_eq!(sample.volume.dim(), (18, 32, 32));
//! assert_eq!(params, transform.draw(&source, key)?);
//! # Ok::<(), inkling_augment::Error>(())
//! ```

mod error;
mod normalize;
mod resample;
mod sample;
mod settings;
mod test_transform;
mod train_transform;

pub use error::Error;
pub use normalize::normalize;
pub use sample::{Sample, SampleKey, Source};
pub use settings::AugmentSettings;
pub use test_transform::TestTransform;
pub use train_transform::{Params, TrainTransform};
