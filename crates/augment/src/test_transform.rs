use std::ops::Range;

use inkling_fragment::{Region, Volume};
use ndarray::{Array3, s};

use crate::crop_settings::require_z_scale;
use crate::error::Error;
use crate::layer_taps::LayerTaps;
use crate::normalize::normalize;

/// The transform of prediction: the central layers, resized to the patch's depth, normalised.
#[derive(Clone, Debug)]
pub struct TestTransform {
    image_size: usize,
    depth: usize,
    layers: Range<usize>,
}

impl TestTransform {
    /// Patches of `depth` layers of `image_size`² px from the central
    /// `ceil(depth × z_scale_limit)` layers of `z`.
    ///
    /// # Errors
    /// [`Error::Layers`] when `z` has fewer layers than that and than the patch; [`Error::Setting`] for a
    /// limit below 1 or above 16; [`Error::Patch`] for a patch of nothing.
    pub fn new(
        image_size: usize,
        depth: usize,
        z_scale_limit: f64,
        z: Range<usize>,
    ) -> Result<Self, Error> {
        if image_size == 0 || depth == 0 {
            let side = image_size;
            return Err(Error::Patch { depth, side });
        }
        require_z_scale(z_scale_limit)?;
        if z.len() < depth {
            return Err(Error::Layers {
                first: z.start,
                end: z.end,
                depth: z.end,
                needed: depth,
            });
        }
        let wanted = (depth as f64 * z_scale_limit).ceil() as usize;
        let count = wanted.min(z.len());
        let first = z.start + (z.len() - count) / 2;
        Ok(Self {
            image_size,
            depth,
            layers: first..first + count,
        })
    }

    /// The patch whose upper left pixel is (`y`, `x`), (z, y, x), normalised. What lies beyond
    /// the fragment's lower and right edges is intensity 0.
    ///
    /// # Errors
    /// Those of reading the volume.
    pub fn read(&self, volume: &dyn Volume, y: usize, x: usize) -> Result<Array3<f32>, Error> {
        let [depth, height, width] = volume.shape();
        if self.layers.end > depth {
            return Err(Error::Layers {
                first: self.layers.start,
                end: self.layers.end,
                depth,
                needed: self.depth,
            });
        }
        let side = self.image_size;
        let rows = y.min(height)..(y + side).min(height);
        let columns = x.min(width)..(x + side).min(width);
        let (tall, wide) = (rows.len(), columns.len());
        let crop = volume.read(&Region::new(self.layers.clone(), rows, columns))?;
        let taps = LayerTaps::resized(crop.dim().0, self.depth);
        let mut patch = Array3::from_elem((self.depth, side, side), normalize(0.0));
        for (z, mut layer) in patch.outer_iter_mut().enumerate() {
            let below = crop.slice(s![taps.below[z], .., ..]);
            let above = crop.slice(s![taps.above[z], .., ..]);
            let weight = taps.weight[z];
            ndarray::Zip::from(layer.slice_mut(s![..tall, ..wide]))
                .and(below)
                .and(above)
                .for_each(|out, &below, &above| {
                    let (below, above) = (f32::from(below), f32::from(above));
                    *out = normalize(below + (above - below) * weight);
                });
        }
        Ok(patch)
    }
}
