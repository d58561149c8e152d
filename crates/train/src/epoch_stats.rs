use crate::Error;
use crate::sample_preview::SamplePreview;

/// Skipped steps in a row after which training stops.
const SKIPS_TOLERATED: u32 = 5;

/// An epoch's losses: their mean, and how many were NaN or infinite; and a preview of its first sample.
#[derive(Default)]
pub(crate) struct EpochStats {
    sum: f64,
    count: u32,
    skipped: u32,
    preview: Option<SamplePreview>,
}

impl EpochStats {
    /// Counts a step's loss.
    pub fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.count += 1;
    }

    /// Counts a step that was not taken; `in_a_row` counts on over epochs and restarts.
    pub fn skip(&mut self, step: u64, in_a_row: &mut u32) -> Result<(), Error> {
        self.skipped += 1;
        *in_a_row += 1;
        match *in_a_row < SKIPS_TOLERATED {
            true => Ok(()),
            false => Err(Error::NotANumber {
                count: *in_a_row,
                step,
            }),
        }
    }

    /// Counts a step whose gradients did not fit in 16 bits; the next one's are made smaller.
    pub fn skip_overflow(&mut self) {
        self.skipped += 1;
    }

    /// The mean loss so far; 0 before the first.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count.max(1))
    }

    /// Takes a look unless one was taken.
    pub fn preview_once(&mut self, look: impl FnOnce() -> SamplePreview) {
        self.preview.get_or_insert_with(look);
    }

    /// The look that was taken.
    pub fn preview(&self) -> Option<&SamplePreview> {
        self.preview.as_ref()
    }

    /// Steps skipped so far.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }
}
