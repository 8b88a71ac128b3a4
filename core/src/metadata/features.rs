//! Levels of the cluster's features: what may become of them (KIP-584, KIP-778, KIP-1022).
//!
//! A level is in force once its record is replayed. A feature that no record speaks of is at its greatest level; level 0
//! is off, and is remembered as such.
//!
//! Source: Kafka `FeatureControlManager`; the words are Kafka's.

use super::{Image, MetadataRecord};
use crate::{
    NodeId,
    protocol::{ErrorCode, records::FeatureLevelRecord},
};

/// The feature that is the version of the metadata's records.
pub const METADATA_VERSION: &str = "metadata.version";

/// The levels of a feature that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Its name.
    pub name: &'static str,
    /// The least level.
    pub min: i16,
    /// The greatest level.
    pub max: i16,
}

/// Which way a level may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeType {
    /// Up.
    Upgrade,
    /// Down, if nothing is lost by it.
    SafeDowngrade,
    /// Down, whatever is lost.
    UnsafeDowngrade,
}

impl UpgradeType {
    /// Reads the wire form.
    pub fn from_wire(number: i8) -> Option<Self> {
        match number {
            1 => Some(Self::Upgrade),
            2 => Some(Self::SafeDowngrade),
            3 => Some(Self::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// A level that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// The feature.
    pub name: String,
    /// The level.
    pub level: i16,
    /// Which way it may go; `None` if the client named none that there is.
    pub upgrade_type: Option<UpgradeType>,
}

/// Why levels do not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateFeaturesError {
    /// The level is above or below those served.
    #[error(
        "Invalid update version {level} for feature {name}. Local controller {node} only supports versions {min}-{max}"
    )]
    OutOfRange {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
        /// Who serves others.
        node: NodeId,
        /// The least level.
        min: i16,
        /// The greatest level.
        max: i16,
    },
    /// There is no such feature to raise.
    #[error(
        "Invalid update version {level} for feature {name}. Local controller {node} does not support this feature."
    )]
    Unsupported {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
        /// Who does not know it.
        node: NodeId,
    },
    /// There is no such feature to turn off.
    #[error("Invalid update version {level} for feature {name}. Feature {name} not found.")]
    NotFound {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
    },
    /// The client named no direction that there is.
    #[error(
        "Invalid update version {level} for feature {name}. The controller does not support the given upgrade type."
    )]
    UnknownUpgradeType {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
    },
    /// An upgrade would lower the level.
    #[error(
        "Invalid update version {level} for feature {name}. Can't downgrade the version of this feature without setting the \
         upgrade type to either safe or unsafe downgrade."
    )]
    Downgrade {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
    },
    /// A downgrade would raise the level.
    #[error("Invalid update version {level} for feature {name}. Can't downgrade to a newer version.")]
    Upgrade {
        /// The feature.
        name: String,
        /// The level asked for.
        level: i16,
    },
    /// The records in the log may not exist at the lower level.
    #[error(
        "Unsupported metadata.version downgrade from {from} to {to}. Refusing to perform the requested downgrade because it \
         might delete metadata information."
    )]
    MetadataLoss {
        /// The level now.
        from: i16,
        /// The level asked for.
        to: i16,
    },
    /// The same, asked for as unsafe.
    #[error(
        "Unsupported metadata.version downgrade from {from} to {to}. Unsafe metadata downgrade is not supported in this version."
    )]
    UnsafeMetadata {
        /// The level now.
        from: i16,
        /// The level asked for.
        to: i16,
    },
}

impl From<&UpdateFeaturesError> for ErrorCode {
    fn from(_: &UpdateFeaturesError) -> Self {
        Self::InvalidUpdateVersion
    }
}

impl Image {
    /// The level of a feature that is in force.
    pub fn feature_level(&self, feature: SupportedFeature) -> i16 {
        self.features().get(feature.name).copied().unwrap_or(feature.max)
    }

    /// The records that bring features to these levels: all of them or none.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn update_features(
        &self,
        updates: &[FeatureUpdate],
        supported: &[SupportedFeature],
        node: NodeId,
    ) -> Result<Vec<MetadataRecord>, UpdateFeaturesError> {
        let mut records = Vec::new();
        for update in updates {
            let feature = supported.iter().find(|feature| feature.name == update.name);
            let Some(feature) = feature.copied() else {
                let (name, level) = (update.name.clone(), update.level);
                return Err(if level == 0 {
                    UpdateFeaturesError::NotFound { name, level }
                } else {
                    UpdateFeaturesError::Unsupported { name, level, node }
                });
            };
            let current = self.feature_level(feature);
            check_update(update, feature, current, node)?;
            if update.level != current {
                let (name, feature_level) = (update.name.clone(), update.level);
                records.push(MetadataRecord::FeatureLevel(FeatureLevelRecord { name, feature_level }));
            }
        }
        Ok(records)
    }
}

fn check_update(
    update: &FeatureUpdate,
    SupportedFeature { min, max, .. }: SupportedFeature,
    current: i16,
    node: NodeId,
) -> Result<(), UpdateFeaturesError> {
    let (name, level) = (update.name.clone(), update.level);
    let Some(upgrade_type) = update.upgrade_type else {
        return Err(UpdateFeaturesError::UnknownUpgradeType { name, level });
    };
    if !(min..=max).contains(&level) {
        return Err(UpdateFeaturesError::OutOfRange { name, level, node, min, max });
    }
    match upgrade_type {
        UpgradeType::Upgrade if level < current => Err(UpdateFeaturesError::Downgrade { name, level }),
        UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if level > current => {
            Err(UpdateFeaturesError::Upgrade { name, level })
        }
        UpgradeType::SafeDowngrade if name == METADATA_VERSION && level < current => {
            Err(UpdateFeaturesError::MetadataLoss { from: current, to: level })
        }
        UpgradeType::UnsafeDowngrade if name == METADATA_VERSION && level < current => {
            Err(UpdateFeaturesError::UnsafeMetadata { from: current, to: level })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPPORTED: [SupportedFeature; 2] = [
        SupportedFeature { name: METADATA_VERSION, min: 7, max: 30 },
        SupportedFeature { name: "transaction.version", min: 0, max: 2 },
    ];

    fn update(image: &mut Image, name: &str, level: i16, number: i8) -> Result<usize, String> {
        let update = FeatureUpdate { name: name.to_owned(), level, upgrade_type: UpgradeType::from_wire(number) };
        let records = image.update_features(&[update], &SUPPORTED, NodeId(1)).map_err(|error| error.to_string())?;
        for record in &records {
            image.replay(record).unwrap();
        }
        Ok(records.len())
    }

    #[test]
    fn levels_go_the_way_that_is_named() {
        let mut image = Image::default();
        let level = |image: &Image| image.feature_level(SUPPORTED[1]);
        assert_eq!(level(&image), 2);
        assert_eq!(update(&mut image, "transaction.version", 2, 1), Ok(0));
        assert_eq!(update(&mut image, "transaction.version", 1, 2), Ok(1));
        assert!(
            update(&mut image, "transaction.version", 2, 2)
                .unwrap_err()
                .ends_with("Can't downgrade to a newer version.")
        );
        assert_eq!(update(&mut image, "transaction.version", 0, 3), Ok(1));
        assert_eq!(level(&image), 0);
        assert_eq!(update(&mut image, "transaction.version", 2, 1), Ok(1));
        for (name, to, way, words) in [
            ("transaction.version", 3, 1, "Local controller 1 only supports versions 0-2"),
            ("transaction.version", 1, 1, "upgrade type to either safe or unsafe downgrade."),
            ("transaction.version", 1, 0, "The controller does not support the given upgrade type."),
            (
                "no.such",
                1,
                1,
                "Invalid update version 1 for feature no.such. Local controller 1 does not support this feature.",
            ),
            ("no.such", 0, 2, "Invalid update version 0 for feature no.such. Feature no.such not found."),
            ("metadata.version", 29, 2, "might delete metadata information."),
            ("metadata.version", 29, 3, "Unsafe metadata downgrade is not supported in this version."),
        ] {
            let refused = update(&mut image, name, to, way).unwrap_err();
            assert!(refused.ends_with(words), "{refused}");
        }
        assert_eq!(level(&image), 2);
    }
}
