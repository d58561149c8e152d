//! A gallery of training samples: the same crop under every transform, and finished samples.

use anyhow::Context as _;
use inkling_augment::{
    AugmentSettings, GalleryVariant, Mix, MixingKind, Params, Sample, SampleKey, Scratch, Source,
    TrainTransform,
};
use inkling_fragment::{Fragment, ResultFolder, ResultKind, write_bytes};
use inkling_pipeline::{
    Budget, Context, Inputs, Recipe, aligned, load_if_small, training_fragment,
};
use inkling_report::{Gallery, GalleryPicture, GallerySection, SampleView, sample_picture};
use ndarray::Array2;
use serde_json::{Value, json};

use crate::cli::Augment;

pub fn run(flags: &Augment, context: &Context) -> anyhow::Result<Value> {
    let recipe = Recipe::read(&flags.recipe.files, &flags.recipe.overrides)?;
    let mut inputs = Inputs::of_recipe(&recipe, &flags.recipe.files);
    inputs.add(&flags.fragment);
    inputs.check_apart(&flags.out)?;
    let folder = ResultFolder::shared(&flags.out, ResultKind::Gallery);
    for name in ["gallery.json", "gallery.png", "gallery.html"] {
        folder.check(name, context.force)?;
    }
    let fragment = Fragment::open_named(&flags.fragment, flags.reading.options(false))?;
    let volume = aligned(&fragment, recipe.data.maps.as_deref())?;
    let [first, end] = recipe.data.layers;
    let (volume, z) = {
        let mut budget = Budget::new(None);
        load_if_small(volume, first..end, fragment.id(), &mut budget, context)?
    };
    let before = first - z.start;
    let labels = fragment.ink_labels()?;
    let labels = labels.unwrap_or_else(|| Array2::from_elem(fragment.size(), false));
    let sheet = training_fragment(&fragment, volume, z, labels, None)?;
    let source = sheet.source();
    let mut settings = recipe.augment.clone();
    settings.exact |= flags.exact;
    let size = [recipe.model.image_size, recipe.model.depth];
    let drawing = GalleryDrawing::new(&source, settings, size, flags.seed)?;
    let (transforms, drawn) = drawing.transforms()?;
    let task = context.task("samples");
    let (mut samples, mut addresses) = (Vec::new(), Vec::new());
    for index in 0..flags.count {
        let (picture, entry) = drawing.finished(u64::from(index))?;
        samples.push(picture);
        addresses.push(entry);
        task.at(u64::from(index) + 1, u64::from(flags.count));
    }
    drop(task);
    let gallery = gallery(&fragment, flags, before, transforms, samples);
    let figures = json!({
        "fragment": fragment.path(),
        "seed": flags.seed,
        "settings": drawing.settings,
        "transforms": drawn,
        "samples": addresses,
    });
    let text = serde_json::to_string_pretty(&figures)?;
    let place = |name| folder.claim(name, context.force);
    write_bytes(place("gallery.json")?, text, true)?;
    write_bytes(place("gallery.png")?, gallery.to_png(), true)?;
    let page = place("gallery.html")?;
    write_bytes(&page, gallery.to_html(), true)?;
    context.say(format!("{}", page.display()));
    Ok(figures)
}

/// `before` layers of the scan come before those that the samples count.
fn gallery(
    fragment: &Fragment,
    flags: &Augment,
    before: usize,
    transforms: Vec<GalleryPicture>,
    samples: Vec<GalleryPicture>,
) -> Gallery {
    Gallery {
        title: format!("What training sees of fragment {}", fragment.id()),
        subtitle: format!(
            "Above, the middle layer: ink orange, what is no papyrus dark. Below, the section \
             through the middle row, first layer on top. Layer 0 is the scan's layer {before}."
        ),
        sections: vec![
            GallerySection {
                title: "One crop under every transform".to_owned(),
                explanation: "As the settings limit them, each alone and certain to happen."
                    .to_owned(),
                pictures: transforms,
            },
            GallerySection {
                title: format!("{} samples of seed {}", flags.count, flags.seed),
                explanation: "All transforms together, each as often as the settings say."
                    .to_owned(),
                pictures: samples,
            },
        ],
    }
}

/// Samples of one fragment, and their pictures in the same shades.
struct GalleryDrawing<'a> {
    source: &'a Source<'a>,
    settings: AugmentSettings,
    size: [usize; 2],
    seed: u64,
    /// The crop that every transform is shown on.
    crop: Params,
    /// Another, to be mixed with.
    other: Params,
    /// The intensities that are drawn black and white.
    levels: [f32; 2],
}

/// Draws among which one that shows something is looked for.
const TRIES: u64 = 200;

impl<'a> GalleryDrawing<'a> {
    fn new(
        source: &'a Source<'a>,
        settings: AugmentSettings,
        [size, depth]: [usize; 2],
        seed: u64,
    ) -> anyhow::Result<Self> {
        let plain = TrainTransform::new(settings.clone().at_rest(), size, depth)?;
        let mut crops = Vec::new();
        for epoch in 0..TRIES {
            let crop = plain.draw(
                source,
                SampleKey {
                    seed,
                    epoch,
                    index: 0,
                },
            )?;
            let sample = plain.apply(source, &crop, &mut Scratch::default())?;
            crops.push((sample.labels.mean().unwrap_or(0.0) > 0.05, crop, sample));
            if crops.iter().filter(|(inked, ..)| *inked).count() == 2 {
                break;
            }
        }
        // Those with ink first, in the order of their draws; without labels none has.
        crops.sort_by_key(|(inked, ..)| !inked);
        let mut crops = crops.into_iter();
        let (_, crop, sample) = crops.next().expect("at least one draw");
        let other = crops
            .next()
            .map_or_else(|| crop.clone(), |(_, other, _)| other);
        Ok(Self {
            source,
            settings,
            size: [size, depth],
            seed,
            crop,
            other,
            levels: levels(&sample),
        })
    }

    /// The crop under every transform, and what was drawn for each.
    fn transforms(&self) -> anyhow::Result<(Vec<GalleryPicture>, Vec<Value>)> {
        let (mut pictures, mut drawn) = (Vec::new(), Vec::new());
        for variant in GalleryVariant::all() {
            let (params, sample) = self.alone(&variant)?;
            drawn.push(json!({ "name": variant.name, "params": params }));
            pictures.push(self.picture(variant.name, params.to_string(), &sample));
        }
        for (name, kind) in MixingKind::ALL {
            let (mix, sample) = self.mixed(kind)?;
            drawn.push(json!({ "name": name, "params": self.crop, "mix": mix }));
            pictures.push(self.picture(name, mix.to_string(), &sample));
        }
        Ok((pictures, drawn))
    }

    fn alone(&self, variant: &GalleryVariant) -> anyhow::Result<(Params, Sample)> {
        let transform = self.transform(variant.settings(&self.settings))?;
        for epoch in 0..TRIES {
            let params = transform.draw(self.source, self.key(epoch))?;
            if variant.shows(&params) {
                let params = variant.on_crop(params, &self.crop);
                let sample = transform.apply(self.source, &params, &mut Scratch::default())?;
                return Ok((params, sample));
            }
        }
        anyhow::bail!("{}: not once in {TRIES} draws", variant.name)
    }

    fn mixed(&self, kind: MixingKind) -> anyhow::Result<(Mix, Sample)> {
        let mut settings = self.settings.clone().at_rest();
        settings.mixing.kind = kind;
        settings.mixing.probability = 1.0;
        let transform = self.transform(settings)?;
        let scratch = &mut Scratch::default();
        let mut sample = transform.apply(self.source, &self.crop, scratch)?;
        let other = transform.apply(self.source, &self.other, scratch)?;
        let mix = transform
            .draw_mix(self.key(0))
            .context("a mixing that is certain")?;
        mix.apply(&mut sample.view_mut(), &other);
        Ok((mix, sample))
    }

    /// Sample `index` of the first epoch, with its address.
    fn finished(&self, index: u64) -> anyhow::Result<(GalleryPicture, Value)> {
        let key = SampleKey {
            index,
            ..self.key(0)
        };
        let transform = self.transform(self.settings.clone())?;
        let params = transform.draw(self.source, key)?;
        let mix = transform.draw_mix(key);
        let sample = transform.sample(self.source, key, &mut Scratch::default())?;
        let said = match mix {
            Some(mix) => format!("{params}; {mix}"),
            None => params.to_string(),
        };
        let picture = self.picture(&format!("sample {index}"), said, &sample);
        Ok((
            picture,
            json!({ "index": index, "params": params, "mix": mix }),
        ))
    }

    fn picture(&self, name: &str, explanation: String, sample: &Sample) -> GalleryPicture {
        GalleryPicture {
            name: name.to_owned(),
            explanation,
            picture: sample_picture(SampleView {
                volume: sample.volume.view(),
                labels: &sample.labels,
                validity: &sample.validity,
                levels: self.levels,
            }),
        }
    }

    fn transform(&self, settings: AugmentSettings) -> anyhow::Result<TrainTransform> {
        let [size, depth] = self.size;
        Ok(TrainTransform::new(settings, size, depth)?)
    }

    fn key(&self, epoch: u64) -> SampleKey {
        SampleKey {
            seed: self.seed,
            epoch,
            index: 0,
        }
    }
}

/// The intensities below and above which one voxel in a hundred lies.
fn levels(sample: &Sample) -> [f32; 2] {
    let mut values: Vec<f32> = sample.volume.iter().copied().collect();
    values.sort_unstable_by(f32::total_cmp);
    let one_in_a_hundred = values.len() / 100;
    [
        values[one_in_a_hundred],
        values[values.len() - 1 - one_in_a_hundred],
    ]
}
