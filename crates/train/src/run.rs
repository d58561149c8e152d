use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use inkling_fragment::{ResultFolder, ResultKind, locked, read_text, write_whole};
use serde::{Deserialize, Serialize};

use crate::{Error, Metric, Validation};

/// One line of `metrics.jsonl`: an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u32,
    /// Mean loss over the epoch's optimiser steps that were not skipped.
    pub loss: f64,
    /// Learning rate at the epoch's last step.
    pub learning_rate: f64,
    /// Optimiser steps skipped because their loss was NaN or infinite.
    pub skipped: u32,
    /// Seconds that its optimiser steps took.
    pub train_seconds: f64,
    /// Seconds that validation took.
    pub validation_seconds: f64,
    /// Absent for epochs that were not validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<Validation>,
}

/// The file of a run's epochs.
const METRICS: &str = "metrics.jsonl";

/// Most bytes of it: a million epochs of half a kilobyte.
const LONGEST_METRICS: u64 = 512 << 20;

/// What TensorBoard's files are called.
pub(crate) const EVENTS_PREFIX: &str = "events.out.tfevents.";

/// A run's folder.
///
/// `last.safetensors` and `best.safetensors` hold weights to predict with (and
/// `best-<metric>.safetensors`, `epoch-NNNN.safetensors` where asked for), `metrics.jsonl` a line
/// per epoch, `resume.safetensors` all that is needed to resume. That file is written last: until
/// it is there, the epoch has not happened, and resuming makes it again.
///
/// The folder carries a mark ([`ResultFolder`]), and only files that a run wrote are ever replaced
/// or removed in it.
pub struct Run {
    folder: PathBuf,
    /// Set while an old run lies in the folder that a new one is to replace.
    replaces: AtomicBool,
    /// Held by the process that trains.
    lock: Option<(File, ResultFolder)>,
}

impl Run {
    /// Takes `folder` for a new run, or for one to resume. With `force` an old run may be replaced;
    /// it stays as it is until [`begin_anew`](Self::begin_anew).
    ///
    /// # Errors
    /// [`Error::Fragment`] when the folder holds other things than a run; [`Error::Run`] when a new
    /// run would replace an old one unasked, or another process is training it.
    pub fn open(folder: &Path, resume: bool, force: bool) -> Result<Self, Error> {
        let marked = ResultFolder::check_own(folder, ResultKind::Run);
        let old_version = marked.is_err() && resume && is_resumable(folder);
        if !old_version {
            marked?;
        }
        let results = match old_version {
            true => ResultFolder::shared(folder, ResultKind::Run),
            false => ResultFolder::own(folder, ResultKind::Run)?,
        };
        let lock = lock(folder)?;
        if old_version {
            take_over(&results)?;
        }
        let run = Self {
            folder: folder.to_owned(),
            replaces: AtomicBool::new(false),
            lock: Some((lock, results)),
        };
        let used = run.metrics_path().exists() || run.resume_path().exists();
        if used && !resume && !force {
            return Err(Error::Run {
                path: folder.to_owned(),
                found: "a run".to_owned(),
                expected: "a new folder".to_owned(),
                hint: "give --resume to continue it, --force to replace it, or --out another \
                       folder"
                    .to_owned(),
            });
        }
        run.replaces.store(used && !resume, Ordering::Relaxed);
        Ok(run)
    }

    /// Whether an old run is still to be replaced by this one.
    pub fn replaces_another(&self) -> bool {
        self.replaces.load(Ordering::Relaxed)
    }

    /// Removes the old run's files, where one is to be replaced. Called when it is known that the
    /// new one can be trained.
    ///
    /// # Errors
    /// [`Error::Fragment`].
    pub fn begin_anew(&self) -> Result<(), Error> {
        if let (true, Some((_, results))) = (self.replaces_another(), &self.lock) {
            results.sweep(is_of_run)?;
        }
        self.replaces.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The place of the file `name` of this run, to be written or replaced.
    ///
    /// # Errors
    /// [`Error::Fragment`] where the name is that of a file that no run wrote.
    pub fn claim(&self, name: &str) -> Result<PathBuf, Error> {
        match &self.lock {
            Some((_, results)) => Ok(results.claim(name, true)?),
            None => Ok(self.folder.join(name)),
        }
    }

    /// Looks at the run in `folder` without training on.
    pub fn view(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            replaces: AtomicBool::new(false),
            lock: None,
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
        self.folder.join(METRICS)
    }

    /// The epochs recorded so far.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Run`] for a damaged file.
    pub fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        let path = self.metrics_path();
        if !path.exists() || self.replaces_another() {
            return Ok(Vec::new());
        }
        let text = read_text(&path, LONGEST_METRICS)?;
        text.lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Run {
                path,
                found: format!("a line that is no epoch ({error})"),
                expected: "one JSON object per line".to_owned(),
                hint: "remove the damaged line".to_owned(),
            })
    }

    pub(crate) fn record(&self, epoch: &Epoch) -> Result<(), Error> {
        let path = self.claim(METRICS)?;
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
        let text = read_text(&path, LONGEST_METRICS)?;
        write_whole(&path, true, |file| {
            for line in text.lines().take(count as usize) {
                writeln!(file, "{line}").map_err(Error::io(&path))?;
            }
            Ok(())
        })
    }

    /// Copies the last epoch's weights to `target` in the run's folder, whole or not at all.
    pub(crate) fn copy_last(&self, target: &Path) -> Result<(), Error> {
        self.claim(&file_name(target))?;
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

    /// Removes the run's files whose names `goes` chooses.
    fn sweep(&self, goes: impl Fn(&str) -> bool) -> Result<(), Error> {
        match &self.lock {
            Some((_, results)) => Ok(results.sweep(goes)?),
            None => Ok(()),
        }
    }
}

/// Whether a run consists of files of this name; reports, pictures and settings are written anew
/// by whoever writes them.
fn is_of_run(name: &str) -> bool {
    name.ends_with(".safetensors")
        || name.ends_with(".png")
        || name.starts_with(EVENTS_PREFIX)
        || [METRICS, "report.html", "settings.toml"].contains(&name)
}

/// Whether an earlier version left a run in `folder` that can be resumed.
fn is_resumable(folder: &Path) -> bool {
    let run = Run::view(folder);
    run.resume_path().is_file() && run.found().is_ok_and(|found| found.is_some())
}

/// Marks the files of a run of an earlier version, which knew no marks.
fn take_over(results: &ResultFolder) -> Result<(), Error> {
    let folder = results.path();
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let name = entry.map_err(Error::io(folder))?.file_name();
        let name = name.to_string_lossy();
        if is_of_run(&name) && !name.ends_with(".png") && !results.has_claimed(&name)? {
            results.adopt(&name)?;
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Locked while a process trains the run; never removed, or two could hold it.
const LOCK: &str = ".inkling-run.lock";

/// Two processes in one run would mix their epochs. The system lets go when a process ends,
/// however it ends.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(Error::io(&path))?;
    match locked(&file) {
        true => Ok(file),
        false => Err(Error::Run {
            path: folder.to_owned(),
            found: "a run that another process is training".to_owned(),
            expected: "one that no process uses".to_owned(),
            hint: "wait for it, end it, or give --out another folder".to_owned(),
        }),
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
            let name = file_name(&run.epoch_path(epoch));
            std::fs::write(run.claim(&name).unwrap(), "weights").unwrap();
        }
        std::fs::write(folder.path().join(".tmpXyz"), "somebody's").unwrap();
        run.keep_weights(&[2, 4].into()).unwrap();
        let left: Vec<bool> = (1..=4)
            .map(|epoch| run.epoch_path(epoch).exists())
            .collect();
        assert_eq!(left, [false, true, false, true]);
        drop(run);
        Run::open(folder.path(), true, false).unwrap();
        assert!(folder.path().join(".tmpXyz").exists());
    }

    #[test]
    fn an_old_run_stays_until_the_new_one_begins() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["best.safetensors", METRICS, "2.png"];
        let old = Run::open(folder.path(), false, false).unwrap();
        for name in names {
            std::fs::write(old.claim(name).unwrap(), "").unwrap();
        }
        drop(old);
        std::fs::write(folder.path().join("mine.safetensors"), "precious").unwrap();
        let refused = Run::open(folder.path(), false, false).err().unwrap();
        assert!(refused.to_string().contains("--resume"), "{refused}");
        let there = |name: &str| folder.path().join(name).exists();
        let new = Run::open(folder.path(), false, true).unwrap();
        assert!(new.replaces_another() && names.iter().all(|name| there(name)));
        assert!(new.epochs().unwrap().is_empty());
        new.begin_anew().unwrap();
        assert!(!names.iter().any(|name| there(name)) && there("mine.safetensors"));
    }

    #[test]
    fn weights_of_somebody_else_are_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("weights");
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("best.safetensors"), "precious").unwrap();
        for (resume, force) in [(false, false), (false, true), (true, false), (true, true)] {
            let refused = Run::open(&place, resume, force).err().unwrap().to_string();
            assert!(refused.contains("best.safetensors"), "{refused}");
        }
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
    }
}
