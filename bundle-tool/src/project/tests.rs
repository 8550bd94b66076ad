use std::fs;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

const MANIFEST: &str = "[project]\nname = \"demo\"\nlanguage = \"rust\"\n";

#[test]
fn the_nearest_manifest_above_is_the_projects() {
    let outer = MANIFEST.replace("demo", "outer");
    let folder = folder(&[
        ("ukernel.toml", &outer),
        ("inner/ukernel.toml", MANIFEST),
        ("inner/src/deep/x", ""),
    ]);
    let found = |at: &str| Project::find(&folder.path().join(at)).unwrap();
    assert_eq!(found("inner/src/deep").name(), "demo");
    assert_eq!(found("inner/src/deep").root(), folder.path().join("inner"));
    assert_eq!(found("").name(), "outer");
}

#[test]
fn without_one_the_message_says_how_to_make_one() {
    let folder = folder(&[]);
    let error = Project::find(folder.path()).unwrap_err();
    assert!(matches!(error, ProjectError::NotFound(_)));
    assert!(error.hint().unwrap().contains("ukernel init"));
}

#[test]
fn a_variable_of_the_manifest_comes_before_that_of_the_file() {
    let manifest =
        format!("{MANIFEST}[env]\nbase = \"my.env\"\n[env.variables]\nGREETING = \"hi there\"\n");
    let folder = folder(&[
        ("ukernel.toml", &manifest),
        ("my.env", "# a note\n\nGREETING=hello\nPORT=80=81\r\n"),
    ]);
    let project = Project::open(folder.path()).unwrap();
    assert_eq!(
        project.options().unwrap(),
        ["env=PORT=80=81", "env=GREETING=hi there"]
    );
}

#[test]
fn a_mistake_in_the_file_of_variables_is_shown_with_its_line() {
    let manifest = format!("{MANIFEST}[env]\nbase = \"my.env\"\n");
    let folder = folder(&[("ukernel.toml", &manifest), ("my.env", "A=1\nB\n")]);
    let error = Project::open(folder.path()).unwrap().options().unwrap_err();
    assert_eq!(error.line(), Some(2));
    assert!(error.to_string().ends_with("2 | B\n  | ^"), "{error}");
}

#[test]
fn there_are_no_more_variables_than_the_kernel_has_room_for() {
    let variables =
        |count: usize| -> String { (0..count).map(|number| format!("V{number}=x\n")).collect() };
    let manifest = format!("{MANIFEST}[env]\nbase = \"my.env\"\n[env.variables]\nLAST = \"x\"\n");
    for (count, fits) in [
        (MAX_VARIABLES - 1, true),
        (MAX_VARIABLES, false),
        (MAX_VARIABLES + 1, false),
    ] {
        let folder = folder(&[("ukernel.toml", &manifest), ("my.env", &variables(count))]);
        let options = Project::open(folder.path()).unwrap().options();
        assert_eq!(options.is_ok(), fits, "{count}: {options:?}");
    }
}
