//! Numbers that calls take and give: flags, options, features. Named as in
//! `kernel/include/ukernel_abi.h`; a test compares the two.
//!
//! ```
//! use abi::number::{FEAT_NUMBER_TCP, feature_bit};
//! assert_eq!(feature_bit(FEAT_NUMBER_TCP), 1 << 20);
//! ```

macro_rules! numbers {
    ($($name:ident = $value:expr; $doc:literal)*) => {
        $(#[doc = $doc] pub const $name: u32 = $value;)*
        /// All of them, with their names.
        pub const ALL: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
    };
}

numbers! {
    FEAT_VSOCK = 1 << 0; "As a bit: vsock."
    FEAT_RNG = 1 << 1; "As a bit: random bytes."
    FEAT_BALLOON = 1 << 2; "As a bit: the balloon."
    FEAT_SNAPSHOT = 1 << 3; "As a bit: snapshots."
    FEAT_TRACING = 1 << 4; "As a bit: traces."
    FEAT_NUMBER_TCP = 20; "Stream sockets."
    FEAT_NUMBER_IPV6 = 21; "IPv6."
    FEAT_NUMBER_DNS = 22; "Resolving names."
    FEAT_NUMBER_INTEREST = 23; "Interest sets."
    FEAT_NUMBER_TASKS = 24; "Spawning, joining, cancelling."
    FEAT_NUMBER_WALL_CLOCK = 25; "The time of day."
    FEAT_NUMBER_DISK = 26; "Disks."
    FEAT_NUMBER_VECTORED = 27; "Vectored reads and writes."
    FEAT_NUMBER_SHUTDOWN = 28; "The request to stop."
    FEAT_NUMBER_ENVIRONMENT = 29; "Arguments and variables."
    FEAT_NUMBER_MEMORY = 30; "Arenas, shared memory, limits."
    FEAT_NUMBER_IPC = 31; "Channels."
    FEAT_NUMBER_IPC_OPEN = 32; "Channels to the code that runs the program."
    FEAT_NUMBER_HOST = 33; "What only a library for Linux has."
    TASK_DETACHED = 1 << 0; "Nobody joins the task."
    TASK_PINNED = 1 << 1; "The task stays on its core."
    TASK_PRIORITY_LOW = 0; "Last in a turn."
    TASK_PRIORITY_NORMAL = 1; "In the middle of a turn."
    TASK_PRIORITY_HIGH = 2; "First in a turn."
    MEM_READ = 1 << 0; "For reading."
    MEM_WRITE = 1 << 1; "For writing."
    MEM_EXEC = 1 << 2; "For executing."
    MEM_ZEROED = 1 << 3; "Full of zeros."
    MEM_PINNED = 1 << 4; "Never moved."
    IO_READABLE = 1; "A read would not wait."
    IO_WRITABLE = 2; "A write would not wait."
    IO_HANGUP = 4; "The other side is gone."
    IO_ERROR = 8; "It has failed."
    IO_OPEN_READ = 1 << 0; "Open for reading."
    IO_OPEN_WRITE = 1 << 1; "Open for writing."
    IO_NONBLOCK = 1 << 2; "Nothing on the handle waits."
    IO_FD_OWNED = 1 << 8; "The descriptor is closed with its handle."
    IO_SEEK_SET = 0; "From the start."
    IO_SEEK_CUR = 1; "From here."
    IO_SEEK_END = 2; "From the end."
    IPC_NONBLOCK = 1 << 0; "Do not wait."
    IPC_OPEN_SEND = 1 << 1; "The end that sends."
    IPC_OPEN_RECEIVE = 1 << 2; "The end that receives."
    NET_INET = 2; "IPv4."
    NET_INET6 = 10; "IPv6."
    NET_STREAM = 1; "Streams."
    NET_DGRAM = 2; "Datagrams."
    NET_TCP = 6; "TCP."
    NET_UDP = 17; "UDP."
    NET_NONBLOCK = 1 << 0; "Do not wait."
    NET_SHUT_READ = 1; "Receiving."
    NET_SHUT_WRITE = 2; "Sending."
    NET_SHUT_BOTH = 3; "Both."
    NET_OPT_NODELAY = 1; "Small writes at once."
    NET_OPT_KEEPALIVE_NS = 2; "Asking idle peers."
    NET_OPT_TIMEOUT_NS = 3; "Patience with silent peers."
    NET_OPT_RECEIVE_BUFFER = 4; "Bytes to receive into."
    NET_OPT_SEND_BUFFER = 5; "Bytes to send from."
    NET_OPT_NONBLOCK = 6; "Nothing on the socket waits."
    NET_OPT_ERROR = 7; "How the connection failed."
    LOG_DEBUG = 0; "For looking for bugs."
    LOG_INFO = 1; "For everybody."
    LOG_WARN = 2; "Something odd."
    LOG_ERROR = 3; "Something broken."
}

/// The status of a task that was cancelled.
pub const TASK_CANCELLED: i32 = -1000;
/// The status of a task that ended by an exception, or ran out of its stack.
pub const TASK_FAULTED: i32 = -1001;
/// A timeout that never ends.
pub const FOREVER: u64 = u64::MAX;

/// The version of the interface: major, minor, patch.
pub const VERSION: (u32, u32, u32) = (0, 3, 0);

/// The bit of a feature.
pub const fn feature_bit(number: u32) -> u64 {
    1 << number
}
