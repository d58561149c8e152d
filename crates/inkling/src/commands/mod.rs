//! One file per command: flags in, calls, figures out.

mod align;
mod audited_reading;
mod augment;
mod calibrate;
mod compare;
mod completions;
mod config;
mod controls;
mod curves;
mod cv;
mod demo;
mod doctor;
mod downscale;
mod export;
mod export_dataset;
mod folds;
mod forward;
mod info;
mod labelled_sheets;
mod limit;
mod man;
mod merge;
mod models;
mod predict;
mod report;
mod score;
mod split;
mod submit;
mod sweep;
mod synth;
mod threshold;
mod timing;
mod train;
mod training_data;
mod verify;
mod warp;

use inkling_pipeline::Context;
use inkling_train::Ranks;
use serde_json::Value;

use crate::allocator::Allocated;
use crate::cli::{Cli, Command};
use crate::console::Console;

/// Stands in `--device` for a process's place among those of its machine.
const RANK: &str = "{rank}";

/// Does what the command line asks for and gives its figures.
pub fn run(cli: &Cli, console: &Console, ranks: &Ranks) -> anyhow::Result<Value> {
    let device = cli.device.replace(RANK, &ranks.local().to_string());
    let version = crate::VERSION;
    let context = Context::new(console, &Allocated, ranks, device.parse()?, version);
    let context = context.replacing(cli.force);
    match &cli.command {
        Command::Demo(flags) => demo::run(flags, &context),
        Command::Synth(flags) => synth::run(flags, &context),
        Command::Curves(flags) => curves::run(flags, &context),
        Command::Align(flags) => align::run(flags, &context),
        Command::Warp(flags) => warp::run(flags, &context),
        Command::Split(flags) => split::run(flags, &context),
        Command::Downscale(flags) => downscale::run(flags, &context),
        Command::Cv(flags) => cv::run(flags, &context),
        Command::Folds(flags) => folds::run(flags, &context),
        Command::Config(flags) => config::run(flags, &context),
        Command::Augment(flags) => augment::run(flags, &context),
        Command::Train(flags) => train::run(flags, &context),
        Command::Predict(flags) => predict::run(flags, &context),
        Command::Merge(flags) => merge::run(flags, &context),
        Command::Threshold(flags) => threshold::run(flags, &context),
        Command::Score(flags) => score::run(flags, &context),
        Command::Calibrate(flags) => calibrate::run(flags, &context),
        Command::Controls(flags) => controls::run(flags, &context),
        Command::Limit(flags) => limit::run(flags, &context),
        Command::Compare(flags) => compare::run(flags, &context),
        Command::Verify(flags) => verify::run(flags, &context),
        Command::Sweep(flags) => sweep::run(flags, &context),
        Command::Submit(flags) => submit::run(flags, &context),
        Command::Forward(flags) => forward::run(flags, &context),
        Command::Report(flags) => report::run(flags, &context),
        Command::Export(flags) => export::run(flags, &context),
        Command::ExportDataset(flags) => export_dataset::run(flags, &context),
        Command::Models(flags) => models::run(flags, &context),
        Command::Info(flags) => info::run(flags, &context),
        Command::Completions(flags) => completions::run(flags, &context),
        Command::Man(flags) => man::run(flags, &context),
        Command::Doctor => doctor::run(&context),
    }
}
