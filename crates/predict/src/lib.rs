//! Prediction of whole fragments' ink, and its scores.
//!
//! A [`Predictor`] infers overlapping tiles of a [`Sheet`] with test-time augmentation ([`Tta`]) and blends
//! the networks' probabilities ([`Blend`]) under the weights of a [`BlendWindow`], by the reference solution's
//! or a published program's [`InferenceRules`].
//! A [`PredictionSpec`] says what a prediction is made of; its tiles are kept in a [`TileStore`] until all are
//! there, by one process or many, and a [`PredictionImages`] writes the blended rows. [`score`]
//! compares a probability image with labels; [`run_lengths`] and [`submission`] write it as the
//! competition wants it; a [`Validator`] scores a network on held-out fragments while it is trained.
//!
//! ```
//! use inkling_predict::{Threshold, Tta, run_lengths, score};
//!
//! // Twelve-fold test-time augmentation takes eight passes.
//! let passes = Tta::Full.passes();
//! assert_eq!(passes.len(), 8);
//! assert_eq!(passes.iter().map(|pass| pass.weight).sum::<f32>(), 12.0);
//!
//! let predicted = ndarray::array![[0, 250], [240, 3]];
//! let ink = ndarray::array![[false, true], [true, false]];
//! let papyrus = ndarray::Array2::from_elem((2, 2), true);
//! assert_eq!(score(&predicted, &ink, &papyrus, Threshold::HALF)?.f05, 1.0);
//! assert_eq!(run_lengths(&predicted, Threshold::HALF), "2 2");
//! # Ok::<(), inkling_predict::Error>(())
//! ```

mod agreement;
mod batch_backoff;
mod blend;
mod blend_window;
mod block_counts;
mod blocks;
mod calibration;
mod channels;
mod comparison;
mod connected_regions;
mod distortion;
mod error;
mod held_out;
mod inference_rules;
mod intervals;
mod level_counts;
mod member;
mod metrics;
mod ordered_pipeline;
mod plan;
mod prediction;
mod prediction_images;
mod predictor;
mod score;
mod settings;
mod sheet;
mod skeleton;
mod sparsification;
mod submission;
mod threshold;
mod threshold_for_bare;
mod tile_count;
mod tile_file;
mod tile_inference;
mod tile_store;
mod tta;
mod validator;

pub use agreement::AgreementCounts;
pub use blend::{Blend, Rows, spline_weights};
pub use blend_window::BlendWindow;
pub use block_counts::BlockCounts;
pub use calibration::{Calibration, Reliability, Scaling};
pub use channels::Channels;
pub use comparison::{AgainstLabels, Comparison};
pub use error::Error;
pub use held_out::HeldOut;
pub use inference_rules::InferenceRules;
pub use intervals::{FEWEST_BLOCKS, Interval, Intervals, NamedFigure};
pub use member::Member;
pub use metrics::Metrics;
pub use plan::{ModelSpec, PredictionSpec, Shard};
pub use prediction::{Prediction, to_image};
pub use prediction_images::{ImageOptions, LARGEST_STD, PredictionImages, WrittenImages};
pub use predictor::{Predictor, TileSink, Timings};
pub use score::{Labelled, RegionScore, Score, score, score_all, score_regions};
pub use settings::{AverageSpace, PredictSettings};
pub use sheet::Sheet;
pub use sparsification::Sparsification;
pub use submission::{run_lengths, submission};
pub use threshold::Threshold;
pub use threshold_for_bare::{Bare, BareThreshold, threshold_for_bare};
pub use tile_count::check_count;
pub use tile_store::{ShardWriter, TileStore};
pub use tta::{Pass, Tta};
pub use validator::Validator;
