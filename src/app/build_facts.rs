//! What this build is: version, commit, target, C library, linkage and features.

use serde::Serialize;

/// The facts that identify a build. A bug report and the install script need them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildFacts {
    /// The program's name.
    pub name: &'static str,
    /// The version in `Cargo.toml`.
    pub version: &'static str,
    /// The commit, or `unknown` for a build outside a checkout.
    pub commit: String,
    /// Processor architecture and operating system, such as `x86_64-linux`.
    pub target: String,
    /// The C library: `glibc` or `musl`.
    pub libc: &'static str,
    /// `static` needs no shared library and no loader, `dynamic` needs those of the system.
    pub linkage: &'static str,
    /// The edition: `full`, `droplet` (without the embedded Mission Control and the demo), or `partial`.
    pub edition: &'static str,
    /// The Cargo features of the edition.
    pub features: Vec<&'static str>,
}

impl BuildFacts {
    /// The facts of this build. `commit` is the commit it was built from.
    pub fn new(commit: Option<&str>) -> Self {
        let features: Vec<_> = [
            ("mission-control", cfg!(feature = "mission-control")),
            ("demo", cfg!(feature = "demo")),
            ("test-kind", cfg!(feature = "test-kind")),
        ]
        .into_iter()
        .filter_map(|(name, built_in)| built_in.then_some(name))
        .collect();
        Self {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            commit: commit.filter(|commit| !commit.is_empty()).unwrap_or("unknown").to_owned(),
            target: [std::env::consts::ARCH, std::env::consts::OS].join("-"),
            libc: if cfg!(target_env = "musl") { "musl" } else { "glibc" },
            linkage: if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
            edition: match () {
                () if cfg!(feature = "demo") => "full",
                () if cfg!(feature = "mission-control") => "partial",
                () => "droplet",
            },
            features,
        }
    }
}

/// The version of this build in one line.
pub fn version(commit: Option<&str>) -> String {
    let BuildFacts { name, version, commit, target, libc, linkage, edition, features: _ } =
        BuildFacts::new(commit);
    format!("{name} {version} ({target}, {linkage} {libc}, {edition} build, commit {commit})\n")
}

/// The facts about this build as JSON.
pub fn version_json(commit: Option<&str>) -> String {
    format!("{:#}\n", serde_json::json!(BuildFacts::new(commit)))
}
