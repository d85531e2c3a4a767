//! The ledger on disk.
//!
//! Responsible for `ledger.bin.gz`: gzip around a magic line, a JSON header and one record per event (user number,
//! difference of the due time, flags). Promises that what is read equals what was written, that a torn or foreign file
//! is an error, and three to five bytes an event. Leaves where the file lies to the caller.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::{DUE_STEP_US, Ledger, Users};

/// The name of the file inside a report folder.
pub const LEDGER_FILE: &str = "ledger.bin.gz";

const MAGIC: &str = "footfall-ledger 1\n";

#[derive(Serialize, Deserialize)]
struct Header {
    run: String,
    users: Users,
    events: u64,
}

/// Why a ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system said no.
    #[error("ledger {} cannot be used: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The content is not a ledger of this version, or torn.
    #[error("ledger {} is not complete or not a ledger of this version: {what}", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Writes the ledger to `path`.
pub fn write(ledger: &Ledger, path: &Path) -> Result<(), LedgerError> {
    let io = |source| LedgerError::Io { path: path.to_owned(), source };
    let file = File::create(path).map_err(io)?;
    let mut out = GzEncoder::new(BufWriter::new(file), Compression::fast());
    encode(ledger, &mut out).and_then(|()| out.finish()?.flush()).map_err(io)
}

/// Reads the ledger at `path`.
pub fn read(path: &Path) -> Result<Ledger, LedgerError> {
    let file = File::open(path).map_err(|source| LedgerError::Io { path: path.to_owned(), source })?;
    decode(&mut BufReader::with_capacity(1 << 16, GzDecoder::new(BufReader::new(file))))
        .map_err(|error| LedgerError::Content { path: path.to_owned(), what: error.to_string() })
}

fn encode(ledger: &Ledger, out: &mut impl Write) -> io::Result<()> {
    let header = Header { run: ledger.run.clone(), users: ledger.names.clone(), events: ledger.len() as u64 };
    out.write_all(MAGIC.as_bytes())?;
    serde_json::to_writer(&mut *out, &header)?;
    out.write_all(b"\n")?;
    let mut record = Vec::with_capacity(16);
    let mut due_before = 0;
    for number in 0..ledger.len() {
        record.clear();
        push_varint(ledger.users[number], &mut record);
        // Due times hardly ever go back; where they do, the difference wraps and is unwrapped again.
        push_varint(ledger.due[number].wrapping_sub(due_before), &mut record);
        record.push(ledger.flags[number]);
        out.write_all(&record)?;
        due_before = ledger.due[number];
    }
    Ok(())
}

fn decode(input: &mut impl BufRead) -> io::Result<Ledger> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut magic = vec![0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != MAGIC.as_bytes() {
        return Err(invalid("it does not begin as a ledger of version 1 does"));
    }
    let mut line = String::new();
    input.read_line(&mut line)?;
    let header: Header = serde_json::from_str(&line)?;
    let mut ledger = Ledger::new(&header.run, header.users);
    let mut due = 0u32;
    for number in 0..header.events {
        let user = read_varint(input)?;
        due = due.wrapping_add(read_varint(input)?);
        let id = ledger.add(user, u64::from(due) * DUE_STEP_US);
        let mut flags = [0];
        input.read_exact(&mut flags)?;
        ledger.flags[id.number as usize] = flags[0];
        if number + 1 > u64::from(u32::MAX) {
            return Err(invalid("it claims more than 2^32 events"));
        }
    }
    // Reading on to the end also checks gzip's checksum.
    match input.read(&mut [0])? {
        0 => Ok(ledger),
        _ => Err(invalid("something follows the last event")),
    }
}

fn push_varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(input: &mut impl Read) -> io::Result<u32> {
    let mut value = 0u32;
    for shift in (0..35).step_by(7) {
        let mut byte = [0];
        input.read_exact(&mut byte)?;
        value |= u32::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(value);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a number is longer than five bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Outcome;

    fn example() -> Ledger {
        let mut ledger = Ledger::new("run1", Users::Listed(vec!["a".to_owned(), "b c".to_owned()]));
        for (user, due_us, outcome) in [
            (1, 0, Outcome::Ok),
            (0, 12_300, Outcome::Unknown),
            (1, 400, Outcome::Fail),
            (1, 99_999_900, Outcome::Unsent),
        ] {
            let id = ledger.add(user, due_us);
            ledger.record(id.number, outcome);
            ledger.resend(id.number);
        }
        ledger
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEDGER_FILE);
        write(&example(), &path).unwrap();
        assert_eq!(read(&path).unwrap(), example());
    }

    #[test]
    fn bytes_of_version_1_stay() {
        let mut bytes = Vec::new();
        encode(&example(), &mut bytes).unwrap();
        let mut golden =
            b"footfall-ledger 1\n{\"run\":\"run1\",\"users\":{\"listed\":[\"a\",\"b c\"]},\"events\":4}\n".to_vec();
        golden.extend([1, 0, 1, 0, 123, 0b1111, 1, 0x89, 0xff, 0xff, 0xff, 0x0f, 2, 1, 0xbb, 0x84, 0x3d, 0]);
        assert_eq!(bytes, golden);
    }

    #[test]
    fn a_torn_or_foreign_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LEDGER_FILE);
        write(&example(), &path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "{length} of {} bytes were taken for a ledger", whole.len());
        }
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(read(&path), Err(LedgerError::Content { .. })));
    }
}
