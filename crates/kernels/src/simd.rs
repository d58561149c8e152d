//! The vector instructions that the kernels use: the processor's best, or what `INKLING_SIMD` says.

use std::fmt;
use std::sync::LazyLock;

use pulp::Arch;

use crate::matrix::amx_found;

/// The environment variable that holds the kernels down: `scalar`, `avx2`, `avx512`, `amx` or `neon`.
pub const SIMD_VARIABLE: &str = "INKLING_SIMD";

/// Vector instructions that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimdLevel {
    /// One value at a time, as far as the compiler does not vectorise for the oldest processors.
    Scalar,
    /// Eight f32 at a time, with fused multiplication and addition.
    Avx2,
    /// Sixteen f32 at a time; with bf16 products where the processor has AVX-512 BF16.
    Avx512,
    /// The same, with bf16 and 8-bit products in tile registers (AMX; on Linux).
    Amx,
    /// Four f32 at a time, on Arm; with bf16 products where the processor has Armv8.6's.
    Neon,
}

/// A value of [`SIMD_VARIABLE`] that cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimdError {
    found: String,
}

impl fmt::Display for SimdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found } = self;
        let known = SimdLevel::NAMED.iter().any(|(name, _)| name == found);
        match known {
            true => write!(
                f,
                "{SIMD_VARIABLE} is \"{found}\", whose instructions this processor does not have"
            )?,
            false => write!(
                f,
                "{SIMD_VARIABLE} is \"{found}\", expected \"scalar\", \"avx2\", \"avx512\", \
                 \"amx\" or \"neon\""
            )?,
        }
        write!(f, "\nhint: unset it for the best that this processor has")
    }
}

impl std::error::Error for SimdError {}

impl SimdLevel {
    const NAMED: [(&str, Self); 5] = [
        ("scalar", Self::Scalar),
        ("avx2", Self::Avx2),
        ("avx512", Self::Avx512),
        ("amx", Self::Amx),
        ("neon", Self::Neon),
    ];

    /// Whether this processor, and the system, have them.
    pub fn is_found(self) -> bool {
        self.arch().is_some()
    }

    /// The processor's best.
    fn best() -> Self {
        if let Some(Self::Avx512) = Self::Amx.arch().map(Self::of) {
            return Self::Amx;
        }
        Self::of(Arch::new())
    }

    /// The level of an [`Arch`], which knows of no tiles.
    fn of(arch: Arch) -> Self {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V3(_) => Self::Avx2,
            #[cfg(target_arch = "x86_64")]
            Arch::V4(_) => Self::Avx512,
            #[cfg(target_arch = "aarch64")]
            Arch::Neon(_) => Self::Neon,
            _ => Self::Scalar,
        }
    }

    /// How `pulp` calls it, if this processor has it.
    fn arch(self) -> Option<Arch> {
        match self {
            Self::Scalar => Some(Arch::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Self::Avx512.arch().filter(|_| amx_found()),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            _ => None,
        }
    }
}

/// The instructions of a process, and how `pulp` calls them.
type Chosen = (SimdLevel, Arch);

/// The best that this processor has.
fn best() -> Chosen {
    let level = SimdLevel::best();
    (level, level.arch().unwrap_or(Arch::Scalar))
}

/// What a value of the variable asks for; none, or an empty one, for the best.
fn chosen(value: Option<String>) -> Result<Chosen, SimdError> {
    let Some(found) = value.filter(|value| !value.is_empty()) else {
        return Ok(best());
    };
    let level = SimdLevel::NAMED.iter().find(|(name, _)| *name == found);
    let chosen = level.and_then(|&(_, level)| Some((level, level.arch()?)));
    chosen.ok_or(SimdError { found })
}

static CHOSEN: LazyLock<Result<Chosen, SimdError>> = LazyLock::new(|| {
    let value = std::env::var_os(SIMD_VARIABLE);
    chosen(value.map(|value| value.to_string_lossy().into_owned()))
});

/// What kernels run with, be the variable obeyed or not.
#[inline]
fn used() -> Chosen {
    static USED: LazyLock<Chosen> = LazyLock::new(|| CHOSEN.clone().unwrap_or_else(|_| best()));
    *USED
}

/// The instructions that all kernels of this process use.
///
/// # Errors
/// When `INKLING_SIMD` names none, or some that this processor does not have. Programs ask before they
/// compute; kernels that run all the same use the processor's best.
pub fn simd_level() -> Result<SimdLevel, SimdError> {
    CHOSEN.clone().map(|(level, _)| level)
}

/// What loops are dispatched by.
#[inline]
pub(crate) fn arch() -> Arch {
    used().1
}

/// The instructions that loops are dispatched by.
#[inline]
pub(crate) fn level() -> SimdLevel {
    used().0
}

/// Whether instructions beyond AVX-512's foundation, or beyond NEON's, may be used where the processor has
/// them.
#[inline]
pub(crate) fn allows_extensions() -> bool {
    use SimdLevel::{Amx, Avx512, Neon};
    matches!(level(), Avx512 | Amx | Neon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_be_obeyed_are_errors() {
        let ask = |value: &str| chosen(Some(value.to_owned())).map(|(level, _)| level);
        assert_eq!(ask("scalar"), Ok(SimdLevel::Scalar));
        assert_eq!(ask(""), Ok(SimdLevel::best()));
        let text = ask("sse9").unwrap_err().to_string();
        assert!(
            text.contains("\"sse9\"") && text.contains("hint: unset it"),
            "{text}"
        );
        for (name, level) in SimdLevel::NAMED {
            match level.arch() {
                Some(_) => assert_eq!(ask(name), Ok(level)),
                None => {
                    let text = ask(name).unwrap_err().to_string();
                    assert!(text.contains("processor does not have"), "{text}");
                }
            }
        }
    }
}
