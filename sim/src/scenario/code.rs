//! A plan as the text of a scenario, to be pasted into `tests/protocol`.
//!
//! Decided here: what the text looks like. It is that of a Rust function which gives back the same
//! plan, with the names that serde has of types; what is as it is by default is left out.

use std::fmt::{self, Display, Write as _};
use std::time::Duration;

use serde::ser::{self, Serialize, Serializer};

use super::{consumer, scripted};
use crate::plan::{ClientSpec, Drive, Knobs, NodeSpec, Plan};

/// A function `name` that gives a scenario of this plan.
#[must_use]
pub fn code(name: &str, about: &str, plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write_code(&mut text, name, about, plan);
    text
}

fn write_code(to: &mut String, name: &str, about: &str, plan: &Plan) -> fmt::Result {
    let Plan { seed, knobs, nodes, shards, topics, clients, steps, ending, only } = plan;
    writeln!(to, "pub fn {name}() -> Scenario {{")?;
    writeln!(to, "    let about = {about:?};")?;
    writeln!(to, "    let plan = Plan {{")?;
    writeln!(to, "        seed: {seed:#x},")?;
    writeln!(to, "        knobs: {},", changed(knobs, &Knobs::default(), "Knobs::default()"))?;
    let node = |node| changed(node, &NodeSpec::default(), "NodeSpec::default()");
    list(to, "nodes", nodes.iter().map(node))?;
    writeln!(to, "        shards: {shards},")?;
    list(to, "topics", topics.iter().map(rust))?;
    list(to, "clients", clients.iter().map(client))?;
    list(to, "steps", steps.iter().map(rust))?;
    writeln!(to, "        ending: {},", rust(ending))?;
    list(to, "only", only.iter().map(rust))?;
    writeln!(to, "    }};")?;
    writeln!(to, "    Scenario::of({name:?}, about, plan)")?;
    writeln!(to, "}}")
}

fn list(to: &mut String, name: &str, items: impl Iterator<Item = String>) -> fmt::Result {
    let items: Vec<String> = items.collect();
    match &items[..] {
        [] => writeln!(to, "        {name}: vec![],"),
        [item] => writeln!(to, "        {name}: vec![{item}],"),
        items => {
            writeln!(to, "        {name}: vec![")?;
            items.iter().try_for_each(|item| writeln!(to, "            {item},"))?;
            writeln!(to, "        ],")
        }
    }
}

fn client(spec: &ClientSpec) -> String {
    match spec.drive {
        Drive::Script => changed(spec, &scripted(), "scripted()"),
        Drive::Consumer => changed(spec, &consumer(), "consumer()"),
    }
}

/// The fields of a struct in which it differs from another one, which has a name.
fn changed<T: Serialize>(is: &T, other: &T, name: &str) -> String {
    let (is, other) = (written(is), written(other));
    let differ = is.fields.iter().zip(&other.fields).filter(|(is, other)| is != other);
    let fields: String = differ.map(|((field, value), _)| format!("{field}: {value}, ")).collect();
    if fields.is_empty() { name.to_owned() } else { format!("{} {{ {fields}..{name} }}", is.name) }
}

/// A value as Rust writes it.
fn rust<T: Serialize + ?Sized>(value: &T) -> String {
    written(value).text
}

fn written<T: Serialize + ?Sized>(value: &T) -> Written {
    value.serialize(Rust).expect("a plan has nothing that is not written here")
}

/// What a value is written as; of a struct also its parts.
#[derive(Default)]
struct Written {
    text: String,
    name: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl From<String> for Written {
    fn from(text: String) -> Written {
        Written { text, ..Written::default() }
    }
}

/// Something that no plan has.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unknown(String);

impl ser::Error for Unknown {
    fn custom<T: Display>(message: T) -> Unknown {
        Unknown(message.to_string())
    }
}

struct Rust;

/// Values in brackets, one after the other.
struct Parts {
    open: String,
    close: &'static str,
    name: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Parts {
    fn new(open: impl Into<String>, close: &'static str) -> Parts {
        Parts { open: open.into(), close, name: "", fields: Vec::new() }
    }

    fn add<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) {
        self.fields.push((field, rust(value)));
    }

    /// A span of time and a fixed latency say how they are made.
    fn end(self) -> Written {
        let Parts { open, close, name, fields } = self;
        if name == "Duration" {
            let number = |place: usize| fields[place].1.parse::<u64>().unwrap_or_default();
            let nanos = u32::try_from(number(1)).unwrap_or_default();
            return duration(Duration::new(number(0), nanos)).into();
        }
        if name == "Latency" && fields.iter().all(|(_, value)| *value == fields[0].1) {
            return format!("Latency::fixed({})", fields[0].1).into();
        }
        let shown: Vec<String> = fields
            .iter()
            .map(|(field, value)| match field.is_empty() {
                true => value.clone(),
                false if field == value => value.clone(),
                false => format!("{field}: {value}"),
            })
            .collect();
        Written { text: format!("{open}{}{close}", shown.join(", ")), name, fields }
    }
}

fn duration(span: Duration) -> String {
    let (secs, nanos) = (span.as_secs(), span.subsec_nanos());
    match nanos {
        0 => format!("s({secs})"),
        nanos if nanos.is_multiple_of(1_000_000) => format!("ms({})", span.as_millis()),
        nanos => format!("Duration::new({secs}, {nanos})"),
    }
}

macro_rules! plain {
    ($($function:ident: $type:ty),* $(,)?) => {
        $(fn $function(self, value: $type) -> Result<Written, Unknown> {
            Ok(value.to_string().into())
        })*
    };
}

fn unknown<T>(what: &str) -> Result<T, Unknown> {
    Err(Unknown(format!("{what} is in no plan")))
}

impl Serializer for Rust {
    type Ok = Written;
    type Error = Unknown;
    type SerializeSeq = Parts;
    type SerializeTuple = Parts;
    type SerializeTupleStruct = Parts;
    type SerializeTupleVariant = Parts;
    type SerializeMap = ser::Impossible<Written, Unknown>;
    type SerializeStruct = Parts;
    type SerializeStructVariant = Parts;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_f32: f32, serialize_f64: f64,
    }

    fn serialize_char(self, value: char) -> Result<Written, Unknown> {
        Ok(format!("{value:?}").into())
    }

    fn serialize_str(self, value: &str) -> Result<Written, Unknown> {
        Ok(format!("{value:?}.to_owned()").into())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Written, Unknown> {
        unknown("a byte string")
    }

    fn serialize_none(self) -> Result<Written, Unknown> {
        Ok("None".to_owned().into())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Written, Unknown> {
        Ok(format!("Some({})", rust(value)).into())
    }

    fn serialize_unit(self) -> Result<Written, Unknown> {
        Ok("()".to_owned().into())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Written, Unknown> {
        Ok(name.to_owned().into())
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Written, Unknown> {
        Ok(format!("{name}::{variant}").into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Written, Unknown> {
        Ok(format!("{name}({})", rust(value)).into())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Written, Unknown> {
        Ok(format!("{name}::{variant}({})", rust(value)).into())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts, Unknown> {
        Ok(Parts::new("vec![", "]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts, Unknown> {
        Ok(Parts::new("(", ")"))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts, Unknown> {
        Ok(Parts::new(format!("{name}("), ")"))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Unknown> {
        Ok(Parts::new(format!("{name}::{variant}("), ")"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unknown> {
        unknown("a map")
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts, Unknown> {
        Ok(Parts { name, ..Parts::new(format!("{name} {{ "), " }") })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts, Unknown> {
        Ok(Parts::new(format!("{name}::{variant} {{ "), " }"))
    }
}

macro_rules! parts {
    ($($kind:ident: $function:ident),* $(,)?) => {
        $(impl ser::$kind for Parts {
            type Ok = Written;
            type Error = Unknown;

            fn $function<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unknown> {
                self.add("", value);
                Ok(())
            }

            fn end(self) -> Result<Written, Unknown> {
                Ok(self.end())
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! named_parts {
    ($($kind:ident),* $(,)?) => {
        $(impl ser::$kind for Parts {
            type Ok = Written;
            type Error = Unknown;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                field: &'static str,
                value: &T,
            ) -> Result<(), Unknown> {
                self.add(field, value);
                Ok(())
            }

            fn end(self) -> Result<Written, Unknown> {
                Ok(self.end())
            }
        })*
    };
}

named_parts!(SerializeStruct, SerializeStructVariant);
