//! The whole way from fragments to ink maps: what joins the libraries beneath.
//!
//! A [`Recipe`] is everything that an experiment depends on, read from TOML files laid over one
//! another, with single values set on top. [`open_fragments`] opens its fragments and [`folds`] splits
//! them into training and validation; [`train`] trains a [`Fold`], [`cross_validate`] all of them.
//! An [`Ensemble`] of trained networks predicts: a [`PredictionJob`] a fragment, whole or a shard of
//! it, which [`merge`] brings together. [`write_report`] shows what came of it; [`run_demo`] goes the
//! whole way on phantoms.
//!
//! All of these work within a [`Context`]: a device, the processes that train together, an
//! [`Observer`] who hears how far the work is, and whether earlier results may be replaced.
//!
//! ```
//! use inkling_pipeline::Recipe;
//!
//! let folder = tempfile::tempdir()?;
//! let file = folder.path().join("recipe.toml");
//! std::fs::write(&file, "[train]\nepochs = 30\n")?;
//! let recipe = Recipe::read(&[file], &["model.depth=12".to_owned()])?;
//! assert_eq!((recipe.train.epochs, recipe.model.depth), (30, 12));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alignment;
mod best_epoch;
mod calibrate;
mod centred_layers;
mod check_precision;
mod context;
mod controls;
mod cost_estimate;
mod cross_validation;
mod data_settings;
mod demo;
mod depth_maps;
mod ensemble;
mod first_weights;
mod fold;
mod fold_areas;
mod fold_audit;
mod folds;
mod image_region;
mod inputs;
mod leakage;
mod limit;
mod machine;
mod map_agreement;
mod maps;
mod margin;
mod memory;
mod merge;
mod merged_prediction;
mod model_file;
mod model_volume;
mod nnunet;
mod observer;
mod old_keys;
mod open_fragments;
mod overall_verdict;
mod padded_layers;
mod pooled_layers;
mod predict_fragment;
mod prediction_job;
mod production;
mod quotas;
mod recipe;
mod recipe_files;
mod record;
mod report;
mod report_views;
mod review;
mod run_fingerprint;
mod sheet_warnings;
mod submission_check;
mod submission_images;
mod supervision;
mod sweep;
mod thread_halves;
mod threshold_text;
mod threshold_transfer;
mod train_fold;
mod training_areas;
mod training_intensities;
mod training_monitor;
mod unread;
mod usage;
mod verify;
mod weights_file;
mod weights_metadata;
mod window_size;

pub use alignment::{fit_maps, maps_folder};
pub use best_epoch::best_epoch;
pub use calibrate::{CalibratedSheet, FittedCalibration, read_calibration};
pub use check_precision::check_precision;
pub use context::Context;
pub use controls::{Control, ControlSettings, Controls, run_controls};
pub use cost_estimate::Batch;
pub use cross_validation::cross_validate;
pub use data_settings::{DataSettings, Flip, ValidationBy, VoxelReading};
pub use demo::run_demo;
pub use depth_maps::{aligned, load_if_small, maps_of};
pub use ensemble::Ensemble;
pub use fold::Fold;
pub use fold_areas::FoldAreas;
pub use fold_audit::{AuditedFold, AuditedFragment, FoldAudit};
pub use folds::{choose_fold, folds};
pub use image_region::ImageRegion;
pub use inputs::{Inputs, check_distinct};
pub use limit::{CellLimit, DetectionLimit, LimitCheck, LimitSettings, detection_limit};
pub use machine::{Machine, memory, peak_resident};
pub use map_agreement::MapAgreement;
pub use maps::{Maps, maps_to_read};
pub use memory::{Budget, MemoryMeter, PROGRAM};
pub use merge::merge;
pub use merged_prediction::{ImageFiles, MergedPrediction, check_records, write_records};
pub use model_file::open_model;
pub use model_volume::model_volume;
pub use nnunet::{NnunetOptions, write_nnunet};
pub use observer::{Observer, Silent, Task};
pub use open_fragments::{open_distinct, open_fragments};
pub use padded_layers::PaddedLayers;
pub use pooled_layers::PooledLayers;
pub use prediction_job::{PredictionJob, PredictionOptions};
pub use production::{production_rules, sheet_of};
pub use recipe::Recipe;
pub use recipe_files::{Origins, is_of_model};
pub use report::write_report;
pub use report_views::curves_view;
pub use review::write_review;
pub use sheet_warnings::{Intensities, PapyrusSample};
pub use submission_check::{SubmissionCheck, SubmissionItem};
pub use submission_images::probability_images;
pub use supervision::{labels, training_fragment};
pub use sweep::{Consistency, SweepSettings, SweptReading, consistency, contact_sheet, sweep};
pub use thread_halves::{THREAD_STACK, in_two_halves};
pub use threshold_text::parse_threshold;
pub use threshold_transfer::threshold_transfer;
pub use train_fold::{ResumeOptions, train};
pub use training_areas::{TrainingArea, TrainingAreas, TrainingOverlap};
pub use usage::Usage;
pub use verify::{Verification, VerifiedPlace, VerifySettings, verify};
pub use weights_file::weights_file;
pub use weights_metadata::{Input, WeightsMetadata};
pub use window_size::{LARGEST_WINDOW, WindowSize, pixel_size};
