use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::optim::{AdamWState, AdaptiveMomentumState};
use burn::tensor::{Device, Tensor, TensorData};
use inkling_fragment::write_whole;
use inkling_model::{Network, Tensors, save};
use serde::{Deserialize, Serialize};

use crate::optimizer::Optimizer;
use crate::{Error, Training, Validation};

/// One line of `metrics.jsonl`: an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// From 1.
    pub epoch: u32,
    /// Mean training loss.
    pub loss: f64,
    /// Learning rate at the epoch's last step.
    pub learning_rate: f64,
    /// Steps skipped because their loss was no number.
    pub skipped: u32,
    /// Seconds spent training.
    pub train_seconds: f64,
    /// Seconds spent validating.
    pub validation_seconds: f64,
    /// Absent for epochs that were not validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Finished epochs.
    pub epochs: u32,
    /// Optimiser steps taken.
    pub steps: u64,
    /// Best F0.5 so far, and its epoch.
    pub best: Option<(f64, u32)>,
    /// Hash of everything that must not change between a run's parts.
    pub fingerprint: String,
}

/// A run's folder: `best.safetensors`, `last.safetensors`, `resume.safetensors`,
/// `metrics.jsonl`.
pub struct Run {
    folder: PathBuf,
}

impl Run {
    /// Takes `folder` for a new run, or for one to go on with.
    ///
    /// # Errors
    /// [`Error::Run`] when a new run would overwrite an old one.
    pub fn open(folder: &Path, resume: bool, force: bool) -> Result<Self, Error> {
        let run = Self {
            folder: folder.to_owned(),
        };
        let used = run.metrics_path().exists() || run.resume_path().exists();
        if used && !resume && !force {
            return Err(Error::Run {
                path: folder.to_owned(),
                found: "a run".to_owned(),
                expected: "a new folder".to_owned(),
                mend: "give --resume to go on with it, or --force to begin anew".to_owned(),
            });
        }
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        if !resume {
            for old in [
                run.metrics_path(),
                run.resume_path(),
                run.best_path(),
                run.last_path(),
            ] {
                if old.exists() {
                    std::fs::remove_file(&old).map_err(Error::io(&old))?;
                }
            }
        }
        Ok(run)
    }

    /// The best epoch's weights.
    pub fn best_path(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The last epoch's weights.
    pub fn last_path(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    fn resume_path(&self) -> PathBuf {
        self.folder.join("resume.safetensors")
    }

    /// One JSON object per epoch.
    pub fn metrics_path(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    /// The epochs recorded so far.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Run`] for a damaged file.
    pub fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        let path = self.metrics_path();
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        text.lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Run {
                path,
                found: format!("a line that is no epoch ({error})"),
                expected: "one JSON object per line".to_owned(),
                mend: "remove the damaged line".to_owned(),
            })
    }

    pub(crate) fn record(&self, epoch: &Epoch) -> Result<(), Error> {
        let path = self.metrics_path();
        let line = serde_json::to_string(epoch).expect("an epoch is plain data");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        writeln!(file, "{line}").map_err(Error::io(&path))?;
        file.sync_data().map_err(Error::io(&path))
    }

    /// Drops epochs recorded after the checkpoint that the run goes on from.
    pub(crate) fn keep_epochs(&self, count: u32) -> Result<(), Error> {
        let path = self.metrics_path();
        if !path.exists() {
            return Ok(());
        }
        // A crash can leave the last line half-written; it lies after the checkpoint.
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        write_whole(&path, true, |file| {
            for line in text.lines().take(count as usize) {
                writeln!(file, "{line}").map_err(Error::io(&path))?;
            }
            Ok(())
        })
    }

    /// Writes everything needed to go on as one file, so that a crash leaves either the old
    /// state or the new one.
    pub(crate) fn checkpoint(
        &self,
        network: &Network,
        training: &Training<'_>,
        optimizer: &Optimizer,
        progress: &Progress,
    ) -> Result<(), Error> {
        let text = serde_json::to_string(progress).expect("progress is plain data");
        let mut metadata = training.metadata.clone();
        metadata.insert("inkling.progress".to_owned(), text);
        save(&self.last_path(), network, training.model, &metadata, true)?;
        let mut tensors = Tensors::read(&self.last_path())?;
        for (name, AdamWState { momentum }) in optimizer.moments() {
            let values = |tensor: &Tensor<1>| {
                tensor
                    .to_data()
                    .try_to_vec::<f32>()
                    .expect("moments are f32")
            };
            let (first, second) = (values(&momentum.moment_1), values(&momentum.moment_2));
            let time = vec![momentum.time as f32];
            tensors.insert(format!("moment_1.{name}"), vec![first.len()], first);
            tensors.insert(format!("moment_2.{name}"), vec![second.len()], second);
            tensors.insert(format!("time.{name}"), vec![1], time);
        }
        tensors.write(&self.resume_path(), true)?;
        Ok(())
    }

    /// Reads what [`checkpoint`](Self::checkpoint) wrote; `None` when there is nothing yet.
    pub(crate) fn restore(
        &self,
        network: Network,
        optimizer: &mut Optimizer,
        device: &Device,
    ) -> Result<(Network, Option<Progress>), Error> {
        let path = self.resume_path();
        if !path.exists() {
            return Ok((network, None));
        }
        let tensors = Tensors::read(&path)?;
        let progress = tensors.metadata().get("inkling.progress");
        let progress: Progress = progress
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| Error::Run {
                path: path.clone(),
                found: "a file without a run's progress".to_owned(),
                expected: "a checkpoint of `inkling train`".to_owned(),
                mend: "begin anew with --force".to_owned(),
            })?;
        let moment = |kind: &str, name: &str| {
            let values = tensors.values(&format!("{kind}.{name}"));
            let length = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [length]), device)
        };
        let names = tensors
            .names()
            .filter_map(|name| name.strip_prefix("moment_1."));
        for name in names {
            let time = tensors.values(&format!("time.{name}"));
            let momentum = AdaptiveMomentumState::new(
                time.first().map_or(0, |&steps| steps as usize),
                moment("moment_1", name),
                moment("moment_2", name),
            );
            optimizer.restore(name.to_owned(), AdamWState::new(momentum));
        }
        let is_moment = |name: &str| {
            ["moment_1.", "moment_2.", "time."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let weights = tensors
            .clone()
            .renamed(|name| (!is_moment(name)).then(|| name.to_owned()));
        let network = inkling_model::load_weights(network, &path, weights)?;
        Ok((network, Some(progress)))
    }

    /// Makes the last epoch's weights the best ones, whole or not at all.
    pub(crate) fn keep_as_best(&self) -> Result<(), Error> {
        let last = self.last_path();
        let mut source = File::open(&last).map_err(Error::io(&last))?;
        write_whole(self.best_path(), true, |file| {
            std::io::copy(&mut source, file).map_err(Error::io(&last))?;
            Ok(())
        })
    }
}
