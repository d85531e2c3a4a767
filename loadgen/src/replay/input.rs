//! The lines of a file.
//!
//! Responsible for opening a log, plain or gzip. Promises to tell the two apart by content, not by name, to read several
//! gzip members one after another as rotated logs have them, and to keep no more than one line in memory. Leaves what a
//! line is to `parse`.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// A longer line is no line of an access log.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The file could not be opened or read.
#[derive(Debug, thiserror::Error)]
#[error("log {} cannot be read: {source}", path.display())]
pub struct InputError {
    /// Which file.
    pub path: PathBuf,
    /// What the file system or gzip said.
    pub source: io::Error,
}

/// An open log.
pub struct Input {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    number: u64,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).field("number", &self.number).finish_non_exhaustive()
    }
}

impl Input {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let failed = |source| InputError { path: path.to_owned(), source };
        let mut plain = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        let is_gzip = plain.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let lines: Box<dyn BufRead + Send> = match is_gzip {
            true => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(plain))),
            false => Box::new(plain),
        };
        Ok(Input { path: path.to_owned(), lines, number: 0 })
    }

    /// Reads the next line into `line`, without its end; its number from 1, or `None` at the end of the file.
    pub fn next_line(&mut self, line: &mut Vec<u8>) -> Result<Option<u64>, InputError> {
        line.clear();
        let failed = |source| InputError { path: self.path.clone(), source };
        let mut read = 0;
        loop {
            let piece = self.lines.fill_buf().map_err(failed)?;
            if piece.is_empty() {
                break;
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(piece.len());
            // What is too long is read, but not kept: parse says that it is no line.
            let room = LINE_BYTES_MAX.saturating_sub(line.len());
            line.extend_from_slice(&piece[..length.min(room)]);
            let used = length + usize::from(end.is_some());
            self.lines.consume(used);
            read += used;
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(read > 0);
        Ok((read > 0).then_some(self.number))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[track_caller]
    fn check(content: &[u8], expected: &[(u64, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        std::fs::write(&path, content).unwrap();
        let (mut input, mut line, mut lines) = (Input::open(&path).unwrap(), Vec::new(), Vec::new());
        while let Some(number) = input.next_line(&mut line).unwrap() {
            lines.push((number, String::from_utf8(line.clone()).unwrap()));
        }
        let expected: Vec<_> = expected.iter().map(|(number, line)| (*number, (*line).to_owned())).collect();
        assert_eq!(lines, expected);
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_gzip_are_told_apart_by_content() {
        check(b"", &[]);
        check(b"a\n\nb", &[(1, "a"), (2, ""), (3, "b")]);
        check(&gzip(b"a\nb\n"), &[(1, "a"), (2, "b")]);
        check(&[gzip(b"a\n"), gzip(b"b\n")].concat(), &[(1, "a"), (2, "b")]);
    }

    #[test]
    fn a_torn_gzip_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log.gz");
        let whole = gzip(&b"a line\n".repeat(1_000));
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        let mut input = Input::open(&path).unwrap();
        let mut line = Vec::new();
        let error = loop {
            match input.next_line(&mut line) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the torn file ended as if it were whole"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().starts_with("log "), "{error}");
    }
}
