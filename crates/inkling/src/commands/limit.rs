//! Maps the faintest ink that would have been found.

use inkling_fragment::{write_bytes, write_gray};
use inkling_pipeline::{Context, LimitSettings, Usage, detection_limit};
use serde_json::Value;

use super::audited_reading::AuditedReading;
use crate::cli::Limit;

pub fn run(flags: &Limit, context: &Context) -> anyhow::Result<Value> {
    check_contrasts(&flags.contrasts)?;
    let files = |id: &str| ["json", "png"].map(|ending| format!("{id}.limit.{ending}"));
    let reading = AuditedReading::open(&flags.audit, files, context)?;
    let patch = reading.ensemble.image_size();
    let settings = LimitSettings {
        maps: reading.maps,
        predict: reading.predict,
        threshold: reading.threshold,
        contrasts: flags.contrasts.clone(),
        stroke: flags
            .stroke
            .map_or((patch as f64 / 8.0).max(1.0), f64::from),
        seed: flags.seed,
        checks: flags.check.into(),
    };
    let found = detection_limit(&reading.fragment, &reading.ensemble, &settings, context)?;
    let bare = found.cells.iter().filter(|cell| !cell.is_inked);
    let (seen, all) = (
        bare.clone().filter(|cell| cell.faintest.is_some()).count(),
        bare.count(),
    );
    context.say(format!(
        "{}: strokes are found in {seen} of {all} bare squares of {patch} px; ink is seen in {} more",
        found.id,
        found.cells.len() - all
    ));
    if let Some(check) = &found.check {
        let auc = match check.auc {
            Some(auc) => format!("AUC {auc:.3}"),
            None => "no AUC, since all were found or none".to_owned(),
        };
        context.say(format!(
            "{}: of {} other strokes {} were found, as the limits foretold with {auc}",
            found.id, check.strokes, check.found
        ));
    }
    let figures = serde_json::to_value(&found)?;
    let (results, [record, image]) = (reading.results, reading.files);
    let text = serde_json::to_string_pretty(&figures)?;
    write_bytes(results.claim(&record, context.force)?, text, true)?;
    let path = results.claim(&image, context.force)?;
    write_gray(&path, found.image.view(), true)?;
    context.say(format!("{}", path.display()));
    Ok(figures)
}

fn check_contrasts(contrasts: &[f32]) -> Result<(), Usage> {
    let falling = contrasts.windows(2).all(|pair| pair[0] > pair[1]);
    let within = contrasts
        .iter()
        .all(|contrast| (0.001..=1_000.0).contains(contrast));
    match falling && within && !contrasts.is_empty() {
        true => Ok(()),
        false => Err(Usage(format!(
            "--contrasts: found {contrasts:?}; expected numbers from 1,000 down to 0.001, each below the one \
             before. hint: sort them"
        ))),
    }
}
