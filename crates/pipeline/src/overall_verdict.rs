//! What several checks come to together.

/// `Some(false)` if any check fails, else `None` if any is inconclusive, else `Some(true)`.
pub fn overall_verdict(verdicts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let verdicts: Vec<Option<bool>> = verdicts.collect();
    match (verdicts.contains(&Some(false)), verdicts.contains(&None)) {
        (true, _) => Some(false),
        (false, true) => None,
        (false, false) => Some(true),
    }
}
