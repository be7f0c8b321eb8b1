//! Requests that no client sends, each by itself: Kafka's recorded answers, and what the decoder
//! did with them.

use kafka_protocol::messages::ApiKey;
use quorate_io::guard::{Fault, MAX_ELEMENTS, MAX_TAGS, Refused, schema, walk};

use crate::decode::{decode, versions};

const COUNT: i32 = i32::MAX;

/// A request without a client id. The header of flexible requests ends with an empty tag section.
fn frame(api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut frame = (api as i16).to_be_bytes().to_vec();
    frame.extend(version.to_be_bytes());
    frame.extend([0, 0, 0, 7, 0xff, 0xff]);
    frame.extend(vec![0; usize::from(api.request_header_version(version) == 2)]);
    frame.extend(body);
    frame
}

fn walked(api: ApiKey, version: i16, body: &[u8]) -> Result<usize, Refused> {
    walk(api as i16, version, &frame(api, version, body))
}

fn fault(api: ApiKey, version: i16, body: &[u8]) -> Fault {
    walked(api, version, body).unwrap_err().fault
}

fn decoded(api: ApiKey, version: i16, body: &[u8]) -> Option<usize> {
    decode(api as i16, version, frame(api, version, body).into())
}

#[test]
fn the_guard_knows_exactly_the_versions_that_can_be_decoded_and_answered() {
    let known: Vec<_> = schema::known().map(|(api, versions)| (api as i16, versions)).collect();
    let decodable: Vec<_> = known.iter().map(|(key, _)| (*key, versions(*key))).collect();
    assert_eq!(known, decodable);
    assert_eq!(known.len(), 35);
    for (key, versions) in known {
        for version in -1..=versions.end() + 1 {
            let found = schema::program(key, version).is_some();
            assert_eq!(found, versions.contains(&version), "API key {key} version {version}");
        }
    }
}

#[test]
fn what_is_not_served_is_not_walked() {
    for (api_key, version) in [(12, 5), (12, -1), (-1, 0), (4711, 0), (4, 0)] {
        let fault = Fault::NotServed { api_key, version };
        assert_eq!(walk(api_key, version, &[0; 32]), Err(Refused { at: 0, fault }));
    }
}

#[test]
fn heartbeats_are_accepted_and_refused_as_kafka_does() {
    let whole = b"\0\x01g\0\0\0\x01\0\x01m";
    let cut = |wanted, left| Some(Fault::CutShort { wanted, left });
    for (what, body, fault) in [
        ("a whole request", whole.to_vec(), None),
        ("a header alone", vec![], cut(2, 0)),
        ("a body cut short", whole[..whole.len() - 1].to_vec(), cut(1, 0)),
        ("bytes after the body", [whole.as_slice(), b"extra"].concat(), None),
        ("a string longer than the frame", b"\x7f\xffg".to_vec(), cut(0x7fff, 1)),
        (
            "a string of length -2",
            [b"\xff\xfe", whole.as_slice()].concat(),
            Some(Fault::NegativeLength { length: -2 }),
        ),
        (
            "null for a string that may not be",
            [b"\xff\xff", &whole[3..]].concat(),
            Some(Fault::Null),
        ),
    ] {
        let expected = fault.map_or(Ok(10 + whole.len()), Err);
        let found = walked(ApiKey::Heartbeat, 0, &body).map_err(|refused| refused.fault);
        assert_eq!(found, expected, "{what}");
        assert_eq!(decoded(ApiKey::Heartbeat, 0, &body), expected.ok(), "{what}");
    }
}

#[test]
fn flexible_heartbeats_are_accepted_and_refused_as_kafka_does() {
    let whole = b"\x02g\0\0\0\x01\x02m\0";
    let with = |tags: &[u8]| [whole, tags].concat();
    for (what, body, fault) in [
        ("unknown tagged fields", with(b"\x02\x05\x01a\x63\x03bcd"), None),
        ("the same tag twice", with(b"\x02\x05\x01a\x05\x01b"), None),
        ("tags in falling order", with(b"\x02\x06\x01a\x05\x01b"), None),
        (
            "a compact string of size 2^28",
            b"\x81\x80\x80\x80\x01g".to_vec(),
            Some(Fault::StringTooLong { length: 1 << 28 }),
        ),
        ("a varint without end", vec![0xff; 12], Some(Fault::Varint)),
        ("a tag section cut short", with(b"\x05"), Some(Fault::CutShort { wanted: 1, left: 0 })),
        ("no tag section", with(b""), Some(Fault::CutShort { wanted: 1, left: 0 })),
    ] {
        let expected = fault.map_or(Ok(11 + body.len()), Err);
        let found = walked(ApiKey::Heartbeat, 4, &body).map_err(|refused| refused.fault);
        assert_eq!(found, expected, "{what}");
        assert_eq!(decoded(ApiKey::Heartbeat, 4, &body), expected.ok(), "{what}");
    }
}

#[test]
fn arrays_of_join_group_are_refused_as_kafka_does() {
    let join =
        |count: i32| [b"\0\x01g\0\0\x27\x10\0\0\0\x01c".as_slice(), &count.to_be_bytes()].concat();
    assert_eq!(fault(ApiKey::JoinGroup, 0, &join(-1)), Fault::Null);
    assert_eq!(fault(ApiKey::JoinGroup, 0, &join(-2)), Fault::NegativeLength { length: -2 });
    let count = COUNT as usize;
    assert_eq!(fault(ApiKey::JoinGroup, 0, &join(COUNT)), Fault::Count { count, left: 0 });
}

#[test]
fn a_count_with_nothing_behind_it_is_refused() {
    let count = COUNT as usize;
    let body = COUNT.to_be_bytes();
    assert_eq!(
        walked(ApiKey::Metadata, 0, &body),
        Err(Refused { at: 14, fault: Fault::Count { count, left: 0 } })
    );
    let compact = Fault::Count { count: u32::MAX as usize - 1, left: 0 };
    assert_eq!(fault(ApiKey::Metadata, 9, b"\xff\xff\xff\xff\x0f"), compact);
    let join = b"\x02g\0\0\x27\x10\0\0\x27\x10\x01\0\x01\xff\xff\xff\xff\x0f";
    assert_eq!(fault(ApiKey::JoinGroup, 9, join), compact);
    assert_eq!(fault(ApiKey::DeleteGroups, 0, &body), Fault::Count { count, left: 0 });
    let one_short = Fault::Count { count: 3, left: 2 };
    assert_eq!(fault(ApiKey::DescribeGroups, 5, b"\x04\x01\x01"), one_short);
}

#[test]
fn null_topics_and_null_names_of_topics_are_refused_where_the_version_forbids_them() {
    let none = (-1_i32).to_be_bytes();
    assert_eq!(fault(ApiKey::Metadata, 0, &none), Fault::Null);
    assert_eq!(walked(ApiKey::Metadata, 1, &none), Ok(14));
    let unnamed = b"\0\0\0\x01\xff\xff\0\0";
    for version in 0..=8 {
        assert_eq!(fault(ApiKey::Metadata, version, unnamed), Fault::Null, "version {version}");
    }
    // The reason for it: the decoder lets it through.
    assert_eq!(decoded(ApiKey::Metadata, 0, unnamed), Some(16));
    assert_eq!(fault(ApiKey::Metadata, 9, b"\x02\0\0\0\0\0\0"), Fault::Null);
    let by_id = [b"\x02".as_slice(), &[7; 16], b"\0\0\0\0\0"].concat();
    assert_eq!(walked(ApiKey::Metadata, 12, &by_id), Ok(11 + by_id.len()));
}

#[test]
fn a_request_has_at_most_100_000_elements() {
    let groups = |count: usize| {
        let mut body = (count as i32).to_be_bytes().to_vec();
        body.resize(4 + 2 * count, 0);
        body
    };
    let most = groups(MAX_ELEMENTS);
    assert_eq!(walked(ApiKey::DescribeGroups, 0, &most), Ok(10 + most.len()));
    let more = groups(MAX_ELEMENTS + 1);
    assert_eq!(fault(ApiKey::DescribeGroups, 0, &more), Fault::TooManyElements);
    let ten_megabytes = groups(5_000_000);
    assert_eq!(fault(ApiKey::DescribeGroups, 0, &ten_megabytes), Fault::TooManyElements);
}

#[test]
fn a_struct_has_at_most_64_tags_in_body_and_header() {
    let tags = |count: u8| {
        let fields = (0..count).flat_map(|tag| [tag, 0]);
        [vec![count], fields.collect()].concat()
    };
    let heartbeat = |count| [b"\x02g\0\0\0\x01\x02m\0", &*tags(count)].concat();
    let most = heartbeat(MAX_TAGS as u8);
    assert_eq!(walked(ApiKey::Heartbeat, 4, &most), Ok(11 + most.len()));
    let count = MAX_TAGS + 1;
    let too_many = Fault::TooManyTags { count };
    assert_eq!(fault(ApiKey::Heartbeat, 4, &heartbeat(count as u8)), too_many);
    let mut header = frame(ApiKey::Heartbeat, 4, b"");
    header.splice(10.., tags(count as u8));
    assert_eq!(walk(12, 4, &header), Err(Refused { at: 11, fault: too_many }));
    let mut million = frame(ApiKey::Heartbeat, 4, b"");
    million.splice(10.., [0xc0, 0x84, 0x3d]);
    million.resize(4_000_000, 0);
    assert_eq!(walk(12, 4, &million).unwrap_err().fault, Fault::TooManyTags { count: 1_000_000 });
}

#[test]
fn tags_count_as_elements() {
    // 2,000 structs of 63 tags each.
    let topic = [b"\x01\x01".as_slice(), &[63], &[0x20, 0].repeat(63)].concat();
    let topics = [b"\xd1\x0f".as_slice(), &topic.repeat(2000)].concat();
    let body = [b"\x02\x02g\0\0\0\0\0".as_slice(), &topics, b"\0\0\0"].concat();
    assert_eq!(fault(ApiKey::OffsetFetch, 9, &body), Fault::TooManyElements);
}

#[test]
fn strings_that_are_not_utf8_are_refused() {
    assert_eq!(fault(ApiKey::Heartbeat, 0, b"\0\x02\xc3\x28\0\0\0\x01\0\x01m"), Fault::NotUtf8);
    let mut client_id = frame(ApiKey::Heartbeat, 0, b"");
    client_id.splice(8.., *b"\0\x01\xff\0\x01g\0\0\0\x01\0\x01m");
    assert_eq!(walk(12, 0, &client_id), Err(Refused { at: 11, fault: Fault::NotUtf8 }));
}

/// A Fetch of nothing, with the given tag section.
fn fetch(version: i16, tags: &[u8]) -> Vec<u8> {
    let fixed = if version < 15 { 25 } else { 21 };
    [&vec![0; fixed], b"\x01\x01\x01".as_slice(), tags].concat()
}

#[test]
fn known_tags_are_walked_by_their_content_and_not_by_their_size() {
    for (version, tags) in [
        (12, b"\x01\0\x03\x03id".as_slice()),
        (12, b"\x01\0\x01\0"),
        // Sizes that lie: Kafka and the decoder do not look at them.
        (12, b"\x01\0\x7f\x03id"),
        (15, b"\x01\x01\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0"),
        (15, b"\x02\x01\x0d\0\0\0\x01\0\0\0\0\0\0\0\x02\0\x01\x0d\0\0\0\x01\0\0\0\0\0\0\0\x02\0"),
        (18, b"\x02\x02\x01x\0\x02\x02c"),
    ] {
        let body = fetch(version, tags);
        let whole = 11 + body.len();
        assert_eq!(walked(ApiKey::Fetch, version, &body), Ok(whole), "{version} {tags:?}");
        assert_eq!(decoded(ApiKey::Fetch, version, &body), Some(whole), "{version} {tags:?}");
    }
    let replica_state = fetch(12, b"\x01\x01\x0d\0\0\0\x01\0\0\0\0\0\0\0\x02\0");
    assert_eq!(fault(ApiKey::Fetch, 12, &replica_state), Fault::Tag { tag: 1 });
    assert_eq!(decoded(ApiKey::Fetch, 12, &replica_state), None);
    assert_eq!(fault(ApiKey::Fetch, 12, &fetch(12, b"\x01\0\x02\x02\xff")), Fault::NotUtf8);
    let endless = fetch(12, b"\x01\0\x05\xff\xff\xff\xff\x0f");
    let length = u32::MAX as usize - 1;
    assert_eq!(fault(ApiKey::Fetch, 12, &endless), Fault::StringTooLong { length });
    let inner = fetch(15, b"\x01\x01\x0d\0\0\0\x01\0\0\0\0\0\0\0\x02\x41");
    assert_eq!(fault(ApiKey::Fetch, 15, &inner), Fault::TooManyTags { count: 65 });
}

#[test]
fn a_compact_string_is_no_longer_than_another_one() {
    let heartbeat = |length: usize, prefix: &[u8]| {
        [prefix, &vec![b'g'; length], b"\0\0\0\x01\x02m\0\0"].concat()
    };
    let most = heartbeat(32_767, b"\x80\x80\x02");
    assert_eq!(walked(ApiKey::Heartbeat, 4, &most), Ok(11 + most.len()));
    let more = heartbeat(32_768, b"\x81\x80\x02");
    assert_eq!(fault(ApiKey::Heartbeat, 4, &more), Fault::StringTooLong { length: 32_768 });
}

#[test]
fn api_versions_has_a_flexible_header_from_version_3() {
    assert_eq!(walked(ApiKey::ApiVersions, 0, b""), Ok(10));
    assert_eq!(walked(ApiKey::ApiVersions, 3, b"\x02n\x021\0"), Ok(16));
    let mut tagged = frame(ApiKey::ApiVersions, 3, b"\x02n\x021\0");
    tagged.splice(10..11, *b"\x01\x07\x01x");
    assert_eq!(walk(18, 3, &tagged), Ok(19));
}

#[test]
fn a_refusal_says_where_and_what() {
    let refused = walked(ApiKey::Metadata, 0, &COUNT.to_be_bytes()).unwrap_err();
    let text = "byte 14: an array of 2147483647 elements where 0 bytes are left";
    assert_eq!(refused.to_string(), text);
}
