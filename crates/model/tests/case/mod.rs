//! Cases of reference files: settings under the oracles' names.

use inkling_model::ModelSettings;
use serde_json::Value;

/// The settings of a case; all that it does not name are the defaults.
pub fn settings(case: &Value) -> ModelSettings {
    let mut settings = case.clone();
    let table = settings.as_object_mut().expect("a case is a table");
    let size = table.remove("image").expect("a case has an image size");
    table.insert("image_size".to_owned(), size);
    serde_json::from_value(settings).expect("a case is made of settings")
}
