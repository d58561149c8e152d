//! Lines and progress for those who wait for a command.

/// Receives what people read while a command works: lines, and how far each task is.
pub trait Observer: Send + Sync {
    /// A line for people, such as the name of a file that was written.
    fn say(&self, line: &str);

    /// Begins a task; dropping it ends it.
    fn task(&self, name: &str) -> Box<dyn Task>;

    /// Begins a part of a task, which is shown only where both fit, as on a terminal.
    fn subtask(&self, name: &str) -> Box<dyn Task>;
}

/// A task that has begun and not ended.
pub trait Task: Send + Sync {
    /// `done` of `total` steps are done.
    fn at(&self, done: u64, total: u64);

    /// A few words beside the progress, such as the loss.
    fn note(&self, words: String);
}

/// Says nothing; for calls from other programs and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn say(&self, _line: &str) {}

    fn task(&self, _name: &str) -> Box<dyn Task> {
        Box::new(Self)
    }

    fn subtask(&self, _name: &str) -> Box<dyn Task> {
        Box::new(Self)
    }
}

impl Task for Silent {
    fn at(&self, _done: u64, _total: u64) {}

    fn note(&self, _words: String) {}
}
