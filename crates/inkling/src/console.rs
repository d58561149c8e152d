//! What people see while work goes on, and the figures that scripts read.

use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

/// Where words and figures go: with `--json` stdout holds one object and nothing else.
pub struct Console {
    json: bool,
    quiet: bool,
    bars: MultiProgress,
}

impl Console {
    /// Sets up logging (`-v` shows more) and remembers where output goes.
    pub fn new(json: bool, verbose: u8, quiet: bool) -> Self {
        let level = match (quiet, verbose) {
            (true, _) => tracing::Level::ERROR,
            (false, 0) => tracing::Level::WARN,
            (false, 1) => tracing::Level::INFO,
            (false, _) => tracing::Level::DEBUG,
        };
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(false)
            .without_time()
            .with_writer(std::io::stderr)
            .init();
        let bars = MultiProgress::new();
        Self { json, quiet, bars }
    }

    /// A line for people.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        self.bars.suspend(|| match self.json {
            true => eprintln!("{}", text.as_ref()),
            false => println!("{}", text.as_ref()),
        });
    }

    /// The figures for scripts.
    pub fn finish(&self, figures: &Value) {
        if self.json {
            println!("{figures}");
        }
    }

    /// The error and, in further lines, its causes.
    pub fn fail(&self, error: &anyhow::Error) {
        eprintln!("error: {error}");
        let mut said = error.to_string();
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            if !said.contains(&text) {
                eprintln!("  because {text}");
                said.push_str(&text);
            }
        }
    }

    /// Progress of one task: a bar with the time left on a terminal, a plain line now and then
    /// elsewhere.
    pub fn task(&self, name: &str) -> Task {
        let mut task = self.bar(name);
        task.plain = !self.quiet && task.bar.is_hidden();
        task
    }

    /// A bar for a part of a task: on a terminal only.
    pub fn bar(&self, name: &str) -> Task {
        let shown = !self.quiet;
        let bar = match shown && std::io::stderr().is_terminal() {
            true => self.bars.add(ProgressBar::new(0)),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template(
            "{prefix:>14} {bar:30} {pos}/{len} {elapsed} elapsed, {eta} left {msg}",
        );
        bar.set_style(style.expect("a valid template").progress_chars("━╸─"));
        bar.set_prefix(name.to_owned());
        Task {
            name: name.to_owned(),
            plain: false,
            bar,
            began: Instant::now(),
            first: OnceLock::new(),
            said: Mutex::new(Instant::now()),
        }
    }
}

/// A running task's progress.
pub struct Task {
    name: String,
    plain: bool,
    bar: ProgressBar,
    began: Instant,
    /// What was done already when this call began: it tells nothing of the speed.
    first: OnceLock<u64>,
    said: Mutex<Instant>,
}

impl Task {
    /// How often a plain line is written.
    const PLAIN_EVERY: Duration = Duration::from_secs(10);

    /// `done` of `total` are done.
    pub fn at(&self, done: u64, total: u64) {
        let first = *self.first.get_or_init(|| {
            let before = done.saturating_sub(1);
            self.bar.set_position(before);
            self.bar.reset_eta();
            before
        });
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.plain && done > 0 {
            self.say_plainly(done, total, first);
        }
    }

    /// A few words behind the bar, such as the loss.
    pub fn note(&self, text: String) {
        self.bar.set_message(text);
    }

    fn say_plainly(&self, done: u64, total: u64, first: u64) {
        let mut said = self
            .said
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if said.elapsed() < Self::PLAIN_EVERY {
            return;
        }
        *said = Instant::now();
        let left = self
            .began
            .elapsed()
            .mul_f64((total - done.min(total)) as f64 / done.saturating_sub(first).max(1) as f64);
        let note = self.bar.message();
        eprintln!(
            "{}: {done}/{total}, {} left {note}",
            self.name,
            HumanDuration(left)
        );
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
