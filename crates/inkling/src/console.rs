//! What people see while work goes on, and the figures that scripts read.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use inkling_pipeline::{Observer, Task};
use serde_json::Value;

use crate::failure::lines;

/// Where words and figures go: with `--json` stdout holds one object and nothing else.
pub struct Console {
    json: bool,
    quiet: bool,
    bars: MultiProgress,
    /// Why stdout did not take what was written to it.
    lost: Mutex<Option<io::Error>>,
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
            // Said by a macro that panics where stderr is closed.
            .log_internal_errors(false)
            .with_writer(io::stderr)
            .init();
        Self {
            json,
            quiet,
            bars: MultiProgress::new(),
            lost: Mutex::new(None),
        }
    }

    /// The figures for scripts.
    ///
    /// # Errors
    /// Whatever was to go to stdout and could not, unless nobody listens any more.
    pub fn finish(&self, figures: &Value) -> anyhow::Result<()> {
        if self.json {
            self.to_stdout(&figures.to_string());
        }
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match lost.take() {
            None => Ok(()),
            Some(error) => Err(anyhow::anyhow!(
                "stdout: {error}; expected to write there. hint: make space, or send the output \
                 elsewhere; what the command wrote into files is there"
            )),
        }
    }

    /// The error and, in further lines, its causes.
    pub fn fail(&self, error: &anyhow::Error) {
        for (index, line) in lines(error).iter().enumerate() {
            let begin = if index == 0 { "error: " } else { "" };
            to_stderr(&format!("{begin}{line}"));
        }
    }

    /// A line on stdout. Whoever reads may have heard enough and closed the pipe, which is no reason to
    /// stop the work; any other failure is kept for the end.
    fn to_stdout(&self, line: &str) {
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
        let Err(error) = written else { return };
        if error.kind() != ErrorKind::BrokenPipe {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert(error);
        }
    }

    fn bar(&self, name: &str) -> Bar {
        let shown = !self.quiet;
        let bar = match shown && io::stderr().is_terminal() {
            true => self.bars.add(ProgressBar::new(0)),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template(
            "{prefix:>14} {bar:30} {pos}/{len} {elapsed} elapsed, {eta} left {msg}",
        );
        bar.set_style(style.expect("a valid template").progress_chars("━╸─"));
        bar.set_prefix(name.to_owned());
        Bar {
            name: name.to_owned(),
            plain: false,
            bar,
            began: Instant::now(),
            first: OnceLock::new(),
            said: Mutex::new(Instant::now()),
        }
    }
}

/// With `--json` lines go to stderr. A task has a bar with the time left on a terminal, and a plain
/// line now and then elsewhere; a part of a task has a bar on a terminal only.
impl Observer for Console {
    fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        self.bars.suspend(|| match self.json {
            true => to_stderr(line),
            false => self.to_stdout(line),
        });
    }

    fn task(&self, name: &str) -> Box<dyn Task> {
        let mut bar = self.bar(name);
        bar.plain = !self.quiet && bar.bar.is_hidden();
        Box::new(bar)
    }

    fn subtask(&self, name: &str) -> Box<dyn Task> {
        Box::new(self.bar(name))
    }
}

/// A running task's progress.
struct Bar {
    name: String,
    plain: bool,
    bar: ProgressBar,
    began: Instant,
    /// What was done already when this call began: it tells nothing of the speed.
    first: OnceLock<u64>,
    said: Mutex<Instant>,
}

impl Bar {
    /// How often a plain line is written.
    const PLAIN_EVERY: Duration = Duration::from_secs(10);

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
        to_stderr(&format!(
            "{}: {done}/{total}, {} left {note}",
            self.name,
            HumanDuration(left)
        ));
    }
}

impl Task for Bar {
    fn at(&self, done: u64, total: u64) {
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

    fn note(&self, text: String) {
        self.bar.set_message(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Text on stdout, if somebody listens.
pub fn to_stdout(text: &str) {
    let _ = write!(io::stdout().lock(), "{text}");
}

/// A line on stderr, if somebody listens.
fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
