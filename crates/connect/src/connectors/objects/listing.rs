//! The objects of a store, in the order of their paths, and what is passed over.
//!
//! A listing is worked off before the next one begins, so that each page is asked for once and no more than a page is held.
//! Stores answer in pages of a thousand, in the order of paths, and can begin behind a path. The rule:
//!
//! * The first listing of a task looks at every object, and after it one of [`WHOLE_EVERY`].
//! * The others look at no more than [`PASSED_MAX`] objects of a folder that are done, and go on behind the folder's position.
//!   So a poll asks for one page, or for two per folder that has more done than that, however many objects there are.
//! * What lies in a folder below one that has objects itself may so be passed over, until a whole listing finds it.
//!
//! Folders of a file system and directory buckets of S3 (`--x-s3`) have no order: they are listed as a whole and sorted, and
//! refused with more than [`OBJECTS_MAX`] objects.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore};

use super::failure;
use crate::error::ConnectError;

/// Listings of which one looks at every object.
const WHOLE_EVERY: u64 = 16;
/// Objects in a row of a folder that are looked at though they are done: those of a page.
const PASSED_MAX: usize = 1000;
/// The objects of a store without an order.
const OBJECTS_MAX: usize = 1_000_000;

/// A listing that is worked off.
pub(super) struct Listing {
    store: Arc<dyn ObjectStore>,
    root: Path,
    found: BoxStream<'static, Result<ObjectMeta, Error>>,
    /// Whether it goes on behind what is done.
    jumps: bool,
    last: Option<Path>,
    /// The folder whose objects are passed over, and how many of them were.
    passed: (String, usize),
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listing").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Listing {
    /// The `number`th listing of a task, from zero.
    pub(super) fn begin(store: &Arc<dyn ObjectStore>, is_ordered: bool, root: &Path, number: u64) -> Self {
        let found = if is_ordered { store.list(Some(root)) } else { sorted(store, root) };
        Self {
            store: Arc::clone(store),
            root: root.clone(),
            found,
            jumps: is_ordered && !number.is_multiple_of(WHOLE_EVERY),
            last: None,
            passed: (String::new(), 0),
        }
    }

    /// The next object; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<ObjectMeta>, ConnectError> {
        let next = self.found.try_next().await;
        let next = next.map_err(|error| failure("the store cannot be listed".to_owned(), error))?;
        if let (Some(last), Some(next)) = (&self.last, &next)
            && next.location <= *last
        {
            return Err(ConnectError::failed(format!(
                "the store lists {} behind {last}, so it does not keep an order",
                next.location
            )));
        }
        self.last = next.as_ref().map(|next| next.location.clone());
        Ok(next)
    }

    /// An object was done already, like all up to `done` in its folder.
    pub(super) fn pass(&mut self, folder: &str, done: &str) {
        if self.passed.0 != folder {
            self.passed = (folder.to_owned(), 0);
        }
        self.passed.1 += 1;
        if !self.jumps || self.passed.1 != PASSED_MAX {
            return;
        }
        let behind = Path::parse(format!("{folder}/{done}").trim_start_matches('/'));
        if let Some(behind) = behind.ok().filter(|behind| self.last.as_ref() < Some(behind)) {
            self.found = self.store.list_with_offset(Some(&self.root), &behind);
        }
    }
}

/// All objects, sorted.
fn sorted(store: &Arc<dyn ObjectStore>, root: &Path) -> BoxStream<'static, Result<ObjectMeta, Error>> {
    let found = store.list(Some(root)).take(OBJECTS_MAX + 1);
    let sorted = async move {
        let mut found: Vec<ObjectMeta> = found.try_collect().await?;
        if found.len() > OBJECTS_MAX {
            let source = format!("there are more than {OBJECTS_MAX} objects").into();
            return Err(Error::NotSupported { source });
        }
        found.sort_unstable_by(|one, other| one.location.cmp(&other.location));
        Ok(stream::iter(found.into_iter().map(Ok)))
    };
    stream::once(sorted).try_flatten().boxed()
}
