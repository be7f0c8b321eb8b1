//! The least there is of a consumer: it joins, alone.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::{GroupId, JoinGroupRequest, SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;

use crate::wire::Connection;

/// The generation of a group whose only member has joined.
pub const GENERATION: i32 = 1;

/// Joins as the only member of a group that there was not, once its coordinator has loaded; the
/// member id.
pub fn join(connection: &mut Connection, group: &GroupId) -> StrBytes {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(Bytes::from_static(b"subscription"));
    let join = JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(300_000)
        .with_rebalance_timeout_ms(300_000)
        .with_protocol_type(StrBytes::from_static_str("consumer"))
        .with_protocols(vec![protocol]);
    let joined = loop {
        let joined = connection.call(3, &join).expect("an answer");
        if joined.error_code != ResponseError::CoordinatorLoadInProgress.code() {
            break joined;
        }
    };
    assert_eq!((joined.error_code, joined.generation_id), (0, GENERATION));
    let sync = SyncGroupRequest::default()
        .with_group_id(group.clone())
        .with_generation_id(GENERATION)
        .with_member_id(joined.member_id.clone());
    let synced = connection.call(3, &sync).expect("an answer");
    assert_eq!(synced, SyncGroupResponse::default());
    joined.member_id
}
