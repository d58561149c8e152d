//! What settings are held to.

use std::fmt::Debug;

use crate::error::Error;

/// Refuses the `value` of `augment.<key>` unless it `holds` what is `expected`.
///
/// # Errors
/// [`Error::Setting`].
pub(crate) fn require(
    key: &'static str,
    value: impl Debug,
    holds: bool,
    expected: &'static str,
) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(Error::Setting {
            key,
            found: format!("{value:?}"),
            expected,
        }),
    }
}

/// Whether a range rises, begins above `above` and ends.
pub(crate) fn rising([low, high]: [f64; 2], above: f64) -> bool {
    above < low && low <= high && high.is_finite()
}

/// Whether a value lies from 0 to `limit`.
pub(crate) fn within(value: f64, limit: f64) -> bool {
    (0.0..=limit).contains(&value)
}

/// Whether a range of kernels' sides rises, from 3 px on and up to 255.
pub(crate) fn kernel_sides([low, high]: [usize; 2]) -> bool {
    3 <= low && low <= high && high <= 255
}
