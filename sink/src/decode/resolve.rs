//! Records of other schemas, brought into our form.
//!
//! Responsible for what happens off the hot path: a record whose schema id is not one of ours is read by Avro's rules
//! of resolution, if the schema can be had and fits, and written again in our form beside the buffer's records, where
//! everything after this finds it under the same place. Promises that whatever cannot be read has a reason, and that a
//! schema is looked for once for each file.

use std::collections::HashMap;

use event::{DecodeError, Resolver};

use super::{DeadReason, keyed};
use crate::{
    buffer::{Buffer, Place, Resolved},
    schema_ids::{Schema, SchemaIds},
    source::chunk::Record,
};

/// The places and schema ids of records whose schema was not known.
pub(super) fn of_others(dead_letters: &[(Place, DeadReason)]) -> Vec<(Place, u32)> {
    let id = |reason: &DeadReason| match reason {
        DeadReason::Decode(DecodeError::UnknownSchema { id }) => Some(*id),
        _ => None,
    };
    dead_letters.iter().filter_map(|(place, reason)| Some((*place, id(reason)?))).collect()
}

/// Brings them into our form; those that cannot be have a reason afterwards.
pub(super) fn resolve(
    buffer: &mut Buffer,
    of_others: &[(Place, u32)],
    schema_ids: &SchemaIds,
) -> HashMap<Place, DeadReason> {
    let mut schemas: HashMap<u32, Schema> = HashMap::new();
    let (mut resolved, mut refused) = (Resolved::new(schema_ids.hold()), HashMap::new());
    let mut value = Vec::new();
    for (place, id) in of_others {
        let record = buffer.record(*place);
        let reason = match schemas.entry(*id).or_insert_with(|| schema_ids.ask(*id)) {
            Schema::Ours => continue,
            Schema::Unreadable(reason) => Some(reason.clone()),
            Schema::Other(resolver) => rewritten(record, resolver, schema_ids, &mut value).err(),
        };
        match reason {
            Some(reason) => drop(refused.insert(*place, reason)),
            None => resolved.push(*place, Record { value: Some(&value), ..record }),
        }
    }
    schema_ids.resolved(resolved.len());
    buffer.set_resolved(resolved);
    refused
}

/// Writes the event of a record in our form.
fn rewritten(
    record: Record<'_>,
    resolver: &Resolver,
    schema_ids: &SchemaIds,
    value: &mut Vec<u8>,
) -> Result<(), DeadReason> {
    let event = resolver.decode(record.value.ok_or(DeadReason::NullValue)?).map_err(DeadReason::Decode)?;
    let (_, event) = keyed(record.key, event)?;
    value.clear();
    let newest = schema_ids.newest();
    event::encode_framed(newest, newest.schema_id(), &event, value);
    Ok(())
}
