//! What a prediction will take, measured on one pass over one tile.

use std::str::FromStr;

use inkling_fragment::Volume;
use inkling_model::Precision;
use inkling_predict::{Channels, PredictSettings, PredictionSpec, Tta};
use serde_json::{Value, json};

use crate::ensemble::Ensemble;
use crate::memory::{MemoryMeter, PROGRAM};
use crate::{Context, Usage};

/// Where devices beside the processor begin; they halve it when their memory is full.
const FIRST_ELSEWHERE: usize = 32;

/// Most tiles in work at once.
const MOST: usize = 65_536;

/// One pass over one tile with all models.
pub struct CostEstimate {
    seconds: f64,
    /// For each tile in work.
    bytes: usize,
    /// Tiles that were in work at once.
    at_once: usize,
}

impl CostEstimate {
    /// Measures one pass over `batch` tiles from the first of `places` on, or over as many as a processor
    /// has in work at once.
    pub fn measure(
        ensemble: &Ensemble,
        volume: &dyn Volume,
        places: &[(usize, usize)],
        batch: usize,
        precision: Precision,
        memory: &dyn MemoryMeter,
    ) -> anyhow::Result<Self> {
        let at_once = match ensemble.is_on_processor() {
            true => batch.min(rayon::current_num_threads()),
            false => batch,
        };
        let places = &places[..at_once.min(places.len())];
        let settings = PredictSettings {
            tta: Tta::None,
            batch: at_once,
            precision,
            ..PredictSettings::default()
        };
        let predictor = ensemble.predictor(&settings, Channels::default())?;
        let mut seconds = f64::INFINITY;
        let mut bytes = 0;
        // The second pass is the one that counts: the first makes ready.
        for _ in 0..2 {
            let before = memory.in_use();
            memory.forget_peak();
            let timings = predictor.infer(volume, places, &mut |_, _| Ok(()))?;
            seconds = seconds.min(timings.whole / places.len().max(1) as f64);
            bytes = memory.peak().saturating_sub(before);
        }
        let bytes = bytes / places.len().max(1);
        Ok(Self {
            seconds,
            bytes,
            at_once,
        })
    }

    /// What `plan` will take.
    pub fn of(
        &self,
        plan: &PredictionSpec,
        settings: &PredictSettings,
        memory: &dyn MemoryMeter,
    ) -> Value {
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
            "memory_bytes": PROGRAM + memory.in_use() + self.bytes * self.at_once + sheet + sums,
            "disk_bytes": plan.tiles * 4 * images * plan.image_size * plan.image_size,
            "plan": plan,
        })
    }
}

/// How many tiles are in work at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// As many as fit into the memory.
    Auto,
    /// This many, whether or not networks make the best of them.
    Tiles(usize),
}

impl FromStr for Batch {
    type Err = Usage;

    fn from_str(text: &str) -> Result<Self, Usage> {
        let tiles = text.parse().ok();
        match tiles.filter(|tiles| (1..=MOST).contains(tiles)) {
            Some(tiles) => Ok(Self::Tiles(tiles)),
            None if text == "auto" => Ok(Self::Auto),
            None => Err(Usage(format!(
                "--batch {text}: expected a number from 1 to {MOST}, more than any device holds, or \
                 auto"
            ))),
        }
    }
}

impl Batch {
    /// Tiles in work at once that take at most `memory` bytes.
    ///
    /// # Errors
    /// [`Usage`] where they take more; those of a first pass, which is measured for [`Batch::Auto`].
    pub fn resolve(
        self,
        memory: usize,
        ensemble: &Ensemble,
        volume: &dyn Volume,
        places: &[(usize, usize)],
        precision: Precision,
        context: &Context,
    ) -> anyhow::Result<usize> {
        let on_processor = context.device()?.is_processor();
        // A processor has one for each thread in work, however many are asked for.
        let threads = rayon::current_num_threads();
        match self {
            Self::Tiles(batch) => {
                let at_once = if on_processor {
                    batch.min(threads)
                } else {
                    batch
                };
                let needed = at_once.saturating_mul(ensemble.patch_bytes());
                match needed <= memory {
                    true => Ok(batch),
                    false => Err(too_little(memory, needed, at_once).into()),
                }
            }
            Self::Auto if !on_processor => Ok(FIRST_ELSEWHERE),
            Self::Auto => {
                let meter = context.memory;
                let one = CostEstimate::measure(ensemble, volume, places, 1, precision, meter)?;
                match memory / one.bytes.max(1) {
                    0 => Err(too_little(memory, one.bytes, 1).into()),
                    fitting => Ok(fitting.min(threads)),
                }
            }
        }
    }
}

fn too_little(memory: usize, needed: usize, tiles: usize) -> Usage {
    Usage(format!(
        "--memory: found {} MiB; expected {} for {tiles} tiles in work. hint: give more, a smaller \
         --batch, or fewer models",
        memory >> 20,
        needed.div_ceil(1 << 20),
    ))
}
