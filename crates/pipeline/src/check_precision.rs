//! Which devices compute in which precision.

use burn::tensor::Device;
use inkling_model::Precision;

use crate::Usage;

/// Refuses a precision that a device does not compute in.
///
/// # Errors
/// [`Usage`], naming the precision.
pub fn check_precision(precision: Precision, device: &Device) -> Result<(), Usage> {
    if precision.is_on(device) {
        return Ok(());
    }
    let name = precision.name();
    Err(Usage(format!(
        "--precision {name}: this device does not compute in {name}. hint: choose another \
         precision, or another --device"
    )))
}
