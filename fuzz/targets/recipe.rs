//! Recipes, and single values of `--set`: the first line is one.
#![no_main]

use inkling_fuzz::put;
use inkling_pipeline::Recipe;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let path = put("recipe.toml", data);
    let _ = Recipe::read(std::slice::from_ref(&path), &[]);
    if let Some(line) = std::str::from_utf8(data)
        .ok()
        .and_then(|text| text.lines().next())
    {
        let _ = Recipe::read(&[], &[line.to_owned()]);
    }
});
