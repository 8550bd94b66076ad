//! What the documents show and name is there.

use std::fs;
use std::path::{Path, PathBuf};

use system_tests::compilers::compilers;
use system_tests::guest::repository;

fn read(path: &str) -> String {
    let error = |error| panic!("{path}: {error}");
    fs::read_to_string(repository().join(path)).unwrap_or_else(error)
}

/// The programs in a document, in one language.
fn programs<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let blocks = document.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .collect()
}

#[test]
fn the_readme_shows_the_echo_example_as_it_is() {
    let readme = read("README.md");
    let example = read("kernel/examples/echo/src/main.rs");
    assert_eq!(programs(&readme, "rust")[0], example.trim_end());
}

/// The page about the interface for programs in C.
const ABI: &str = "docs/kernel-abi.md";

#[test]
fn the_programs_in_c_compile() {
    let document = read(ABI);
    let programs = programs(&document, "c");
    let groups = document.matches("\n| function |").count();
    assert!(
        programs.len() > groups,
        "{} programs for {groups} groups",
        programs.len()
    );
    for compiler in compilers("the programs in the documents")
        .iter()
        .filter(|compiler| !compiler.cpp)
    {
        for program in &programs {
            if let Err(words) = compiler.check("c11", &format!("{program}\n")) {
                panic!("{ABI}: {} says\n{words}\nof\n{program}", compiler.program);
            }
        }
    }
}

#[test]
fn the_page_about_the_interface_names_every_function() {
    let document = read(ABI);
    let header = read("kernel/include/ukernel_abi.h");
    let declarations = header.split("\nresult_t ").skip(1);
    let names: Vec<&str> = declarations
        .filter_map(|text| text.split('(').next())
        .collect();
    assert!(
        names.len() > 70,
        "only {} were found: does the search work?",
        names.len()
    );
    for name in names {
        assert!(
            document.contains(&format!("`{name}`")),
            "{ABI} does not name {name}"
        );
    }
}

/// What a heading is called in a link.
fn anchor(heading: &str) -> String {
    let letters = heading.trim().to_lowercase();
    let kept = letters
        .chars()
        .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

#[test]
fn links_within_the_page_about_the_interface_lead_somewhere() {
    let document = read(ABI);
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let anchors: Vec<String> = headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect();
    for link in links(&document).filter_map(|link| link.strip_prefix('#')) {
        assert!(
            anchors.iter().any(|anchor| anchor == link),
            "no heading for #{link}"
        );
    }
}

fn links(document: &str) -> impl Iterator<Item = &str> {
    let links = document.split("](").skip(1);
    links.filter_map(|rest| rest.split(')').next())
}

/// Words in back quotes that begin with a folder of the repository, and local links, from the repository's folder.
fn named_paths<'a>(path: &str, document: &'a str) -> impl Iterator<Item = PathBuf> + use<'a> {
    let folder = Path::new(path)
        .parent()
        .map(PathBuf::from)
        .unwrap_or_default();
    let prose = document.split("\n```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    let links = links(document).filter(|link| !link.contains(':') && !link.starts_with('#'));
    let links = links.map(move |link| folder.join(link.split('#').next().unwrap_or_default()));
    let is_path = |word: &&str| {
        word.contains('/')
            && !word.contains(|letter: char| letter.is_whitespace() || "{*$:<".contains(letter))
    };
    let folders = [
        "kernel/",
        "reactor/",
        "netstack/",
        "drivers/",
        "bundle-tool/",
        "tests/",
        "benches/",
        "adapter/",
    ];
    quoted
        .filter(is_path)
        .filter(move |word| folders.iter().any(|folder| word.starts_with(folder)))
        .map(PathBuf::from)
        .chain(links)
}

#[test]
fn paths_that_the_documents_name_exist() {
    let mut named = 0;
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "BENCHMARKS.md",
        ABI,
        "tests/abi/README.md",
        "adapter/python/README.md",
        "docs/bundle.md",
        "docs/firecracker-integration.md",
        "docs/getting-started.md",
        "docs/json.md",
        "docs/manifest.md",
        "docs/python-adapter.md",
        "docs/remote.md",
    ] {
        let text = read(document);
        for path in named_paths(document, &text) {
            named += 1;
            let exists = repository().join(&path).exists();
            assert!(
                exists,
                "{document} names {}, which does not exist",
                path.display()
            );
        }
    }
    assert!(
        named > 20,
        "only {named} paths were found: does the search work?"
    );
}

/// The list at the head of the tool's page, against the help that is tested to be what the tool says.
#[test]
fn the_tools_page_lists_every_command() {
    let help = read("bundle-tool/golden/help/ukernel.txt");
    let page = read("bundle-tool/README.md");
    let (_, list) = help.split_once("\nCommands:\n").expect("a list");
    let list = list.lines().take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<&str> = names.filter(|name| !["", "help"].contains(name)).collect();
    assert!(names.len() > 15, "only {names:?} were found");
    for name in names {
        let line = format!("\n    ukernel {name} ");
        assert!(
            page.contains(&line),
            "bundle-tool/README.md does not show {name}"
        );
    }
}

/// Pages that show commands of the tool.
const COMMANDS: &[&str] = &[
    "README.md",
    "BENCHMARKS.md",
    "CONTRIBUTING.md",
    "bundle-tool/README.md",
    "docs/bundle.md",
    "docs/firecracker-integration.md",
    "docs/getting-started.md",
    "docs/manifest.md",
    "docs/python-adapter.md",
    "docs/remote.md",
];

/// Each command and its options, in code of any kind, against the help that is tested to be what the tool says.
#[test]
fn commands_of_the_tool_have_the_options_that_are_shown() {
    let mut seen = 0;
    for page in COMMANDS {
        let text = read(page);
        for shown in code(&text) {
            let commands = shown
                .split("&&")
                .map(|part| part.trim_start_matches(['$', ' ']));
            for command in commands.filter_map(|part| part.strip_prefix("ukernel ")) {
                seen += usize::from(check_command(page, command));
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
}

/// Lines of blocks, and what stands between backticks.
fn code(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().flat_map(move |line| {
        fenced ^= line.starts_with("```");
        match fenced || line.starts_with("    ") {
            true => vec![line],
            false => line.split('`').skip(1).step_by(2).collect(),
        }
    })
}

/// Looks a command up, which begins behind `ukernel`. `false`: what stands there is none.
fn check_command(page: &str, command: &str) -> bool {
    let words = command.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let mut words = words.filter(|word| !word.is_empty());
    let is_a_name = |word: &&str| {
        word.bytes()
            .all(|byte| byte == b'-' || byte.is_ascii_lowercase())
    };
    let Some(name) = words.next().filter(is_a_name) else {
        return false;
    };
    // `remote` and `env` have commands of their own.
    let nested = words.clone().next().map(|word| format!("{name}-{word}"));
    let said = nested
        .and_then(|nested| help(&nested))
        .or_else(|| help(name));
    let Some(mut said) = said else {
        panic!("{page}: there is no `ukernel {command}`");
    };
    if name == "remote" {
        // What it does not know itself it hands on.
        said += &help("run").expect("it is a command");
    }
    // Behind `--` everything is handed on.
    let options = words
        .take_while(|word| *word != "--")
        .filter(|word| word.starts_with("--"));
    for option in options {
        assert!(
            said.contains(option),
            "{page}: there is no {option} of `ukernel {command}`"
        );
    }
    true
}

fn help(command: &str) -> Option<String> {
    let file = format!("bundle-tool/golden/help/ukernel-{command}.txt");
    fs::read_to_string(repository().join(file)).ok()
}
