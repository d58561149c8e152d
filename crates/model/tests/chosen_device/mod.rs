//! The device that tests of agreement run on.

use burn::tensor::Device;
use inkling_model::DeviceName;

/// The device that `INKLING_TEST_DEVICE` names as the command line does, such as `libtorch` or `vulkan`, which
/// must answer; `default` without it.
pub fn chosen_device(default: Device) -> Device {
    let Ok(name) = std::env::var("INKLING_TEST_DEVICE") else {
        return default;
    };
    let name: DeviceName = name.parse().unwrap();
    name.find().unwrap().name.open().unwrap()
}
