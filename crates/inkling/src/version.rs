//! What `inkling --version` says: commit, features, vector instructions, devices.

use inkling_kernels::simd_level;
use inkling_pipeline::Machine;

use crate::VERSION;

/// The cargo features that bring devices or ranks, and whether this build has them.
const FEATURES: [(&str, bool); 6] = [
    ("libtorch", cfg!(feature = "libtorch")),
    ("cuda", cfg!(feature = "cuda")),
    ("rocm", cfg!(feature = "rocm")),
    ("metal", cfg!(feature = "metal")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("mpi", cfg!(feature = "mpi")),
];

/// The features of this build that bring devices or ranks.
pub fn features() -> Vec<&'static str> {
    let built = FEATURES.iter().filter(|(_, built)| *built);
    built.map(|(name, _)| *name).collect()
}

/// Names, or that there are none.
pub fn listed(names: &[&str]) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// Version and commit; then a line each for features, devices and vector instructions of this build on this
/// machine. Devices are those that it can use where they are found, which `inkling doctor` does.
pub fn version_text() -> String {
    let features = features();
    let mut devices = vec!["flex"];
    devices.extend(features.iter().filter(|name| **name != "mpi"));
    let used = match simd_level() {
        Ok(level) => format!("{level:?}").to_lowercase(),
        Err(error) => error.to_string(),
    };
    format!(
        "inkling {VERSION}\nfeatures  {}\ndevices   {}\nsimd      {used} (found: {})\ntarget    {}-{}\n",
        listed(&features),
        devices.join(", "),
        listed(&Machine::look().simd),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )
}
