//! The lock file beside the database: one server process at a time.
//!
//! SQLite's own locks would let two servers write in turn, and each would miss what the other
//! holds in memory. The lock belongs to the open file, so it goes with the process, however that
//! ends; the file itself stays.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::OpenError;
use super::migrate::sibling;

/// Takes the lock and writes the process id into the file.
pub(super) fn take(database: &Path) -> Result<File, OpenError> {
    let path = sibling(database, ".lock");
    let io = |error| OpenError::of_io(&path, &error);
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::Locked {
                path: database.to_owned(),
                pid: read_pid(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(io(error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io)?;
    Ok(file)
}

/// Whether a process has the database at `path` open, and which, as far as the file tells.
#[must_use]
pub fn holder(path: &Path) -> Option<Option<u32>> {
    let mut file = File::open(sibling(path, ".lock")).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_pid(&mut file)),
        _ => None,
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
