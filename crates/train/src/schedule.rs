use serde::{Deserialize, Serialize};

use crate::Error;

/// The learning rate's course: a factor per optimiser step, in pieces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// One after another; the last ends with the last step.
    pub pieces: Vec<Piece>,
}

/// One piece of a [`Schedule`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// How it runs from its first factor to its last.
    pub shape: Shape,
    /// Factor at its first step.
    pub from: f64,
    /// Factor that it comes to at its end; a constant needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// Where it ends, as a share of all steps (to the nearest step).
    pub until: f64,
}

/// How a piece runs from its first factor to its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A straight line: equal differences at each step.
    Linear,
    /// Along half a cosine: flat, steep, flat.
    Cosine,
    /// Stays at its first factor.
    Constant,
    /// Equal ratios at each step.
    Exponential,
}

impl Default for Schedule {
    /// The reference solution's: 0.1 → 1 over the first tenth, then 1 → 0.01 along a cosine.
    fn default() -> Self {
        let piece = |shape, from, to, until| Piece {
            shape,
            from,
            to: Some(to),
            until,
        };
        Self {
            pieces: vec![
                piece(Shape::Linear, 0.1, 1.0, 0.1),
                piece(Shape::Cosine, 1.0, 0.01, 1.0),
            ],
        }
    }
}

impl Schedule {
    /// # Errors
    /// [`Error::Setting`] for pieces that do not follow one another to the end, or factors that
    /// their shape cannot run between.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut reached = 0.0;
        for piece in &self.pieces {
            if !(piece.until > reached && piece.until <= 1.0) {
                let expected = "rising shares above 0, to 1";
                return Err(Error::setting(
                    "schedule.pieces.until",
                    piece.until,
                    expected,
                ));
            }
            reached = piece.until;
            piece.check()?;
        }
        match reached == 1.0 {
            true => Ok(()),
            false => Err(Error::setting(
                "schedule.pieces.until",
                reached,
                "1 in the last piece",
            )),
        }
    }

    /// The factor on the base learning rate at `step` of `steps`, counted from 0.
    pub fn factor(&self, step: u64, steps: u64) -> f64 {
        let mut first = 0.0;
        for piece in &self.pieces {
            let end = (piece.until * steps as f64).round();
            if (step as f64) < end {
                return piece.factor((step as f64 - first) / (end - first));
            }
            first = end;
        }
        self.pieces.last().map_or(1.0, |piece| piece.factor(1.0))
    }
}

impl Piece {
    fn check(&self) -> Result<(), Error> {
        let to = self.to.unwrap_or(self.from);
        for (key, value) in [
            ("schedule.pieces.from", self.from),
            ("schedule.pieces.to", to),
        ] {
            let exponential = self.shape == Shape::Exponential;
            if !(value.is_finite() && (value > 0.0 || value == 0.0 && !exponential)) {
                let expected = match exponential {
                    true => "a factor above 0",
                    false => "a factor of at least 0",
                };
                return Err(Error::setting(key, value, expected));
            }
        }
        match (self.shape, self.to) {
            (Shape::Constant, Some(to)) if to != self.from => Err(Error::setting(
                "schedule.pieces.to",
                to,
                "none, or the value of from, in a constant piece",
            )),
            (Shape::Linear | Shape::Cosine | Shape::Exponential, None) => Err(Error::setting(
                "schedule.pieces.to",
                "nothing",
                "the factor at the piece's end",
            )),
            _ => Ok(()),
        }
    }

    /// The factor when `share` of the piece is over, 0 to 1.
    fn factor(&self, share: f64) -> f64 {
        let (from, to) = (self.from, self.to.unwrap_or(self.from));
        match self.shape {
            Shape::Constant => from,
            Shape::Linear => from + (to - from) * share,
            Shape::Cosine => to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos()),
            Shape::Exponential => from * (to / from).powf(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_write_up_warms_up_peaks_and_falls() {
        let schedule = Schedule::default();
        schedule.check().unwrap();
        let factor = |step| schedule.factor(step, 1000);
        assert!((factor(0) - 0.1).abs() < 1e-12);
        assert!((factor(50) - 0.55).abs() < 1e-12);
        assert!((factor(100) - 1.0).abs() < 1e-12);
        // Half-way through the cosine the factor is the mean of its ends.
        assert!((factor(550) - 0.505).abs() < 1e-12);
        assert!((factor(1000) - 0.01).abs() < 1e-12);
    }

    #[test]
    fn a_run_of_a_few_steps_has_a_factor_at_each() {
        let schedule = Schedule::default();
        for steps in 1..30 {
            for step in 0..steps {
                let factor = schedule.factor(step, steps);
                assert!(
                    (0.01..=1.0).contains(&factor),
                    "{step} of {steps}: {factor}"
                );
            }
        }
    }

    #[test]
    fn pieces_must_follow_one_another() {
        let mut schedule = Schedule::default();
        schedule.pieces[1].until = 0.9;
        assert!(schedule.check().is_err());
        schedule.pieces[1].until = 0.05;
        assert!(schedule.check().is_err());
        let mut schedule = Schedule::default();
        schedule.pieces[0].shape = Shape::Constant;
        let message = schedule.check().unwrap_err().to_string();
        assert!(message.contains("schedule.pieces.to"), "{message}");
    }
}
