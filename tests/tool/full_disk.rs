//! A disk that is full: the tool says so, and leaves nothing that could be taken for whole.

use std::process::Command;

use system_tests::guest;
use system_tests::place::Place;
use system_tests::process::Done;
use system_tests::skip::skip;

use crate::builder::with_compilers;

/// Runs a shell's words with a file system of so many KiB at `$1`, and the tool as `$2`. `None`: this machine lets nobody have one.
fn with_disk(place: &Place, kib: usize, words: &str) -> Option<Done> {
    let disk = place.beside("disk");
    std::fs::create_dir_all(&disk).expect("a folder");
    let mut command = Command::new("unshare");
    let script = format!(
        "mount -t tmpfs -o size={kib}k,mode=755 none \"$1\" || exit 99\ncd \"$1\"\n{words}"
    );
    command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    command
        .arg(&disk)
        .arg(guest::tool())
        .current_dir(place.here());
    place.surround(&mut command);
    with_compilers(&mut command);
    let done = Done::of(&mut command);
    if done.status == Some(99) || done.words.contains("unshare failed") {
        skip(
            "full disks",
            done.words.lines().next().unwrap_or("no mount"),
        );
        return None;
    }
    Some(done)
}

/// Runs the tool with room for no more than so many blocks of 512 bytes in a file: a write beyond fails, as on a full disk.
pub(crate) fn with_room(place: &Place, blocks: u32, arguments: &str) -> Done {
    // Ignored: the write is an error instead of the process's end.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {arguments}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(guest::tool());
    place.surround(command.current_dir(place.here()));
    Done::of(&mut command)
}

#[test]
fn a_file_that_finds_no_room_is_as_it_was() {
    let place = Place::new();
    place.write("large", &"x".repeat(100_000));
    let spans: String = (0..1000)
        .map(|at| format!("#trace s {at:x} 1 1 1 1 0 work\n"))
        .collect();
    place.write("log", &format!("#trace h 1 0\n{spans}"));
    for (made, arguments) in [
        ("disk.img", "disk-image --output disk.img large"),
        ("trace.json", "trace --out trace.json log"),
    ] {
        let files = || std::fs::read_dir(place.here()).unwrap().count();
        let before = files();
        for old in [None, Some("old")] {
            old.inspect(|old| place.write(made, old));
            let done = with_room(&place, 8, arguments);
            assert_eq!(done.status, Some(125), "{}", done.words);
            assert!(done.words.contains("File too large"), "{}", done.words);
            let left = std::fs::read_to_string(place.here().join(made)).ok();
            assert_eq!(left.as_deref(), old, "{made}");
            assert_eq!(
                files(),
                before + old.iter().count(),
                "something else was left"
            );
        }
        place.run(&arguments.split(' ').collect::<Vec<_>>()).data();
    }
}

/// With each size a little larger than the one before, until the command succeeds.
fn grow(place: &Place, words: &str) -> Option<usize> {
    for (failed, kib) in (4..=256).step_by(4).enumerate() {
        let done = with_disk(place, kib, words)?;
        if done.status == Some(0) {
            return Some(failed);
        }
        assert_eq!(done.status, Some(125), "{kib} KiB: {}", done.words);
        assert!(
            done.words.contains("No space left on device"),
            "{kib} KiB: {}",
            done.words
        );
    }
    panic!("it never fits");
}

#[test]
fn init_says_so_and_leaves_no_project() {
    let place = Place::new();
    let words = "\"$2\" --quiet init --lang python demo; status=$?\n\
        if [ $status != 0 ] && [ -e demo ]; then echo 'a piece of a project was left' >&2; fi\n\
        if [ $status != 0 ] && [ -n \"$(ls -A)\" ]; then echo \"left: $(ls -A)\" >&2; fi\nexit $status";
    if let Some(failed) = grow(&place, words) {
        assert!(failed > 1, "only {failed} sizes were too small");
    }
}

/// Builds something larger again and again, with a little more room each time. What fails leaves either no bundle, or all of the last build:
/// its bundle and its lock.
const BUILDS: &str = r##"
"$2" --quiet init --lang python --template job demo && cd demo || exit
printf '[build]\nfiles = ["data.bin"]\n' >>ukernel.toml
dd if="$2" of=data.bin bs=16k count=1 2>/dev/null
"$2" --quiet build || exit
failed=0
for free in 0 4 8 12 16 20 24 28 32; do
    dd if="$2" bs=16k count=1 skip=$((free + 64)) 2>/dev/null >>data.bin
    cp ukernel.lock "$HOME/lock"
    available=$(df --output=avail . | tail -n 1)
    dd if=/dev/zero of=fill bs=1k count=$((available - free)) 2>/dev/null
    if "$2" --quiet build 2>"$HOME/words"; then
        gzip -t build/bundle.tgz || exit 1
    else
        failed=$((failed + 1))
        grep -q 'No space left on device' "$HOME/words" || { cat "$HOME/words" >&2; exit 1; }
        if [ -e build/bundle.tgz ]; then
            gzip -t build/bundle.tgz && cmp ukernel.lock "$HOME/lock" >&2 || exit 1
        fi
    fi
    rm fill
    "$2" --quiet build && gzip -t build/bundle.tgz || exit
done
echo "$failed"
"##;

#[test]
fn build_says_so_and_leaves_nothing_that_is_not_whole() {
    let place = Place::new();
    let Some(done) = with_disk(&place, 1024, BUILDS) else {
        return;
    };
    let failed: u32 = done.data().trim().parse().unwrap();
    assert!((1..9).contains(&failed), "{failed} builds had no room");
}
