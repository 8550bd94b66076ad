//! The arrows between crates go downwards only. `cargo metadata` says which there are; the table here
//! says which there may be.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use system_tests::guest::repository;

/// Each package of the workspace and the packages of the workspace it may name, whether for building,
/// running or testing. Lower layers first.
const LAYERS: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("bundle", &[]),
    ("reactor", &[]),
    ("policy", &["abi"]),
    ("trace", &["abi", "reactor"]),
    ("calls", &["abi", "reactor", "trace"]),
    ("adapter", &["abi", "reactor", "policy", "trace", "calls"]),
    ("python-native", &["abi", "calls", "adapter"]),
    ("netstack", &["reactor", "policy"]),
    ("drivers", &["reactor"]),
    ("ukernel-build", &[]),
    ("ukernel-macros", &[]),
    (
        "ukernel",
        &[
            "abi",
            "reactor",
            "policy",
            "trace",
            "bundle",
            "calls",
            "netstack",
            "drivers",
            "ukernel-macros",
        ],
    ),
    ("c", &["ukernel"]),
    ("bundle-tool", &["abi", "policy", "bundle"]),
    ("system-tests", &["abi", "bundle", "bundle-tool", "drivers"]),
    ("bench-work", &[]),
    ("benches", &["bench-work", "bundle-tool", "system-tests"]),
    ("micro", &["reactor"]),
    ("peer", &["bench-work"]),
    ("bench-worker", &["bench-work", "ukernel", "ukernel-build"]),
];

/// What programs that run in a machine may name: what a person's own worker would.
const WORKLOAD: &[&str] = &["ukernel", "ukernel-build"];

/// Loaders that stand in for a VMM know the kernel as little as a VMM does.
const LOADERS: &[&str] = &["linux-entry"];

/// The packages of the workspace, each with those of the workspace that it names, and its folder.
fn packages() -> BTreeMap<String, (Vec<String>, String)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]);
    let output = command
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages.iter().map(package).collect()
}

fn package(package: &Value) -> (String, (Vec<String>, String)) {
    let name = |value: &Value| value["name"].as_str().expect("a name").to_string();
    let dependencies = package["dependencies"]
        .as_array()
        .expect("a list of dependencies");
    // Only what lies in the workspace has a path.
    let local = dependencies
        .iter()
        .filter(|dependency| dependency["path"].is_string());
    let manifest = package["manifest_path"]
        .as_str()
        .expect("a path")
        .to_string();
    (name(package), (local.map(name).collect(), manifest))
}

fn allowed(name: &str, manifest: &str) -> &'static [&'static str] {
    if let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == name) {
        return allowed;
    }
    if LOADERS.contains(&name) {
        return &[];
    }
    let is_workload = manifest.contains("/kernel/examples/") || manifest.contains("/tests/");
    assert!(
        is_workload,
        "package {name} is in no layer: add it to LAYERS in {}",
        file!()
    );
    WORKLOAD
}

#[test]
fn arrows_go_downwards() {
    for (name, (dependencies, manifest)) in packages() {
        let allowed = allowed(&name, &manifest);
        for dependency in dependencies {
            assert!(
                // A package may name itself, to turn on its own features for its tests.
                allowed.contains(&dependency.as_str()) || dependency == name,
                "{name} names {dependency}; it may name {allowed:?}"
            );
        }
    }
}

#[test]
fn the_table_itself_goes_downwards() {
    for (index, (name, allowed)) in LAYERS.iter().enumerate() {
        let below: Vec<&str> = LAYERS[..index].iter().map(|(below, _)| *below).collect();
        for dependency in *allowed {
            assert!(
                below.contains(dependency),
                "{name} stands below {dependency}"
            );
        }
    }
}
