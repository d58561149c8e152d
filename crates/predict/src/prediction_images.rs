use std::path::{Path, PathBuf};

use inkling_fragment::{
    ImageMetadata, ProbabilityWriter, ResultFolder, ResultKind, ZarrVersion, write_gray_with,
};
use ndarray::{Array2, ArrayView2, CowArray, Zip, s};

use crate::{Calibration, Channels, Error, InferenceRules, Rows};

/// The images that a prediction is written as, row by row: `<id>.png` and what is asked for besides.
pub struct PredictionImages {
    options: ImageOptions,
    channels: Channels,
    image: Array2<u8>,
    std: Option<Array2<u8>>,
    members: Vec<Array2<u8>>,
    writers: Vec<(Source, ProbabilityWriter)>,
}

/// Where and how a prediction is written.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// The folder.
    pub folder: PathBuf,
    /// The fragment's name.
    pub id: String,
    /// Writes `<id>.tif` too, in 32-bit floats (and `<id>.std.tif`).
    pub float: bool,
    /// Writes `<id>.zarr` too, an OME-Zarr image with a pyramid.
    pub zarr: Option<ZarrVersion>,
    /// Corrects the probabilities; the standard deviation and the images of models stay as they are.
    pub calibration: Option<Calibration>,
    /// How a probability becomes a grey level.
    pub rules: InferenceRules,
    /// What the images say of themselves.
    pub metadata: ImageMetadata,
    /// Whether files may be overwritten.
    pub force: bool,
}

/// The images of a prediction, once they are written.
pub struct WrittenImages {
    /// 8-bit probabilities, (y, x); 0 outside the mask.
    pub image: Array2<u8>,
    /// The paths of all files that were written.
    pub files: Vec<PathBuf>,
}

/// What a float image shows.
#[derive(Clone, Copy)]
enum Source {
    Probability,
    Std,
}

impl ImageOptions {
    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(self.name(ending))
    }

    fn name(&self, ending: &str) -> String {
        format!("{}.{ending}", self.id)
    }

    /// The main image.
    pub fn image(&self) -> PathBuf {
        self.path("png")
    }

    /// The names of all images that are written for so many `members`.
    fn names(&self, channels: Channels, members: usize) -> Vec<String> {
        let mut endings = vec!["png".to_owned()];
        let mut add = |wanted: bool, ending: &str| {
            endings.extend(wanted.then(|| ending.to_owned()));
        };
        add(self.float, "tif");
        add(self.zarr.is_some(), "zarr");
        add(channels.square, "std.png");
        add(self.float && channels.square, "std.tif");
        let own = if channels.members { members } else { 0 };
        endings.extend((1..=own).map(|model| format!("model-{model}.png")));
        endings.iter().map(|ending| self.name(ending)).collect()
    }

    /// # Errors
    /// [`Error::Fragment`] for a file that would be replaced unasked, or that no prediction wrote.
    pub fn check(&self, channels: Channels, members: usize) -> Result<(), Error> {
        let folder = ResultFolder::shared(&self.folder, ResultKind::Prediction);
        for name in self.names(channels, members) {
            folder.check(&name, self.force)?;
        }
        Ok(())
    }
}

impl PredictionImages {
    /// Begins the images of a sheet of `size` (height, width), of which each tile has the images
    /// `channels` of so many `members`.
    ///
    /// # Errors
    /// [`Error::Fragment`], as for files that are there.
    pub fn begin(
        options: ImageOptions,
        size: [usize; 2],
        channels: Channels,
        members: usize,
    ) -> Result<Self, Error> {
        options.check(channels, members)?;
        let folder = ResultFolder::shared(&options.folder, ResultKind::Prediction);
        for name in options.names(channels, members) {
            folder.claim(&name, options.force)?;
        }
        let mut writers = Vec::new();
        if options.float {
            let path = options.path("tif");
            let tiff =
                ProbabilityWriter::tiff(&path, size, options.metadata.clone(), options.force)?;
            writers.push((Source::Probability, tiff));
        }
        if options.float && channels.square {
            let path = options.path("std.tif");
            let tiff =
                ProbabilityWriter::tiff(&path, size, options.metadata.clone(), options.force)?;
            writers.push((Source::Std, tiff));
        }
        if let Some(version) = options.zarr {
            let path = options.path("zarr");
            let zarr =
                ProbabilityWriter::zarr(&path, size, version, &options.metadata, options.force)?;
            writers.push((Source::Probability, zarr));
        }
        let own = if channels.members { members } else { 0 };
        Ok(Self {
            options,
            channels,
            image: Array2::zeros(size),
            std: channels.square.then(|| Array2::zeros(size)),
            members: vec![Array2::zeros(size); own],
            writers,
        })
    }

    /// The next rows.
    ///
    /// # Errors
    /// [`Error::Fragment`].
    pub fn take(&mut self, rows: &Rows) -> Result<(), Error> {
        let mean = rows.values.slice(s![0, .., ..]);
        let range = rows.first..rows.first + mean.nrows();
        let corrected = match self.options.calibration {
            Some(calibration) => mean
                .mapv(|probability| calibration.apply(probability))
                .into(),
            None => CowArray::from(mean),
        };
        let rules = self.options.rules;
        let to_level = |probability| rules.level(probability);
        put(&mut self.image, &range, corrected.view(), to_level);
        let std = self
            .channels
            .square
            .then(|| standard_deviation(mean, rows.values.slice(s![1, .., ..])));
        if let (Some(image), Some(std)) = (&mut self.std, &std) {
            put(image, &range, std.view(), |value| {
                to_level(value / LARGEST_STD)
            });
        }
        let first = self.channels.count(0);
        for (index, image) in self.members.iter_mut().enumerate() {
            put(
                image,
                &range,
                rows.values.slice(s![first + index, .., ..]),
                to_level,
            );
        }
        for (source, writer) in &mut self.writers {
            match (source, &std) {
                (Source::Std, Some(std)) => writer.write_rows(std.view())?,
                _ => writer.write_rows(corrected.view())?,
            }
        }
        Ok(())
    }

    /// Writes what is left and gives all files their names, the main image last.
    ///
    /// # Errors
    /// [`Error::Fragment`].
    pub fn finish(self) -> Result<WrittenImages, Error> {
        let force = self.options.force;
        let mut files = Vec::new();
        for (_, writer) in self.writers {
            files.push(writer.finish()?);
        }
        let mut write = |path: &Path, image: &Array2<u8>| -> Result<(), Error> {
            write_gray_with(path, image.view(), &self.options.metadata, force)?;
            files.push(path.to_owned());
            Ok(())
        };
        for (index, image) in self.members.iter().enumerate() {
            let name = format!("model-{}.png", index + 1);
            write(&self.options.path(&name), image)?;
        }
        if let Some(std) = &self.std {
            write(&self.options.path("std.png"), std)?;
        }
        write(&self.options.image(), &self.image)?;
        Ok(WrittenImages {
            image: self.image,
            files,
        })
    }
}

/// The standard deviation of values from 0 to 1 is 0.5 at most; that is white.
pub const LARGEST_STD: f32 = 0.5;

/// The standard deviation, from mean and mean square.
fn standard_deviation(mean: ArrayView2<f32>, square: ArrayView2<f32>) -> Array2<f32> {
    let mut std = Array2::zeros(mean.raw_dim());
    Zip::from(&mut std)
        .and(mean)
        .and(square)
        .for_each(|std, &mean, &square| *std = (square - mean * mean).max(0.0).sqrt());
    std
}

fn put(
    image: &mut Array2<u8>,
    range: &std::ops::Range<usize>,
    values: ArrayView2<f32>,
    level: impl Fn(f32) -> u8,
) {
    let mut rows = image.slice_mut(s![range.clone(), ..]);
    Zip::from(&mut rows)
        .and(values)
        .for_each(|pixel, &value| *pixel = level(value));
}
