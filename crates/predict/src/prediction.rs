use std::ops::Range;

use inkling_fragment::Volume;
use ndarray::{Array2, s};

use crate::blend::Rows;
use crate::{Blend, Error, InferenceRules, Predictor, Sheet, Timings, check_count};

/// The prediction of a whole volume.
pub struct Prediction {
    /// Probability of ink, 0 to 1, (y, x); 0 outside the mask.
    pub probability: Array2<f32>,
    /// Tiles that went through the networks.
    pub tiles: usize,
    /// Where the time went.
    pub timings: Timings,
}

impl Predictor<'_> {
    /// Predicts the pixels of `rows` and `columns` alone: the very probabilities that the whole prediction
    /// has there, (y, x), 0 where `sheet` shows none.
    ///
    /// # Errors
    /// Those of [`infer`](Self::infer).
    ///
    /// # Panics
    /// When the window reaches beyond the sheet.
    pub fn predict_window(
        &self,
        volume: &dyn Volume,
        sheet: &Sheet,
        [rows, columns]: [Range<usize>; 2],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Array2<f32>, Error> {
        self.settings.check()?;
        let (side, step) = (self.image_size, self.settings.step_of(self.image_size));
        let [height, width] = sheet.size();
        assert!(
            rows.end <= height && columns.end <= width,
            "within the sheet"
        );
        let rules = self.settings.rules;
        let meets =
            |start: usize, range: &Range<usize>| start < range.end && start + side > range.start;
        let mut places = sheet.tiles(rules, side, step);
        places.retain(|&(y, x)| meets(y, &rows) && meets(x, &columns));
        let mut window = Array2::zeros((rows.len(), columns.len()));
        // The part of the sheet that these tiles lie on.
        let top = places.iter().map(|place| place.0).min().unwrap_or(0);
        let left = places.iter().map(|place| place.1).min().unwrap_or(0);
        let end = |starts: &mut dyn Iterator<Item = usize>, size: usize| {
            starts
                .map(|start| (start + side).min(size))
                .max()
                .unwrap_or(0)
        };
        let bottom = end(&mut places.iter().map(|place| place.0), height);
        let right = end(&mut places.iter().map(|place| place.1), width);
        if places.is_empty() {
            return Ok(window);
        }
        let shown = sheet.shown().slice(s![top..bottom, left..right]).to_owned();
        let weights = rules.weights(self.settings.blend, side, step);
        let channels = self.channels.count(self.members.len());
        let mut blend = Blend::new(&shown, rules, weights, channels);
        let mut part = Array2::zeros(shown.dim());
        let mut keep = |done: Rows| -> Result<(), Error> {
            let values = done.values.slice(s![0, .., ..]);
            let range = done.first..done.first + values.nrows();
            part.slice_mut(s![range, ..]).assign(&values);
            Ok(())
        };
        let total = places.len() as u64;
        self.infer(volume, &places, &mut |index, images| {
            let (y, x) = places[index];
            blend.add([y - top, x - left], images, &mut keep)?;
            progress(index as u64 + 1, total);
            Ok(())
        })?;
        blend.finish(&mut keep)?;
        for ((y, x), value) in window.indexed_iter_mut() {
            let place = (rows.start + y, columns.start + x);
            if place.0 >= top && place.1 >= left {
                let found = part.get((place.0 - top, place.1 - left));
                *value = found.copied().unwrap_or(0.0);
            }
        }
        Ok(window)
    }

    /// Predicts the pixels of `volume` that `sheet` names, by the rules of the settings and blended in memory;
    /// `progress` hears of the tiles that are done and of all.
    ///
    /// # Errors
    /// Those of [`infer`](Self::infer).
    pub fn predict(
        &self,
        volume: &dyn Volume,
        sheet: &Sheet,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Prediction, Error> {
        self.settings.check()?;
        let (side, step) = (self.image_size, self.settings.step_of(self.image_size));
        check_count(sheet.size(), side, step)?;
        let rules = self.settings.rules;
        let places = sheet.tiles(rules, side, step);
        let weights = rules.weights(self.settings.blend, side, step);
        let channels = self.channels.count(self.members.len());
        let mut blend = Blend::new(sheet.shown(), rules, weights, channels);
        let mut probability = Array2::zeros(sheet.size());
        let mut keep = |rows: Rows| -> Result<(), Error> {
            let values = rows.values.slice(s![0, .., ..]);
            let range = rows.first..rows.first + values.nrows();
            probability.slice_mut(s![range, ..]).assign(&values);
            Ok(())
        };
        let total = places.len() as u64;
        let timings = self.infer(volume, &places, &mut |index, images| {
            let (y, x) = places[index];
            blend.add([y, x], images, &mut keep)?;
            progress(index as u64 + 1, total);
            Ok(())
        })?;
        blend.finish(&mut keep)?;
        Ok(Prediction {
            probability,
            tiles: places.len(),
            timings,
        })
    }
}

/// Probabilities as an 8-bit image: 0 to 255, rounded.
pub fn to_image(probability: &Array2<f32>) -> Array2<u8> {
    probability.mapv(|probability| InferenceRules::Reference.level(probability))
}
