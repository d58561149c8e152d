use std::path::Path;

use inkling_fragment::{write_bytes, write_maps};

use crate::{Alignment, Curve, Error, FragmentCurves};

impl Alignment {
    /// Writes `z_shift.npy`, `z_scale.npy` and `align.json` into `folder`.
    ///
    /// # Errors
    /// When one exists (without `force`) or cannot be written.
    pub fn write(&self, folder: &Path, force: bool) -> Result<(), Error> {
        write_maps(folder, &self.depth_field, force)?;
        let path = folder.join("align.json");
        let text = serde_json::to_string_pretty(self).expect("an alignment is plain data");
        write_bytes(&path, text + "\n", force)?;
        Ok(())
    }
}

/// Writes curves as CSV: `fragment,z,all,ink,background`, empty where there is none.
///
/// # Errors
/// When the file exists (without `force`) or cannot be written.
pub fn write_curves(
    path: &Path,
    curves: &[(String, FragmentCurves)],
    force: bool,
) -> Result<(), Error> {
    let value = |curve: &Option<Curve>, z: usize| {
        curve
            .as_ref()
            .map_or(String::new(), |curve| format!("{:.3}", curve.values()[z]))
    };
    let mut text = "fragment,z,all,ink,background\n".to_owned();
    for (id, curves) in curves {
        for (z, all) in curves.all.values().iter().enumerate() {
            let (ink, bare) = (value(&curves.ink, z), value(&curves.background, z));
            text.push_str(&format!("{id},{z},{all:.3},{ink},{bare}\n"));
        }
    }
    write_bytes(path, text, force)?;
    Ok(())
}
