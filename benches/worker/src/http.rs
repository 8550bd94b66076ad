//! A raw HTTP answer, kept alive: as little HTTP as a load generator needs. The peers do the same, so
//! that what differs is the system below.

use ukernel::Result;
use ukernel::net::TcpStream;

/// Port of the raw answer.
pub(crate) const PORT: u16 = 80;

/// What every request is answered with.
pub(crate) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";

/// Longest head of a request.
const MAX_HEAD: usize = 2048;
/// Answers that go out in one write; further pipelined requests wait for the next.
const MAX_BATCH: usize = 16;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Answers until the peer closes or sends a head that is too long.
pub(crate) async fn serve(mut stream: TcpStream) -> Result {
    let mut input = [0; MAX_HEAD];
    let mut length = 0;
    loop {
        match stream.read(&mut input[length..]).await? {
            0 => return Ok(()),
            count => length += count,
        }
        let (requests, used) = heads(&input[..length]);
        match requests {
            0 => {}
            1 => stream.write_all(ANSWER).await?,
            many => answer_many(&mut stream, many).await?,
        }
        input.copy_within(used..length, 0);
        length -= used;
    }
}

/// How many heads are whole, and how many bytes they take.
fn heads(input: &[u8]) -> (usize, usize) {
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

/// Pipelined requests: their answers in one write.
async fn answer_many(stream: &mut TcpStream, count: usize) -> Result {
    let mut output = [0; ANSWER.len() * MAX_BATCH];
    let output = &mut output[..ANSWER.len() * count];
    for answer in output.chunks_exact_mut(ANSWER.len()) {
        answer.copy_from_slice(ANSWER);
    }
    Ok(stream.write_all(output).await?)
}
