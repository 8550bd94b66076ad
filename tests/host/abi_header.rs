//! The kernel's C header against what it is the header of: numbers, layouts and functions in Rust; and
//! against the compilers of those who include it.

mod header;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::mem::offset_of;
use std::net::Ipv4Addr;

use abi::capability::Kind;
use abi::handle::Tag;
use abi::layout::{
    ErrorInfo, IoEvent, IoInfo, IoVec, MemoryUsage, NetAddressV4, NetAddressV4Packed, NetAddressV6,
    TaskStats,
};
use abi::{Error, number};
use header::{Functions, Header};
use system_tests::compilers::{c_compiler, compilers};
use system_tests::guest::repository;

const HEADER: &str = "kernel/include/ukernel_abi.h";
const INCLUDE: &str = "#include \"ukernel_abi.h\"\n";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn header() -> Header {
    Header::new(&read(HEADER))
}

/// Has the compiler compare; it names each comparison that fails.
#[track_caller]
fn assert_all(comparisons: impl IntoIterator<Item = String>) {
    let mut source = String::from(INCLUDE);
    for comparison in comparisons {
        writeln!(source, "_Static_assert({comparison}, \"{comparison}\");")
            .expect("a String takes it");
    }
    if let Err(words) = c_compiler().check("c11", &source) {
        panic!("{words}");
    }
}

// --- numbers ---------------------------------------------------------------------------------------------------------

fn error_name(error: Error) -> &'static str {
    match error {
        Error::Invalid => "ERR_INVALID",
        Error::NoEntry => "ERR_NOENT",
        Error::NoMemory => "ERR_NOMEM",
        Error::Busy => "ERR_BUSY",
        Error::Timeout => "ERR_TIMEOUT",
        Error::Io => "ERR_IO",
        Error::Unsupported => "ERR_UNSUPPORTED",
        Error::Permission => "ERR_PERMISSION",
        Error::WouldBlock => "ERR_WOULD_BLOCK",
        Error::Closed => "ERR_CLOSED",
    }
}

fn tag_name(tag: Tag) -> &'static str {
    match tag {
        Tag::Task => "HANDLE_TASK",
        Tag::Io => "HANDLE_IO",
        Tag::Ipc => "HANDLE_IPC",
        Tag::Net => "HANDLE_NET",
        Tag::Capability => "HANDLE_CAP",
        Tag::Span => "HANDLE_SPAN",
        Tag::Set => "HANDLE_SET",
        Tag::Memory => "HANDLE_MEM",
    }
}

/// Every number of the interface under its name in C.
fn numbers() -> BTreeMap<String, i64> {
    let mut numbers = BTreeMap::from([
        ("OK".to_string(), abi::OK.into()),
        ("TASK_CANCELLED".to_string(), number::TASK_CANCELLED.into()),
        ("TASK_FAULTED".to_string(), number::TASK_FAULTED.into()),
    ]);
    let all = number::ALL.iter();
    numbers.extend(all.map(|(name, value)| (name.to_string(), i64::from(*value))));
    numbers.extend(Error::ALL.map(|error| (error_name(error).to_string(), error.code().into())));
    numbers.extend(Tag::ALL.map(|tag| (tag_name(tag).to_string(), tag as i64)));
    numbers
        .extend(Kind::ALL.map(|kind| (format!("CAP_{}", kind.name().to_uppercase()), kind as i64)));
    numbers
}

#[test]
fn header_and_rust_name_the_same_numbers() {
    let constants = header().constants();
    let in_c: BTreeSet<&str> = constants.iter().map(String::as_str).collect();
    assert_eq!(
        in_c.len(),
        constants.len(),
        "a name stands twice in {constants:?}"
    );
    let numbers = numbers();
    let in_rust: BTreeSet<&str> = numbers.keys().map(String::as_str).collect();
    assert!(
        in_c.len() > 80,
        "only {} were found: does the search work?",
        in_c.len()
    );
    assert_eq!(
        in_c.difference(&in_rust).collect::<Vec<_>>(),
        [&""; 0],
        "in the header only"
    );
    assert_eq!(
        in_rust.difference(&in_c).collect::<Vec<_>>(),
        [&""; 0],
        "in Rust only"
    );
}

#[test]
fn numbers_are_the_same_in_c() {
    assert_all(
        numbers()
            .into_iter()
            .map(|(name, value)| format!("{name} == {value}")),
    );
}

#[test]
fn macros_make_the_numbers_that_rust_reads() {
    let localhost = u32::from(Ipv4Addr::LOCALHOST);
    let tcp = number::feature_bit(number::FEAT_NUMBER_TCP);
    assert_all([
        format!("NET_IP4(127, 0, 0, 1) == {localhost}u"),
        format!("FEAT_BIT(FEAT_NUMBER_TCP) == {tcp}ull"),
        String::from("FEAT_BIT(63) == 1ull << 63"),
        String::from("TASK_STACK_KIB(65535) == 0xffff0000u"),
        String::from("IPC_CAPACITY(4096) == 0x10000000u"),
        String::from("MEM_ALIGN(0) == 0x100u && MEM_ALIGN(12) == 0xd00u"),
    ]);
}

#[test]
fn the_header_says_its_version() {
    let (major, minor, patch) = number::VERSION;
    let words = format!("Version {major}.{minor}.{patch}.");
    assert!(
        read(HEADER).contains(&words),
        "the header does not say: {words}"
    );
}

// --- layouts ---------------------------------------------------------------------------------------------------------

/// A structure: its name in C, its size, and each field's name, offset and size.
struct Layout {
    name: &'static str,
    size: usize,
    fields: Vec<(&'static str, usize, usize)>,
}

fn size_by<T, F>(_: impl Fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// A structure's layout; it does not compile when a field is missing from the list.
macro_rules! layout {
    ($kind:ident, $name:literal, $($field:ident),+) => {{
        let $kind { $($field: _),+ } = $kind::default();
        Layout {
            name: $name,
            size: size_of::<$kind>(),
            fields: vec![$((
                stringify!($field),
                offset_of!($kind, $field),
                size_by(|structure: &$kind| &structure.$field),
            )),+],
        }
    }};
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!(ErrorInfo, "err_info_t", code, detail, arg0, arg1),
        layout!(
            TaskStats,
            "task_stats_t",
            cpu_time_ns,
            sched_ticks,
            context_switches
        ),
        layout!(NetAddressV4, "net_addr_v4_t", ip4, port, reserved),
        layout!(NetAddressV4Packed, "net_addr_v4_packed_t", ip, port),
        layout!(NetAddressV6, "net_addr_v6_t", ip, port, reserved, scope),
        layout!(IoEvent, "io_event_t", handle, events, reserved),
        layout!(IoVec, "io_vec_t", ptr, len),
        layout!(IoInfo, "io_info_t", size, block, flags),
        layout!(MemoryUsage, "mem_usage_t", bytes, allocations, limit),
    ]
}

#[test]
fn header_and_rust_have_the_same_structures() {
    let in_rust = layouts().into_iter().map(|layout| {
        let fields = layout.fields.iter().map(|(name, ..)| name.to_string());
        (layout.name.to_string(), fields.collect())
    });
    let in_rust: BTreeMap<String, Vec<String>> = in_rust.collect();
    assert_eq!(header().structures(), in_rust);
    let source = read("kernel/abi/src/layout.rs");
    let written = source.matches("pub struct ").count();
    assert_eq!(
        written,
        in_rust.len(),
        "a structure of abi::layout is in no list here"
    );
}

#[test]
fn layouts_are_the_same_in_c() {
    assert_all(
        layouts()
            .into_iter()
            .flat_map(|Layout { name, size, fields }| {
                let fields = fields.into_iter().flat_map(move |(field, offset, size)| {
                    let at = format!("offsetof({name}, {field}) == {offset}");
                    [at, format!("sizeof((({name} *)0)->{field}) == {size}")]
                });
                std::iter::once(format!("sizeof({name}) == {size}")).chain(fields)
            }),
    );
}

// --- functions -------------------------------------------------------------------------------------------------------

/// What a library for Linux has beside.
const HOST: &str = "adapter/src/host.rs";

fn exported() -> Functions {
    let folder = repository().join("kernel/calls/src/entry");
    let files = fs::read_dir(folder).expect("the folder of what C programs link to");
    let paths = files.map(|file| file.expect("a readable folder").path());
    let texts = paths.map(|path| fs::read_to_string(path).expect("sources are UTF-8"));
    let texts = texts.chain([read(HOST)]);
    texts.flat_map(|text| header::exported(&text)).collect()
}

#[test]
fn every_function_of_the_header_is_there_and_no_other() {
    let (declared, exported) = (header().functions(), exported());
    assert!(
        declared.len() > 70,
        "only {} were found: does the search work?",
        declared.len()
    );
    let names = |functions: &Functions| functions.keys().cloned().collect::<BTreeSet<_>>();
    let (in_c, in_rust) = (names(&declared), names(&exported));
    assert_eq!(
        in_c.difference(&in_rust).collect::<Vec<_>>(),
        [&""; 0],
        "declared only"
    );
    assert_eq!(
        in_rust.difference(&in_c).collect::<Vec<_>>(),
        [&""; 0],
        "exported only"
    );
    for (name, parameters) in declared {
        assert_eq!(
            parameters, exported[&name],
            "{name}: parameters in C and in Rust"
        );
    }
}

// --- compilers -------------------------------------------------------------------------------------------------------

/// Compiles a text as every standard that the header is for.
fn check_everywhere(what: &str, source: &str) {
    for compiler in compilers(what) {
        let standards: &[&str] = if compiler.cpp {
            &["c++17"]
        } else {
            &["c99", "c11", "c17"]
        };
        for standard in standards {
            if let Err(words) = compiler.check(standard, source) {
                panic!("{what}: {} as {standard}:\n{words}", compiler.program);
            }
        }
    }
}

#[test]
fn the_header_compiles_without_a_warning() {
    check_everywhere("the header, included twice", &INCLUDE.repeat(2));
}

#[test]
fn every_name_of_the_header_can_be_used() {
    let mut source = format!("{INCLUDE}int use(int n);\nint use(int n) {{\n");
    for name in header().constants() {
        writeln!(source, "    n += (int){name};").expect("a String takes it");
    }
    source += "    n += (int)(TASK_STACK_KIB(n) + MEM_ALIGN(n) + IPC_CAPACITY(n) + NET_IP4(n, n, n, n) + FEAT_BIT(n));\n";
    source += "    return n;\n}\n";
    check_everywhere("every name of the header", &source);
}

#[test]
fn a_program_for_version_0_2_0_compiles_unchanged() {
    check_everywhere(
        "a program for version 0.2.0",
        &read("tests/host/abi_header/original.c"),
    );
}

#[test]
fn the_conformance_suite_compiles_without_a_warning() {
    let suite = fs::read_dir(repository().join("tests/abi")).expect("the suite's folder");
    let paths = suite.map(|file| file.expect("a readable folder").path());
    let files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "c"))
        .collect();
    assert!(files.len() > 10, "only {files:?}");
    let compilers = compilers("the conformance suite");
    for compiler in compilers.iter().filter(|compiler| !compiler.cpp) {
        for file in &files {
            if let Err(words) = compiler.compile("c11", file) {
                panic!("{} with {}:\n{words}", file.display(), compiler.program);
            }
        }
    }
}

/// The words in a C text that are followed by an opening parenthesis.
fn called(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let before = text.match_indices('(').map(|(at, _)| &text[..at]);
    before
        .map(|text| {
            text.rsplit(|letter| !is_part(letter))
                .next()
                .unwrap_or_default()
        })
        .collect()
}

#[test]
fn the_conformance_suite_calls_every_function() {
    let declared = header().functions();
    let suite = fs::read_dir(repository().join("tests/abi")).expect("the suite's folder");
    let paths = suite.map(|file| file.expect("a readable folder").path());
    // The table of what each call needs names all of them, and tests only that.
    let texts: Vec<String> = paths
        .filter(|path| !path.ends_with("capabilities.c"))
        .map(|path| fs::read_to_string(path).expect("sources are UTF-8"))
        .collect();
    let called: BTreeSet<&str> = texts.iter().flat_map(|text| called(text)).collect();
    let host = header::exported(&read(HOST));
    let everywhere = declared.keys().filter(|name| !host.contains_key(*name));
    let missing: Vec<&String> = everywhere
        .filter(|name| !called.contains(name.as_str()))
        .collect();
    assert_eq!(missing, [""; 0], "never called");
}

#[test]
fn the_original_program_calls_what_version_0_2_0_had() {
    let today = header().functions();
    let mut then = Header::new(&read("tests/host/abi_header/original.c")).functions();
    then.retain(|name, _| today.contains_key(name)); // without its own
    assert_eq!(then.len(), 39);
    let program = read("tests/abi/original.c");
    let newer = called(&program)
        .into_iter()
        .filter(|name| today.contains_key(*name) && !then.contains_key(*name));
    assert_eq!(newer.collect::<Vec<_>>(), [""; 0], "came later");
}
