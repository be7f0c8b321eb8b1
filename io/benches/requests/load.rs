//! A load: the same request again and again on each of its connections.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::Duration;

/// Connections with a request each, of which so many are in flight on each.
pub struct Load {
    lines: Vec<Line>,
    in_flight: usize,
    /// Bytes of an answer that may differ from the first one's.
    varying: Range<usize>,
}

struct Line {
    stream: TcpStream,
    /// The request, as often as it is in flight.
    frames: Vec<u8>,
    /// What was answered to the first.
    first: Vec<u8>,
    answer: Vec<u8>,
}

impl Load {
    /// Connects, and sends each request once for the answer that is expected from then on.
    pub fn new(address: &str, requests: &[Vec<u8>], in_flight: usize) -> io::Result<Load> {
        let line = |request: &Vec<u8>| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            stream.write_all(request)?;
            let mut first = Vec::new();
            read_frame(&mut stream, &mut first)?;
            let frames = request.repeat(in_flight);
            Ok(Line { stream, frames, first, answer: Vec::new() })
        };
        let lines = requests.iter().map(line).collect::<io::Result<_>>()?;
        Ok(Load { lines, in_flight, varying: 0..0 })
    }

    /// Bytes of the answer that are not compared.
    pub fn varying(self, varying: Range<usize>) -> Load {
        Load { varying, ..self }
    }

    /// The first answer on the first connection, without its length.
    pub fn first_answer(&self) -> &[u8] {
        &self.lines[0].first
    }

    /// Sends so many requests, rounded up to what is in flight on a connection, round by round over
    /// the connections, and waits for all answers of a round before the next.
    pub fn run(&mut self, requests: u64) {
        let mut turns = requests.div_ceil(self.in_flight as u64);
        while turns > 0 {
            let many = usize::try_from(turns).unwrap_or(usize::MAX).min(self.lines.len());
            for line in &mut self.lines[..many] {
                line.stream.write_all(&line.frames).expect("the server reads");
            }
            for line in &mut self.lines[..many] {
                for _ in 0..self.in_flight {
                    line.check(&self.varying);
                }
            }
            turns -= many as u64;
        }
    }
}

impl Line {
    fn check(&mut self, varying: &Range<usize>) {
        read_frame(&mut self.stream, &mut self.answer).expect("the server answers");
        if self.answer.len() == self.first.len() {
            self.answer[varying.clone()].copy_from_slice(&self.first[varying.clone()]);
        }
        assert!(self.answer == self.first, "{:?}, and first {:?}", self.answer, self.first);
    }
}

/// Reads a frame without its length.
fn read_frame(stream: &mut TcpStream, frame: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    frame.resize(u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(frame)
}
