//! Groups of settings: each transform's own, which together are one table of a recipe.

use serde::de::MapAccess;

/// Settings that lie in a table of a recipe beside others. What serde's `flatten` does, but unknown
/// keys and wrong types are still told with their place.
pub trait SettingsGroup: Default {
    /// Adds the names of its keys, in their order.
    fn list_keys(keys: &mut Vec<&'static str>);

    /// Reads the value of `key` where it is one of these; otherwise the value is still to be read.
    ///
    /// # Errors
    /// Those of reading a value of the wrong type.
    fn read_value<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
    ) -> Result<bool, A::Error>;
}

/// Settings of something that happens by chance.
pub trait Probable {
    /// How often it happens, 0 to 1.
    fn probability(&self) -> f64;

    /// Makes it happen so often.
    fn set_probability(&mut self, probability: f64);
}

/// Declares a [`SettingsGroup`]: `"key" field: type = default`, and after `..` groups that lie in
/// the same table. With a field `probability` it is [`Probable`].
macro_rules! settings {
    (@probable $name:ident probability) => {
        impl $crate::settings_group::Probable for $name {
            fn probability(&self) -> f64 {
                self.probability
            }

            fn set_probability(&mut self, probability: f64) {
                self.probability = probability;
            }
        }
    };
    (@probable $name:ident $other:ident) => {};
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $key:literal $field:ident: $type:ty = $default:expr,)*
            $(.. $($(#[$group_doc:meta])* $group:ident: $group_type:ty,)+)?
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        $(#[$meta])*
        #[serde(default)]
        pub struct $name {
            $($(#[$doc])* #[serde(rename = $key)] pub $field: $type,)*
            $($($(#[$group_doc])* #[serde(flatten)] pub $group: $group_type,)+)?
        }

        $($crate::settings_group::settings!(@probable $name $field);)*

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($field: $default,)*
                    $($($group: Default::default(),)+)?
                }
            }
        }

        impl $crate::settings_group::SettingsGroup for $name {
            fn list_keys(keys: &mut Vec<&'static str>) {
                $(keys.push($key);)*
                $($(<$group_type as $crate::settings_group::SettingsGroup>::list_keys(keys);)+)?
            }

            fn read_value<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                key: &str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                match key {
                    $($key => self.$field = map.next_value()?,)*
                    _ => {
                        $($(if self.$group.read_value(key, map)? {
                            return Ok(true);
                        })+)?
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    };
}
pub(crate) use settings;
