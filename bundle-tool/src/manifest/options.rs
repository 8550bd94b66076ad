//! The kernel's words for a manifest: what stands in a bundle's index. Pure.

use super::{EnvName, EnvValue, Manifest};

impl Manifest {
    /// The words for the kernel's command line that the manifest stands for, its variables included, but not those of
    /// `[env] base`: [`Project::options`](crate::project::Project::options) adds them. A value may contain spaces.
    pub fn options(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(level) = self.run.log {
            words.push(format!("log={}", level.as_str()));
        }
        words.extend(self.network.option());
        if let Some(name) = &self.network.hostname {
            words.push(format!("hostname={}", name.as_str()));
        }
        if let Some(capabilities) = &self.capabilities {
            // The word of an empty list limits as well: whoever allows nothing is given nothing.
            let none = capabilities
                .allow
                .is_empty()
                .then(|| "allow=none".to_string());
            let items = capabilities.allow.iter();
            words.extend(
                none.into_iter()
                    .chain(items.map(|item| format!("allow={}", item.as_str()))),
            );
        }
        if self.run.trace {
            words.push("trace=on".into());
        }
        words.extend(
            self.env
                .variables
                .iter()
                .map(|(name, value)| env_option(name, value)),
        );
        words
    }

    /// The program's arguments.
    pub fn arguments(&self) -> Vec<String> {
        let words = self.run.args.iter();
        words.map(|word| word.as_str().into()).collect()
    }
}

/// The word that sets a variable.
pub fn env_option(name: &EnvName, value: &EnvValue) -> String {
    format!("env={}={}", name.as_str(), value.as_str())
}
