use std::fmt;

use ndarray::{Array2, Axis, Zip, s};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::range_checks::require;
use crate::sample::{Sample, SampleMut};

/// `[augment.mixing]`: how two samples of one fragment become one. The reference solution's authors
/// tried all three and kept none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mixing {
    /// The way of mixing.
    pub kind: MixingKind,
    /// Share of the samples that are mixed, 0 to 1.
    pub probability: f64,
    /// Side of cut-mix's box, as a share of the patch's.
    pub cut_side: f64,
    /// Mix-up's share is drawn from Beta(alpha, alpha).
    pub alpha: f64,
}

/// A way of mixing two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MixingKind {
    /// Samples stay as they are.
    None,
    /// A box of the second replaces that of the first (Yun et al. 2019).
    CutMix,
    /// Weighted mean of both, labels too (Zhang et al. 2017).
    MixUp,
    /// The second's ink is pasted where the first has none.
    CopyPaste,
}

impl Default for Mixing {
    fn default() -> Self {
        Self {
            kind: MixingKind::None,
            probability: 0.5,
            cut_side: 0.3,
            alpha: 3.0,
        }
    }
}

/// One draw of a mixing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// A box of the second sample.
    CutMix {
        /// First row.
        y: usize,
        /// First column.
        x: usize,
        /// Rows and columns.
        side: usize,
    },
    /// The weighted mean of both.
    MixUp {
        /// Weight of the first sample; the second's is 1 minus it.
        share: f32,
    },
    /// The second sample's ink, wherever it is.
    CopyPaste,
}

impl MixingKind {
    /// Those that mix, with their names in the gallery.
    pub const ALL: [(&str, Self); 3] = [
        ("cut-mix", Self::CutMix),
        ("mix-up", Self::MixUp),
        ("copy-paste", Self::CopyPaste),
    ];
}

impl Mixing {
    /// The same limits, with nothing mixed.
    pub(crate) fn at_rest(self) -> Self {
        Self {
            kind: MixingKind::None,
            ..self
        }
    }

    /// The keys that nothing reads, each with the key that switches it off; both within `[augment]`.
    pub(crate) fn unread(&self) -> Vec<[&'static str; 2]> {
        let kinds = [
            ("mixing.probability", self.kind != MixingKind::None),
            ("mixing.cut_side", self.kind == MixingKind::CutMix),
            ("mixing.alpha", self.kind == MixingKind::MixUp),
        ];
        let unread = kinds.into_iter().filter(|(_, read)| !read);
        unread.map(|(key, _)| [key, "mixing.kind"]).collect()
    }

    /// # Errors
    /// [`Error::Setting`] for the first value out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (often, cut, alpha) = (self.probability, self.cut_side, self.alpha);
        let holds = (0.0..=1.0).contains(&often);
        require(
            "mixing.probability",
            often,
            holds,
            "a probability from 0 to 1",
        )?;
        let holds = cut > 0.0 && cut <= 1.0;
        require("mixing.cut_side", cut, holds, "a share above 0, up to 1")?;
        let holds = (1e-3..=1e6).contains(&alpha);
        let expected = "0.001, where shares are 0 or 1, to 1,000,000, where all are a half";
        require("mixing.alpha", alpha, holds, expected)
    }

    /// Whether and how a patch of `side` px is mixed.
    pub(crate) fn draw(&self, side: usize, random: &mut ChaCha8Rng) -> Option<Mix> {
        if self.kind == MixingKind::None || !random.random_bool(self.probability) {
            return None;
        }
        Some(match self.kind {
            MixingKind::None => return None,
            MixingKind::CutMix => {
                let cut = ((side as f64 * self.cut_side) as usize).max(1);
                let mut first = || random.random_range(0..=side - cut);
                Mix::CutMix {
                    y: first(),
                    x: first(),
                    side: cut,
                }
            }
            MixingKind::MixUp => {
                let beta = Beta::new(self.alpha, self.alpha).expect("alpha was checked");
                Mix::MixUp {
                    share: beta.sample(random) as f32,
                }
            }
            MixingKind::CopyPaste => Mix::CopyPaste,
        })
    }
}

impl Mix {
    /// Mixes `second`, of the same shape, into `first`.
    pub fn apply(&self, first: &mut SampleMut, second: &Sample) {
        match *self {
            Self::CutMix { y, x, side } => {
                let cut = s![y..y + side, x..x + side];
                for (layer, from) in layers(first, second) {
                    let mut layer = layer;
                    layer.slice_mut(cut).assign(&from.slice(cut));
                }
                first
                    .labels
                    .slice_mut(cut)
                    .assign(&second.labels.slice(cut));
                let validity = second.validity.slice(cut);
                first.validity.slice_mut(cut).assign(&validity);
                if let (Some(own), Some(other)) = (&mut first.supervision, &second.supervision) {
                    own.slice_mut(cut).assign(&other.slice(cut));
                }
            }
            Self::MixUp { share } => {
                let mix = |a: &mut f32, &b: &f32| *a = share * *a + (1.0 - share) * b;
                first.volume.zip_mut_with(&second.volume, mix);
                first.labels.zip_mut_with(&second.labels, mix);
                first.validity.zip_mut_with(&second.validity, mix);
                // A pixel that is half unknown is unknown.
                if let (Some(own), Some(other)) = (&mut first.supervision, &second.supervision) {
                    own.zip_mut_with(other, |own, &other| *own = own.min(other));
                }
            }
            Self::CopyPaste => paste_ink(first, second),
        }
    }
}

/// In words.
impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::CutMix { y, x, side } => {
                write!(f, "a box of {side} px at ({y}, {x}) from another crop")
            }
            Self::MixUp { share } => {
                write!(f, "{:.0} % of it, the rest another crop", 100.0 * share)
            }
            Self::CopyPaste => write!(f, "ink of another crop pasted in"),
        }
    }
}

fn layers<'a>(
    first: &'a mut SampleMut,
    second: &'a Sample,
) -> impl Iterator<
    Item = (
        ndarray::ArrayViewMut2<'a, f32>,
        ndarray::ArrayView2<'a, f32>,
    ),
> {
    let from = second.volume.axis_iter(Axis(0));
    first.volume.axis_iter_mut(Axis(0)).zip(from)
}

fn paste_ink(first: &mut SampleMut, second: &Sample) {
    let mut pasted = Array2::from_elem(first.labels.dim(), false);
    Zip::from(&mut pasted)
        .and(&first.labels)
        .and(&second.labels)
        .for_each(|pasted, &own, &ink| *pasted = ink > 0.5 && own <= 0.5);
    for (mut layer, from) in layers(first, second) {
        Zip::from(&mut layer)
            .and(from)
            .and(&pasted)
            .for_each(|voxel, &ink, &pasted| {
                if pasted {
                    *voxel = ink;
                }
            });
    }
    let images = [&mut first.labels, &mut first.validity].into_iter();
    for image in images.chain(&mut first.supervision) {
        image.zip_mut_with(&pasted, |value, &pasted| {
            if pasted {
                *value = 1.0;
            }
        });
    }
}
