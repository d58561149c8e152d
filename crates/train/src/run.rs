use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use inkling_fragment::write_whole;
use serde::{Deserialize, Serialize};

use crate::{Error, Metric, Validation};

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

/// What TensorBoard's files are called.
pub(crate) const EVENTS_PREFIX: &str = "events.out.tfevents.";

/// A run's folder.
///
/// `last.safetensors` and `best.safetensors` hold weights to predict with (and
/// `best-<metric>.safetensors`, `epoch-NNNN.safetensors` where asked for), `metrics.jsonl` a line
/// per epoch, `resume.safetensors` all that is needed to go on. That file is written last: until
/// it is there, the epoch has not happened, and going on makes it again.
pub struct Run {
    folder: PathBuf,
    /// Held by the process that trains.
    _lock: Option<File>,
}

impl Run {
    /// Takes `folder` for a new run, or for one to go on with.
    ///
    /// # Errors
    /// [`Error::Run`] when a new run would overwrite an old one, or another process is at it.
    pub fn open(folder: &Path, resume: bool, force: bool) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let run = Self {
            folder: folder.to_owned(),
            _lock: Some(lock(folder)?),
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
        run.sweep(|name| name.starts_with(".tmp"))?;
        if !resume {
            run.sweep(|name| {
                name.ends_with(".safetensors")
                    || name == "metrics.jsonl"
                    || name.starts_with(EVENTS_PREFIX)
            })?;
        }
        Ok(run)
    }

    /// Looks at the run in `folder` without training on.
    pub fn view(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            _lock: None,
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The best epoch's weights by the first metric.
    pub fn best_path(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The best epoch's weights by a further metric.
    pub fn best_by_path(&self, metric: Metric) -> PathBuf {
        self.folder
            .join(format!("best-{}.safetensors", metric.name()))
    }

    /// One epoch's weights, while it is among the best.
    pub fn epoch_path(&self, epoch: u32) -> PathBuf {
        self.folder.join(format!("epoch-{epoch:04}.safetensors"))
    }

    /// The last epoch's weights.
    pub fn last_path(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// All that is needed to go on.
    pub fn resume_path(&self) -> PathBuf {
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

    /// Copies the last epoch's weights, whole or not at all.
    pub(crate) fn copy_last(&self, target: &Path) -> Result<(), Error> {
        let last = self.last_path();
        let mut source = File::open(&last).map_err(Error::io(&last))?;
        write_whole(target, true, |file| {
            std::io::copy(&mut source, file).map_err(Error::io(&last))?;
            Ok(())
        })
    }

    /// Removes the weights of single epochs that are no longer among the best.
    pub(crate) fn keep_weights(&self, epochs: &BTreeSet<u32>) -> Result<(), Error> {
        let kept: Vec<PathBuf> = epochs.iter().map(|&epoch| self.epoch_path(epoch)).collect();
        self.sweep(|name| {
            name.starts_with("epoch-")
                && name.ends_with(".safetensors")
                && !kept.contains(&self.folder.join(name))
        })
    }

    /// Removes the files whose names `goes` chooses.
    fn sweep(&self, goes: impl Fn(&str) -> bool) -> Result<(), Error> {
        for entry in std::fs::read_dir(&self.folder).map_err(Error::io(&self.folder))? {
            let path = entry.map_err(Error::io(&self.folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_file() && goes(&name) {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        Ok(())
    }
}

/// Two processes in one run would mix their epochs. The system lets go when a process ends,
/// however it ends.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(Error::io(&path))?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Run {
            path: folder.to_owned(),
            found: "a run that another process is training".to_owned(),
            expected: "one that nobody is at".to_owned(),
            mend: "wait for it, end it, or give --out another folder".to_owned(),
        }),
        // Some network file systems know no locks.
        _ => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_trained_by_one_process_and_old_weights_go() {
        let folder = tempfile::tempdir().unwrap();
        let run = Run::open(folder.path(), false, false).unwrap();
        let second = Run::open(folder.path(), true, false).err().unwrap();
        assert!(second.to_string().contains("another process"), "{second}");
        for epoch in 1..=4 {
            std::fs::write(run.epoch_path(epoch), "weights").unwrap();
        }
        std::fs::write(folder.path().join(".tmpXyz"), "half").unwrap();
        run.keep_weights(&[2, 4].into()).unwrap();
        let left: Vec<bool> = (1..=4)
            .map(|epoch| run.epoch_path(epoch).exists())
            .collect();
        assert_eq!(left, [false, true, false, true]);
        drop(run);
        Run::open(folder.path(), true, false).unwrap();
        assert!(!folder.path().join(".tmpXyz").exists());
    }
}
