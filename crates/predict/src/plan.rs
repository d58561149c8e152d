use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use inkling_fragment::check_name;
use inkling_model::Precision;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{AverageSpace, BlendWindow, Channels, Error, InferenceRules, Sheet, Tta};

/// Everything that decides what a fragment's prediction is: whoever works by the same plan makes tiles
/// that fit together. Batch, threads and paths are not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionSpec {
    /// The fragment's name.
    pub id: String,
    /// Its height and width, in pixels.
    pub size: [usize; 2],
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// Pixels between tiles.
    pub step: usize,
    /// Tiles with papyrus.
    pub tiles: usize,
    /// Test-time augmentation.
    pub tta: Tta,
    /// Further passes at free angles.
    pub rotations: usize,
    /// What is averaged over passes.
    pub average: AverageSpace,
    /// How exactly networks multiply.
    pub precision: Precision,
    /// The images that are made of a tile.
    pub channels: Channels,
    /// By whose rules tiles are laid and blended.
    #[serde(default, skip_serializing_if = "InferenceRules::is_reference")]
    pub rules: InferenceRules,
    /// How tiles are weighted, where the rules' own way was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blend: Option<BlendWindow>,
    /// The models, by the hash of their weights.
    pub models: Vec<ModelSpec>,
    /// How their input is read.
    pub input: Value,
    /// A fingerprint of mask and voxels.
    pub data: String,
    /// The program's version.
    pub version: String,
}

/// A model of a [`PredictionSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// SHA-256 of its weights file, in hex.
    pub sha256: String,
    /// How much it counts.
    pub weight: f64,
}

impl PredictionSpec {
    /// The upper left pixels (y, x) of its tiles.
    pub fn places(&self, sheet: &Sheet) -> Vec<(usize, usize)> {
        sheet.tiles(self.rules, self.image_size, self.step)
    }

    /// Checks a plan that was read from a file: what would be believed of it and lead elsewhere, or
    /// ask for more than a sheet can hold.
    ///
    /// # Errors
    /// What was found and expected, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Self {
            size,
            image_size,
            step,
            ..
        } = self;
        let within =
            |name: &str, found: usize, range: RangeInclusive<usize>| match range.contains(&found) {
                true => Ok(()),
                false => Err(format!(
                    "{name} is {found}; expected {} to {}",
                    range.start(),
                    range.end()
                )),
            };
        check_name(&self.id).map_err(|error| format!("id: {error}"))?;
        within("size", size[0].min(size[1]), 1..=LARGEST_SIDE)?;
        within("size", size[0].max(size[1]), 1..=LARGEST_SIDE)?;
        within("image_size", *image_size, 1..=LARGEST_TILE)?;
        within("step", *step, 1..=*image_size)?;
        within("models", self.models.len(), 1..=MOST_MODELS)?;
        let count = |side: usize| side.div_ceil(*step) + 1;
        within("tiles", self.tiles, 1..=count(size[0]) * count(size[1]))
    }

    /// Tells plans apart.
    pub fn digest(&self) -> [u8; 32] {
        let text = serde_json::to_vec(self).expect("a plan is plain data");
        Sha256::digest(text).into()
    }

    /// The keys in which `other` differs, with its values and ours.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let values = |plan| serde_json::to_value(plan).expect("a plan is plain data");
        let (ours, others) = (values(self), values(other));
        let keys = ours.as_object().expect("a plan is an object").keys();
        keys.filter(|&key| ours[key] != others[key])
            .map(|key| format!("{key} {} instead of {}", others[key], ours[key]))
            .collect()
    }
}

/// No sheet has a longer side, in pixels; products of two such numbers do not overflow.
const LARGEST_SIDE: usize = 1 << 24;
/// No network takes larger patches.
const LARGEST_TILE: usize = 1 << 14;
/// Nobody averages so many networks.
const MOST_MODELS: usize = 1 << 10;

/// One of several processes that share a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl Shard {
    /// The only one.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// The name of one of its files.
    pub(crate) fn file_name(self, ending: &str) -> String {
        format!("part-{}-of-{}.{ending}", self.number, self.of)
    }

    /// Its run of tiles: all parts differ by one tile at most.
    pub fn range(self, tiles: usize) -> Range<usize> {
        tiles * (self.number - 1) / self.of..tiles * self.number / self.of
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// Most parts: more than any cluster has processes, and few enough to be looked for one by one.
const MOST_PARTS: usize = 100_000;

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (number, of) = text.split_once('/').unwrap_or((text, ""));
        match (number.parse(), of.parse()) {
            (Ok(number), Ok(of)) if (1..=of).contains(&number) && of <= MOST_PARTS => {
                Ok(Self { number, of })
            }
            _ => Err(Error::Shard {
                found: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_tiles_once() {
        for (tiles, of) in [(0, 3), (1, 4), (10, 3), (437, 8)] {
            let ranges: Vec<_> = (1..=of)
                .map(|number| Shard { number, of }.range(tiles))
                .collect();
            assert_eq!((ranges[0].start, ranges[of - 1].end), (0, tiles));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths = || ranges.iter().map(ExactSizeIterator::len);
            assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1);
        }
    }

    #[test]
    fn parts_are_written_as_k_of_n() {
        assert_eq!("2/8".parse::<Shard>().unwrap(), Shard { number: 2, of: 8 });
        for wrong in [
            "0/8",
            "9/8",
            "2",
            "a/b",
            "2/",
            "-1/3",
            "1/1000000000",
            "1/18446744073709551615",
            "1/18446744073709551615",
        ] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
