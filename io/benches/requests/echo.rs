//! The floor: a server that answers every frame with the same bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// A Heartbeat's answer without an error, version 4, to correlation id 0.
const ANSWER: [u8; 16] = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A server on a thread of its own, to the end of the process.
pub struct Echo {
    /// Where it listens.
    pub address: String,
    /// Its folder below `/proc`.
    pub thread: PathBuf,
}

impl Echo {
    /// Starts it.
    pub fn start() -> Echo {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_io().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("it listens");
                let address = listener.local_addr().expect("it has an address").to_string();
                let thread = fs::read_link("/proc/thread-self").expect("this thread's name");
                let thread = Path::new("/proc").join(thread);
                tell.send(Echo { address, thread }).expect("it is waited for");
                while let Ok((stream, _)) = listener.accept().await {
                    // A client that goes ends its own task.
                    tokio::task::spawn_local(serve(stream));
                }
            });
        });
        told.recv().expect("it starts")
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut output) = (Vec::with_capacity(8 << 10), Vec::new());
    while stream.read_buf(&mut input).await? > 0 {
        let mut at = 0;
        while let Some(length) = input[at..].first_chunk() {
            let end = at + 4 + u32::from_be_bytes(*length) as usize;
            if end > input.len() {
                break;
            }
            output.extend_from_slice(&ANSWER);
            at = end;
        }
        input.drain(..at);
        stream.write_all(&output).await?;
        output.clear();
    }
    Ok(())
}
