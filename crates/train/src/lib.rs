//! Training: the training set, the order of samples, the learning rate, and how a run is stored.
//!
//! [`TrainingSet`] draws samples from labelled fragments, each addressed by (seed, epoch, index);
//! [`Training`] runs the loop: batches through the network, a weighted sum of losses ([`Loss`]),
//! gradients accumulated and clipped, AdamW under a learning rate in pieces ([`Schedule`]); a [`Validate`]
//! scores every epoch on held-out fragments and the best weights are kept. A [`Run`] is the folder in which all of this survives a crash: one whole checkpoint per epoch, and one
//! JSON line of figures.
//!
//! ```
//! use inkling_train::{Schedule, TrainSettings};
//!
//! // The recipe's learning rate rises for a tenth of all steps, then falls along a cosine.
//! let settings = TrainSettings::default();
//! let rate = |step| settings.optimizer.learning_rate * settings.schedule.factor(step, 1000);
//! assert!(rate(0) < rate(100) && rate(100) > rate(999));
//! assert_eq!(settings.schedule, Schedule::default());
//! ```

mod adamw;
mod batch;
mod checkpoint;
mod epoch_stats;
mod error;
mod events;
#[cfg(test)]
mod fine_tuning;
mod freeze;
mod gradient_sum;
mod loader;
mod loss;
mod loss_scale;
mod model_ema;
#[cfg(feature = "mpi")]
mod mpi;
mod optimizer;
mod optimizer_settings;
mod ranking;
mod ranks;
mod replaced_tensors;
mod run;
mod run_fingerprint;
mod running_stats_backup;
mod sample_preview;
mod schedule;
mod settings;
mod sgd;
mod training;
mod training_set;
mod validate;
mod weight_sum;

pub use checkpoint::Progress;
pub use error::Error;
pub use events::Events;
pub use freeze::Freeze;
pub use loader::Loader;
pub use loss::Loss;
pub use loss_scale::LossScale;
#[cfg(feature = "mpi")]
pub use mpi::Joined;
pub use optimizer_settings::{OptimizerKind, OptimizerSettings};
pub use ranking::{Metric, Ranking};
pub use ranks::Ranks;
pub use run::{Epoch, Run};
pub use run_fingerprint::RunFingerprint;
pub use schedule::{Piece, Schedule, Shape};
pub use settings::TrainSettings;
pub use training::{Callback, Step, Training};
pub use training_set::{TrainingFragment, TrainingSet};
pub use validate::{Validate, Validation};
