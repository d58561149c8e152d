//! Predicts a whole fragment at once, in memory.

use std::path::Path;
use std::time::Instant;

use inkling_fragment::{Fragment, write_gray};
use inkling_predict::{Channels, PredictSettings, Prediction, Sheet, to_image};

use crate::Context;
use crate::ensemble::Ensemble;
use crate::model_volume::model_volume;

/// Predicts `fragment`, aligned by the maps in `maps` if there are any, and writes the 8-bit
/// probabilities to `path`, in place of what lies there.
///
/// # Errors
/// Those of reading, of the networks and of writing.
pub fn predict_fragment(
    fragment: &Fragment,
    maps: Option<&Path>,
    ensemble: &Ensemble,
    settings: &PredictSettings,
    path: &Path,
    context: &Context,
) -> anyhow::Result<Prediction> {
    let began = Instant::now();
    let predictor = ensemble.predictor(settings, Channels::default())?;
    let volume = model_volume(fragment, maps, ensemble, settings.rules)?;
    let sheet = Sheet::of_mask(fragment.mask()?);
    let task = context.task(&format!("predict {}", fragment.id()));
    let prediction = predictor.predict(volume.as_ref(), &sheet, &|done, all| task.at(done, all))?;
    drop(task);
    let image = to_image(&prediction.probability);
    write_gray(path, image.view(), true)?;
    let seconds = began.elapsed().as_secs_f64();
    context.say(format!(
        "{}: {} tiles, {seconds:.1} s",
        path.display(),
        prediction.tiles
    ));
    Ok(prediction)
}
