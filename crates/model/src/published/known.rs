//! Checkpoints that are known by their repository.

use crate::Normalization;

/// A published checkpoint, and how its publishers predict with it.
#[derive(Clone, Copy, Debug)]
pub struct KnownCheckpoint {
    /// Its repository on the Hugging Face Hub, of which the names begin so.
    pub repository: &'static str,
    /// The file that is meant where none is named.
    pub file: &'static str,
    /// The value of `approach` in `[model]`.
    pub approach: &'static str,
    /// Layers of a patch.
    pub depth: usize,
    /// Side of a tile, in pixels.
    pub tile: usize,
    /// Pixels between tiles.
    pub stride: usize,
    /// Where intensities are clipped and what they are divided by; none where each patch is normalised
    /// by its own statistics.
    pub clip_and_divisor: Option<[f32; 2]>,
}

const SAFETENSORS: &str = "model.safetensors";

/// All known ones.
pub const KNOWN: [KnownCheckpoint; 5] = [
    KnownCheckpoint {
        repository: "scrollprize/ink_9um",
        file: "hybrid_3d2d-seed42/step-075000.pth",
        approach: "hybrid",
        depth: 17,
        tile: 128,
        stride: 64,
        clip_and_divisor: None,
    },
    KnownCheckpoint {
        repository: "scrollprize/ink_canonical_2um",
        file: "r152_3ddec_v2_l5_epoch13.ckpt",
        approach: "resnet3d",
        depth: 62,
        tile: 256,
        stride: 128,
        // Trained with 255; the published maps are those of 200.
        clip_and_divisor: Some([200.0, 200.0]),
    },
    KnownCheckpoint {
        repository: "scrollprize/PHerc.1667-iteration-",
        file: SAFETENSORS,
        approach: "resnet3d",
        depth: 62,
        tile: 256,
        stride: 128,
        clip_and_divisor: Some([200.0, 255.0]),
    },
    KnownCheckpoint {
        repository: "YoussefMoNader/ink-8um-v8in",
        file: SAFETENSORS,
        approach: "resnet3d",
        depth: 24,
        tile: 64,
        stride: 21,
        clip_and_divisor: Some([200.0, 255.0]),
    },
    KnownCheckpoint {
        repository: "scrollprize/timesformer_",
        file: SAFETENSORS,
        approach: "timesformer",
        depth: 26,
        tile: 64,
        stride: 16,
        clip_and_divisor: Some([200.0, 255.0]),
    },
];

impl KnownCheckpoint {
    /// That of a repository.
    pub fn of_repository(repository: &str) -> Option<&'static Self> {
        let mut known = KNOWN.iter();
        known.find(|known| repository.starts_with(known.repository))
    }

    /// How intensities are normalised.
    pub fn normalization(&self) -> Normalization {
        match self.clip_and_divisor {
            Some([clip, divisor]) => Normalization::divide(clip, divisor),
            None => Normalization::robust_mad(),
        }
    }
}
