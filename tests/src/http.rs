//! An HTTP/1.1 client for tests: requests as raw as a test wants them, answers parsed strictly, so that
//! pipelining, split heads and malformed requests can be tried.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::connect;

/// The most header fields and bytes that an answer's head may have.
const MAX_FIELDS: usize = 64;
const MAX_HEAD: usize = 16 * 1024;

/// One connection, kept alive between requests.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
}

/// Gets `path` over a connection of its own.
///
/// # Errors
/// The connection failed, or what came is not HTTP.
pub fn get(address: SocketAddr, path: &str) -> io::Result<Response> {
    Connection::open(address)?.get(path)
}

/// Posts `body` to `path` over a connection of its own.
///
/// # Errors
/// The connection failed, or what came is not HTTP.
pub fn post(address: SocketAddr, path: &str, body: &[u8]) -> io::Result<Response> {
    Connection::open(address)?.post(path, body)
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        Ok(Connection {
            reader: BufReader::new(connect(address)?),
        })
    }

    /// Connects and gets `path` once, so that the connection is known to have reached the server: see
    /// [`open_echo`](crate::client::open_echo).
    ///
    /// # Errors
    /// The connection failed, or the answer is not 200.
    pub fn open_used(address: SocketAddr, path: &str) -> io::Result<Connection> {
        let mut connection = Connection::open(address)?;
        match connection.get(path)?.status {
            200 => Ok(connection),
            status => Err(io::Error::other(format!("status {status}"))),
        }
    }

    /// Sends a GET and reads its answer.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes())?;
        self.read_response()
    }

    /// Sends a POST and reads its answer.
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Response> {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        self.send(&[head.as_bytes(), body].concat())?;
        self.read_response()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Reads one answer to a request other than HEAD.
    pub fn read_response(&mut self) -> io::Result<Response> {
        let head = self.read_head()?;
        let (status, fields) = parse_head(&head)?;
        let mut response = Response {
            status,
            fields,
            body: Vec::new(),
        };
        if response.field("transfer-encoding") == Some("chunked") {
            self.read_chunks(&mut response.body)?;
        } else if let Some(length) = response.field("content-length") {
            let length = length.parse().map_err(|_| invalid("content-length"))?;
            self.read_exactly(length, &mut response.body)?;
        } else {
            self.reader.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    /// Whether the server has closed the connection. Waits for it, or for a byte that should not come.
    pub fn is_closed(&mut self) -> io::Result<bool> {
        match self.reader.fill_buf() {
            Ok(bytes) => Ok(bytes.is_empty()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn read_head(&mut self) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let left = (MAX_HEAD - head.len()) as u64;
            if self
                .reader
                .by_ref()
                .take(left)
                .read_until(b'\n', &mut head)?
                == 0
            {
                let kind = io::ErrorKind::UnexpectedEof;
                return Err(io::Error::new(
                    kind,
                    format!("{} bytes of a head", head.len()),
                ));
            }
        }
        Ok(head)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            let length = u64::from_str_radix(line.trim_end(), 16).map_err(|_| invalid(&line))?;
            self.read_exactly(length, body)?;
            let mut end = [0; 2];
            self.reader.read_exact(&mut end)?;
            match (length, &end) {
                (0, b"\r\n") => return Ok(()),
                (_, b"\r\n") => {}
                _ => return Err(invalid("chunk's end")),
            }
        }
    }

    fn read_exactly(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        let read = self.reader.by_ref().take(length).read_to_end(body)? as u64;
        if read < length {
            let text = format!("{read} bytes of {length}");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(())
    }
}

impl Response {
    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// The content as text.
    ///
    /// # Panics
    /// It is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the content is UTF-8")
    }
}

type Fields = Vec<(String, String)>;

fn parse_head(head: &[u8]) -> io::Result<(u16, Fields)> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(invalid("head")),
        Err(error) => return Err(invalid(&error.to_string())),
    }
    let status = response.code.ok_or_else(|| invalid("status"))?;
    let fields = response.headers.iter().map(|field| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_ascii_lowercase(), value)
    });
    Ok((status, fields.collect()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("not HTTP: {}", what.trim_end()),
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::thread;

    use super::*;

    /// A connection to a server that says `answer`, whatever it is asked, and closes.
    fn answered(answer: &'static str) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        Connection::open(address).unwrap()
    }

    #[test]
    fn answers_end_by_length_by_chunks_or_by_closing() {
        let mut connection = answered(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\
             Transfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\nHTTP/1.1 404 No\r\n\r\nrest",
        );
        assert_eq!(connection.read_response().unwrap().text(), "ab");
        assert_eq!(connection.read_response().unwrap().text(), "cde");
        let last = connection.read_response().unwrap();
        assert_eq!((last.status, last.text()), (404, "rest"));
        assert!(connection.is_closed().unwrap());
    }

    #[test]
    fn a_cut_or_wrong_answer_is_an_error() {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(
                answered(answer).read_response().is_err(),
                "{answer:?} was accepted"
            );
        }
    }
}
