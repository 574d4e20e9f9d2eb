use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use vltava_core::id::BrokerId;
use vltava_core::log::LogStore;
use vltava_core::testing::{ManualClock, Reopen, durable_log_suite, log_suite};

use super::*;

mod cold;
mod crash;
mod damage;
mod names;

use crate::files::{DiskFault, Files, SeededDisk, SystemFiles};

fn store_on(files: Arc<dyn Files>, folder: &Path) -> SegmentStore {
    let options = SegmentStoreOptions {
        open_files_max: 5,
        ..SegmentStoreOptions::new(vec![folder.into()], BrokerId(1), 7)
    };
    SegmentStore::open(options, files, Arc::new(ManualClock::default())).unwrap()
}

/// A folder in memory where there is one: thousands of syncs to a busy disk would prove nothing more.
fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[test]
fn segments_on_the_operating_system_keep_the_contract() {
    let mut folders: Vec<TempDir> = Vec::new();
    log_suite(&mut || {
        let folder = scratch();
        let store = store_on(Arc::new(SystemFiles), folder.path());
        folders.push(folder);
        Arc::new(store)
    });
}

#[test]
fn segments_on_the_operating_system_come_back() {
    durable_log_suite(&mut || {
        let folder = scratch();
        Box::new(move || Arc::new(store_on(Arc::new(SystemFiles), folder.path())) as Arc<dyn LogStore>)
            as Reopen
    });
}

#[test]
fn segments_on_a_seeded_disk_keep_the_contract() {
    log_suite(&mut || Arc::new(store_on(Arc::new(SeededDisk::new(1)), Path::new("/data"))));
}

#[test]
fn segments_on_a_disk_that_is_always_waited_for_keep_the_contract() {
    log_suite(&mut || {
        let disk = SeededDisk::new(1);
        disk.fail(DiskFault::Cold, Path::new("/"));
        Arc::new(store_on(Arc::new(disk), Path::new("/data")))
    });
}

#[test]
fn segments_on_a_seeded_disk_come_back_after_a_kill() {
    durable_log_suite(&mut || {
        let disk = SeededDisk::new(1);
        Box::new(move || {
            disk.kill_process();
            Arc::new(store_on(Arc::new(disk.clone()), Path::new("/data"))) as Arc<dyn LogStore>
        })
    });
}
