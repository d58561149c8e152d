//! Where a command works: its device, its processes, who hears of it, and what it may replace.

use std::sync::OnceLock;

use burn::tensor::Device;
use inkling_fragment::WriteOptions;
use inkling_model::DeviceName;
use inkling_train::Ranks;

use crate::memory::MemoryMeter;
use crate::observer::{Observer, Task};

/// What every step of the way needs besides its own settings.
pub struct Context<'a> {
    /// Who hears how far the work is.
    pub observer: &'a dyn Observer,
    /// Counts this process's memory.
    pub memory: &'a dyn MemoryMeter,
    /// The processes that train together.
    pub ranks: &'a Ranks,
    /// Whether results of earlier calls may be replaced (`--force`).
    pub force: bool,
    /// The program's version and commit, which runs and predictions remember.
    pub version: &'a str,
    /// The device asked for, looked for when a network is needed.
    asked: DeviceName,
    /// The device that was found.
    found: OnceLock<DeviceName>,
}

impl<'a> Context<'a> {
    /// A context that is heard by `observer`, which replaces nothing.
    pub fn new(
        observer: &'a dyn Observer,
        memory: &'a dyn MemoryMeter,
        ranks: &'a Ranks,
        device: DeviceName,
        version: &'a str,
    ) -> Self {
        Self {
            observer,
            memory,
            ranks,
            force: false,
            version,
            asked: device,
            found: OnceLock::new(),
        }
    }

    /// The same, replacing earlier results if `force`.
    #[must_use]
    pub fn replacing(self, force: bool) -> Self {
        Self { force, ..self }
    }

    /// A line for people.
    pub fn say(&self, line: impl AsRef<str>) {
        self.observer.say(line.as_ref());
    }

    /// Begins a task; dropping it ends it.
    pub fn task(&self, name: &str) -> Box<dyn Task> {
        self.observer.task(name)
    }

    /// The device that networks run on, looked for on this machine the first time.
    ///
    /// # Errors
    /// A device that is not there, or not in this build.
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
    ///
    /// # Errors
    /// Those of [`device`](Self::device).
    pub fn open_device(&self) -> anyhow::Result<Device> {
        Ok(self.device()?.open()?)
    }

    /// How fragments are written: as TIFF layers, or as OME-Zarr of a version.
    pub fn write_options(&self, zarr: Option<inkling_fragment::ZarrVersion>) -> WriteOptions {
        WriteOptions {
            force: self.force,
            zarr,
        }
    }
}
