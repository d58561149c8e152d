//! Verifies a finished map.

use inkling_pipeline::{Context, VerifySettings, verify};
use serde_json::Value;

use crate::cli::Verify;

pub fn run(flags: &Verify, context: &Context) -> anyhow::Result<Value> {
    let settings = VerifySettings {
        fragment: flags.fragment.clone(),
        models: flags.models.clone(),
        maps: flags.maps.clone(),
        tiles: flags.tiles as usize,
        seed: flags.seed,
    };
    let found = verify(&flags.map, &settings, context)?;
    let agreement = &found.agreement;
    let correlation = match agreement.correlation {
        Some(correlation) => format!("{correlation:.6}"),
        None => "not defined for a map of one level".to_owned(),
    };
    context.say(format!(
        "{}: {} pixels of {} places predicted anew: correlation {correlation}, largest difference {} of 255, \
         {:.1} % of the brightest 5 % in common",
        flags.map.display(),
        agreement.pixels,
        found.places.len(),
        agreement.largest_difference,
        100.0 * agreement.overlap_of_brightest
    ));
    if !found.agrees {
        let worst = found
            .places
            .iter()
            .max_by_key(|place| place.largest_difference)
            .map(|place| place.region.to_string())
            .unwrap_or_default();
        anyhow::bail!(
            "{}: found a pixel {} grey levels off what its models make of its fragment, in {worst}; expected at \
             most one. hint: the map was changed after it was predicted, or another device made it",
            flags.map.display(),
            agreement.largest_difference
        );
    }
    Ok(serde_json::to_value(&found)?)
}
