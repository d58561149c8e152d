//! What a prediction will take, measured on one pass over one tile.

use inkling_fragment::Volume;
use inkling_model::Precision;
use inkling_predict::{Channels, Plan, PredictSettings, Tta};
use serde_json::{Value, json};

use super::Context;
use super::ensemble::Ensemble;
use super::memory::{in_use, peak};
use crate::failure::Usage;

/// Where devices beside the processor begin; they halve it when their memory is full.
const FIRST_ELSEWHERE: usize = 32;

/// One pass over one tile with all models.
pub struct Forecast {
    seconds: f64,
    bytes: usize,
}

impl Forecast {
    /// Measures one pass over `batch` tiles from the first of `places` on.
    pub fn measure(
        ensemble: &Ensemble,
        volume: &dyn Volume,
        places: &[(usize, usize)],
        batch: usize,
        precision: Precision,
    ) -> anyhow::Result<Self> {
        let settings = PredictSettings {
            tta: Tta::None,
            batch,
            precision,
            ..PredictSettings::default()
        };
        let places = &places[..batch.min(places.len())];
        let predictor = ensemble.predictor(&settings, Channels::default())?;
        let before = in_use();
        let mut seconds = f64::INFINITY;
        // The second pass is the one that counts: the first makes ready.
        for _ in 0..2 {
            let timings = predictor.look_at(volume, places, &mut |_, _| Ok(()))?;
            seconds = seconds.min(timings.whole / places.len().max(1) as f64);
        }
        let bytes = peak().saturating_sub(before) / batch;
        Ok(Self { seconds, bytes })
    }

    /// What `plan` will take.
    pub fn of(&self, plan: &Plan, settings: &PredictSettings) -> Value {
        let passes = settings.passes().len();
        let images = plan.channels.count(plan.models.len());
        let [height, width] = plan.size;
        // Mask and 8-bit images are whole; sums and weights are a row of tiles.
        let sheet = height * width * (1 + images);
        let sums = 4 * plan.image_size * width * (images + 1);
        json!({
            "id": plan.id,
            "tiles": plan.tiles,
            "batch": settings.batch,
            "batches": plan.tiles.div_ceil(settings.batch),
            "passes": passes * plan.models.len(),
            "seconds": self.seconds * (plan.tiles * passes) as f64,
            "memory_bytes": in_use() + self.bytes * settings.batch + sheet + sums,
            "disk_bytes": plan.tiles * 4 * images * plan.image_size * plan.image_size,
            "plan": plan,
        })
    }
}

/// Tiles per batch: as asked for, or such that one takes about `memory` bytes.
pub fn batch(
    asked: &str,
    memory: usize,
    ensemble: &Ensemble,
    volume: &dyn Volume,
    places: &[(usize, usize)],
    context: &Context,
) -> anyhow::Result<usize> {
    if asked != "auto" {
        let batch = asked.parse().ok().filter(|&batch| batch > 0);
        return batch.ok_or_else(|| {
            Usage(format!(
                "--batch {asked}: expected a number from 1, or auto"
            ))
            .into()
        });
    }
    if !context.device.is_processor() {
        return Ok(FIRST_ELSEWHERE);
    }
    // One for each thread is all that a processor can use.
    let threads = rayon::current_num_threads();
    let forecast = Forecast::measure(ensemble, volume, places, 1, Precision::F32)?;
    let fitting = memory / forecast.bytes.max(1);
    Ok(fitting.clamp(1, threads))
}
