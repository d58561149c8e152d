//! One file per command: flags in, calls, figures out.

mod align;
mod apart;
mod augment;
mod config;
mod cost_estimate;
mod curves;
mod cv;
mod demo;
mod downscale;
mod ensemble;
mod export;
mod fold;
mod folds;
mod forward;
mod info;
mod job;
mod join;
mod maps;
mod memory;
mod merge;
mod models;
mod precision;
mod predict;
mod record;
mod report;
mod run_fingerprint;
mod score;
mod sheet_warnings;
mod split;
mod submit;
mod synth;
mod threshold;
mod timing;
mod train;
mod validator;
mod warp;

use std::sync::OnceLock;

use burn::tensor::Device;
use inkling_fragment::{WriteOptions, ZarrVersion};
use inkling_model::DeviceName;
use inkling_train::Ranks;
use serde_json::Value;

use crate::cli::{Cli, Command, Format};
use crate::console::Console;

/// What every command may need besides its own flags.
pub struct Context<'a> {
    /// Where words go.
    pub console: &'a Console,
    /// The device asked for, looked for when a network is needed.
    asked: DeviceName,
    /// The device that was found.
    found: OnceLock<DeviceName>,
    /// Whether files may be overwritten.
    pub force: bool,
    /// The processes that train together.
    pub ranks: &'a Ranks,
}

impl Context<'_> {
    /// The device that networks run on, looked for on this machine the first time.
    pub fn device(&self) -> anyhow::Result<DeviceName> {
        if let Some(&name) = self.found.get() {
            return Ok(name);
        }
        let found = self.asked.find()?;
        for (name, reason) in &found.silent {
            tracing::warn!(
                "--device auto: {name} does not answer ({reason}); {} is used",
                found.name
            );
        }
        Ok(*self.found.get_or_init(|| found.name))
    }

    /// Opens the device.
    pub fn open_device(&self) -> anyhow::Result<Device> {
        Ok(self.device()?.open()?)
    }

    /// How fragments are written.
    pub fn write_options(&self, format: Format) -> WriteOptions {
        WriteOptions {
            force: self.force,
            zarr: match format {
                Format::Tiff => None,
                Format::Zarr => Some(ZarrVersion::V2),
                Format::Zarr3 => Some(ZarrVersion::V3),
            },
        }
    }
}

/// Stands in `--device` for a process's place among those of its machine.
const RANK: &str = "{rank}";

/// Does what the command line asks for and gives its figures.
pub fn run(cli: &Cli, console: &Console, ranks: &Ranks) -> anyhow::Result<Value> {
    let context = Context {
        console,
        asked: cli
            .device
            .replace(RANK, &ranks.local().to_string())
            .parse()?,
        found: OnceLock::new(),
        force: cli.force,
        ranks,
    };
    match &cli.command {
        Command::Demo(flags) => demo::run(flags, &context),
        Command::Synth(flags) => synth::run(flags, &context),
        Command::Curves(flags) => curves::run(flags, &context),
        Command::Align(flags) => align::run(flags, &context),
        Command::Warp(flags) => warp::run(flags, &context),
        Command::Split(flags) => split::run(flags, &context),
        Command::Downscale(flags) => downscale::run(flags, &context),
        Command::Cv(flags) => cv::run(flags, &context),
        Command::Config(flags) => config::run(flags, &context),
        Command::Augment(flags) => augment::run(flags, &context),
        Command::Train(flags) => train::run(flags, &context),
        Command::Predict(flags) => predict::run(flags, &context),
        Command::Merge(flags) => merge::run(flags, &context),
        Command::Threshold(flags) => threshold::run(flags, &context),
        Command::Score(flags) => score::run(flags, &context),
        Command::Submit(flags) => submit::run(flags, &context),
        Command::Forward(flags) => forward::run(flags, &context),
        Command::Report(flags) => report::run(flags, &context),
        Command::Export(flags) => export::run(flags, &context),
        Command::Models(flags) => models::run(flags, &context),
        Command::Info(flags) => info::run(flags, &context),
    }
}
