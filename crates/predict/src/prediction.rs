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
        let [height, width] = sheet.size();
        assert!(
            rows.end <= height && columns.end <= width,
            "within the sheet"
        );
        let part = [rows.clone(), columns.clone()];
        let places = self.places(sheet, &part)?;
        // The part of the sheet that these tiles lie on.
        let span = |own: &Range<usize>, starts: &mut dyn Iterator<Item = usize>, size: usize| {
            starts.fold(own.clone(), |span, start| {
                span.start.min(start)..span.end.max((start + self.image_size).min(size))
            })
        };
        let across = span(&columns, &mut places.iter().map(|place| place.1), width);
        let down = span(&rows, &mut places.iter().map(|place| place.0), height);
        let shown = sheet.shown().slice(s![down.clone(), across.clone()]);
        let origin = [down.start, across.start];
        let (found, _) = self.blended(volume, &shown.to_owned(), &places, origin, progress)?;
        let within = |own: Range<usize>, start: usize| own.start - start..own.end - start;
        let window = s![within(rows, down.start), within(columns, across.start)];
        Ok(found.slice(window).to_owned())
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
        let [height, width] = sheet.size();
        let places = self.places(sheet, &[0..height, 0..width])?;
        let (probability, timings) =
            self.blended(volume, sheet.shown(), &places, [0, 0], progress)?;
        Ok(Prediction {
            probability,
            tiles: places.len(),
            timings,
        })
    }

    /// The tiles of `sheet` that show any of a part of it, rows and columns.
    fn places(
        &self,
        sheet: &Sheet,
        part: &[Range<usize>; 2],
    ) -> Result<Vec<(usize, usize)>, Error> {
        self.settings.check()?;
        let (side, step) = (self.image_size, self.settings.step_of(self.image_size));
        check_count(sheet.size(), side, step)?;
        Ok(sheet.tiles_of(part, self.settings.rules, side, step))
    }

    /// Infers the tiles at `places` (y, x) of the sheet and blends them over `shown` (y, x), the part of it
    /// whose first pixel is `origin`.
    fn blended(
        &self,
        volume: &dyn Volume,
        shown: &Array2<bool>,
        places: &[(usize, usize)],
        [top, left]: [usize; 2],
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(Array2<f32>, Timings), Error> {
        let (side, step) = (self.image_size, self.settings.step_of(self.image_size));
        let rules = self.settings.rules;
        let weights = rules.weights(self.settings.blend, side, step);
        let channels = self.channels.count(self.members.len());
        let mut blend = Blend::new(shown, rules, weights, channels);
        let mut probability = Array2::zeros(shown.dim());
        let mut keep = |rows: Rows| -> Result<(), Error> {
            let values = rows.values.slice(s![0, .., ..]);
            let range = rows.first..rows.first + values.nrows();
            probability.slice_mut(s![range, ..]).assign(&values);
            Ok(())
        };
        let total = places.len() as u64;
        let timings = self.infer(volume, places, &mut |index, images| {
            let (y, x) = places[index];
            blend.add([y - top, x - left], images, &mut keep)?;
            progress(index as u64 + 1, total);
            Ok(())
        })?;
        blend.finish(&mut keep)?;
        Ok((probability, timings))
    }
}

/// Probabilities as an 8-bit image: 0 to 255, rounded.
pub fn to_image(probability: &Array2<f32>) -> Array2<u8> {
    probability.mapv(|probability| InferenceRules::Reference.level(probability))
}
