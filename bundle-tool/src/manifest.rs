//! `ukernel.toml`: a project's settings, as types. Read once by each command that works on a project; `docs/manifest.md`
//! and the JSON schema are made of the descriptions here.
//!
//! A mistake is an error with its line ([`ManifestError`]); nothing unknown is passed over. What one value may be is
//! checked by the value's type, in the file of its section; what values have to do with each other in [`Manifest::parse`].
//!
//! ```
//! use bundle_tool::manifest::{Language, Manifest};
//!
//! let manifest = Manifest::parse("[project]\nname = \"demo\"\nlanguage = \"rust\"", "ukernel.toml".as_ref())?;
//! assert_eq!(manifest.project.language, Language::Rust);
//! assert_eq!(manifest.run.memory_mb.get(), 128);
//! let error = Manifest::parse("[projekt]", "ukernel.toml".as_ref()).unwrap_err();
//! assert!(error.to_string().contains("did you mean `project`?"));
//! # Ok::<(), bundle_tool::manifest::ManifestError>(())
//! ```

mod allow;
mod build;
mod env;
pub mod env_file;
mod error;
mod limits;
mod network;
mod options;
mod ports;
mod project;
mod run;
mod volumes;

use std::collections::BTreeMap;
use std::path::Path;

use bundle::MAX_VARIABLES;
use serde::Deserialize;

pub use allow::{AllowItem, CapabilitiesTable};
pub use build::BuildTable;
pub use env::{EnvName, EnvTable, EnvValue};
pub use error::ManifestError;
pub(crate) use error::text_of;
#[cfg(test)]
pub(crate) use golden::compare as compare_golden;
pub use limits::LimitsTable;
pub use network::{HostName, Ipv4Network, Ipv6Setting, NetworkMode, NetworkTable};
pub use options::env_option;
pub use ports::Port;
pub use project::{Language, Name, ProjectTable, RelativePath};
pub use run::{Argument, DeviceName, LogLevel, MemoryMb, NetBackend, RunTable, Vcpu, VmmName};
pub use volumes::{VolumeSize, VolumeTable};

/// What the file is called.
pub const FILE: &str = "ukernel.toml";
/// Most volumes: the disks behind the bundle's that a policy can name.
pub const MAX_VOLUMES: usize = policy::MAX_DISKS - 1;
/// Largest file that is read, in bytes; more is no manifest.
pub const MAX_BYTES: u64 = 1 << 20;

/// The settings of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What the project is.
    pub project: ProjectTable,
    /// Variables that the program finds in its environment.
    #[serde(default)]
    pub env: EnvTable,
    /// What `ukernel build` makes the bundle of.
    #[serde(default)]
    pub build: BuildTable,
    /// How `ukernel run` starts the machine; options of the command line come before it.
    #[serde(default)]
    pub run: RunTable,
    /// What the program may do. Without this section: everything.
    pub capabilities: Option<CapabilitiesTable>,
    /// How the machine's first network interface gets its addresses.
    #[serde(default)]
    pub network: NetworkTable,
    /// Disks for data, by name; their order on the machine is the order of their names.
    #[serde(default)]
    pub volumes: BTreeMap<Name, VolumeTable>,
    /// What a build may not exceed.
    #[serde(default)]
    pub limits: LimitsTable,
}

impl Manifest {
    /// Reads a manifest. `path` is what errors call it.
    ///
    /// # Errors
    /// It is not TOML, has a key that does not exist, lacks one, or a value cannot be.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest, ManifestError> {
        let manifest: Manifest =
            toml::from_str(text).map_err(|error| ManifestError::of_toml(path, text, &error))?;
        manifest.check().map_err(|(section, problem)| {
            ManifestError::in_section(path, text, section, problem)
        })?;
        Ok(manifest)
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), or the file cannot be read.
    pub fn read(path: &Path) -> Result<Manifest, ManifestError> {
        Manifest::parse(&error::text_of(path)?, path)
    }

    /// What the values of one section have to do with each other, or with another section's: the section and the problem.
    fn check(&self) -> Result<(), (&'static str, String)> {
        self.network
            .check()
            .map_err(|problem| ("network", problem))?;
        self.build
            .check(self.project.language)
            .map_err(|problem| ("build", problem))?;
        if self.volumes.len() > MAX_VOLUMES {
            let problem = format!("there are at most {MAX_VOLUMES} volumes");
            return Err(("volumes", problem));
        }
        if self.env.variables.len() > MAX_VARIABLES {
            let problem = format!("there are at most {MAX_VARIABLES} variables");
            return Err(("env.variables", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
