//! A raw HTTP answer, kept alive: as little HTTP as a load generator needs. The peers do the same, so
//! that what differs is the system below.

use bench_work::http::{ANSWER, MAX_BATCH, MAX_HEAD, heads};
use ukernel::Result;
use ukernel::net::TcpStream;

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

/// Pipelined requests: their answers in one write.
async fn answer_many(stream: &mut TcpStream, count: usize) -> Result {
    let mut output = [0; ANSWER.len() * MAX_BATCH];
    let output = &mut output[..ANSWER.len() * count];
    for answer in output.chunks_exact_mut(ANSWER.len()) {
        answer.copy_from_slice(ANSWER);
    }
    Ok(stream.write_all(output).await?)
}
