//! The probability images of folders of results, apart from the pictures beside them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use inkling_fragment::check_name;
use serde_json::Value;

use crate::record::read_record;

/// What a probability image and its copies in other formats end in.
const ENDINGS: [&str; 4] = ["png", "tif", "tiff", "zarr"];

/// What `predict` puts beside probability images: `<id>.std.png`, for one.
const SIDES: [&str; 3] = ["spread", "std", "limit"];

/// Other pictures that lie in folders of results.
const OTHERS: [&str; 3] = ["z_shift", "mask", "gallery"];

/// Probability images by the names of their fragments, and what was named beside them, with why it
/// is left out.
pub type SortedImages = (Vec<(String, PathBuf)>, Vec<(PathBuf, &'static str)>);

/// The probability images that `paths` name, folders of results or images.
///
/// # Errors
/// Names that no fragment has; those of reading.
pub fn probability_images(paths: &[PathBuf]) -> anyhow::Result<SortedImages> {
    let (mut images, mut left_out) = (Vec::new(), Vec::new());
    for path in paths {
        let is_image = path.extension().is_some_and(|end| end == "zarr");
        if path.is_dir() && !is_image {
            images.extend(images_of_folder(path)?);
            continue;
        }
        match side_image(path) {
            Some(reason) => left_out.push((path.clone(), reason)),
            None => images.push((stem(path), path.clone())),
        }
    }
    for (id, path) in &images {
        check_name(id).with_context(|| path.display().to_string())?;
    }
    Ok((images, left_out))
}

/// The images that `predict.json` in `folder` names, or all that are named after fragments.
fn images_of_folder(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let record = folder.join("predict.json");
    if record.is_file() {
        let figures: Value = read_record(&record)?;
        let entries = figures["fragments"].as_array().cloned().unwrap_or_default();
        let ids = entries
            .iter()
            .filter_map(|entry| Some(entry["id"].as_str()?.to_owned()));
        return Ok(ids
            .filter(|id| check_name(id).is_ok())
            .map(|id| (id.clone(), folder.join(format!("{id}.png"))))
            .collect());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let is_png = |path: &PathBuf| path.extension().is_some_and(|end| end == "png");
    let images = paths.into_iter().filter(is_png);
    Ok(images
        .filter(|path| side_image(path).is_none())
        .map(|path| (stem(&path), path))
        .collect())
}

/// Why `path` is no probability image of its own, if it is none.
fn side_image(path: &Path) -> Option<&'static str> {
    let ending = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    if !ENDINGS.contains(&ending.as_str()) {
        return Some("which is no image");
    }
    let name = stem(path);
    let side = name.rsplit_once('.').map_or("", |(_, side)| side);
    let of_model = side
        .strip_prefix("model-")
        .is_some_and(|number| number.parse::<u32>().is_ok());
    match of_model || SIDES.contains(&side) || OTHERS.contains(&name.as_str()) {
        true => Some("which is a side image"),
        false => None,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into())
}
