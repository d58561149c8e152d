use std::fmt;
use std::str::FromStr;

use burn::tensor::{Device, Tensor};
use inkling_fragment::catch_panic;

use crate::Error;

/// A device as people name it: `auto`, `flex`, `cuda:1`, `libtorch:cuda:0`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// The fastest device that this build has and that answers on this machine.
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

/// A device that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDevice {
    /// Its name, never `auto`.
    pub name: DeviceName,
    /// Faster ones of this build that did not answer, and why.
    pub silent: Vec<(DeviceName, String)>,
}

/// Rows and columns of the matrices that a device multiplies to show that it can.
const PROBED: usize = 48;

/// Numbers that are tried when devices of a kind are to be named.
const MOST_NUMBERED: usize = 8;

impl FromStr for DeviceName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Device {
            found: text.to_owned(),
            expected: "auto, flex, cuda[:N], vulkan[:N], metal, rocm[:N] or libtorch[:cuda:N]"
                .to_owned(),
            hint: "write one of these".to_owned(),
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
    /// Looks for the device on this machine: `auto` becomes the fastest one that answers, and any other
    /// must answer.
    ///
    /// # Errors
    /// [`Error::Device`] when this build lacks the device, whose cargo feature the hint then names, or
    /// when it does not answer, naming those of its kind that do.
    pub fn find(self) -> Result<FoundDevice, Error> {
        if !matches!(self, Self::Auto) {
            // A build without the device names its feature.
            catch_panic(|| self.open().map(|_| ())).unwrap_or(Ok(()))?;
        }
        self.find_among(&Self::built(), &mut Self::probe)
    }

    /// As [`find`](Self::find), with devices of a build, fastest first, and a `probe` that says why one
    /// does not answer.
    fn find_among(
        self,
        built: &[Self],
        probe: &mut dyn FnMut(Self) -> Result<(), String>,
    ) -> Result<FoundDevice, Error> {
        let mut silent = Vec::new();
        if self == Self::Auto {
            for &name in built {
                match probe(name) {
                    Ok(()) => return Ok(FoundDevice { name, silent }),
                    Err(reason) => silent.push((name, reason)),
                }
            }
            let name = Self::Flex;
            return Ok(FoundDevice { name, silent });
        }
        let Err(reason) = probe(self) else {
            return Ok(FoundDevice { name: self, silent });
        };
        let others = self.kin().into_iter().filter(|&name| name != self);
        let mut there: Vec<String> = others
            .filter(|&name| probe(name).is_ok())
            .map(|name| name.to_string())
            .collect();
        there.push("flex".to_owned());
        Err(Error::Device {
            found: self.to_string(),
            expected: format!("a device that answers, which it does not ({reason})"),
            hint: format!("choose one of {}, which do", there.join(", ")),
        })
    }

    /// The devices that this build looks for by itself, fastest first.
    fn built() -> Vec<Self> {
        let devices = [
            (cfg!(feature = "libtorch"), Self::LibTorchCuda(0)),
            (cfg!(feature = "cuda"), Self::Cuda(0)),
            (cfg!(feature = "rocm"), Self::Rocm(0)),
            (cfg!(feature = "metal"), Self::Metal),
            (cfg!(feature = "vulkan"), Self::Vulkan(None)),
            (true, Self::Flex),
        ];
        let built = devices.into_iter().filter(|(built, _)| *built);
        built.map(|(_, name)| name).collect()
    }

    /// The first devices of the same kind, by number.
    fn kin(self) -> Vec<Self> {
        let number: fn(usize) -> Self = match self {
            Self::Cuda(_) => Self::Cuda,
            Self::Vulkan(_) => |index| Self::Vulkan(Some(index)),
            Self::Rocm(_) => Self::Rocm,
            Self::LibTorchCuda(_) => Self::LibTorchCuda,
            Self::Auto | Self::Flex | Self::Metal | Self::LibTorch => return Vec::new(),
        };
        (0..MOST_NUMBERED).map(number).collect()
    }

    /// Multiplies two small matrices on the device; backends say by panics that there is none. Products are what drivers
    /// fail at: burn 0.22 takes Vulkan drivers without `VK_KHR_workgroup_memory_explicit_layout` for ones that have it.
    fn probe(self) -> Result<(), String> {
        if self == Self::Flex {
            return Ok(());
        }
        let products = catch_panic(|| {
            let device = self.open().map_err(|error| error.to_string())?;
            let ones = Tensor::<2>::ones([PROBED, PROBED], &device);
            let products = ones.clone().matmul(ones).into_data().try_into_vec::<f32>();
            products.map_err(|error| format!("{error:?}"))
        });
        let products = match products {
            Ok(products) => products?,
            Err(panic) => return Err(first_line(panic.text())),
        };
        match products.iter().find(|&&sum| sum != PROBED as f32) {
            None => Ok(()),
            Some(sum) => Err(format!(
                "a sum of {PROBED} ones is {sum} there; some Vulkan drivers lack what products of matrices need"
            )),
        }
    }

    /// Opens the device, without asking whether it answers.
    ///
    /// # Errors
    /// [`Error::Device`] when this build lacks it; the hint names the cargo feature.
    #[allow(
        deprecated,
        reason = "burn deprecates LibTorch, which is the fast way on NVIDIA"
    )]
    pub fn open(self) -> Result<Device, Error> {
        match self {
            Self::Auto => self.find()?.name.open(),
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

    /// Whether this is the processor, whose memory is the machine's. Ask it of a device that was
    /// [found](Self::find).
    pub fn is_processor(self) -> bool {
        matches!(self, Self::Flex | Self::LibTorch)
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
            hint: format!("build with `cargo build --release --features {feature}`"),
        }
    }
}

/// The first line of what a backend said. LibTorch's words come as Rust prints a string, with the stack behind them.
fn first_line(text: &str) -> String {
    let words = text.split_once("Torch(\"").map_or(text, |(_, words)| words);
    let ends = ["\n", "\\n"].into_iter().filter_map(|end| words.find(end));
    words[..ends.min().unwrap_or(words.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: [DeviceName; 3] = [
        DeviceName::Cuda(0),
        DeviceName::Vulkan(None),
        DeviceName::Flex,
    ];

    /// A machine on which only `there` answer.
    fn machine(there: &[DeviceName]) -> impl FnMut(DeviceName) -> Result<(), String> {
        |name| match there.contains(&name) {
            true => Ok(()),
            false => Err(format!("no {name} here")),
        }
    }

    #[test]
    fn auto_takes_the_fastest_that_answers_and_tells_of_the_others() {
        let find = |there: &[DeviceName]| {
            let found = DeviceName::Auto.find_among(&BUILT, &mut machine(there));
            found.unwrap()
        };
        let all = find(&BUILT);
        assert_eq!((all.name, all.silent.len()), (DeviceName::Cuda(0), 0));
        let some = find(&BUILT[1..]);
        assert_eq!(some.name, DeviceName::Vulkan(None));
        let reason = "no cuda:0 here".to_owned();
        assert_eq!(some.silent, [(DeviceName::Cuda(0), reason)]);
        let processor = find(&BUILT[2..]);
        assert_eq!(processor.name, DeviceName::Flex);
        assert_eq!(processor.silent.len(), 2);
        assert!(processor.name.is_processor());
        assert_eq!(find(&[]).name, DeviceName::Flex);
    }

    #[test]
    fn a_device_that_does_not_answer_is_refused_by_naming_those_that_do() {
        let there = [DeviceName::Cuda(0), DeviceName::Cuda(1), DeviceName::Flex];
        let found = DeviceName::Cuda(7).find_among(&BUILT, &mut machine(&there));
        let error = found.unwrap_err().to_string();
        for word in ["cuda:7", "no cuda:7 here", "cuda:0, cuda:1, flex"] {
            assert!(error.contains(word), "{error}");
        }
        let found = DeviceName::Cuda(1).find_among(&BUILT, &mut machine(&there));
        assert_eq!(found.unwrap().name, DeviceName::Cuda(1));
    }

    #[test]
    fn a_backends_first_line_is_enough() {
        assert_eq!(first_line("no such card\nat frame 0"), "no such card");
        let torch =
            r#"called `Result::unwrap()` on an `Err` value: Torch("No driver.\nat frame 0")"#;
        assert_eq!(first_line(torch), "No driver.");
        assert_eq!(first_line(""), "");
    }

    #[test]
    fn the_processor_always_answers() {
        assert_eq!(DeviceName::Flex.find().unwrap().name, DeviceName::Flex);
        assert!(DeviceName::Auto.find().is_ok());
    }

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
