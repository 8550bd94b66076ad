//! The variables that a program gets, and where each comes from: the project's file, its manifest, further files, the
//! command line; what comes later counts. The format of the files is [`env_file`]'s.
//!
//! ```
//! use bundle_tool::environment::Environment;
//!
//! let mut environment = Environment::default();
//! environment.add_word("GREETING=hello there", |_| None)?;
//! environment.add_word("API_TOKEN", |name| (name == "API_TOKEN").then(|| "s3cret".into()))?;
//! let [greeting, token] = environment.variables() else { panic!("two") };
//! assert_eq!(greeting.shown(false), "hello there");
//! assert_eq!(token.shown(false), "********");
//! # Ok::<(), bundle_tool::environment::WordError>(())
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use crate::manifest::{EnvName, EnvValue, FILE, ManifestError, env_file, env_option};
use crate::project::Project;

/// What is shown in place of a secret, whatever its length.
const MASK: &str = "********";

/// Parts of names whose values are nobody else's business.
const SECRET_PARTS: [&str; 10] = [
    "AUTH",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "PASS",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "SECRET",
    "TOKEN",
];

/// Where a variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of variables: `[env] base`, or what `--env-file` names.
    File(PathBuf),
    /// `[env.variables]` of the manifest.
    Manifest,
    /// `--env`.
    Option,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Manifest => write!(f, "[env.variables] in {FILE}"),
            Source::Option => f.write_str("--env"),
        }
    }
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: EnvName,
    /// Its value.
    pub value: EnvValue,
    /// Where it comes from.
    pub source: Source,
}

impl Variable {
    /// Whether its name (a part of it, such as `TOKEN` in `API_TOKEN`) or its value (an address with a password) says
    /// that it is a secret. A guess, for what is shown to people; nothing depends on it.
    pub fn is_secret(&self) -> bool {
        let name = self.name.as_str().to_ascii_uppercase();
        name.split('_').any(|part| SECRET_PARTS.contains(&part))
            || has_password(self.value.as_str())
    }

    /// Its value, for a person to see; a secret only if that is asked for.
    pub fn shown(&self, reveal: bool) -> &str {
        if self.is_secret() && !reveal {
            MASK
        } else {
            self.value.as_str()
        }
    }
}

/// Whether a value is an address such as `postgres://ann:pass@host/db` (RFC 3986, section 3.2.1).
fn has_password(value: &str) -> bool {
    let authority = value.split_once("://").map(|(_, rest)| rest);
    let authority = authority.and_then(|rest| rest.split(['/', '?', '#']).next());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

/// A word of the command line sets no variable.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct WordError {
    /// The name in it: the value may be a secret.
    pub name: String,
    /// What is wrong.
    pub problem: String,
}

/// The variables that a program gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<Variable>,
}

impl Environment {
    /// What the project gives its program: `[env] base`, then `[env.variables]`.
    ///
    /// # Errors
    /// The file cannot be read or has a mistake.
    pub fn of_project(project: &Project) -> Result<Environment, ManifestError> {
        let mut environment = Environment::default();
        let env = &project.manifest.env;
        let base = env.base.as_ref().map(|base| base.as_path().to_path_buf());
        for (name, value) in project.base_variables()? {
            let source = Source::File(base.clone().unwrap_or_default());
            environment.set(name, value, source);
        }
        for (name, value) in &env.variables {
            environment.set(name.clone(), value.clone(), Source::Manifest);
        }
        Ok(environment)
    }

    /// Adds the variables of a file.
    ///
    /// # Errors
    /// It cannot be read or has a mistake.
    pub fn add_file(&mut self, path: &Path) -> Result<(), ManifestError> {
        for (name, value) in env_file::read(path)? {
            self.set(name, value, Source::File(path.into()));
        }
        Ok(())
    }

    /// Adds what a word of the command line says: `NAME=VALUE`, or `NAME` for a variable that this process has. One that it
    /// has not is left out, as other tools do.
    ///
    /// # Errors
    /// The word is neither.
    pub fn add_word(
        &mut self,
        word: &str,
        value_of: impl Fn(&str) -> Option<String>,
    ) -> Result<(), WordError> {
        let name = word.split('=').next().unwrap_or_default();
        let known = if word.contains('=') {
            Some(word.to_string())
        } else {
            with_value(word, value_of(word))
        };
        // Without a value the name alone is looked at, so that a wrong one is an error all the same.
        let given = known.clone().unwrap_or_else(|| format!("{word}="));
        let (name, value) = env_file::variable(&given).map_err(|problem| WordError {
            name: name.into(),
            problem,
        })?;
        if known.is_some() {
            self.set(name, value, Source::Option);
        }
        Ok(())
    }

    /// The variables; what was set last stands last.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The words for the kernel's command line that set them.
    pub fn options(&self) -> Vec<String> {
        let words = self.variables.iter();
        words
            .map(|variable| env_option(&variable.name, &variable.value))
            .collect()
    }

    fn set(&mut self, name: EnvName, value: EnvValue, source: Source) {
        self.variables.retain(|variable| variable.name != name);
        self.variables.push(Variable {
            name,
            value,
            source,
        });
    }
}

fn with_value(name: &str, value: Option<String>) -> Option<String> {
    value.map(|value| format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(word: &str) -> Variable {
        let (name, value) = env_file::variable(word).unwrap();
        Variable {
            name,
            value,
            source: Source::Option,
        }
    }

    #[test]
    fn secrets_are_known_by_name_or_value() {
        for secret in [
            "API_TOKEN=x",
            "db_password=x",
            "KEY=x",
            "AWS_SECRET_ACCESS_KEY=x",
            "DATABASE=postgres://ann:pass@host:5432/db",
            "URL=https://ann:p@ss@host/?a=b",
        ] {
            assert_eq!(variable(secret).shown(false), MASK, "{secret}");
            assert_ne!(variable(secret).shown(true), MASK, "{secret}");
        }
        for open in [
            "KEYBOARD=us",
            "MONKEY=x",
            "URL=https://host:443/a@b:c",
            "URL=https://ann@host/",
            "NOTE=a:b@c",
            "EMPTY=",
        ] {
            assert_ne!(variable(open).shown(false), MASK, "{open}");
        }
    }

    fn project(env: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let manifest = format!("[project]\nname = \"demo\"\nlanguage = \"c\"\n{env}");
        std::fs::write(folder.path().join(FILE), manifest).unwrap();
        std::fs::write(folder.path().join("base.env"), "A=base\nB=base\nC=base\n").unwrap();
        let project = Project::open(folder.path()).unwrap();
        (folder, project)
    }

    #[test]
    fn what_comes_later_counts() {
        let (folder, project) = project(
            "[env]\nbase = \"base.env\"\n[env.variables]\nB = \"manifest\"\nD = \"manifest\"\n",
        );
        let mut environment = Environment::of_project(&project).unwrap();
        let file = folder.path().join("more.env");
        std::fs::write(&file, "C=file\n").unwrap();
        environment.add_file(&file).unwrap();
        environment.add_word("D=word", |_| None).unwrap();
        let found: Vec<(&str, &str, String)> = environment
            .variables()
            .iter()
            .map(|variable| {
                (
                    variable.name.as_str(),
                    variable.value.as_str(),
                    variable.source.to_string(),
                )
            })
            .collect();
        let expected = [
            ("A", "base", "base.env".into()),
            ("B", "manifest", "[env.variables] in ukernel.toml".into()),
            ("C", "file", file.display().to_string()),
            ("D", "word", "--env".into()),
        ];
        assert_eq!(found, expected);
    }

    /// What is shown is what the program gets: the words of the bundle, of which the last about a variable counts.
    #[test]
    fn a_projects_variables_are_those_of_its_bundle() {
        let (_folder, project) =
            project("[env]\nbase = \"base.env\"\n[env.variables]\nB = \"manifest\"\n");
        let mut bundled = Environment::default();
        for word in project.options().unwrap() {
            if let Some(variable) = word.strip_prefix("env=") {
                bundled.add_word(variable, |_| None).unwrap();
            }
        }
        let mut shown = Environment::of_project(&project).unwrap().options();
        let mut expected = bundled.options();
        shown.sort();
        expected.sort();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_name_alone_takes_the_value_that_it_has_here() {
        let here = |name: &str| (name == "LANG").then(|| "C".to_string());
        let mut environment = Environment::default();
        environment.add_word("LANG", here).unwrap();
        environment.add_word("NOT_SET", here).unwrap();
        assert_eq!(environment.options(), ["env=LANG=C"]);
        let error = environment.add_word("not a name", here).unwrap_err();
        assert!(error.to_string().starts_with("not a name: "), "{error}");
    }

    #[test]
    fn a_mistake_does_not_tell_the_value() {
        let error = Environment::default().add_word("PASSWORD!=hunter2", |_| None);
        assert!(!error.unwrap_err().to_string().contains("hunter2"));
        let error = Environment::default().add_word("PASSWORD=hunter2\n", |_| None);
        assert!(!error.unwrap_err().to_string().contains("hunter2"));
    }
}
