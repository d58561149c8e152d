//! The curve that fragments are aligned to, and that phantoms are made after.

/// Mean intensity per layer of a well-aligned fragment, `z,value` lines under a header, brought to 0 to 1:
/// 65 layers, the surface near layer 27. Measured by the reference solution's author.
pub const TARGET_CURVE: &str = include_str!("../data/target_curve.csv");
