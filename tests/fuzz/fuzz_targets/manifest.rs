//! `ukernel.toml`: what comes of any text is a message that can be shown, or words that the kernel understands.
#![no_main]

use std::path::Path;

use bundle_tool::manifest::Manifest;
use libfuzzer_sys::fuzz_target;
use ukernel::command_line::CommandLine;

/// What every manifest has, so that most inputs are about the rest.
const HEAD: &str = "[project]\nname = \"demo\"\nlanguage = \"c\"\n";

fuzz_target!(|text: &str| {
    for text in [text.to_string(), format!("{HEAD}{text}")] {
        match Manifest::parse(&text, Path::new("ukernel.toml")) {
            Ok(manifest) => assert_understood(&manifest),
            Err(error) => assert!(error.to_string().starts_with("ukernel.toml")),
        }
    }
});

/// The kernel takes each option as it was meant. Values of variables may contain spaces, which only a bundle can carry.
fn assert_understood(manifest: &Manifest) {
    let options = manifest.options();
    let words: Vec<&str> = options.iter().map(String::as_str).filter(|word| !word.starts_with("env=")).collect();
    for word in &words {
        assert!(!word.contains(char::is_whitespace), "{word:?} is more than one word");
        let line = CommandLine::parse(word);
        // A list of rules that is too long for the kernel is only seen with all of them.
        assert!(line.warnings().is_empty(), "{word:?}: {:?}", line.warnings());
        assert!(line.linux_options.is_empty() && line.arguments.is_empty(), "{word:?}");
    }
}
