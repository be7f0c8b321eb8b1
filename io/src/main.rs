//! The broker's binary: reads the command line, opens the stores, runs the threads, and stops when
//! it is told to.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::Parser;
use mimalloc::MiMalloc;
use quorate_io::admin;
use quorate_io::broker::{Broker, Loop, Stores};
use quorate_io::cli::{Action, Cli, Data, Durability, EXIT_USAGE, Endpoint, Serve};
use quorate_io::clock::Clock;
use quorate_io::core_thread::Entropy;
use quorate_io::disk::{Fatal, OnFatal, OpenError};
use quorate_io::stores::{Memory, open_folder};
use quorate_io::telemetry;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, LocalSet};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// Gives back an absurd request for memory as an error of the allocation, where the system allows
/// it: the second line of defence behind the guard.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// The data folder is in use by another process.
const EXIT_IN_USE: u8 = 3;
/// A store could not be opened or written.
const EXIT_STORE: u8 = 4;

/// Why the process ends, with its exit code.
struct Failure(u8, String);

fn main() -> ExitCode {
    let serve = match Cli::parse().action(&mut std::env::vars_os()) {
        Ok(Action::Serve(serve)) => serve,
        Ok(Action::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    start_log();
    for warning in &serve.settings.warnings {
        tracing::warn!("{warning}");
    }
    match run(*serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(code, reason)) => {
            eprintln!("error: {reason}");
            ExitCode::from(code)
        }
    }
}

/// The log goes to standard error: what `RUST_LOG` asks for, else `info` and above, with colours
/// where somebody looks on who has not set `NO_COLOR`.
fn start_log() {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let (filter, wrong) = match builder.clone().try_from_env() {
        Ok(filter) => (filter, None),
        Err(error) => (builder.parse_lossy(""), Some(error)),
    };
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let colours = std::io::stderr().is_terminal() && !plain;
    let subscriber = telemetry::subscriber(filter, colours, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).expect("it is set once");
    if let Some(error) = wrong
        && std::env::var_os(EnvFilter::DEFAULT_ENV).is_some()
    {
        tracing::warn!("RUST_LOG is not used: {error}");
    }
}

fn run(serve: Serve) -> Result<(), Failure> {
    use_small_pages();
    raise_file_limit();
    let Serve { settings, data, admin } = serve;
    let entropy: Entropy = Arc::new(|bytes| {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    });
    let stores = match data {
        Data::Ephemeral => Memory::default().open(&entropy),
        Data::Folder(folder) => open(&folder, settings.durability, &entropy)?,
    };
    let listeners = settings.listeners.iter().map(|listener| bind(&listener.listen, "--listen"));
    let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
    let admin = admin.map(|admin| bind(&admin, "--admin")).transpose()?;
    let runtime = runtime();
    runtime.block_on(async {
        let cores = settings.num_network_threads;
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        let spawn = |index, run: Loop| threads.push(core_thread(index, run));
        let clock = Clock::system();
        let mut broker = Broker::start::<tokio::net::TcpListener>(
            settings, cores, spawn, listeners, stores, clock, entropy,
        );
        let addresses = broker
            .listening()
            .await
            .map_err(|error| Failure(EXIT_USAGE, format!("cannot listen: {error}")))?;
        addresses.iter().for_each(|address| println!("listening on {address}"));
        let admin = admin.map(|admin| serve_admin(admin, &broker)).transpose()?;
        told_to_stop().await;
        tracing::info!("stopping: what is in flight is finished first");
        let stopped = broker.stop().await;
        admin.inspect(AbortHandle::abort);
        for thread in threads {
            // It is at its end, and a panic of its loop was printed.
            let _ = thread.join();
        }
        stopped.map_err(|error| {
            let kept = "What was acknowledged is kept";
            Failure(EXIT_STORE, format!("the stop was not clean: {error}. {kept}"))
        })
    })
}

fn open(folder: &Path, durability: Durability, entropy: &Entropy) -> Result<Stores, Failure> {
    let on_fatal: OnFatal = Arc::new(|fatal: Fatal| {
        eprintln!("error: {fatal}");
        std::process::exit(i32::from(EXIT_STORE));
    });
    let opened = open_folder(folder, durability, entropy, &on_fatal);
    opened.map_err(|error| match error {
        OpenError::DataInUse { .. } => Failure(EXIT_IN_USE, error.to_string()),
        error => Failure(EXIT_STORE, error.to_string()),
    })
}

/// Begins to serve the operator's endpoint.
fn serve_admin(listener: TcpListener, broker: &Broker) -> Result<AbortHandle, Failure> {
    let failed = |error| Failure(EXIT_USAGE, format!("cannot serve --admin: {error}"));
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    println!("admin on {address}");
    Ok(tokio::spawn(admin::serve(listener, broker.observer())).abort_handle())
}

fn bind(listen: &Endpoint, flag: &str) -> Result<TcpListener, Failure> {
    let bound = if listen.host.is_empty() {
        // Every interface: a socket for both kinds of addresses, where the machine has IPv6.
        let both = listen_at((Ipv6Addr::UNSPECIFIED, listen.port).into());
        both.or_else(|_| listen_at((Ipv4Addr::UNSPECIFIED, listen.port).into()))
    } else {
        listen_at_first((listen.host.as_str(), listen.port))
    };
    bound.map_err(|error| {
        let other = format!("choose another address with {flag} HOST:PORT");
        Failure(
            EXIT_USAGE,
            format!("cannot listen on {listen}: {error}; stop what listens there, or {other}"),
        )
    })
}

/// Connections that may wait to be accepted; the system may allow fewer. Where many clients come at
/// once, one that does not fit tries again a second later.
const BACKLOG: i32 = 4096;

/// Listens at the first address of a name that can be listened at.
fn listen_at_first(name: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut last = Err(io::ErrorKind::AddrNotAvailable.into());
    for address in name.to_socket_addrs()? {
        last = listen_at(address);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port that a broker before this one has left is free.
    socket.set_reuse_address(true)?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn core_thread(index: usize, run: Loop) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(format!("core-{index}"))
        .spawn(move || {
            let runtime = runtime();
            let local = LocalSet::new();
            local.block_on(&runtime, async move { run().await });
        })
        .expect("a thread can be started")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be started")
}

/// Waits for SIGTERM or SIGINT.
async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be waited for");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be waited for");
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Every connection is a file: the soft limit of old is too low for a broker.
fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!("the limit of open files could not be raised: {error}");
    }
}

/// Keeps transparent huge pages off. The allocator asks for them, and each is zeroed as a whole, 2
/// MiB, when its first byte is written: a quarter of the memory at rest, and a pause where a large
/// answer is encoded. Requests got no slower without them.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!("transparent huge pages stay as they are: {error}");
    }
}
