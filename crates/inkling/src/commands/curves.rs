//! Measures brightness over depth.

use inkling_align::{dark_layers, measure_curves, write_curves};
use inkling_fragment::{ResultFolder, ResultKind, remark, write_bytes};
use inkling_pipeline::{Context, Inputs, curves_view, open_distinct};
use inkling_report::{FragmentCurve, curves_svg};
use serde_json::{Value, json};

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
        let task = context.task(fragment.id());
        let curves = measure_curves(fragment, &|done, all| task.at(done, all))?;
        for text in dark_layers(&curves.all, fragment.first_layer()) {
            remark(fragment.path(), &text);
        }
        measured.push((fragment.id().to_owned(), curves));
    }
    write_curves(&folder.claim("curves.csv", context.force)?, &measured, true)?;
    let views: Vec<FragmentCurve> = measured.iter().map(curves_view).collect();
    let path = folder.claim("curves.svg", context.force)?;
    write_bytes(&path, curves_svg(&views), true)?;
    context.say(format!("{}", path.display()));
    let figures: serde_json::Map<String, Value> = measured
        .into_iter()
        .map(|(id, curves)| (id, json!(curves)))
        .collect();
    Ok(Value::Object(figures))
}
