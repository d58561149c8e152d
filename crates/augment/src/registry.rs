//! What the list of transforms in `transforms.rs` becomes.

/// Makes of `/// doc, field: Transform` entries [`AugmentSettings`](crate::AugmentSettings), with each
/// transform's settings, [`Params`](crate::Params), with each transform's draw, and functions that go
/// through all transforms in the order of the list.
macro_rules! transforms {
    ($($(#[doc = $doc:literal])+ $name:ident: $transform:ty,)+) => {
        settings! {
            /// `[augment]` in a recipe: the transforms of training. The defaults are the reference
            /// solution's.
            ///
            /// A transform's own name is its probability; 0 leaves it out.
            #[schemars(deny_unknown_fields)]
            pub struct AugmentSettings {
                /// Applies the transforms one after another, each rounding to 16 bits, instead of
                /// sampling the volume once.
                "exact" exact: bool = false,
                /// Mixing of two samples.
                "mixing" mixing: Mixing = Mixing::default(),
                ..
                /// How crops are drawn.
                crop: CropSettings,
                $($(#[doc = $doc])+ $name: <$transform as Transform>::Settings,)+
            }
        }

        /// One sample's random draw: applied again it gives the same sample. `None`, `false` and 0
        /// leave a transform out.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct Params {
            /// First row of the crop (negative beyond a padded fragment's edge) and their number.
            pub rows: (i64, usize),
            /// First column of the crop and their number.
            pub columns: (i64, usize),
            /// First layer of the crop and their number.
            pub layers: (usize, usize),
            /// Layers of the crop that are taken as they are; otherwise all are resized.
            pub slices: Option<Vec<usize>>,
            $($(#[doc = $doc])+ pub $name: <$transform as Transform>::Draw,)+
        }

        impl AugmentSettings {
            /// The same limits, with no transform happening.
            fn without_transforms(mut self) -> Self {
                $(self.$name.set_probability(0.0);)+
                self
            }

            /// Whether the transforms' settings are in their ranges, for patches of `side` px.
            ///
            /// # Errors
            /// [`Error::Setting`] for the first that is not.
            fn check_transforms(&self, side: usize) -> Result<(), Error> {
                $(
                    let probability = self.$name.probability();
                    let key = keys_of::<$transform>()[0];
                    let holds = within(probability, 1.0);
                    require(key, probability, holds, "a probability from 0 to 1")?;
                    <$transform>::check(&self.$name, side)?;
                )+
                Ok(())
            }

            /// The keys that nothing reads, since a transform never happens, each with the key that
            /// switches it off.
            fn keys_of_idle_transforms(&self) -> Vec<[&'static str; 2]> {
                let mut idle = Vec::new();
                $(
                    if self.$name.probability() == 0.0 {
                        let keys = keys_of::<$transform>();
                        idle.extend(keys[1..].iter().map(|key| [*key, keys[0]]));
                    }
                )+
                idle
            }

            /// Draws the transforms for a patch of `side` px.
            fn draw_transforms(
                &self,
                crop: Params,
                side: usize,
                random: &mut rand_chacha::ChaCha8Rng,
            ) -> Params {
                Params {
                    $($name: match random.random_bool(self.$name.probability()) {
                        true => <$transform>::draw(&self.$name, side, random),
                        false => Default::default(),
                    },)+
                    ..crop
                }
            }
        }

        impl Params {
            /// A crop that is resized and nothing else: rows, columns and layers as (first, count).
            pub fn crop(rows: (i64, usize), columns: (i64, usize), layers: (usize, usize)) -> Self {
                Self {
                    rows,
                    columns,
                    layers,
                    slices: None,
                    $($name: Default::default(),)+
                }
            }

            /// What each transform does, in words; nothing for those that do nothing.
            fn descriptions(&self) -> Vec<String> {
                let transforms = [$(<$transform>::describe(&self.$name)),+];
                transforms.into_iter().flatten().collect()
            }

            /// Whether a transform rewrites the crop before it is sampled.
            pub(crate) fn change_crop(&self) -> bool {
                $((<$transform>::CHANGES_CROP && happens::<$transform>(&self.$name)))||+
            }

            /// The crop as such transforms leave it, and what is still to be done.
            pub(crate) fn rewrite_crop(&self, mut stage: CropStage) -> (CropStage, Self) {
                let mut rest = self.clone();
                $(
                    if <$transform>::CHANGES_CROP {
                        stage = <$transform>::crop(&self.$name, stage);
                        rest.$name = Default::default();
                    }
                )+
                (stage, rest)
            }

            /// Where the pixels of a patch of `side` px come from.
            pub(crate) fn geometry(&self, side: usize) -> PlaceMaps {
                let mut maps = PlaceMaps::new([side, side]);
                let add: &[fn(&Self, &mut PlaceMaps)] =
                    &[$(|params, maps| <$transform>::geometry(&params.$name, maps)),+];
                // A pixel is traced back from the last transform to the first.
                add.iter().rev().for_each(|add| add(self, &mut maps));
                maps
            }

            /// Contrast and brightness.
            pub(crate) fn tone(&self) -> Tone {
                let mut tone = Tone::default();
                $(<$transform>::tone(&self.$name, &mut tone);)+
                tone
            }

            /// Noise, of one transform at most.
            pub(crate) fn noise(&self) -> Option<Noise> {
                None$(.or_else(|| <$transform>::noise(&self.$name)))+
            }

            /// Whether a blur follows the sampling.
            pub(crate) fn blurs(&self) -> bool {
                $(<$transform>::blurs(&self.$name))||+
            }

            /// Blurs intensities, (z, y, x), then gives them their `tone`.
            pub(crate) fn blur(&self, volume: &mut ArrayViewMut3<f32>, tone: &Tone, rows: &mut BlurRows) {
                $(<$transform>::blur(&self.$name, volume, tone, rows);)+
            }

            /// Changes the normalised sample.
            pub(crate) fn finish(&self, sample: &mut SampleMut) {
                $(<$transform>::finish(&self.$name, sample);)+
            }

            /// The transforms before the crop is resized to the patch, or those after it, one after
            /// another.
            pub(crate) fn steps(
                &self,
                before_resize: bool,
                mut stage: CropStage,
                scratch: &mut Scratch,
            ) -> CropStage {
                $(
                    if <$transform>::BEFORE_RESIZE == before_resize {
                        stage = step::<$transform>(&self.$name, stage, scratch);
                    }
                )+
                stage
            }
        }

        /// The pictures of every transform in the gallery.
        pub(crate) fn variants() -> Vec<TransformVariant> {
            let mut variants = Vec::new();
            $(
                for variant in <$transform>::GALLERY {
                    variants.push(TransformVariant {
                        name: variant.name,
                        switch_on: |settings, _| settings.$name.set_probability(1.0),
                        shows: Box::new(|params| (variant.shows)(&params.$name)),
                    });
                }
            )+
            variants
        }
    };
}
pub(crate) use transforms;
