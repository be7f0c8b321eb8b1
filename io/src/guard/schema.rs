//! What the requests look like that the guard lets through, as one line for each API.
//!
//! The lines follow Kafka's own message definitions. They are compiled once, to one [`Program`] for
//! each API and version, so that a walk asks nothing about versions.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use kafka_protocol::messages::ApiKey;

/// A version that no API reaches: "never".
const NEVER: i16 = i16::MAX;

/// API, its versions, the first flexible one (KIP-482), and its fields:
///
/// ```text
/// b h i l u   1, 2, 4, 8, 16 bytes
/// s S         string; may be null
/// y Y         bytes; may be null
/// <..>        array of numbers or strings        N<..>   may be null
/// [..]        array of structs                   N[..]   may be null
/// (..)        one struct                             ?(..)    may be null
/// 2+: 2-5: 2: the next field is there from version 2, in versions 2 to 5, in version 2
/// #1          the next field is a tagged one, with tag 1
/// ```
#[rustfmt::skip]
const SCHEMAS: &[(ApiKey, RangeInclusive<i16>, i16, &str)] = &[
    (ApiKey::ApiVersions,      0..=4,  3,  "3+:s 3+:s"),
    (ApiKey::Metadata,         0..=13, 9,  "0:[s] 1+:N[10+:u 0-9:s 10+:S] 4+:b 8-10:b 8+:b"),
    (ApiKey::DescribeCluster,  0..=2,  0,  "b 1+:b 2+:b"),
    (ApiKey::DescribeTopicPartitions, 0..=0, 0, "[s] i ?(s i)"),
    (ApiKey::DescribeQuorum,   0..=2,  0,  "[s [i]]"),
    (ApiKey::FindCoordinator,  0..=6,  3,  "0-3:s 1+:b 4+:<s>"),

    (ApiKey::CreateTopics,     2..=7,  5,  "[s i h [i <i>] [s S]] i b"),
    (ApiKey::DeleteTopics,     1..=6,  4,  "6+:[S u] 0-5:<s> i"),
    (ApiKey::CreatePartitions, 0..=3,  2,  "[s i N[<i>]] i b"),
    (ApiKey::DescribeConfigs,  1..=4,  4,  "[b s N<s>] b 3+:b"),
    (ApiKey::AlterConfigs,     0..=2,  2,  "[b s [s S]] b"),
    (ApiKey::IncrementalAlterConfigs, 0..=1, 1, "[b s [s b S]] b"),
    (ApiKey::ListConfigResources, 0..=1, 0, "1+:<b>"),

    (ApiKey::Produce,          3..=13, 9,  "S h i [0-12:s 13+:u [i Y]]"),
    (ApiKey::Fetch,            4..=18, 12,
        "0-14:i i i i b 7+:i 7+:i
         [0-12:s 13+:u [i 9+:i l 12+:i 5+:l i #0 17+:u #1 18+:l]]
         7+:[0-12:s 13+:u <i>] 11+:s #0 12+:S #1 15+:(i l)"),
    (ApiKey::ListOffsets,      1..=10, 6,  "i 2+:b [s [i 4+:i l]] 10+:i"),
    (ApiKey::OffsetForLeaderEpoch, 2..=4, 4, "3+:i [s [i i i]]"),
    (ApiKey::InitProducerId,   0..=5,  2,  "S i 3+:l 3+:h"),
    (ApiKey::DeleteRecords,    0..=2,  2,  "[s [i l]] i"),
    (ApiKey::DescribeLogDirs,  1..=4,  2,  "N[s <i>]"),
    (ApiKey::DescribeProducers, 0..=0, 0,  "[s <i>]"),

    (ApiKey::JoinGroup,        0..=9,  6,  "s i 1+:i s 5+:S s [s y] 8+:S"),
    (ApiKey::SyncGroup,        0..=5,  4,  "s i s 3+:S 5+:S 5+:S [s y]"),
    (ApiKey::Heartbeat,        0..=4,  4,  "s i s 3+:S"),
    (ApiKey::LeaveGroup,       0..=5,  4,  "s 0-2:s 3+:[s S 5+:S]"),
    (ApiKey::OffsetCommit,     2..=9,  8,  "s i s 7+:S 2-4:l [s [i l 6+:i S]]"),
    (ApiKey::OffsetFetch,      1..=9,  6,
        "0-7:s 0-1:[s <i>] 2-7:N[s <i>] 8+:[s 9+:S 9+:i N[s <i>]] 7+:b"),
    (ApiKey::OffsetDelete,     0..=0,  NEVER, "s [s [i]]"),
    (ApiKey::DescribeGroups,   0..=6,  5,  "<s> 3+:b"),
    (ApiKey::ListGroups,       0..=5,  3,  "4+:<s> 5+:<s>"),
    (ApiKey::DeleteGroups,     0..=2,  2,  "<s>"),

    (ApiKey::DescribeAcls,     1..=3,  2,  "b S b S S b b"),
    (ApiKey::DescribeClientQuotas, 0..=1, 1, "[s b S] b"),
    (ApiKey::DescribeUserScramCredentials, 0..=0, 0, "N[s]"),
    (ApiKey::ListPartitionReassignments, 0..=0, 0, "i N[s <i>]"),
];

/// One step of a walk.
#[derive(Debug, PartialEq, Eq)]
pub enum Op {
    /// That many bytes of any content: numbers, of which neighbours are put together.
    Fixed(usize),
    /// A string.
    Text {
        /// Whether it may be null.
        nullable: bool,
    },
    /// Bytes of any content, with their length.
    Blob {
        /// Whether they may be null.
        nullable: bool,
    },
    /// An array.
    Array {
        /// Whether it may be null.
        nullable: bool,
        /// The steps of one element.
        element: Vec<Op>,
    },
    /// A struct that may be null: the steps through it.
    Optional(Vec<Op>),
    /// The section of tagged fields that ends each struct of a flexible version.
    Tags(Vec<Tagged>),
}

/// A tagged field that Kafka defines.
#[derive(Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its tag.
    pub tag: u32,
    /// The steps of its content, or `None` if this version must not have it.
    pub content: Option<Vec<Op>>,
}

/// The steps through one version of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Whether the header ends with tagged fields: header version 2.
    pub flexible_header: bool,
    /// Whether lengths and counts of the body are compact: variable-length, and one more.
    pub flexible: bool,
    /// The steps of the body.
    pub body: Vec<Op>,
}

/// The APIs that the guard knows, with their versions.
pub fn known() -> impl Iterator<Item = (ApiKey, RangeInclusive<i16>)> {
    SCHEMAS.iter().map(|(api, versions, ..)| (*api, versions.clone()))
}

/// How to walk through a request; `None` if the guard does not know the API or the version.
pub fn program(api_key: i16, version: i16) -> Option<&'static Program> {
    let versions = PROGRAMS.get(usize::try_from(api_key).ok()?)?;
    versions.get(usize::try_from(version).ok()?)?.as_ref()
}

/// Programs by API key and version.
static PROGRAMS: LazyLock<Vec<Vec<Option<Program>>>> = LazyLock::new(|| {
    let mut programs = Vec::new();
    for (api, versions, first_flexible, schema) in SCHEMAS {
        let key = *api as usize;
        programs.resize_with(programs.len().max(key + 1), Vec::new);
        let compiled = |version| {
            let flexible = version >= *first_flexible;
            let body = Compiler { version, flexible, left: schema.as_bytes() }.fields();
            let flexible_header = api.request_header_version(version) >= 2;
            Program { flexible_header, flexible, body }
        };
        programs[key] =
            (0..=*versions.end()).map(|v| versions.contains(&v).then(|| compiled(v))).collect();
    }
    programs
});

struct Compiler {
    version: i16,
    flexible: bool,
    left: &'static [u8],
}

impl Compiler {
    /// The fields of a struct, up to the end of it.
    fn fields(&mut self) -> Vec<Op> {
        let (mut ops, mut tagged) = (Vec::new(), Vec::new());
        while !matches!(self.peek(), 0 | b']' | b')' | b'>') {
            let tag = self.eat(b'#').then(|| self.number());
            let present = self.gate();
            let content = self.field();
            match tag {
                Some(tag) => {
                    let content = present.then_some(content);
                    tagged.push(Tagged { tag: tag as u32, content });
                }
                None if present => content.into_iter().for_each(|op| push(&mut ops, op)),
                None => {}
            }
        }
        if self.flexible {
            ops.push(Op::Tags(tagged));
        }
        ops
    }

    fn field(&mut self) -> Vec<Op> {
        let nullable = self.eat(b'N');
        if self.eat(b'?') {
            return vec![Op::Optional(self.field())];
        }
        let symbol = self.peek();
        self.left = &self.left[1..];
        let op = match symbol {
            b'b' => Op::Fixed(1),
            b'h' => Op::Fixed(2),
            b'i' => Op::Fixed(4),
            b'l' => Op::Fixed(8),
            b'u' => Op::Fixed(16),
            b's' | b'S' => Op::Text { nullable: symbol == b'S' },
            b'y' | b'Y' => Op::Blob { nullable: symbol == b'Y' },
            b'<' => Op::Array { nullable, element: self.closed(Compiler::field, b'>') },
            b'[' => Op::Array { nullable, element: self.closed(Compiler::fields, b']') },
            b'(' => return self.closed(Compiler::fields, b')'),
            _ => panic!("a schema has {:?}, which means nothing", char::from(symbol)),
        };
        vec![op]
    }

    fn closed(&mut self, content: impl FnOnce(&mut Self) -> Vec<Op>, end: u8) -> Vec<Op> {
        let content = content(self);
        assert!(self.eat(end), "a schema lacks {:?}", char::from(end));
        content
    }

    /// Reads the versions of the next field, if it has any, and whether ours is one of them.
    fn gate(&mut self) -> bool {
        if !self.peek().is_ascii_digit() {
            return true;
        }
        let first = self.number();
        let last = match self.peek() {
            b'+' => NEVER,
            b'-' => {
                self.eat(b'-');
                self.number()
            }
            _ => first,
        };
        self.eat(b'+');
        assert!(self.eat(b':'), "versions in a schema lack their colon");
        (first..=last).contains(&self.version)
    }

    fn number(&mut self) -> i16 {
        let mut number = 0;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.left {
            number = number * 10 + i16::from(digit - b'0');
            self.left = rest;
        }
        number
    }

    fn eat(&mut self, symbol: u8) -> bool {
        let there = self.peek() == symbol;
        if there {
            self.left = &self.left[1..];
        }
        there
    }

    /// The next byte that is no space; 0 at the end.
    fn peek(&mut self) -> u8 {
        self.left = self.left.trim_ascii_start();
        self.left.first().copied().unwrap_or(0)
    }
}

fn push(ops: &mut Vec<Op>, op: Op) {
    match (ops.last_mut(), &op) {
        (Some(Op::Fixed(before)), Op::Fixed(more)) => *before += more,
        _ => ops.push(op),
    }
}
