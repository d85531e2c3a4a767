//! What the journal knows about itself: format version, id, partition count, start offsets.
//!
//! Kept in a keyspace of its own. Version, id and partition count are written once, before the journal gets its name.

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use uuid::Uuid;

/// Version of the layout of keys and entries. A journal of another version is not opened.
pub(crate) const VERSION: u32 = 1;

const KEYSPACE: &str = "metadata";
const KEY_VERSION: &str = "version";
const KEY_ID: &str = "id";
const KEY_PARTITIONS: &str = "partitions";

pub(crate) struct Metadata {
    keyspace: Keyspace,
}

/// What was decided at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) version: u32,
    pub(crate) id: Uuid,
    pub(crate) partitions: u32,
}

impl Metadata {
    pub(crate) fn open(database: &Database) -> fjall::Result<Self> {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(1 << 20);
        Ok(Self { keyspace: database.keyspace(KEYSPACE, options)? })
    }

    pub(crate) fn write_identity(&self, identity: Identity) -> fjall::Result<()> {
        self.keyspace.insert(KEY_ID, identity.id.as_bytes())?;
        self.keyspace.insert(KEY_PARTITIONS, identity.partitions.to_be_bytes())?;
        self.keyspace.insert(KEY_VERSION, identity.version.to_be_bytes())
    }

    /// `None` where a value is missing or has the wrong length.
    pub(crate) fn identity(&self) -> fjall::Result<Option<Identity>> {
        let (version, id) = (self.number(KEY_VERSION)?, self.keyspace.get(KEY_ID)?);
        let id = id.and_then(|bytes| Uuid::from_slice(&bytes).ok());
        let partitions = self.number(KEY_PARTITIONS)?;
        Ok((|| Some(Identity { version: version?, id: id?, partitions: partitions? }))())
    }

    /// Seals the memtable, which is not empty after `write_start`: the store then unlinks dropped tables everywhere.
    pub(crate) fn seal(&self) -> fjall::Result<()> {
        self.keyspace.rotate_memtable().map(drop)
    }

    /// Not synced by itself: a caller that relies on it, as one that drops entries does, syncs first.
    pub(crate) fn write_start(&self, partition: u32, offset: u64) -> fjall::Result<()> {
        self.keyspace.insert(start_key(partition), offset.to_be_bytes())
    }

    pub(crate) fn start(&self, partition: u32) -> fjall::Result<u64> {
        let bytes = self.keyspace.get(start_key(partition))?;
        Ok(bytes.and_then(|bytes| Some(u64::from_be_bytes((*bytes).try_into().ok()?))).unwrap_or(0))
    }

    fn number(&self, key: &str) -> fjall::Result<Option<u32>> {
        Ok(self.keyspace.get(key)?.and_then(|bytes| Some(u32::from_be_bytes((*bytes).try_into().ok()?))))
    }
}

fn start_key(partition: u32) -> String {
    format!("start/{partition:05}")
}
