//! The binary as a child process on a port of its own.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A broker that serves. Dropping it is `kill -9`.
pub struct Broker {
    child: Child,
    /// The address it listens on.
    pub address: String,
}

impl Broker {
    /// Starts the broker with these arguments, and waits until it listens.
    /// `QUORATE_BIN` names another binary to hold to the same.
    pub fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        let binary = std::env::var_os("QUORATE_BIN");
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_quorate").into());
        let mut command = Command::new(binary);
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary can be run");
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        let (tell, told) = mpsc::channel();
        // Reads to the end, so that the broker never waits for room to say something.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on ") {
                    let _ = tell.send(address.trim().to_owned());
                }
            }
        });
        let address = told.recv_timeout(Duration::from_secs(60));
        let address = address.unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the broker ended or did not say 'listening on ADDRESS': {:?}", child.wait());
        });
        Self { child, address }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().expect("a child of ours can be killed");
        self.child.wait().expect("a killed child ends");
    }
}
