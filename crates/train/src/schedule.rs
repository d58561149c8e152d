use serde::{Deserialize, Serialize};

/// The learning rate's course: a factor per optimiser step, linear warm-up, then a half cosine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Share of all steps spent warming up, 0 to 1.
    pub warmup: f64,
    /// Factor at the first step.
    pub start: f64,
    /// Factor at the last step.
    pub end: f64,
}

impl Default for Schedule {
    /// The write-up's: 0.1 → 1 over the first tenth, then 1 → 0.01.
    fn default() -> Self {
        Self {
            warmup: 0.1,
            start: 0.1,
            end: 0.01,
        }
    }
}

impl Schedule {
    /// The factor on the base learning rate at `step` of `steps`, both counted from 0.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let warmup = self.warmup * steps as f64;
        let step = step as f64;
        if step < warmup {
            return self.start + (1.0 - self.start) * step / warmup;
        }
        let progress = ((step - warmup) / (steps as f64 - warmup).max(1.0)).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.end + (1.0 - self.end) * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warms_up_peaks_and_falls() {
        let schedule = Schedule::default();
        let factor = |step| schedule.factor(step, 1000);
        assert!((factor(0) - 0.1).abs() < 1e-12);
        assert!((factor(50) - 0.55).abs() < 1e-12);
        assert!((factor(100) - 1.0).abs() < 1e-12);
        // Half-way through the cosine the factor is the mean of its ends.
        assert!((factor(550) - 0.505).abs() < 1e-12);
        assert!((factor(1000) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn without_warm_up_it_starts_at_the_peak() {
        let schedule = Schedule {
            warmup: 0.0,
            ..Schedule::default()
        };
        assert_eq!(schedule.factor(0, 10), 1.0);
    }
}
