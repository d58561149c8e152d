use burn::tensor::Device;
use inkling_model::Precision;
use inkling_pipeline::Usage;

/// Refuses a precision that a device does not compute in.
pub fn check(precision: Precision, device: &Device) -> Result<(), Usage> {
    if precision.is_on(device) {
        return Ok(());
    }
    let name = precision.name();
    Err(Usage(format!(
        "--precision {name}: this device does not compute in {name}. hint: choose another \
         precision, or another --device"
    )))
}
