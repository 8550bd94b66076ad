//! A machine's serial log in files of its folder: written line by line as it comes, each line with the time, and bounded.
//! Owned by the supervisor; read by [`Reader`](super::Reader).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// The log.
pub(super) const FILE: &str = "console.log";
/// What was before it.
pub(super) const OLDER: &str = "console.log.1";

/// The most bytes of one of a log's two files. When the newer one is full the older one goes, so that between one and two
/// times as much is kept.
pub const MAX_LOG_BYTES: u64 = 16 << 20;

/// A log being written.
#[derive(Debug)]
pub struct Console {
    folder: PathBuf,
    file: File,
    length: u64,
    limit: u64,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

impl Console {
    /// Begins the log of a machine, in its folder.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(folder: &Path) -> io::Result<Console> {
        Console::with_limit(folder, MAX_LOG_BYTES)
    }

    pub(super) fn with_limit(folder: &Path, limit: u64) -> io::Result<Console> {
        Ok(Console {
            folder: folder.into(),
            file: create(&folder.join(FILE))?,
            length: 0,
            limit,
            lost: 0,
        })
    }

    /// Writes a line at once. One that cannot be written, on a full disk say, is counted, and the count is a line once
    /// there is room again: no guest stops for its log.
    pub fn line(&mut self, line: &str) {
        self.line_at(Timestamp::now(), line);
    }

    fn line_at(&mut self, now: Timestamp, line: &str) {
        if self.lost > 0 {
            let note = format!("[{} lines could not be written here]", self.lost);
            if self.write(now, &note).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.write(now, line).is_err() {
            self.lost += 1;
        }
    }

    fn write(&mut self, now: Timestamp, line: &str) -> io::Result<()> {
        let text = format!("{now:.6} {line}\n");
        let bytes = text.len() as u64;
        if self.length > 0 && self.length + bytes > self.limit {
            fs::rename(self.folder.join(FILE), self.folder.join(OLDER))?;
            self.file = create(&self.folder.join(FILE))?;
            self.length = 0;
        }
        // One call a line: whoever is killed leaves whole ones.
        let written = self.file.write(text.as_bytes())?;
        self.length += written as u64;
        if written < text.len() {
            // A cut line is ended, so that the next one is whole.
            self.file.write_all(b"\n")?;
            self.length += 1;
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// When the log of the machine in `folder` was last written.
pub(super) fn last_sign(folder: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(folder.join(FILE)).ok()?.modified().ok()?;
    Timestamp::try_from(modified).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read(folder: &Path, file: &str) -> String {
        fs::read_to_string(folder.join(file)).unwrap_or_default()
    }

    #[test]
    fn a_line_has_the_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = Console::create(folder.path()).unwrap();
        console.line_at(at(1), "hello there");
        console.line_at(at(2), "");
        assert_eq!(
            read(folder.path(), FILE),
            "1970-01-01T00:00:01.000000Z hello there\n1970-01-01T00:00:02.000000Z \n"
        );
    }

    #[test]
    fn the_oldest_lines_go() {
        let folder = tempfile::tempdir().unwrap();
        let line = "x".repeat(71); // a hundred bytes with the time
        let mut console = Console::with_limit(folder.path(), 300).unwrap();
        for second in 0..8 {
            console.line_at(at(second), &line);
        }
        assert_eq!(read(folder.path(), FILE).lines().count(), 2);
        assert_eq!(read(folder.path(), OLDER).lines().count(), 3);
        assert!(read(folder.path(), OLDER).starts_with("1970-01-01T00:00:03"));
        // One that is longer than a file is kept whole all the same.
        console.line_at(at(9), &"y".repeat(400));
        assert_eq!(read(folder.path(), FILE).len(), 429);
    }

    #[test]
    fn lines_that_find_no_room_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut console = Console::create(folder.path()).unwrap();
        let good = console.file.try_clone().unwrap();
        console.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        console.line_at(at(1), "lost");
        console.line_at(at(1), "lost too");
        console.file = good;
        console.line_at(at(2), "kept");
        let text = read(folder.path(), FILE);
        assert!(
            text.contains("Z [2 lines could not be written here]\n"),
            "{text}"
        );
        assert!(text.ends_with("Z kept\n"), "{text}");
    }
}
