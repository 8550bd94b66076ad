//! QEMU's control connection: one command at a time, its answer awaited. Owned by a
//! [`Machine`](super::Machine); events that QEMU sends in between are skipped.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::error::ControlError;

/// QEMU answers within milliseconds; a machine this silent has hung.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How many events may come before an answer. More means that the other side is not QEMU.
const MAX_EVENTS: usize = 10_000;

/// A connection over which commands may be sent.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Answers QEMU's greeting. QEMU replies once the machine is complete, so that an `Ok` here means
    /// that it has started.
    pub(super) fn negotiate(stream: UnixStream) -> Result<Qmp, ControlError> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        let mut qmp = Qmp {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
        };
        let greeting = qmp.read()?;
        if greeting.get("QMP").is_none() {
            return Err(ControlError::Refused(format!(
                "unexpected greeting: {greeting}"
            )));
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns what it returned. Waits for at most 30 s.
    ///
    /// # Errors
    /// [`ControlError::Ended`] when the machine is gone, [`ControlError::Refused`] with QEMU's words.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, ControlError> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes()).map_err(ended)?;
        for _ in 0..MAX_EVENTS {
            let mut answer = self.read()?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                let words = error["desc"].as_str().unwrap_or("no reason given");
                return Err(ControlError::Refused(words.into()));
            }
        }
        Err(ControlError::Refused(format!(
            "{command}: only events, no answer"
        )))
    }

    /// Presses Ctrl-Alt-Del, which asks the guest to stop.
    pub fn ctrl_alt_del(&mut self) -> Result<(), ControlError> {
        let keys = ["ctrl", "alt", "delete"].map(|key| json!({ "type": "qcode", "data": key }));
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Plugs or unplugs the cable of the network interface `index`.
    pub fn set_link(&mut self, index: usize, up: bool) -> Result<(), ControlError> {
        self.execute(
            "set_link",
            json!({ "name": format!("net{index}"), "up": up }),
        )
        .map(drop)
    }

    fn read(&mut self) -> Result<Value, ControlError> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).map_err(ended)? == 0 {
            return Err(ControlError::Ended);
        }
        serde_json::from_str(&line)
            .map_err(|error| ControlError::Refused(format!("not JSON ({error}): {line}")))
    }
}

fn ended(error: io::Error) -> ControlError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ControlError::Ended,
        _ => ControlError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREETING: &str = r#"{"QMP": {"version": {}, "capabilities": []}}"#;

    /// Plays QEMU: sends `lines` at once, returns the connection and the peer.
    fn peer(lines: &[&str]) -> (Result<Qmp, ControlError>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        for line in lines {
            writeln!(theirs, "{line}").unwrap();
        }
        (Qmp::negotiate(ours), theirs)
    }

    #[test]
    fn events_are_skipped_and_errors_carry_qemus_words() {
        let lines = [
            GREETING,
            r#"{"return": {}}"#,
            r#"{"event": "RTC_CHANGE"}"#,
            r#"{"return": {"running": true}}"#,
            r#"{"error": {"class": "GenericError", "desc": "no such device"}}"#,
        ];
        let (qmp, theirs) = peer(&lines);
        let mut qmp = qmp.unwrap();
        assert_eq!(
            qmp.execute("query-status", json!({})).unwrap(),
            json!({ "running": true })
        );
        let refused = qmp.set_link(0, false).unwrap_err();
        assert_eq!(refused.to_string(), "the VMM refused: no such device");

        let mut sent = BufReader::new(theirs).lines();
        sent.nth(1).unwrap().unwrap();
        let expected =
            json!({ "execute": "set_link", "arguments": { "name": "net0", "up": false } });
        let actual: Value = serde_json::from_str(&sent.next().unwrap().unwrap()).unwrap();
        assert_eq!(actual, expected);
    }

    #[test]
    fn a_machine_that_is_gone_is_said_to_be() {
        let (qmp, theirs) = peer(&[GREETING, r#"{"return": {}}"#]);
        drop(theirs);
        assert!(matches!(
            qmp.unwrap().ctrl_alt_del(),
            Err(ControlError::Ended)
        ));
    }

    #[test]
    fn something_else_than_qemu_is_refused() {
        assert!(matches!(peer(&["{}"]).0, Err(ControlError::Refused(_))));
        assert!(matches!(peer(&["hello"]).0, Err(ControlError::Refused(_))));
    }
}
