//! What does the process ask of the operating system for itself?
#![cfg(target_os = "linux")]

#[path = "support/broker.rs"]
mod broker;

use std::fs;
use std::net::TcpStream;

use broker::Broker;

#[test]
fn it_has_no_huge_pages() {
    let broker = Broker::start(&["--ephemeral"]);
    TcpStream::connect(&broker.address).expect("it accepts");
    let status = fs::read_to_string(format!("/proc/{}/status", broker.child.id()));
    let status = status.expect("it runs");
    let huge_pages = status.lines().find(|line| line.starts_with("THP_enabled:"));
    // A system that does not tell has none to give.
    assert!(huge_pages.is_none_or(|line| line == "THP_enabled:\t0"), "{huge_pages:?}");
}
