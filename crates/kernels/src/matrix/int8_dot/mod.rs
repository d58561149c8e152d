//! Multiply-add of four whole numbers of 8 bits at once, where processors have an instruction for it: the
//! choice of the processor's own [`Int8Dot`].

#[cfg(target_arch = "aarch64")]
mod arm;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
mod none;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use arm::Int8Dot;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
pub use none::Int8Dot;
#[cfg(target_arch = "x86_64")]
pub use x86::Int8Dot;

/// Values of a word.
pub const VALUES: usize = 4;
