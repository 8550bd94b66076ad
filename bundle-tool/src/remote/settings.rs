//! Which machine: the file `.remote` and the environment, which comes before it.
//!
//! The file's lines are `NAME=VALUE`, as a shell would read them: quotes are taken off, `export` in front and `#` with a
//! comment are allowed. No shell reads it, and nothing in it is run or replaced.

use std::io;
use std::path::Path;

use super::RemoteError;

/// What the file is called.
pub const FILE: &str = ".remote";

/// Which machine, and which folder there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What ssh calls the machine: `UKERNEL_REMOTE`.
    pub host: Option<String>,
    /// The project's folder there: `UKERNEL_REMOTE_DIR`.
    pub folder: Option<String>,
    /// The program that connects, and its first arguments: `UKERNEL_SSH`.
    pub ssh: Option<Vec<String>>,
}

/// A name in the file and in the environment, and the older one that is accepted as well.
struct Names {
    name: &'static str,
    older: Option<&'static str>,
}

const HOST: Names = Names {
    name: "UKERNEL_REMOTE",
    older: Some("ZIGU_REMOTE"),
};
const FOLDER: Names = Names {
    name: "UKERNEL_REMOTE_DIR",
    older: Some("ZIGU_REMOTE_DIR"),
};
const SSH: Names = Names {
    name: "UKERNEL_SSH",
    older: None,
};

impl Settings {
    /// The settings of the project in `folder`: `.remote` there, if it is there, and the environment.
    ///
    /// # Errors
    /// The file cannot be read, or has a mistake.
    pub fn of_project(folder: &Path) -> Result<Settings, RemoteError> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| RemoteError::File {
                path: path.clone(),
                source,
            })?,
        };
        let value_of = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Settings::merge(&text, &path, value_of)
    }

    /// The settings in a file's text alone; `path` is what errors call it.
    ///
    /// # Errors
    /// A line is no setting.
    pub fn parse(text: &str, path: &Path) -> Result<Settings, RemoteError> {
        Settings::merge(text, path, |_| None)
    }

    fn merge(
        text: &str,
        path: &Path,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, RemoteError> {
        let lines = lines(text, path)?;
        let in_file = |name: &str| {
            let line = lines.iter().rev().find(|(known, _)| known == name);
            line.map(|(_, value)| value.clone())
                .filter(|value| !value.is_empty())
        };
        let find = |names: &Names| {
            let names: Vec<&str> = std::iter::once(names.name).chain(names.older).collect();
            let in_environment = names.iter().find_map(|name| environment(name));
            in_environment.or_else(|| names.iter().find_map(|name| in_file(name)))
        };
        let words = |text: String| shlex::split(&text).ok_or(RemoteError::Ssh(text));
        let ssh = find(&SSH).map(words).transpose()?;
        Ok(Settings {
            host: find(&HOST),
            folder: find(&FOLDER),
            ssh: ssh.filter(|words| !words.is_empty()),
        })
    }
}

/// The names and values of a file.
fn lines(text: &str, path: &Path) -> Result<Vec<(String, String)>, RemoteError> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let setting = setting(line).map_err(|problem| RemoteError::Line {
            path: path.into(),
            line: index + 1,
            text: line.into(),
            problem,
        })?;
        found.extend(setting);
    }
    Ok(found)
}

/// What a line sets; `None`: nothing.
fn setting(line: &str) -> Result<Option<(String, String)>, String> {
    let words = shlex::split(line).ok_or("a quote is not closed")?;
    let words = match words.split_first() {
        Some((first, rest)) if first == "export" => rest,
        _ => &words[..],
    };
    let [word] = words else {
        return if words.is_empty() {
            Ok(None)
        } else {
            Err("expected one NAME=VALUE".into())
        };
    };
    let (name, value) = word.split_once('=').ok_or("expected NAME=VALUE")?;
    let known = [HOST, FOLDER, SSH]
        .iter()
        .any(|names| names.name == name || names.older == Some(name));
    if !known {
        let names = [HOST, FOLDER, SSH].map(|names| names.name).join(", ");
        return Err(format!("'{name}' is no setting: {names}"));
    }
    Ok(Some((name.into(), value.into())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text, FILE.as_ref()).unwrap()
    }

    fn error(text: &str) -> String {
        Settings::parse(text, FILE.as_ref())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_file_reads_as_a_shell_would_read_it() {
        let text = "# ours\n\nexport UKERNEL_REMOTE=\"ann@build\" # the fast one\nUKERNEL_REMOTE_DIR='my work/demo'\n\
                    UKERNEL_SSH='ssh -F \"a b\"'\n";
        let expected = Settings {
            host: Some("ann@build".into()),
            folder: Some("my work/demo".into()),
            ssh: Some(vec!["ssh".into(), "-F".into(), "a b".into()]),
        };
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn the_originals_names_count_after_ours() {
        let older = "ZIGU_REMOTE=old\nZIGU_REMOTE_DIR=~/zigu\n";
        assert_eq!(parse(older).host.as_deref(), Some("old"));
        assert_eq!(parse(older).folder.as_deref(), Some("~/zigu"));
        let both = format!("UKERNEL_REMOTE=new\n{older}");
        assert_eq!(parse(&both).host.as_deref(), Some("new"));
    }

    #[test]
    fn the_environment_comes_before_the_file() {
        let environment = |name: &str| (name == "ZIGU_REMOTE").then(|| "of-the-environment".into());
        let text = "UKERNEL_REMOTE=of-the-file\nUKERNEL_REMOTE_DIR=x";
        let settings = Settings::merge(text, FILE.as_ref(), environment).unwrap();
        assert_eq!(settings.host.as_deref(), Some("of-the-environment"));
        assert_eq!(settings.folder.as_deref(), Some("x"));
    }

    #[test]
    fn nothing_set_is_nothing() {
        assert_eq!(
            parse("UKERNEL_REMOTE=\nUKERNEL_SSH=''\n"),
            Settings::default()
        );
        assert_eq!(parse(""), Settings::default());
    }

    #[test]
    fn a_program_that_no_shell_would_run_is_refused() {
        let of_file = Settings::parse("UKERNEL_SSH=\"ssh -F 'a\"\n", FILE.as_ref());
        let environment = |name: &str| (name == "UKERNEL_SSH").then(|| "ssh \"-v".into());
        let of_environment = Settings::merge("", FILE.as_ref(), environment);
        for refused in [of_file, of_environment] {
            let error = refused.unwrap_err();
            assert!(error.to_string().contains("UKERNEL_SSH"), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let text = error("UKERNEL_REMOTE=x\nUKERNEL_HOST=y\n");
        assert!(
            text.starts_with(".remote:2: 'UKERNEL_HOST' is no setting"),
            "{text}"
        );
        assert!(text.ends_with("| UKERNEL_HOST=y"), "{text}");
        assert!(error("UKERNEL_REMOTE='x").contains("quote"));
        assert!(error("ssh ann@build").contains("NAME=VALUE"));
        assert!(error("ann@build").contains("NAME=VALUE"));
    }

    proptest! {
        /// Whatever the file holds, the answer is settings or an error with a line that is in it.
        #[test]
        fn any_text_is_settings_or_has_a_line_that_is_wrong(
            text in "((export )?(UKERNEL_REMOTE|UKERNEL_SSH|ZIGU_REMOTE_DIR|[A-Z]{1,4})?=?[ a-z'\"\\\\#$~\\PC]{0,9}\n){0,4}"
        ) {
            match Settings::parse(&text, FILE.as_ref()) {
                Ok(settings) => prop_assert!(settings.ssh.is_none_or(|words| !words.is_empty())),
                Err(RemoteError::Ssh(words)) => prop_assert!(shlex::split(&words).is_none()),
                Err(RemoteError::Line { line, text: said, .. }) => {
                    prop_assert_eq!(text.lines().nth(line - 1), Some(said.as_str()));
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
