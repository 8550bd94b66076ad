//! The index: the first member of an archive, a text that says everything about the bundle but the files' bytes.
//!
//! ```text
//! ukernel-bundle 1                     the version of the format
//! name demo
//! option log=info                      a word of the kernel's command line each; spaces are part of it
//! argument serve                       an argument of the workload each
//! volume data rw                       a disk behind the bundle's each, rw or ro
//! file <SHA-256> <size> <path>         a file each, in the order of their paths' bytes
//! end <SHA-256 of everything above>
//! ```
//!
//! In options and arguments `\n` is a line feed and `\\` a backslash. There is one way to write an index: what is read
//! and written again is the same text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::{
    Digest, Error, INDEX, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_FILE_BYTES, MAX_FILES,
    MAX_NAME_BYTES, MAX_OPTION_BYTES, MAX_OPTIONS, MAX_VOLUMES, Part, VERSION, check_path,
};

/// Bytes of the last line: `end `, the digest, a line feed.
const END_LINE: usize = 4 + 64 + 1;

/// What an archive has, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The bundle's name: 1 to 63 letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Words for the kernel's command line, each with its spaces: `env=GREETING=hello there`. None is empty.
    pub options: Vec<String>,
    /// The workload's arguments; may be empty texts.
    pub arguments: Vec<String>,
    /// Volumes, in the order of the disks behind the bundle's.
    pub volumes: Vec<Volume>,
    /// The files, in the order of their paths' bytes.
    pub files: Vec<Entry>,
}

/// A disk with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Its name, of the same characters as a bundle's.
    pub name: String,
    /// Whether the workload may only read it.
    pub read_only: bool,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, as [`check_path`] wants it.
    pub path: String,
    /// Bytes that it has.
    pub size: u64,
    /// What they are.
    pub digest: Digest,
}

/// What is wrong with a line.
type Problem = &'static str;

impl Index {
    /// An index with nothing but a name.
    pub fn new(name: &str) -> Index {
        Index {
            name: name.into(),
            ..Index::default()
        }
    }

    /// The text. Checks nothing: what breaks the format's rules makes a text that does not [parse](Index::parse), or
    /// not to the same, and whoever writes an archive looks.
    pub fn to_text(&self) -> String {
        let above = format!("{}", Above(self));
        let digest = Digest::of(above.as_bytes());
        format!("{above}end {digest}\n")
    }

    /// Reads a text, all of it, and gives its digest, which is the bundle's. Takes memory in proportion to the text.
    ///
    /// # Errors
    /// [`Error::Corrupt`]: the last line is not what it must be. [`Error::TooNew`]. [`Error::Malformed`].
    ///
    /// ```
    /// use bundle::{Error, Index};
    /// let text = Index::new("demo").to_text();
    /// let (index, digest) = Index::parse(text.as_bytes())?;
    /// assert_eq!(index.name, "demo");
    /// assert!(text.ends_with(&format!("end {digest}\n")));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn parse(text: &[u8]) -> Result<(Index, Digest), Error> {
        let (above, digest) = checked(text)?;
        let above = core::str::from_utf8(above).map_err(|_| malformed(1, "it is not UTF-8"))?;
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(above.split_terminator('\n')) {
            if number == 1 {
                check_version(line)?;
            } else {
                reader
                    .take(line)
                    .map_err(|problem| malformed(number, problem))?;
            }
        }
        let index = reader.index;
        if index.name.is_empty() {
            return Err(malformed(2, "there is no name"));
        }
        match index.file_in_a_file() {
            Some(line) => Err(malformed(line, "the folder that it is in is a file")),
            None => Ok((index, digest)),
        }
    }

    /// The file of that path.
    pub fn file(&self, path: &str) -> Option<&Entry> {
        self.position(path).and_then(|at| self.files.get(at))
    }

    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        self.files
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
    }

    /// The line of a file that could not be unpacked beside another.
    fn file_in_a_file(&self) -> Option<usize> {
        let folders = |path: &str| {
            let slashes = path.match_indices('/');
            slashes
                .map(|(at, _)| &path[..at])
                .any(|folder| self.file(folder).is_some())
        };
        let at = self.files.iter().position(|entry| folders(&entry.path))?;
        let before = 2 + self.options.len() + self.arguments.len() + self.volumes.len();
        Some(before + at + 1)
    }
}

/// All lines but the last.
struct Above<'a>(&'a Index);

impl fmt::Display for Above<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.0;
        writeln!(f, "{INDEX} {VERSION}\nname {}", index.name)?;
        for (word, values) in [("option", &index.options), ("argument", &index.arguments)] {
            for value in values {
                let escaped = value.replace('\\', "\\\\").replace('\n', "\\n");
                writeln!(f, "{word} {escaped}")?;
            }
        }
        for Volume { name, read_only } in &index.volumes {
            let mode = if *read_only { "ro" } else { "rw" };
            writeln!(f, "volume {name} {mode}")?;
        }
        for Entry { path, size, digest } in &index.files {
            writeln!(f, "file {digest} {size} {path}")?;
        }
        Ok(())
    }
}

/// Takes the last line off, and checks that the rest is what it says.
fn checked(text: &[u8]) -> Result<(&[u8], Digest), Error> {
    let corrupt = || Error::corrupt(INDEX, Part::Content);
    let at = text.len().checked_sub(END_LINE).ok_or_else(corrupt)?;
    let (above, end) = text.split_at(at);
    let digest = Digest::of(above);
    let hex = end
        .strip_prefix(b"end ")
        .and_then(|end| end.strip_suffix(b"\n"));
    let said = hex.and_then(crate::digest::from_hex).map(Digest);
    if said != Some(digest) || above.last() != Some(&b'\n') {
        return Err(corrupt());
    }
    Ok((above, digest))
}

fn check_version(line: &str) -> Result<(), Error> {
    let number = line
        .strip_prefix(INDEX)
        .and_then(|rest| rest.strip_prefix(' '));
    match number.and_then(|number| decimal(number).ok()) {
        Some(1) => Ok(()),
        Some(version @ 2..=0xffff_ffff) => Err(Error::TooNew {
            version: version as u32,
        }),
        _ => Err(malformed(1, "expected the format's name and version")),
    }
}

fn malformed(line: usize, problem: Problem) -> Error {
    Error::Malformed { line, problem }
}

/// Kinds of lines, in the order in which they come.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[default]
    Version,
    Name,
    Option,
    Argument,
    Volume,
    File,
}

/// An index that is being read, line by line.
#[derive(Default)]
struct Reader {
    index: Index,
    last: Kind,
    argument_bytes: usize,
}

impl Reader {
    fn take(&mut self, line: &str) -> Result<(), Problem> {
        let (word, value) = line
            .split_once(' ')
            .ok_or("expected a word, a space and a value")?;
        let kind = match word {
            "name" => Kind::Name,
            "option" => Kind::Option,
            "argument" => Kind::Argument,
            "volume" => Kind::Volume,
            "file" => Kind::File,
            _ => return Err("the words are name, option, argument, volume, file"),
        };
        // The name is the second line, and there is one.
        if kind < self.last || (kind == Kind::Name) != (self.last == Kind::Version) {
            return Err("the lines are out of order");
        }
        self.last = kind;
        match kind {
            Kind::Option => self.take_option(value),
            Kind::Argument => self.take_argument(value),
            Kind::Volume => self.take_volume(value),
            Kind::File => self.take_file(value),
            _ => check_name(value).map(|()| self.index.name = value.into()),
        }
    }

    fn take_option(&mut self, value: &str) -> Result<(), Problem> {
        if value.is_empty() || value.len() > MAX_OPTION_BYTES {
            return Err("an option has 1 to 65,536 bytes");
        }
        add(
            &mut self.index.options,
            MAX_OPTIONS,
            unescaped(value)?,
            "there are at most 512 options",
        )
    }

    fn take_argument(&mut self, value: &str) -> Result<(), Problem> {
        let value = unescaped(value)?;
        self.argument_bytes += value.len() + 1;
        if self.argument_bytes > MAX_ARGUMENT_BYTES {
            return Err("all arguments have at most 8,192 bytes, with one behind each");
        }
        add(
            &mut self.index.arguments,
            MAX_ARGUMENTS,
            value,
            "there are at most 256 arguments",
        )
    }

    fn take_volume(&mut self, value: &str) -> Result<(), Problem> {
        let (name, mode) = value
            .split_once(' ')
            .ok_or("expected a volume's name and rw or ro")?;
        let read_only = match mode {
            "rw" => false,
            "ro" => true,
            _ => return Err("a volume is rw or ro"),
        };
        check_name(name)?;
        if self.index.volumes.iter().any(|volume| volume.name == name) {
            return Err("there are two volumes of that name");
        }
        let volume = Volume {
            name: name.into(),
            read_only,
        };
        add(
            &mut self.index.volumes,
            MAX_VOLUMES,
            volume,
            "there are at most 15 volumes",
        )
    }

    fn take_file(&mut self, value: &str) -> Result<(), Problem> {
        let mut parts = value.splitn(3, ' ');
        let mut part = || {
            parts
                .next()
                .ok_or("expected a file's SHA-256, size and path")
        };
        let digest = part()?
            .parse()
            .map_err(|_| "a SHA-256 has 64 lower-case hexadecimal digits")?;
        let size = decimal(part()?)?;
        let path = part()?;
        if size > MAX_FILE_BYTES {
            return Err("a file has less than 8 GiB");
        }
        check_path(path)?;
        let last = self.index.files.last();
        if last.is_some_and(|last| last.path.as_str() >= path) {
            return Err("the files are not in the order of their paths");
        }
        let entry = Entry {
            path: path.into(),
            size,
            digest,
        };
        add(
            &mut self.index.files,
            MAX_FILES,
            entry,
            "there are at most 16,384 files",
        )
    }
}

fn add<T>(list: &mut Vec<T>, most: usize, item: T, full: Problem) -> Result<(), Problem> {
    if list.len() == most {
        return Err(full);
    }
    list.push(item);
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(valid) {
        return Err("a name has 1 to 63 letters, digits, -, _ and .");
    }
    Ok(())
}

/// A number as it is written shortest.
fn decimal(text: &str) -> Result<u64, Problem> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.starts_with('0') && text.len() > 1) {
        return Err("expected a number, without zeros in front");
    }
    text.parse().map_err(|_| "expected a number")
}

fn unescaped(text: &str) -> Result<String, Problem> {
    let mut value = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        value.push(match letter {
            '\0' => return Err("a zero byte would end the text for a program in C"),
            '\\' => match letters.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                _ => return Err("behind a backslash comes n or another one"),
            },
            letter => letter,
        });
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
