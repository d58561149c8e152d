use inkling_align::{FragmentCurves, measure_curves, write_curves};
use inkling_fragment::{ResultFolder, ResultKind, write_bytes};
use inkling_report::{FragmentCurve, curves_svg};
use serde_json::{Value, json};

use super::Context;
use super::apart::Inputs;
use super::folds::open_distinct;
use crate::cli::Curves;

pub fn run(flags: &Curves, context: &Context) -> anyhow::Result<Value> {
    Inputs::of(&flags.fragments).check_apart(&flags.out)?;
    let fragments = open_distinct(&flags.fragments, flags.reading.options(false))?;
    let folder = ResultFolder::shared(&flags.out, ResultKind::Curves);
    for name in ["curves.csv", "curves.svg"] {
        folder.check(name, context.force)?;
    }
    let mut measured = Vec::new();
    for fragment in &fragments {
        let task = context.console.task(fragment.id());
        let curves = measure_curves(fragment, &|done, all| task.at(done, all))?;
        measured.push((fragment.id().to_owned(), curves));
    }
    write_curves(&folder.claim("curves.csv", context.force)?, &measured, true)?;
    let views: Vec<FragmentCurve> = measured.iter().map(view).collect();
    let path = folder.claim("curves.svg", context.force)?;
    write_bytes(&path, curves_svg(&views), true)?;
    context.console.say(format!("{}", path.display()));
    let figures: serde_json::Map<String, Value> = measured
        .into_iter()
        .map(|(id, curves)| (id, json!(curves)))
        .collect();
    Ok(Value::Object(figures))
}

/// Curves as the report draws them.
pub fn view((id, curves): &(String, FragmentCurves)) -> FragmentCurve {
    let values = |curve: &inkling_align::Curve| curve.values().to_vec();
    FragmentCurve {
        id: id.clone(),
        all: values(&curves.all),
        ink: curves.ink.as_ref().map(values),
        background: curves.background.as_ref().map(values),
    }
}
