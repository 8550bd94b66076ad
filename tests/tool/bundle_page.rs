//! docs/bundle.md: its commands, run as they stand there, say what stands there.

use std::fs;
use std::process::Command;

use system_tests::guest::{repository, tool};
use system_tests::place::Place;
use system_tests::process::Done;

use crate::packs::built;

const PAGE: &str = "docs/bundle.md";

/// The commands of a page in their order, each with what it says.
fn commands(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let consoles = blocks.filter_map(|block| block.strip_prefix("console\n"));
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in consoles.flat_map(str::lines) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.into(), String::new())),
            (None, Some((_, said))) => *said += &format!("{line}\n"),
            (None, None) => panic!("{PAGE}: {line:?} is said by nobody"),
        }
    }
    commands
}

#[test]
fn the_commands_of_the_page_say_what_it_shows() {
    let page = fs::read_to_string(repository().join(PAGE)).expect(PAGE);
    let place = Place::new();
    let folder = built(&place, &[("static/index.html", b"<h1>hello</h1>\n")]);
    place.run(&["pack"]).data();
    let commands = commands(&page);
    assert!(commands.len() > 8, "only {} were found", commands.len());
    let tools = tool().parent().expect("a folder").display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").expect("a PATH"));
    for (command, said) in commands {
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).current_dir(&folder);
        place.surround(&mut shell);
        assert_eq!(
            Done::of(shell.env("PATH", &path)).data(),
            said,
            "{PAGE}: {command}"
        );
    }
}
