//! The host's compilers for C and C++: what tests have them check. A test that needs one that is not
//! there says so; at least one for C has to be there.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guest::repository;
use crate::skip::skip;

/// A compiler.
#[derive(Clone, Copy, Debug)]
pub struct Compiler {
    /// The program.
    pub program: &'static str,
    /// Whether it is given C++.
    pub cpp: bool,
}

/// All that a test may ask for.
const COMPILERS: [Compiler; 4] = [
    Compiler {
        program: "gcc",
        cpp: false,
    },
    Compiler {
        program: "clang",
        cpp: false,
    },
    Compiler {
        program: "g++",
        cpp: true,
    },
    Compiler {
        program: "clang++",
        cpp: true,
    },
];

/// Those that are here. For the others `what` is skipped, visibly.
///
/// # Panics
/// None of them is for C.
pub fn compilers(what: &str) -> Vec<Compiler> {
    let (here, missing): (Vec<_>, Vec<_>) = COMPILERS.into_iter().partition(Compiler::is_here);
    for compiler in missing {
        skip(what, &format!("{} is not here", compiler.program));
    }
    let has_c = here.iter().any(|compiler| !compiler.cpp);
    assert!(has_c, "neither gcc nor clang is here");
    here
}

/// The first of them, for C.
///
/// # Panics
/// There is none.
pub fn c_compiler() -> Compiler {
    let mut here = COMPILERS.into_iter().filter(Compiler::is_here);
    here.next()
        .filter(|compiler| !compiler.cpp)
        .expect("gcc or clang is here")
}

impl Compiler {
    fn is_here(&self) -> bool {
        let mut command = Command::new(self.program);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Checks a source text that includes the kernel's header, as `standard`, with warnings as errors.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn check(&self, standard: &str, source: &str) -> Result<(), String> {
        let language = if self.cpp { "c++" } else { "c" };
        let mut command = self.command(standard);
        command.args(["-fsyntax-only", "-x", language, "-"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it was here a moment ago");
        let mut input = child.stdin.take().expect("it is piped");
        input
            .write_all(source.as_bytes())
            .expect("a compiler reads its input");
        drop(input);
        answer(&child.wait_with_output().expect("it ends"))
    }

    /// Compiles a file the way a program for the kernel is, and throws the result away.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compile(&self, standard: &str, file: &Path) -> Result<(), String> {
        let mut command = self.command(standard);
        command
            .args(["-ffreestanding", "-O1", "-c", "-o", "/dev/null"])
            .arg(file);
        answer(&command.output().expect("it was here a moment ago"))
    }

    fn command(&self, standard: &str) -> Command {
        let mut command = Command::new(self.program);
        command.args(["-Wall", "-Wextra", "-pedantic", "-Werror"]);
        command.arg(format!("-std={standard}"));
        command.arg("-I").arg(repository().join("kernel/include"));
        command
    }
}

fn answer(output: &std::process::Output) -> Result<(), String> {
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
