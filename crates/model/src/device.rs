use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::Error;

/// A device as people name it: `auto`, `flex`, `cuda:1`, `libtorch:cuda:0`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The fastest device that this build has.
    Auto,
    /// The processor, in pure Rust.
    Flex,
    /// An NVIDIA GPU through CUDA.
    Cuda(usize),
    /// A GPU through Vulkan.
    Vulkan(Option<usize>),
    /// An Apple GPU.
    Metal,
    /// An AMD GPU through ROCm.
    Rocm(usize),
    /// LibTorch on the processor.
    LibTorch,
    /// LibTorch on an NVIDIA GPU.
    LibTorchCuda(usize),
}

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Device {
            found: text.to_owned(),
            expected: "auto, flex, cuda[:N], vulkan[:N], metal, rocm[:N] or libtorch[:cuda:N]"
                .to_owned(),
            mend: "write one of these".to_owned(),
        };
        let index = |part: &str| part.parse::<usize>().map_err(|_| unknown());
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["auto"] => Ok(Self::Auto),
            ["flex"] => Ok(Self::Flex),
            ["cuda"] => Ok(Self::Cuda(0)),
            ["cuda", n] => Ok(Self::Cuda(index(n)?)),
            ["vulkan"] => Ok(Self::Vulkan(None)),
            ["vulkan", n] => Ok(Self::Vulkan(Some(index(n)?))),
            ["metal"] => Ok(Self::Metal),
            ["rocm"] => Ok(Self::Rocm(0)),
            ["rocm", n] => Ok(Self::Rocm(index(n)?)),
            ["libtorch"] => Ok(Self::LibTorch),
            ["libtorch", "cuda"] => Ok(Self::LibTorchCuda(0)),
            ["libtorch", "cuda", n] => Ok(Self::LibTorchCuda(index(n)?)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Vulkan(Some(n)) => write!(f, "vulkan:{n}"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::Rocm(n) => write!(f, "rocm:{n}"),
            Self::LibTorchCuda(n) => write!(f, "libtorch:cuda:{n}"),
            Self::Flex | Self::Metal | Self::Vulkan(None) | Self::LibTorch => {
                f.write_str(self.feature())
            }
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Device`] when this build lacks it; the mend names the cargo feature.
    #[allow(
        deprecated,
        reason = "burn deprecates LibTorch, which is the fast way on NVIDIA"
    )]
    pub fn open(self) -> Result<Device, Error> {
        match self {
            Self::Auto => Ok(Device::default()),
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan(None) => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan(Some(index)) => {
                Ok(Device::vulkan(burn::tensor::DeviceKind::DiscreteGpu(index)))
            }
            #[cfg(feature = "metal")]
            Self::Metal => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "rocm")]
            Self::Rocm(index) => Ok(Device::rocm(index)),
            #[cfg(feature = "libtorch")]
            Self::LibTorch => Ok(Device::libtorch()),
            #[cfg(feature = "libtorch")]
            Self::LibTorchCuda(index) => Ok(Device::libtorch_cuda(index)),
            #[allow(unreachable_patterns, reason = "reached unless every feature is on")]
            missing => Err(missing.not_built()),
        }
    }

    /// Whether this is the processor, whose memory is the machine's.
    pub fn is_processor(self) -> bool {
        let only_processor = !cfg!(any(
            feature = "cuda",
            feature = "vulkan",
            feature = "metal",
            feature = "rocm",
            feature = "libtorch"
        ));
        match self {
            Self::Auto => only_processor,
            Self::Flex | Self::LibTorch => true,
            _ => false,
        }
    }

    /// Whether several processes can train on such devices together.
    pub fn trains_over_ranks(self) -> bool {
        self.is_processor() || matches!(self, Self::LibTorchCuda(_))
    }

    fn feature(self) -> &'static str {
        match self {
            Self::Auto | Self::Flex => "flex",
            Self::Cuda(_) => "cuda",
            Self::Vulkan(_) => "vulkan",
            Self::Metal => "metal",
            Self::Rocm(_) => "rocm",
            Self::LibTorch | Self::LibTorchCuda(_) => "libtorch",
        }
    }

    fn not_built(self) -> Error {
        let feature = self.feature();
        Error::Device {
            found: feature.to_owned(),
            expected: "a device that this build has (flex is always there)".to_owned(),
            mend: format!("build with `cargo build --release --features {feature}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!("cuda:3".parse::<DeviceName>().unwrap(), DeviceName::Cuda(3));
        let torch: DeviceName = "libtorch:cuda:1".parse().unwrap();
        assert_eq!(torch, DeviceName::LibTorchCuda(1));
        for name in [
            "auto",
            "flex",
            "vulkan",
            "vulkan:2",
            "libtorch",
            "libtorch:cuda:1",
        ] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert!("cuda:x".parse::<DeviceName>().is_err());
        assert!("tpu".parse::<DeviceName>().is_err());
    }

    #[test]
    #[cfg(not(feature = "rocm"))]
    fn a_device_outside_the_build_names_its_feature() {
        let error = DeviceName::Rocm(0).open().unwrap_err().to_string();
        assert!(error.contains("--features rocm"), "{error}");
    }
}
