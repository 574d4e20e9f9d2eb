//! Small files that are read and replaced as a whole: checkpoints, properties, snapshots.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use super::{Files, Open};

/// The largest file that is read as a whole. A producer snapshot of 100,000 producers has about 4 MB.
pub const WHOLE_BYTES_MAX: u64 = 64 << 20;

/// The content of a file; `None` when there is none.
///
/// # Errors
/// `InvalidData` above 64 MiB; anything the disk reports.
pub fn read_whole(files: &dyn Files, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match files.open(path, Open::Existing) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.size()?;
    if size > WHOLE_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{size} bytes are too many for this kind of file"),
        ));
    }
    let mut content = vec![0; usize::try_from(size).unwrap_or(0)];
    let read = file.read_at(&mut content, 0)?;
    content.truncate(read);
    Ok(Some(content))
}

/// Replaces a file so that after a crash it holds either what it held or `content`: written beside it under the
/// suffix `.tmp`, synced, renamed, and the folder synced.
///
/// # Errors
/// Anything the disk reports; the file is then as it was, or as it should be.
pub fn replace_whole(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    let file = files.open(&beside, Open::OrCreate)?;
    file.truncate(0)?;
    file.write_at(&mut [IoSlice::new(content)], 0)?;
    file.sync()?;
    drop(file);
    files.rename(&beside, path)?;
    files.sync_folder(path.parent().unwrap_or(Path::new(".")))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}
