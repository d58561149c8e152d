//! The faintest ink that would have been found, place by place.

mod detection_limit;
mod ink_profile;
mod planted;
mod strokes;

pub use detection_limit::{CellLimit, DetectionLimit, LimitCheck, LimitSettings, detection_limit};
