//! The file seam: everything that segments, checkpoints and locks ask of a disk.
//!
//! [`SystemFiles`] is the operating system; [`SeededDisk`] is a disk in memory that loses and tears what was not synced,
//! fills up, and fails on demand, the same way for the same seed. Nothing else in this crate may touch `std::fs`.
//!
//! Why our own seam and not a virtual file system crate: what a log needs to know of a disk is when bytes and names
//! become durable, and only a fake that is strict about both finds the places where a sync is missing.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

mod disk;
mod system;
mod whole;

pub use disk::{DiskFault, SeededDisk};
pub use system::SystemFiles;
pub use whole::{read_whole, replace_whole};

/// A file system. All methods may block. Names become durable with [`Files::sync_folder`], bytes with
/// [`OpenFile::sync`].
pub trait Files: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` or `AlreadyExists` as `how` says; anything the disk reports.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn OpenFile>>;

    /// The size of a file in bytes.
    ///
    /// # Errors
    /// `NotFound`; anything the disk reports.
    fn size(&self, path: &Path) -> io::Result<u64>;

    /// What is in a folder, in no order. Names that are not UTF-8 are left out: no file of ours has one.
    ///
    /// # Errors
    /// `NotFound`; anything the disk reports.
    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>>;

    /// Renames a file or folder; replaces a file of the new name atomically.
    ///
    /// # Errors
    /// `NotFound`; anything the disk reports.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Whoever has it open goes on reading it.
    ///
    /// # Errors
    /// `NotFound`; anything the disk reports.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with everything in it.
    ///
    /// # Errors
    /// `NotFound`; anything the disk reports.
    fn remove_folder(&self, folder: &Path) -> io::Result<()>;

    /// Creates a folder and its parents; nothing happens when it is there.
    ///
    /// # Errors
    /// Anything the disk reports.
    fn create_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable: files created, renamed and removed.
    ///
    /// # Errors
    /// Anything the disk reports.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes everything below a folder durable, bytes and names, and perhaps more than that: for many files at once.
    ///
    /// # Errors
    /// Anything the disk reports; nothing may be believed then.
    fn sync_everything(&self, folder: &Path) -> io::Result<()>;

    /// Takes an exclusive lock on a file, which is created when there is none. `None` when another process, or another
    /// holder in this one, has it. The lock ends when the guard is dropped or the process dies.
    ///
    /// # Errors
    /// Anything the disk reports.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>>;

    /// How large the file system of this folder is; `None` where that is not known.
    fn space(&self, folder: &Path) -> Option<Space>;
}

/// An open file. Reads and writes name their position, so that threads do not disturb each other.
pub trait OpenFile: Send + Sync + fmt::Debug {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    ///
    /// # Errors
    /// Anything the disk reports.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// The same from memory alone: fails where the disk would have to be waited for. A file system that cannot tell is
    /// waited for.
    ///
    /// # Errors
    /// `WouldBlock` when not all of it is in memory; anything the disk reports.
    fn read_now(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes all slices one after another, in one call to the operating system unless that cuts it short.
    ///
    /// # Errors
    /// Anything the disk reports; a part may then be written.
    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;

    /// Makes the bytes and the length durable, but not the name.
    ///
    /// # Errors
    /// Anything the disk reports; nothing written since the last sync may be believed then, even if a later sync
    /// succeeds.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file, or fills it with zeros, to `length` bytes. Not for files that others may be reading: see
    /// [`OpenFile::shared`].
    ///
    /// # Errors
    /// Anything the disk reports.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Reserves room up to `length` bytes without changing the size; where that is not supported nothing happens.
    ///
    /// # Errors
    /// `StorageFull`; anything the disk reports.
    fn reserve(&self, length: u64) -> io::Result<()>;

    /// The size in bytes.
    ///
    /// # Errors
    /// Anything the disk reports.
    fn size(&self) -> io::Result<u64>;

    /// The file of the operating system, for `sendfile`; `None` when this is not one.
    fn system_file(&self) -> Option<&Arc<File>>;

    /// Whether somebody else still holds the file of [`OpenFile::system_file`].
    fn shared(&self) -> bool {
        self.system_file().is_some_and(|file| Arc::strong_count(file) > 1)
    }
}

/// Holds a lock until it is dropped.
pub trait FileLock: Send + Sync + fmt::Debug {}

/// How to open a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// To read and write what is there.
    Existing,
    /// To read and write; created when there is none.
    OrCreate,
    /// To read and write a file that must not be there yet.
    New,
}

/// Something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
}

/// The size of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total: u64,
    /// What may still be written, in bytes.
    pub usable: u64,
}
