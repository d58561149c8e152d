//! What a threshold found on some fragments is worth on another.

use inkling_predict::{Labelled, Threshold, score_all};

/// For each sheet: the best threshold of the others, its F0.5 there, and its F0.5 at its own best.
/// Nothing for a single sheet.
///
/// # Errors
/// Labels without ink; images of different sizes.
pub fn threshold_transfer(sheets: &[Labelled]) -> anyhow::Result<Vec<[f64; 3]>> {
    if sheets.len() < 2 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (index, sheet) in sheets.iter().enumerate() {
        let mut others = sheets.to_vec();
        others.remove(index);
        let cut = score_all(&others, Threshold::HALF)?.best_level;
        let cut = Threshold::at_level(cut);
        let own = score_all(&[*sheet], cut)?;
        found.push([cut.probability(), own.f05, own.best_f05]);
    }
    Ok(found)
}
