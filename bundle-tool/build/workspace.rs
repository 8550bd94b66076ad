//! The manifest of the carried workspace: the repository's, with the members that are carried and no others.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::archive::Archive;

/// Reduces the manifest of the repository at `root` to what is carried.
pub(crate) fn reduce(
    manifest: &str,
    root: &Path,
    carried: &Archive,
) -> Result<String, Box<dyn Error>> {
    let mut manifest: Table = toml::from_str(manifest)?;
    let is_carried = |folder: &Value| {
        let folder = folder.as_str();
        folder.is_some_and(|folder| carried.has(&format!("{folder}/Cargo.toml")))
    };
    let workspace = manifest.get_mut("workspace").and_then(Value::as_table_mut);
    let workspace = workspace.ok_or("the repository is a workspace")?;
    for key in ["exclude", "default-members"] {
        workspace.remove(key);
    }
    let members = workspace.get_mut("members").and_then(Value::as_array_mut);
    let members = members.ok_or("the workspace has members")?;
    members.retain(is_carried);
    let names = members.iter().map(|folder| name(root, folder));
    let names = names.collect::<Result<BTreeSet<_>, _>>()?;
    let dependencies = workspace
        .get_mut("dependencies")
        .and_then(Value::as_table_mut);
    dependencies
        .ok_or("the workspace has dependencies")?
        .retain(|_, dependency| dependency.get("path").is_none_or(is_carried));
    without_other_packages(&mut manifest, &names);
    Ok(toml::to_string(&manifest)?)
}

/// The profiles for programs in machines, as a configuration for Cargo that projects are built with: that for release,
/// which is the repository's own, and one that compiles faster, with checks and all of the debugger's information.
pub(crate) fn profiles(manifest: &str) -> Result<String, Box<dyn Error>> {
    let manifest: Table = toml::from_str(manifest)?;
    let profile = manifest
        .get("profile")
        .and_then(|profiles| profiles.get("guest"));
    let mut release = profile
        .and_then(Value::as_table)
        .ok_or("there is a profile for guests")?
        .clone();
    let packages = release.get_mut("package").and_then(Value::as_table_mut);
    // A project may have a package of one of the examples' names.
    packages
        .ok_or("it has settings of packages")?
        .retain(|package, _| package == "drivers" || package == "policy");
    let quick: Table = toml::from_str(QUICK)?;
    let mut config = Table::new();
    let both = [("guest", release), ("guest-dev", quick)];
    let both = both.map(|(name, profile)| (name.to_string(), Value::Table(profile)));
    config.insert("profile".into(), Value::Table(both.into_iter().collect()));
    Ok(toml::to_string(&config)?)
}

const QUICK: &str = r#"
inherits = "guest"
opt-level = 1
lto = "off"
codegen-units = 16
debug = "full"
debug-assertions = true
overflow-checks = true
"#;

/// The name of the package in a folder.
fn name(root: &Path, folder: &Value) -> Result<String, Box<dyn Error>> {
    let folder = folder.as_str().unwrap_or_default();
    let text = fs::read_to_string(root.join(folder).join("Cargo.toml"))?;
    let manifest: Table = toml::from_str(&text)?;
    let package = manifest.get("package");
    let name = package.and_then(|package| package.get("name")?.as_str());
    Ok(name.ok_or_else(|| format!("{folder}: no name"))?.into())
}

/// Takes the settings of packages that are not there out of the profiles: Cargo would warn about them.
fn without_other_packages(manifest: &mut Table, packages: &BTreeSet<String>) {
    let profiles = manifest.get_mut("profile").and_then(Value::as_table_mut);
    for (_, profile) in profiles.into_iter().flatten() {
        if let Some(settings) = profile.get_mut("package").and_then(Value::as_table_mut) {
            settings.retain(|package, _| packages.contains(package));
        }
    }
}
