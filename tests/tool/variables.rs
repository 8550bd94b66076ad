//! `ukernel env show`, and that a reader which has had enough is no error.

use std::process::Stdio;

use serde_json::Value;
use system_tests::place::Place;
use system_tests::process::{Done, Process};

const MANIFEST: &str = "[project]\nname = \"demo\"\nlanguage = \"c\"\n\n[env]\nbase = \"env/demo.env\"\n\n\
                        [env.variables]\nAPI_TOKEN = \"s3cret\"\n";

fn project() -> Place {
    let place = Place::new();
    place.write("ukernel.toml", MANIFEST);
    place.write(
        "env/demo.env",
        "# where it listens\nPORT=8080\nGREETING=hello there\n",
    );
    place
}

#[test]
fn variables_are_shown_with_where_they_come_from_but_for_secrets() {
    let place = project();
    place.write("more.env", "PORT=9090\n");
    let shown = place.run(&["env", "show", "--env-file", "more.env"]).data();
    let expected = "# env/demo.env\nGREETING=hello there\n# [env.variables] in ukernel.toml\nAPI_TOKEN=********\n\
                    # more.env\nPORT=9090\n";
    assert_eq!(shown, expected);
}

#[test]
fn what_is_revealed_is_a_file_of_variables() {
    let place = project();
    let mut command = place.tool(&["env", "show", "--reveal", "--env", "LANG"]);
    let revealed = Done::of(command.env("LANG", "C.UTF-8")).data();
    assert!(
        revealed.contains("\nAPI_TOKEN=s3cret\n# --env\nLANG=C.UTF-8\n"),
        "{revealed}"
    );
    let other = Place::new();
    other.write(
        "ukernel.toml",
        "[project]\nname = \"demo\"\nlanguage = \"c\"\n",
    );
    other.write("all.env", &revealed);
    let again = other
        .run(&["env", "show", "--reveal", "--env-file", "all.env"])
        .data();
    let lines = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&again), lines(&revealed));
}

#[test]
fn scripts_get_one_document() {
    let document = project().run(&["env", "show", "--json"]).data();
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let token = serde_json::json!({
        "name": "API_TOKEN", "value": "********", "secret": true, "source": "[env.variables] in ukernel.toml"
    });
    assert_eq!(document[2], token);
    assert_eq!(document[1]["value"], "hello there");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = place.tool(&["completions", "bash"]);
    command.stdout(writer).stderr(Stdio::piped());
    let done = Process::start_as_it_is(&mut command).finish();
    assert_eq!((done.status, done.words.as_str()), (Some(0), ""));
}
