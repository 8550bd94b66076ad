//! Ports, and how much is moved at a time.

/// TCP and UDP: answers with what came.
pub const ECHO: u16 = 7;
/// TCP: takes whatever comes.
pub const SINK: u16 = 9;
/// TCP: gives without end.
pub const SOURCE: u16 = 19;
/// TCP: answers HTTP.
pub const HTTP: u16 = 80;

/// UDP: a datagram is a mark for the gauge (`benches/gauge`), and is answered.
pub const MARK: u16 = 9;

/// Connections that may wait to be accepted: more than a load opens at once.
pub const BACKLOG: u32 = 1024;
/// Bytes that one read or write of bulk data moves.
pub const BULK_CHUNK: usize = 64 << 10;
/// Bytes that the echo reads at a time.
pub const ECHO_CHUNK: usize = 4 << 10;
/// Bytes of the longest datagram that is echoed.
pub const MAX_DATAGRAM: usize = 2048;
/// What buffers are filled with.
pub const FILL: u8 = 0x5a;

/// What a worker says when all its ports are open.
pub const SERVING: &str = "bench: serving";
