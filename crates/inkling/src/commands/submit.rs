//! Writes submissions.

use inkling_fragment::{read_probability, write_bytes};
use std::path::PathBuf;

use inkling_pipeline::{
    Context, Inputs, SubmissionCheck, Usage, check_distinct, parse_threshold, probability_images,
};
use inkling_predict::{Threshold, run_lengths, submission};
use serde_json::{Value, json};

use crate::cli::Submit;

pub fn run(flags: &Submit, context: &Context) -> anyhow::Result<Value> {
    let cut = parse_threshold(&flags.threshold)?;
    let (images, left_out) = probability_images(&flags.images)?;
    Inputs::of(images.iter().map(|(_, path)| path)).check_file(&flags.out, "csv")?;
    check_distinct(images.iter().map(|(id, path)| (id.clone(), path.as_path())))?;
    for (path, reason) in &left_out {
        context.say(format!("{}: left out, {reason}", path.display()));
    }
    if images.is_empty() {
        return Err(Usage(format!(
            "submit: found no probability image among {} files; expected <id>.png that `inkling \
             predict` wrote. hint: name the folder given to its --out",
            left_out.len()
        ))
        .into());
    }
    if flags.check {
        return check(&images, context);
    }
    let mut rows = Vec::new();
    for (id, path) in &images {
        rows.push((id.clone(), run_lengths(&read_probability(path)?, cut)));
    }
    write_bytes(&flags.out, submission(&rows), context.force)?;
    context.say(format!("{}", flags.out.display()));
    Ok(json!({
        "submission": flags.out,
        "fragments": rows.len(),
        "level": cut.level(),
        "high_level": cut.high().map(Threshold::level),
        "left_out": left_out.iter().map(|(path, _)| path).collect::<Vec<_>>(),
    }))
}

/// Says of each image what a submission of it as a reading has and lacks.
fn check(images: &[(String, PathBuf)], context: &Context) -> anyhow::Result<Value> {
    let mut found = Vec::new();
    for (_, path) in images {
        let checked = SubmissionCheck::of(path)?;
        context.say(format!("{}:", path.display()));
        for item in &checked.checks {
            let verdict = match item.passes {
                Some(true) => "there",
                Some(false) => "MISSING",
                None => "not known",
            };
            context.say(format!(
                "  {:<11} {verdict:<10} {}",
                item.name, item.sentence
            ));
        }
        found.push(checked);
    }
    let lacking = found.iter().filter(|checked| checked.passes == Some(false));
    context.say(match lacking.count() {
        0 => "Nothing is missing, as far as the maps say.".to_owned(),
        count => format!("{count} of {} maps lack something.", found.len()),
    });
    Ok(json!({ "checks": found }))
}
