//! A small disk: a file system of its own, in a mount namespace that outlives the servers on it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::Outcome;

/// What fills it up.
const BALLAST: &str = "ballast";

/// A mounted file system.
pub struct Disk {
    /// Keeps the namespace while no server runs.
    holder: Child,
    data: PathBuf,
}

impl Disk {
    /// Mounts one of that size, at `data`, where only what `run_on` runs sees it.
    pub fn mount(megabytes: u32, data: &Path) -> Outcome<Disk> {
        fs::create_dir_all(data)?;
        // `cat` ends when this process does, whatever its end is.
        let script =
            format!("mount -t tmpfs -o size={megabytes}m tmpfs \"$0\" && echo mounted && exec cat");
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut said = [0; 7];
        let output = holder.stdout.as_mut().ok_or("no output")?;
        let is_mounted = output.read_exact(&mut said).is_ok() && said == *b"mounted";
        let disk = Disk {
            holder,
            data: data.to_owned(),
        };
        match is_mounted {
            true => Ok(disk),
            false => Err("a file system could not be mounted".into()),
        }
    }

    /// Whether this user may do that, found out once.
    pub fn can_be_mounted() -> bool {
        static IT_CAN: OnceLock<bool> = OnceLock::new();
        let try_it = || TempDir::new().is_ok_and(|data| Disk::mount(1, data.path()).is_ok());
        *IT_CAN.get_or_init(try_it)
    }

    /// The same command on this disk, with its environment.
    pub fn run_on(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside
            .args(["-m", "-t", &self.holder.id().to_string(), "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// The directory where it is mounted, by a path that leads there from outside.
    pub fn seen_from_here(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.data.strip_prefix("/").unwrap_or(&self.data))
    }

    /// Writes until nothing more fits.
    pub fn fill(&self) -> Outcome {
        let mut file = fs::File::create(self.seen_from_here().join(BALLAST))?;
        for size in [65536, 1] {
            let zeros = vec![0; size];
            loop {
                match file.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn free(&self) -> Outcome {
        Ok(fs::remove_file(self.seen_from_here().join(BALLAST))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
