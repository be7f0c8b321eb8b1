//! The binary as a child process on a port of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A broker that serves. Dropping it is `kill -9`.
pub struct Broker {
    /// Its process.
    pub child: Child,
    said: mpsc::Receiver<String>,
    /// The address it listens on.
    pub address: String,
}

impl Broker {
    /// Starts the broker with these arguments, and waits until it listens.
    /// `BROKER_BIN` names another binary to hold to the same.
    pub fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        let binary = std::env::var_os("BROKER_BIN");
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_quorate").into());
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary can be run");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (tell, said) = mpsc::channel();
        // Reads to the end, so that the broker never waits for room to say something.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Nobody listens any more once the test has what it wants.
                let _ = tell.send(line);
            }
        });
        let mut broker = Self { child, said, address: String::new() };
        broker.address = broker.hear("listening on ");
        broker
    }

    /// The rest of the next line on its standard output that begins so.
    pub fn hear(&mut self, beginning: &str) -> String {
        loop {
            let line = self.said.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| {
                let _ = self.child.kill();
                panic!("the broker ended or did not say '{beginning}': {:?}", self.child.wait());
            });
            if let Some(rest) = line.strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().expect("a child of ours can be killed");
        self.child.wait().expect("a killed child ends");
    }
}
