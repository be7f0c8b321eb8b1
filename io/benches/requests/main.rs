//! What a request costs the broker: CPU of its process, in a release build, over loopback.
//!
//! ```text
//! cargo bench -p quorate-io
//! cargo bench -p quorate-io -- --save-baseline before
//! cargo bench -p quorate-io -- --baseline before
//! ```
//!
//! The first compares with the last run. The floor is `echo`, a server on the same runtime that
//! answers with a constant, and neither decodes nor remembers. Every answer is compared with the
//! first one of its kind.

mod cpu;
mod echo;
mod load;
#[path = "../../tests/support/member.rs"]
mod member;
mod requests;
#[path = "../../tests/support/broker.rs"]
mod support;
#[path = "../../tests/support/wire.rs"]
mod wire;

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};

use self::cpu::Cpu;
use self::echo::Echo;
use self::load::Load;
use self::requests::{Groups, Records, fetched_bytes, heartbeat};
use self::support::Broker;

/// Connections, and groups of one member.
const CONNECTIONS: usize = 100;
const PARTITIONS: [i32; 3] = [1, 10, 50];
/// Bytes of a record, and records of a batch.
const BATCHES: [(usize, usize); 3] = [(1024, 16), (1024, 100), (100, 100)];
/// Heartbeats in flight on each connection.
const IN_FLIGHT: [usize; 2] = [1, 10];

fn main() {
    let echo = Echo::start();
    let mut floor = Bench::new(&echo.address, Cpu::Thread(echo.thread));
    let beats = vec![heartbeat("bench-1", "an id of a member as long as they are"); CONNECTIONS];
    for in_flight in IN_FLIGHT {
        floor.heartbeats(&beats, in_flight, "echo");
    }

    let data = tempfile::tempdir().expect("a folder");
    let broker = start(&data.path().join("os"), "os");
    let mut os = Bench::new(&broker.address, Cpu::Process(broker.child.id()));
    let groups = Groups::form(&broker.address, CONNECTIONS, PARTITIONS[2]);
    for in_flight in IN_FLIGHT {
        os.heartbeats(&groups.heartbeats(), in_flight, "quorate");
    }
    os.commits(&groups, "os");
    for partitions in PARTITIONS {
        let load = os.load(&groups.fetches(partitions), 1);
        os.measure(&format!("OffsetFetch of {partitions} partitions"), "quorate", load);
    }
    os.records("os", true);
    drop(broker);

    let broker = start(&data.path().join("sync"), "sync");
    let mut sync = Bench::new(&broker.address, Cpu::Process(broker.child.id()));
    let groups = Groups::form(&broker.address, CONNECTIONS, PARTITIONS[2]);
    sync.commits(&groups, "sync");
    sync.records("sync", false);
}

fn start(folder: &Path, durability: &str) -> Broker {
    let folder = folder.to_str().expect("a path in UTF-8");
    let durability = format!("durability={durability}");
    let set = ["group.initial.rebalance.delay.ms=0", "log.retention.ms=-1", &durability];
    let set = set.into_iter().flat_map(|setting| ["--set", setting]);
    Broker::start(&["--data", folder].into_iter().chain(set).collect::<Vec<_>>())
}

/// The benchmarks of one server.
struct Bench {
    address: String,
    cpu: Cpu,
    criterion: Criterion<Cpu>,
}

impl Bench {
    fn new(address: &str, cpu: Cpu) -> Bench {
        let criterion = Criterion::default()
            .with_measurement(cpu.clone())
            .sample_size(30)
            .warm_up_time(Duration::from_secs(2))
            .configure_from_args();
        Bench { address: address.to_owned(), cpu, criterion }
    }

    fn load(&self, requests: &[Vec<u8>], in_flight: usize) -> Load {
        Load::new(&self.address, requests, in_flight).expect("the server answers")
    }

    /// CPU of one request.
    fn measure(&mut self, what: &str, who: &str, mut load: Load) {
        let cpu = self.cpu.clone();
        let mut group = self.criterion.benchmark_group(what);
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(who, |bencher| {
            bencher.iter_custom(|requests| cpu.of(|| load.run(requests)));
        });
        group.finish();
    }

    fn heartbeats(&mut self, requests: &[Vec<u8>], in_flight: usize, who: &str) {
        let load = self.load(requests, in_flight);
        self.measure(&format!("Heartbeat, {in_flight} in flight"), who, load);
    }

    fn commits(&mut self, groups: &Groups, who: &str) {
        for partitions in PARTITIONS {
            let load = self.load(&groups.commits(partitions), 1);
            self.measure(&format!("OffsetCommit of {partitions} partitions"), who, load);
        }
    }

    fn records(&mut self, who: &str, fetch: bool) {
        for (size, count) in BATCHES {
            let records = Records::topic(&self.address, size, count).expect("it is made");
            let load = self.load(&records.produce(), 5).varying(records.base_offset());
            self.measure(&format!("Produce of {count} x {size} bytes"), who, load);
            if fetch {
                let load = self.load(&records.fetch(), 1);
                let bytes = fetched_bytes(load.first_answer());
                let what = format!("Fetch of {bytes} bytes in batches of {count} x {size} bytes");
                self.measure(&what, who, load);
            }
        }
    }
}
