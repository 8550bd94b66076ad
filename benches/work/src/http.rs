//! A raw HTTP answer, kept alive: as little HTTP as a load generator needs.

/// What is asked.
pub const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
/// What every request is answered with.
pub const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Longest head of a request, in bytes.
pub const MAX_HEAD: usize = 2048;
/// Answers that go out in one write; further pipelined requests wait for the next.
pub const MAX_BATCH: usize = 16;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// How many heads of requests are whole, at most [`MAX_BATCH`], and how many bytes they take.
///
/// ```
/// assert_eq!(bench_work::http::heads(b"GET / HTTP/1.1\r\n\r\nGET"), (1, 18));
/// ```
pub fn heads(input: &[u8]) -> (usize, usize) {
    let (mut requests, mut used) = (0, 0);
    while requests < MAX_BATCH {
        let mut windows = input[used..].windows(END_OF_HEAD.len());
        let Some(at) = windows.position(|window| window == END_OF_HEAD) else {
            break;
        };
        requests += 1;
        used += at + END_OF_HEAD.len();
    }
    (requests, used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_has_no_end_yet_is_left() {
        assert_eq!(heads(b""), (0, 0));
        assert_eq!(heads(&REQUEST[..REQUEST.len() - 1]), (0, 0));
        assert_eq!(heads(b"a\r\n\r\nb\r\n\r\nc\r\n"), (2, 10));
    }

    #[test]
    fn no_more_than_a_batch_is_taken() {
        let many = [*b"\r\n\r\n"; MAX_BATCH + 1];
        assert_eq!(heads(many.as_flattened()), (MAX_BATCH, 4 * MAX_BATCH));
    }
}
