//! A ceiling on a program's processor time.
//!
//! Responsible for a control group with a quota of its own (cgroup v1 or v2), so that client and broker on the same
//! machine can offer more than the program under measurement takes. Promises to take the group away again.

use std::{fs, io, path::PathBuf};

/// Short, so that a program at its ceiling is held up by milliseconds.
const PERIOD_US: u64 = 10_000;

/// The group; ends when it is dropped, after the programs in it.
#[derive(Debug)]
pub struct Ceiling {
    group: PathBuf,
}

impl Ceiling {
    /// Makes a group whose programs get `cores` of processor time together.
    ///
    /// # Errors
    /// Control groups cannot be written: the message says what to do.
    pub fn new(cores: f64) -> io::Result<Ceiling> {
        let name = format!("footfall-bench-{}", std::process::id());
        let v1 = PathBuf::from("/sys/fs/cgroup/cpu");
        let (root, is_v1) = if v1.is_dir() { (v1, true) } else { ("/sys/fs/cgroup".into(), false) };
        let quota_us = (cores * PERIOD_US as f64) as u64;
        let make = |group: &PathBuf| {
            fs::create_dir_all(group)?;
            if is_v1 {
                fs::write(group.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                return fs::write(group.join("cpu.cfs_quota_us"), quota_us.to_string());
            }
            fs::write(group.join("cpu.max"), format!("{quota_us} {PERIOD_US}"))
        };
        let group = root.join(name);
        make(&group).map_err(|error| {
            let group = group.display();
            io::Error::new(error.kind(), format!("no processor ceiling by {group} ({error}): run as root"))
        })?;
        Ok(Ceiling { group })
    }

    /// Puts a running program, all its threads, under the ceiling.
    pub fn hold(&self, process: u32) -> io::Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        // A group that still holds a program stays; the kernel keeps it harmless.
        let _ = fs::remove_dir(&self.group);
    }
}
