//! A program in Python: its sources are all there is to it. Until an interpreter runs in the machine, it runs by
//! `ukernel adapter`, and there is no `build/vmlinux`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Adapter, Build, BuildError, Program, files, inputs};
use crate::lock::Lock;
use crate::toolchain::{ToolchainError, answer, python};

/// What the program consists of, apart from `[build] files`.
const SOURCES: &str = "src/**/*.py";

/// Says what is wrong with the files that are its arguments, and ends with 1 if something is.
const CHECK: &str = "import sys
for path in sys.argv[1:]:
    try:
        compile(open(path, 'rb').read(), path, 'exec', dont_inherit=True)
    except SyntaxError as error:
        sys.exit(f'{error.filename}:{error.lineno}: {error.msg}')";

impl Build<'_> {
    /// Collects the sources, and sees that they are Python.
    pub(super) fn python(&self) -> Result<Program, BuildError> {
        let project = &self.project.manifest.project;
        if !self.root().join(project.entry()).is_file() {
            return Err(BuildError::Project(format!(
                "there is no {}",
                project.entry().display()
            )));
        }
        let interpreter = interpreter(self.root());
        let version = answer(
            Command::new(&interpreter)
                .args(["-c", "import platform; print(platform.python_version())"]),
            &interpreter.display().to_string(),
        )?;
        let version = version.trim().to_string();
        let adapter = self.adapter_name(&version)?;
        let pattern = SOURCES.to_string().try_into().expect("this is a path");
        let mut sources = files::matching(self.root(), &[pattern])?;
        let entry = self.root().join(project.entry());
        sources.push((inputs::name_in(self.root(), &entry), entry));
        self.check_syntax(&interpreter, &sources)?;
        Ok(Program {
            kernel: None,
            inputs: Lock {
                toolchain: [("python".to_string(), version.clone())].into(),
                ..Lock::default()
            },
            files: sources,
            adapter: Adapter {
                name: adapter,
                version,
            },
        })
    }

    /// `python-3.12`, for the interpreter's version or the one that the manifest asks for.
    fn adapter_name(&self, version: &str) -> Result<String, BuildError> {
        let minor: Vec<&str> = version.split('.').take(2).collect();
        let found = format!("python-{}", minor.join("."));
        match &self.project.manifest.build.adapter {
            Some(asked) if *asked != found => Err(BuildError::Project(format!(
                "[build] adapter asks for {asked}, and the interpreter is {found}"
            ))),
            _ => Ok(found),
        }
    }

    fn check_syntax(
        &self,
        interpreter: &Path,
        sources: &[(String, PathBuf)],
    ) -> Result<(), BuildError> {
        let names = sources.iter().map(|(name, _)| name);
        let checked = answer(
            Command::new(interpreter)
                .args(["-c", CHECK])
                .args(names)
                .current_dir(self.root()),
            "python",
        );
        match checked {
            Err(ToolchainError::Fails { words, .. }) => Err(BuildError::Project(words)),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }
}

/// The interpreter of a project: that of its own environment (`.venv`), else `$UKERNEL_PYTHON`, else `python3`.
pub fn interpreter(root: &Path) -> PathBuf {
    let own = root.join(".venv/bin/python");
    match fs::exists(&own) {
        Ok(true) => own,
        _ => python().into(),
    }
}
