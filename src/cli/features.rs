//! Cargo features: which commands this build has, and how to get a missing one.

/// A part of the program that a build may omit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// The embedded Mission Control.
    MissionControl,
    /// The scripted gateway and its team.
    Demo,
    /// Machines at a provider.
    Provision,
}

/// The features of this build.
pub(super) const BUILT_IN: &[Feature] = &[
    #[cfg(feature = "mission-control")]
    Feature::MissionControl,
    #[cfg(feature = "demo")]
    Feature::Demo,
    #[cfg(feature = "provision")]
    Feature::Provision,
];

impl Feature {
    /// The feature's name in `Cargo.toml`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MissionControl => "mission-control",
            Self::Demo => "demo",
            Self::Provision => "provision",
        }
    }
}

/// Explains why a command is missing and how to get it.
pub(super) fn lacking(command: &str, feature: Feature) -> String {
    let feature = feature.name();
    format!(
        "this build has no command `{command}`: it was built without the Cargo feature `{feature}`; `cargo build --release \
         --features {feature}` includes it"
    )
}
