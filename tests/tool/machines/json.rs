//! docs/json.md: every key that stands there is printed, and no other.

use std::collections::BTreeSet;
use std::fs;

use bundle_tool::machine::Forward;
use serde_json::Value;
use system_tests::guest::repository;
use system_tests::place::Place;
use system_tests::process::Done;

use super::{Host, project};
use crate::packs::built;

const PAGE: &str = "docs/json.md";

/// The keys of the table below the heading of `command`.
fn documented(command: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(repository().join(PAGE)).expect(PAGE);
    let heading = format!("\n## `ukernel {command} --json`\n");
    let (_, rest) = page.split_once(&heading).expect("it has a heading");
    let section = rest.split("\n## ").next().expect("text");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once("` |"));
    let keys = cells.flat_map(|(cell, _)| cell.split("`, `"));
    keys.map(String::from).collect()
}

/// Every key of a document: `end.at` of an object within it, `ports[].protocol` of objects in a list within it.
fn keys(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let place = match place {
                    "" => key.clone(),
                    place => format!("{place}.{key}"),
                };
                keys(value, &place, found);
                found.insert(place);
            }
        }
        Value::Array(list) => {
            let place = match place {
                "" => String::new(),
                place => format!("{place}[]"),
            };
            list.iter().for_each(|value| keys(value, &place, found));
        }
        _ => {}
    }
}

fn printed(documents: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in documents {
        let value = serde_json::from_str(document).expect("JSON");
        keys(&value, "", &mut found);
    }
    found
}

#[test]
fn machines_and_logs_have_the_keys_of_the_page() {
    let host = Host::new();
    let mut run = host.run_command(&["--detach", "--json", "--name", "web"]);
    let started = Done::of(&mut run).data();
    let running = host.run(&["ps", "--json"]).data();
    let mut listed: Value = serde_json::from_str(&running).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&started).unwrap(),
        listed[0].take()
    );
    host.run(&["stop"]).data();
    // The fake forwards no ports.
    let ended = host.run(&["ps", "--all", "--json"]).data();
    let ended = ended.replace(
        "\"ports\": []",
        &format!(
            "\"ports\": [{}]",
            serde_json::to_string(&Forward::tcp(1, 2)).unwrap()
        ),
    );
    assert_eq!(printed(&[&running, &ended]), documented("ps"));

    let log = host.machines().join("web/console.log");
    fs::write(&log, "[    1.500000] INFO  up\n").unwrap();
    let lines = host.run(&["logs", "--json"]).data();
    let mut known = documented("logs");
    assert!(
        known.remove("functions"),
        "of a backtrace, which the fake has none of"
    );
    assert_eq!(printed(&lines.lines().collect::<Vec<_>>()), known);

    let refused = Done::of(&mut host.run_command(&["--json"]));
    assert_eq!(refused.status, Some(2), "{}", refused.words);
}

#[test]
fn what_is_told_of_this_machine_and_of_projects_has_the_keys_of_the_page() {
    let place = Place::new();
    let doctor = place.run(&["doctor", "--json"]).output;
    let mut known = documented("doctor");
    let printed_here = printed(&[&doctor]);
    // Which of them there are depends on the machine.
    known.retain(|key| !key.starts_with("checks[].fix.") || printed_here.contains(key));
    assert_eq!(printed_here, known);

    project(&place);
    place.write(
        "ukernel.toml",
        "[project]\nname = \"demo\"\nlanguage = \"c\"\n[env.variables]\nA = \"1\"\n",
    );
    let variables = place.run(&["env", "show", "--json"]).data();
    assert_eq!(printed(&[&variables]), documented("env show"));

    let place = Place::new();
    built(&place, &[("a", b"1")]);
    place.run(&["pack"]).data();
    let packed = place.run(&["inspect", "--json"]).data();
    assert_eq!(printed(&[&packed]), documented("inspect"));
}
