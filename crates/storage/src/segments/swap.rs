//! Finishing a compaction that a crash has interrupted.
//!
//! Kafka writes a compacted segment under `.cleaned`, renames it to `.swap` when it is complete, takes the segments that it
//! replaces away, and then gives it its name. So what is `.cleaned` is thrown away, and what is `.swap` is put in place.

use std::collections::BTreeSet;
use std::path::Path;

use vltava_core::id::Offset;
use vltava_core::log::LogError;

use super::names;
use super::segment::{HeaderScan, SUFFIXES, ScanError, failed};
use crate::files::{Files, Open};

/// Puts the `.swap` segments of a folder in place. Returns whether there were any.
///
/// A `.cleaned` file whose base is not above that of a `.swap` tells that not all files, or not all segments of a split,
/// were complete: then the originals are still there, and these `.swap` files go. An index that is `.swap` without its
/// log belongs to a log that has its name already.
pub(super) fn finish(files: &dyn Files, folder: &Path, listed: &[String]) -> Result<bool, LogError> {
    let bases = |wanted: &dyn Fn(&str) -> bool| -> BTreeSet<Offset> {
        listed
            .iter()
            .filter_map(|name| names::parse_file(name))
            .filter(|(_, suffix)| wanted(suffix))
            .map(|(base, _)| base)
            .collect()
    };
    let marked = |suffix: &str, mark| suffix.rsplit_once('.').is_some_and(|(_, last)| last == mark);
    let swaps = bases(&|suffix| marked(suffix, names::SWAP));
    let logs = bases(&|suffix| suffix == format!("{}.{}", names::LOG, names::SWAP));
    let unfinished = bases(&|suffix| marked(suffix, names::CLEANED)).first().copied();
    let segments = bases(&|suffix| suffix == names::LOG);
    for base in &swaps {
        if unfinished.is_some_and(|unfinished| *base >= unfinished) {
            each_file(folder, *base, |_, swap| files.remove(swap))?;
            continue;
        }
        if !logs.contains(base) {
            each_file(folder, *base, |path, swap| files.rename(swap, path))?;
            continue;
        }
        let end = end_of(
            files,
            &folder.join(names::file(*base, &format!("{}.{}", names::LOG, names::SWAP))),
            *base,
        )?;
        for replaced in segments.range(*base..end) {
            for suffix in SUFFIXES {
                let path = folder.join(names::file(*replaced, suffix));
                ignore_missing(files.remove(&path)).map_err(|error| failed("remove", &path, error))?;
            }
        }
        each_file(folder, *base, |path, swap| files.rename(swap, path))?;
    }
    if !swaps.is_empty() {
        tracing::warn!(folder = %folder.display(), "finished an interrupted compaction");
        files.sync_folder(folder).map_err(|error| failed("sync", folder, error))?;
    }
    Ok(!swaps.is_empty())
}

/// Does something with the final and the `.swap` name of each file of a segment; the log comes last, so that a crash in
/// between finds it again.
fn each_file(
    folder: &Path,
    base: Offset,
    act: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<(), LogError> {
    for suffix in SUFFIXES.into_iter().rev() {
        let path = folder.join(names::file(base, suffix));
        let swap = folder.join(names::file(base, &format!("{suffix}.{}", names::SWAP)));
        ignore_missing(act(&path, &swap)).map_err(|error| failed("put in place", &swap, error))?;
    }
    Ok(())
}

fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The offset after the last batch of a complete segment; at least one above its base.
fn end_of(files: &dyn Files, path: &Path, base: Offset) -> Result<Offset, LogError> {
    let read = || -> Result<Offset, ScanError> {
        let file = files.open(path, Open::Existing).map_err(ScanError::Io)?;
        let size = file.size().map_err(ScanError::Io)?;
        let mut scan = HeaderScan::new(&*file, 0, size);
        let mut end = base.next();
        while let Some((_, header)) = scan.next()? {
            end = header.next_offset();
        }
        Ok(end)
    };
    read().map_err(|error| match error {
        ScanError::Io(error) => failed("read", path, error),
        ScanError::Broken(position, what) => LogError::Corrupt {
            path: path.to_path_buf(),
            position,
            what: format!(
                "{what}; a compacted segment must be whole: remove it to keep the segments that it replaces"
            ),
        },
    })
}
