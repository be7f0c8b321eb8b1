//! Do settings under Kafka's names mean what they mean in Kafka 4.4?

#[path = "support/wire.rs"]
mod wire;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use kafka_protocol::messages::MetadataRequest;
use quorate_io::cli::{
    ClassicServerAssignor, Durability, Effective, Endpoint, ListenerSpec, Settings, Source,
    known_settings, meaning, meanings, resolve,
};

fn set(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let given = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    resolve(given.collect()).map_err(|error| error.to_string())
}

/// What is left of settings that say where their values are from.
fn values(settings: Settings) -> Settings {
    Settings { effective: BTreeMap::new(), ..settings }
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(set(&[]), Ok(Settings::default()));
}

#[test]
fn every_default_is_kafkas_but_the_three_that_are_named() {
    let differ = ["listeners", "num.network.threads", "queued.max.request.bytes"];
    for known in known_settings().values() {
        let Some(default) = known.default.filter(|_| !differ.contains(&known.name)) else {
            continue;
        };
        let mut settings = set(&[(known.name, default)]).expect("a default of Kafka's");
        settings.warnings.clear();
        assert_eq!(values(settings), values(Settings::default()), "{}", known.name);
    }
    let ours = Settings::default();
    let listener = ListenerSpec::plaintext(Endpoint::new("127.0.0.1", 9092));
    assert_eq!(ours.listeners, [listener]);
    assert_eq!(ours.queued_max_request_bytes, 256 << 20);
    for name in differ {
        assert_eq!(ours.effective[name].source, Source::Default);
    }
    assert_eq!(ours.effective["listeners"].value.as_deref(), Some("PLAINTEXT://127.0.0.1:9092"),);
}

#[test]
fn every_setting_with_an_effect_reaches_its_field() {
    let pairs = [
        ("listeners", "PLAINTEXT://:19092"),
        ("advertised.listeners", "PLAINTEXT://broker.example:9092"),
        ("num.network.threads", "5"),
        ("queued.max.request.bytes", "3000"),
        ("socket.request.max.bytes", "2000"),
        ("connections.max.idle.ms", "-1"),
        ("num.partitions", "7"),
        ("auto.create.topics.enable", "false"),
        ("accept.any.replication.factor", "true"),
        ("message.max.bytes", "1000"),
        ("max.connections.per.ip", "20"),
        ("max.connections.per.ip.overrides", "127.0.0.1:21"),
        ("max.connections", "22"),
        ("log.retention.check.interval.ms", "13"),
        ("log.cleaner.backoff.ms", "15"),
        ("log.initial.task.delay.ms", "14"),
        ("group.min.session.timeout.ms", "1"),
        ("group.max.session.timeout.ms", "2"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.max.size", "4"),
        ("group.coordinator.rebalance.protocols", "consumer,classic"),
        ("group.classic.server.assignor", "none"),
        ("offset.metadata.max.bytes", "6"),
        ("offsets.retention.minutes", "8"),
        ("offsets.retention.check.interval.ms", "9"),
        ("offsets.topic.num.partitions", "10"),
        ("offsets.commit.timeout.ms", "11"),
        ("offsets.load.buffer.size", "12"),
        ("durability", "os"),
    ];
    let settings = set(&pairs).expect("values that Kafka takes");
    for (name, value) in pairs {
        let expected =
            Effective { value: Some(value.to_owned()), source: Source::Static, behind: vec![] };
        assert_eq!(settings.effective[name], expected);
    }
    let expected = Settings {
        listeners: vec![ListenerSpec {
            advertised: Some(Endpoint::new("broker.example", 9092)),
            ..ListenerSpec::plaintext(Endpoint::new("", 19092))
        }],
        max_connections_per_ip: 20,
        max_connections_per_ip_overrides: BTreeMap::from([([127, 0, 0, 1].into(), 21)]),
        max_connections: 22,
        num_network_threads: 5,
        queued_max_request_bytes: 3000,
        socket_request_max_bytes: 2000,
        connections_max_idle: None,
        num_partitions: 7,
        auto_create_topics: false,
        accept_any_replication_factor: true,
        message_max_bytes: 1000,
        log_retention_check_interval: Duration::from_millis(13),
        log_cleaner_backoff: Duration::from_millis(15),
        log_initial_task_delay: Duration::from_millis(14),
        group_min_session_timeout: Duration::from_millis(1),
        group_max_session_timeout: Duration::from_millis(2),
        group_initial_rebalance_delay: Duration::ZERO,
        group_max_size: 4,
        classic_server_assignor: ClassicServerAssignor::None,
        offset_metadata_max_bytes: 6,
        offsets_retention: Duration::from_secs(480),
        offsets_retention_check_interval: Duration::from_millis(9),
        offsets_topic_num_partitions: 10,
        offsets_commit_timeout: Duration::from_millis(11),
        offsets_load_buffer_size: 12,
        durability: Durability::Os,
        warnings: Vec::new(),
        effective: BTreeMap::new(),
    };
    assert_eq!(values(settings), expected);
}

#[test]
fn settings_without_effect_are_accepted_and_named_in_one_warning() {
    let settings = set(&[
        ("log.segment.bytes", "2000000"),
        ("num.partitions", "2"),
        ("listener.name.internal.ssl.keystore.location", "k"),
        ("ssl.key.password", "secret"),
    ])
    .expect("names of Kafka's");
    assert_eq!(
        settings.warnings,
        ["settings of Kafka's that have no effect yet: \
          listener.name.internal.ssl.keystore.location, log.segment.bytes, ssl.key.password"]
    );
    let hidden = Effective { value: None, source: Source::Static, behind: vec![] };
    assert_eq!(settings.effective["ssl.key.password"], hidden);
    let shown =
        Effective { value: Some("2000000".to_owned()), source: Source::Static, behind: vec![] };
    assert_eq!(settings.effective["log.segment.bytes"], shown);
}

#[test]
fn what_kafka_would_refuse_is_refused_with_the_value_and_what_to_do() {
    for (name, value, message) in [
        (
            "group.inital.rebalance.delay.ms",
            "0",
            "Kafka 4.4 has no broker setting 'group.inital.rebalance.delay.ms': \
             did you mean group.initial.rebalance.delay.ms?",
        ),
        (
            "something.else.entirely",
            "1",
            "Kafka 4.4 has no broker setting 'something.else.entirely': take it out",
        ),
        ("num.partitions", "0", "num.partitions = '0' cannot be: it is to be at least 1"),
        (
            "group.coordinator.rebalance.protocols",
            "consumer",
            "group.coordinator.rebalance.protocols = 'consumer' cannot be: \
             'classic' cannot be left out: write classic, or classic,consumer",
        ),
        (
            "queued.max.request.bytes",
            "1000",
            "queued.max.request.bytes = '1000' cannot be: it is to be at least \
             socket.request.max.bytes, which is 104857600, or -1 for the default",
        ),
        (
            "listeners",
            "SSL://:9093",
            "listeners: listener 'SSL://:9093' cannot be served: only PLAINTEXT is, \
             so write PLAINTEXT://HOST:PORT and put anything that encrypts in front of it",
        ),
        (
            "advertised.listeners",
            "PLAINTEXT://0.0.0.0:9092",
            "advertised.listeners: clients cannot connect to '0.0.0.0:9092': \
             advertise the name or address that they reach",
        ),
    ] {
        assert_eq!(set(&[(name, value)]), Err(message.to_owned()));
    }
}

#[test]
fn a_longer_longest_request_makes_room_for_itself() {
    for given in [
        &[("socket.request.max.bytes", "1000000000")][..],
        &[("queued.max.request.bytes", "-1"), ("socket.request.max.bytes", "1000000000")],
    ] {
        let settings = set(given).expect("values that Kafka takes");
        assert_eq!(settings.queued_max_request_bytes, 1_000_000_000);
        let shown = settings.effective["queued.max.request.bytes"].value.as_deref();
        assert_eq!(shown, Some("1000000000"));
    }
}

#[test]
fn a_listener_of_the_controllers_carries_over() {
    let settings = set(&[
        ("controller.listener.names", "CONTROLLER"),
        ("listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:9092"),
    ])
    .expect("a usual server.properties");
    let listener = ListenerSpec {
        advertised: Some(Endpoint::new("127.0.0.1", 9092)),
        ..ListenerSpec::plaintext(Endpoint::new("127.0.0.1", 9092))
    };
    assert_eq!(settings.listeners, [listener]);
}

/// Runs the binary with flags that it cannot start with.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quorate")).args(args).output();
    let output = output.expect("the binary runs");
    let first = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("").to_owned();
    (output.status.code(), first)
}

#[test]
fn the_binary_leaves_with_2_when_it_is_used_wrongly() {
    assert_eq!(
        refused(&["--set", "num.partition=3"]),
        (
            Some(2),
            "error: Kafka 4.4 has no broker setting 'num.partition': did you mean num.partitions?"
                .to_owned()
        )
    );
    let unknown = "error: unexpected argument '--nonsense' found".to_owned();
    assert_eq!(refused(&["--nonsense"]), (Some(2), unknown));
    assert_eq!(
        refused(&["--config", "not/there.toml"]),
        (
            Some(2),
            "error: cannot read the settings file not/there.toml: \
             No such file or directory (os error 2)"
                .to_owned()
        )
    );
}

/// The first line of the binary's log, without its time.
fn first_line_of_the_log(rust_log: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["--ephemeral", "--listen", "127.0.0.1:0", "--set", "log.segment.bytes=2000000"]);
    command.env_remove("RUST_LOG").envs(rust_log.map(|value| ("RUST_LOG", value)));
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    let mut line = String::new();
    let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
    log.read_line(&mut line).expect("it is read");
    child.kill().expect("a child of ours can be killed");
    child.wait().expect("a killed child ends");
    line.split_once(' ').expect("a time comes first").1.trim_end().to_owned()
}

#[test]
fn the_log_is_plain_lines_of_the_level_that_is_asked_for() {
    let warning = " WARN settings of Kafka's that have no effect yet: log.segment.bytes";
    assert_eq!(first_line_of_the_log(None), warning);
    assert_eq!(first_line_of_the_log(Some("")), warning);
    let unusable = " WARN RUST_LOG is not used: error parsing level filter: expected one of \
                    \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5";
    assert_eq!(first_line_of_the_log(Some("quorate_io=loud")), unusable);
}

#[test]
fn the_binary_tells_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_quorate")).arg("--version").output();
    let output = output.expect("the binary runs");
    let expected = format!("quorate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn flags_win_over_the_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("quorate.toml");
    std::fs::write(&file, "num.partitions = 3\n[group]\nmax.size = 9\n").expect("a file");
    let args = ["quorate", "--set", "num.partitions=4", "--config"];
    let args = args.map(std::ffi::OsString::from).into_iter().chain([file.into_os_string()]);
    let cli = <quorate_io::cli::Cli as clap::Parser>::try_parse_from(args).expect("flags");
    let settings = cli.serve().expect("settings").settings;
    assert_eq!((settings.num_partitions, settings.group_max_size), (4, 9));
}

/// Whether a setting has an effect, as the warning at the start has it.
fn has_effect(name: &str, value: &str) -> bool {
    let settings = set(&[(name, value)]).unwrap_or_else(|error| panic!("{name}: {error}"));
    settings.warnings.is_empty()
}

#[test]
fn every_setting_with_an_effect_has_a_meaning_and_no_other() {
    for known in known_settings().values() {
        let value = match (known.name, known.default) {
            ("advertised.listeners", _) => "PLAINTEXT://h:1",
            ("log.retention.minutes" | "log.retention.ms", _) => "5",
            ("controller.listener.names", _) => "CONTROLLER",
            ("listener.security.protocol.map", _) => "PLAINTEXT:PLAINTEXT",
            (_, Some(default)) => default,
            // It has no value that it takes.
            (_, None) => {
                assert_eq!(meaning(known.name), None, "{}", known.name);
                continue;
            }
        };
        let (name, has) = (known.name, has_effect(known.name, value));
        assert_eq!(meaning(name).is_some(), has, "{name} has an effect: {has}");
    }
}

#[test]
fn what_config_prints_can_be_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("quorate.toml");
    let config = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.arg("config").args(arguments).env("QUORATE_GROUP_MAX_SIZE", "7");
        let output = command.output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let first = config(&["--set", "num.partitions=3"]);
    for line in [
        "# partitions of a topic if nobody says",
        "\"num.partitions\" = \"3\"  # from the command line; Kafka's default: \"1\"",
        "\"group.max.size\" = \"7\"  # from a variable; Kafka's default: \"2147483647\"",
        "# \"log.retention.ms\" is not set  # from the default; Kafka's default: none",
        "# \"log.preallocate\" = \"false\"  # from the default; Kafka's default: \"false\"",
    ] {
        assert!(first.lines().any(|found| found == line), "{line} in {first}");
    }
    std::fs::write(&file, &first).expect("it is written");
    let second = config(&["--config", file.to_str().expect("a path")]);
    let values = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split("  #").next().expect("one").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn the_table_in_the_readme_is_what_config_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = std::fs::read_to_string(path).expect("there is a README");
    let (begin, end) = ("<!-- settings -->\n", "<!-- end -->");
    let from = readme.find(begin).expect("the beginning of the table") + begin.len();
    let to = from + readme[from..].find(end).expect("its end");
    let mut table = "| setting | default | meaning |\n|---|---|---|\n".to_owned();
    let defaults = Settings::default();
    for (name, meaning) in meanings() {
        let default = match name {
            "num.network.threads" => "the cores".to_owned(),
            _ => match defaults.effective[name].value.as_deref() {
                None => "not set".to_owned(),
                Some("") => "empty".to_owned(),
                Some(value) => format!("`{value}`"),
            },
        };
        table.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
    }
    if std::env::var_os("UPDATE_README").is_some() {
        let new = [&readme[..from], &table, &readme[to..]].concat();
        std::fs::write(path, new).expect("it is written");
        return;
    }
    assert_eq!(readme[from..to], table, "write it with UPDATE_README=1");
}

#[test]
fn a_broker_listens_at_several_addresses_and_tells_each_client_its_own() {
    let listeners = "listeners=INSIDE://127.0.0.1:0,OUTSIDE://[::1]:0,EVERY://:0";
    let map = "listener.security.protocol.map=\
               INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT,EVERY:PLAINTEXT";
    let told = "advertised.listeners=OUTSIDE://broker.example:19092";
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command.args(["--ephemeral", "--set", listeners, "--set", map, "--set", told]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    let lines: Vec<String> = output.lines().take(3).map(|line| line.expect("text")).collect();
    let addresses: Vec<&str> =
        lines.iter().map(|line| line.strip_prefix("listening on ").expect("an address")).collect();
    let host = |address: &str| {
        let mut client = wire::Connection::open(address).expect("it accepts");
        let asked = MetadataRequest::default().with_topics(Some(vec![]));
        let broker = client.call(9, &asked).expect("an answer").brokers.remove(0);
        (broker.host.to_string(), broker.port)
    };
    let port = |address: &str| address.rsplit_once(':').expect("a port").1.to_owned();
    let inside: i32 = port(addresses[0]).parse().expect("a number");
    assert_eq!(host(addresses[0]), ("127.0.0.1".to_owned(), inside));
    assert_eq!(host(addresses[1]), ("broker.example".to_owned(), 19092));
    // Who comes over IPv4 to a socket for both is told an IPv4 address.
    let every: i32 = port(addresses[2]).parse().expect("a number");
    assert_eq!(host(&format!("127.0.0.1:{every}")), ("127.0.0.1".to_owned(), every));
    assert_eq!(host(&format!("[::1]:{every}")), ("::1".to_owned(), every));
    child.kill().expect("a child of ours can be killed");
    child.wait().expect("a killed child ends");
}
