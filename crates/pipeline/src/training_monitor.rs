//! Shows a training while it goes on: progress, validations, its report.

use inkling_fragment::write_bytes;
use inkling_train::{Callback, Epoch, Error, Metric, Run, Step};

use crate::best_epoch::best_epoch;
use crate::memory::PROGRAM;
use crate::observer::Task;
use crate::report::write_run_report;
use crate::{Context, Recipe};

fn keep_settings(recipe: &Recipe, run: &Run) -> anyhow::Result<()> {
    let path = run.claim("settings.toml")?;
    let text = recipe.clone().with_absolute_paths()?.to_toml()?;
    Ok(write_bytes(path, text, true)?)
}

/// Shows loss, the best metric and the time left; keeps the run's settings and its report.
pub struct TrainingMonitor<'a> {
    task: Box<dyn Task>,
    epoch: Box<dyn Task>,
    context: &'a Context<'a>,
    name: String,
    run: &'a Run,
    recipe: &'a Recipe,
    /// Bytes asked for, until the first step has shown what it takes.
    limit: Option<usize>,
    best: f64,
}

impl<'a> TrainingMonitor<'a> {
    /// Shows the training of `recipe` into `run`, which was to take at most `limit` bytes.
    pub fn new(
        recipe: &'a Recipe,
        run: &'a Run,
        limit: Option<usize>,
        context: &'a Context<'a>,
    ) -> Self {
        let name = run.folder().file_name();
        let name = name.map_or_else(
            || "train".into(),
            |name| name.to_string_lossy().into_owned(),
        );
        let metric: Metric = recipe.train.best[0];
        let epochs = run.epochs().unwrap_or_default();
        let best = best_epoch(&epochs, metric).map_or(0.0, |(_, best)| metric.of(best));
        Self {
            task: context.task(&name),
            epoch: context.observer.subtask(&format!("{name} epoch")),
            context,
            name,
            run,
            recipe,
            limit,
            best,
        }
    }

    /// Warns when the first step took more memory than was asked for.
    fn compare_memory(&mut self) {
        let peak = PROGRAM + self.context.memory.peak();
        if let Some(limit) = self.limit.take()
            && peak > limit
        {
            tracing::warn!(
                "--memory: the first step took {} MiB, and {} were given; a smaller train.batch, or \
                 train.checkpoint_gradients = \"blocks\", takes less",
                peak >> 20,
                limit >> 20
            );
        }
    }
}

impl Callback for TrainingMonitor<'_> {
    fn started(&mut self) -> Result<(), Error> {
        if !self.context.ranks.is_first() {
            return Ok(());
        }
        keep_settings(self.recipe, self.run).map_err(|error| Error::Run {
            path: self.run.folder().to_owned(),
            found: format!("{error:#}"),
            expected: "a place for the run's settings".to_owned(),
            hint: "check the disk and the permissions".to_owned(),
        })
    }

    fn step(&mut self, step: &Step) {
        self.compare_memory();
        self.task.note(format!(
            "epoch {}/{} loss {:.4} best {} {:.3}",
            step.epoch,
            step.epochs,
            step.loss,
            self.recipe.train.best[0].title(),
            self.best
        ));
        self.task.at(step.step, step.steps);
        self.epoch.at(step.epoch_step, step.epoch_steps);
    }

    fn epoch(&mut self, epoch: &Epoch) {
        if self.context.ranks.is_first()
            && let Err(error) =
                write_run_report(self.run.folder(), epoch.epoch < self.recipe.train.epochs)
        {
            tracing::warn!("{}: no report: {error:#}", self.run.folder().display());
        }
        let Some(validation) = &epoch.validation else {
            return;
        };
        self.best = self.best.max(self.recipe.train.best[0].of(validation));
        self.context.say(format!(
            "{} epoch {}: loss {:.4}, F0.5 {:.4} (best {:.4} at {:.3}), {:.0} s",
            self.name,
            epoch.epoch,
            epoch.loss,
            validation.f05,
            validation.best_f05,
            validation.best_threshold,
            epoch.train_seconds + epoch.validation_seconds
        ));
    }

    fn warn(&mut self, text: &str) {
        tracing::warn!("{text}");
    }
}
