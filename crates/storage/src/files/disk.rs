//! A disk in memory that is as unkind as POSIX allows, the same way for the same seed.
//!
//! What was written and not synced is lost, kept or torn at a crash, each write for itself; so are cuts. Names created,
//! renamed and removed survive in the order in which they were made within one folder, up to a point that the seed
//! chooses, unless the folder was synced. A failed sync forgets what it should have synced, as Linux does: a second sync
//! that succeeds proves nothing.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Entry, FileLock, Files, Open, OpenFile, Space};
use crate::random::Random;

/// A disk in memory with a seed for what it loses. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SeededDisk(Arc<Mutex<World>>);

/// What goes wrong on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// Writes fail with an I/O error.
    Write,
    /// Syncs of files and folders fail with an I/O error.
    Sync,
    /// Reads fail with an I/O error.
    Read,
    /// There is no room for new names and bytes.
    Full,
    /// Nothing is in memory: reads that may not wait fail.
    Cold,
}

impl DiskFault {
    /// What the operating system would say.
    fn error(self) -> io::Error {
        let errno = match self {
            DiskFault::Full => rustix::io::Errno::NOSPC,
            DiskFault::Cold => rustix::io::Errno::AGAIN,
            DiskFault::Write | DiskFault::Sync | DiskFault::Read => rustix::io::Errno::IO,
        };
        io::Error::from_raw_os_error(errno.raw_os_error())
    }
}

/// The size of the pieces in which a torn write survives.
const SECTOR: usize = 512;

type NodeId = u64;
const ROOT: NodeId = 0;

#[derive(Debug)]
struct World {
    random: Random,
    nodes: HashMap<NodeId, Node>,
    next_node: NodeId,
    /// Grows with every restart: files and locks of an earlier one are dead.
    life: u64,
    steps: u64,
    crash_at: Option<u64>,
    crashed: bool,
    room: Option<u64>,
    faults: Vec<(DiskFault, PathBuf)>,
    locks: BTreeMap<PathBuf, u64>,
}

#[derive(Debug)]
enum Node {
    Folder(Folder),
    File(Content),
}

#[derive(Debug, Default)]
struct Folder {
    names: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    pending: Vec<NameChange>,
}

#[derive(Debug)]
enum NameChange {
    Link(String, NodeId),
    Unlink(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<ContentChange>,
}

#[derive(Debug)]
enum ContentChange {
    Write(usize, Vec<u8>),
    Cut(usize),
}

impl SeededDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> SeededDisk {
        SeededDisk(Arc::new(Mutex::new(World {
            random: Random::new(seed),
            nodes: HashMap::from([(ROOT, Node::Folder(Folder::default()))]),
            next_node: ROOT + 1,
            life: 0,
            steps: 0,
            crash_at: None,
            crashed: false,
            room: None,
            faults: Vec::new(),
            locks: BTreeMap::new(),
        })))
    }

    /// Every change from the `step`th on fails, counted from the disk's creation, as if the machine had lost power in
    /// the middle of that one.
    pub fn crash_at(&self, step: u64) {
        self.0.lock().crash_at = Some(step);
    }

    /// How many changes (writes, syncs, names made) there have been.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.lock().steps
    }

    /// Whether the crash point was reached.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.0.lock().crashed
    }

    /// The machine lost power and starts again: what was not synced is lost, kept or torn, and no open file of before
    /// can be used.
    pub fn lose_power(&self) {
        let mut world = self.0.lock();
        let World { random, nodes, .. } = &mut *world;
        let mut ids: Vec<NodeId> = nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            match nodes.get_mut(&id) {
                Some(Node::Folder(folder)) => folder.lose(random),
                Some(Node::File(content)) => content.lose(random),
                None => {}
            }
        }
        world.restart();
    }

    /// The process died and starts again; the disk kept what was written.
    pub fn kill_process(&self) {
        self.0.lock().restart();
    }

    /// Lets only `bytes` more be written, then the disk is full; `None` for as much as you like.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.0.lock().room = bytes;
    }

    /// Makes everything below `folder` fail in this way until [`SeededDisk::heal`].
    pub fn fail(&self, fault: DiskFault, folder: &Path) {
        self.0.lock().faults.push((fault, folder.to_path_buf()));
    }

    /// Ends all faults; what they did stays done.
    pub fn heal(&self) {
        self.0.lock().faults.clear();
    }
}

impl World {
    fn restart(&mut self) {
        self.life += 1;
        self.crashed = false;
        self.crash_at = None;
        self.locks.clear();
    }

    /// Counts a change; the change at the crash point is begun, and reported as failed.
    fn step(&mut self) -> io::Result<bool> {
        if self.crashed {
            return Err(io::Error::other("the machine has lost power"));
        }
        self.steps += 1;
        self.crashed = self.crash_at.is_some_and(|at| self.steps >= at);
        Ok(self.crashed)
    }

    fn check(&self, fault: DiskFault, path: &Path) -> io::Result<()> {
        if self.crashed {
            return Err(io::Error::other("the machine has lost power"));
        }
        match self.faults.iter().any(|(kind, folder)| *kind == fault && path.starts_with(folder)) {
            true => Err(fault.error()),
            false => Ok(()),
        }
    }

    /// Whether something new may be written there.
    fn check_room(&self, path: &Path) -> io::Result<()> {
        self.check(DiskFault::Write, path)?;
        self.check(DiskFault::Full, path)
    }

    fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut at = ROOT;
        for name in names(path) {
            at = *self.folder(at)?.names.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    fn parent<'a>(&self, path: &'a Path) -> io::Result<(NodeId, &'a str)> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
        Ok((self.find(path.parent().unwrap_or(Path::new("/")))?, name))
    }

    fn folder(&self, id: NodeId) -> io::Result<&Folder> {
        match self.nodes.get(&id) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn change_name(&mut self, id: NodeId, change: NameChange) -> io::Result<()> {
        let Some(Node::Folder(folder)) = self.nodes.get_mut(&id) else {
            return Err(ErrorKind::NotADirectory.into());
        };
        apply_name(&mut folder.names, &change);
        folder.pending.push(change);
        Ok(())
    }

    fn content(&mut self, id: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn create(&mut self, parent: NodeId, name: &str, node: Node) -> io::Result<NodeId> {
        let id = self.next_node;
        self.next_node += 1;
        self.nodes.insert(id, node);
        self.change_name(parent, NameChange::Link(name.to_owned(), id))?;
        Ok(id)
    }
}

fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

fn apply_name(names: &mut BTreeMap<String, NodeId>, change: &NameChange) {
    match change {
        NameChange::Link(name, id) => {
            names.insert(name.clone(), *id);
        }
        NameChange::Unlink(name) => {
            names.remove(name);
        }
        NameChange::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
    }
}

impl Folder {
    fn lose(&mut self, random: &mut Random) {
        let kept = random.below(self.pending.len() as u64 + 1);
        for change in self.pending.drain(..).take(usize::try_from(kept).unwrap_or(usize::MAX)) {
            apply_name(&mut self.durable, &change);
        }
        self.names.clone_from(&self.durable);
    }

    fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.names);
    }
}

impl Content {
    fn change(&mut self, change: ContentChange) {
        apply_content(&mut self.bytes, &change);
        self.pending.push(change);
    }

    fn lose(&mut self, random: &mut Random) {
        for change in std::mem::take(&mut self.pending) {
            match random.below(3) {
                0 => {}
                1 => apply_content(&mut self.durable, &change),
                _ => apply_torn(&mut self.durable, &change, random),
            }
        }
        self.bytes.clone_from(&self.durable);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply_content(&mut self.durable, &change);
        }
    }
}

fn apply_content(bytes: &mut Vec<u8>, change: &ContentChange) {
    match change {
        ContentChange::Write(position, written) => write_into(bytes, *position, written),
        ContentChange::Cut(length) => bytes.resize(*length, 0),
    }
}

fn write_into(bytes: &mut Vec<u8>, position: usize, written: &[u8]) {
    let end = position + written.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(target) = bytes.get_mut(position..end) {
        target.copy_from_slice(written);
    }
}

/// A torn write leaves a prefix, or some of its sectors with zeros where the others should be.
fn apply_torn(bytes: &mut Vec<u8>, change: &ContentChange, random: &mut Random) {
    let ContentChange::Write(position, written) = change else { return };
    if random.below(2) == 0 {
        let kept = usize::try_from(random.below(written.len() as u64 + 1)).unwrap_or(0);
        return write_into(bytes, *position, written.get(..kept).unwrap_or_default());
    }
    let mut at = *position;
    for sector in written.chunks(SECTOR) {
        if random.below(2) == 0 {
            write_into(bytes, at, sector);
        }
        at += sector.len();
    }
}

impl Files for SeededDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn OpenFile>> {
        let mut world = self.0.lock();
        world.check(DiskFault::Read, path)?;
        let (parent, name) = world.parent(path)?;
        let found = world.folder(parent)?.names.get(name).copied();
        let node = match (found, how) {
            (Some(_), Open::New) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(node), _) => node,
            (None, Open::Existing) => return Err(ErrorKind::NotFound.into()),
            (None, _) => {
                world.check_room(path)?;
                let crashed = world.step()?;
                let node = world.create(parent, name, Node::File(Content::default()))?;
                if crashed {
                    return Err(io::Error::other("the machine has lost power"));
                }
                node
            }
        };
        world.content(node)?;
        Ok(Arc::new(DiskFile { disk: self.clone(), path: path.to_path_buf(), node, life: world.life }))
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let mut world = self.0.lock();
        world.check(DiskFault::Read, path)?;
        let node = world.find(path)?;
        Ok(world.content(node)?.bytes.len() as u64)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let world = self.0.lock();
        world.check(DiskFault::Read, folder)?;
        let id = world.find(folder)?;
        let is_folder = |id: &NodeId| matches!(world.nodes.get(id), Some(Node::Folder(_)));
        let names = &world.folder(id)?.names;
        Ok(names.iter().map(|(name, id)| Entry { name: name.clone(), folder: is_folder(id) }).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.check(DiskFault::Write, from)?;
        let (parent, name) = world.parent(from)?;
        let (new_parent, new_name) = world.parent(to)?;
        let id = *world.folder(parent)?.names.get(name).ok_or(ErrorKind::NotFound)?;
        let crashed = world.step()?;
        if parent == new_parent {
            world.change_name(parent, NameChange::Rename(name.to_owned(), new_name.to_owned()))?;
        } else {
            world.change_name(new_parent, NameChange::Link(new_name.to_owned(), id))?;
            world.change_name(parent, NameChange::Unlink(name.to_owned()))?;
        }
        lost(crashed)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        world.check(DiskFault::Write, path)?;
        let (parent, name) = world.parent(path)?;
        if !world.folder(parent)?.names.contains_key(name) {
            return Err(ErrorKind::NotFound.into());
        }
        let crashed = world.step()?;
        world.change_name(parent, NameChange::Unlink(name.to_owned()))?;
        lost(crashed)
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.remove(folder)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let mut at = ROOT;
        for name in names(folder) {
            at = match world.folder(at)?.names.get(name) {
                Some(id) => *id,
                None => {
                    world.check_room(folder)?;
                    let crashed = world.step()?;
                    let id = world.create(at, name, Node::Folder(Folder::default()))?;
                    lost(crashed)?;
                    id
                }
            };
        }
        world.folder(at).map(|_| ())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let id = world.find(folder)?;
        let failed = world.check(DiskFault::Sync, folder);
        lost(world.step()?)?;
        failed?;
        if let Some(Node::Folder(folder)) = world.nodes.get_mut(&id) {
            folder.sync();
        }
        Ok(())
    }

    fn sync_everything(&self, folder: &Path) -> io::Result<()> {
        let mut world = self.0.lock();
        let failed = world.check(DiskFault::Sync, folder);
        lost(world.step()?)?;
        failed?;
        let mut pending = vec![world.find(folder)?];
        while let Some(id) = pending.pop() {
            match world.nodes.get_mut(&id) {
                Some(Node::Folder(folder)) => {
                    folder.sync();
                    pending.extend(folder.names.values());
                }
                Some(Node::File(content)) => content.sync(),
                None => {}
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        drop(self.open(path, Open::OrCreate)?);
        let mut world = self.0.lock();
        let life = world.life;
        if world.locks.contains_key(path) {
            return Ok(None);
        }
        world.locks.insert(path.to_path_buf(), life);
        Ok(Some(Box::new(DiskLock { disk: self.clone(), path: path.to_path_buf(), life })))
    }

    fn space(&self, _folder: &Path) -> Option<Space> {
        self.0.lock().room.map(|usable| Space { total: usable, usable })
    }
}

fn lost(crashed: bool) -> io::Result<()> {
    if crashed { Err(io::Error::other("the machine has lost power")) } else { Ok(()) }
}

#[derive(Debug)]
struct DiskLock {
    disk: SeededDisk,
    path: PathBuf,
    life: u64,
}

impl FileLock for DiskLock {}

impl Drop for DiskLock {
    fn drop(&mut self) {
        let mut world = self.disk.0.lock();
        if world.locks.get(&self.path) == Some(&self.life) {
            world.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct DiskFile {
    disk: SeededDisk,
    path: PathBuf,
    node: NodeId,
    life: u64,
}

impl DiskFile {
    fn world(&self) -> io::Result<parking_lot::MutexGuard<'_, World>> {
        let world = self.disk.0.lock();
        if world.life == self.life {
            Ok(world)
        } else {
            Err(io::Error::other("a file of before the restart"))
        }
    }
}

impl OpenFile for DiskFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut world = self.world()?;
        world.check(DiskFault::Read, &self.path)?;
        let bytes = &world.content(self.node)?.bytes;
        let rest = usize::try_from(position).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), rest.get(..length)) {
            target.copy_from_slice(source);
        }
        Ok(length)
    }

    fn read_now(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.world()?.check(DiskFault::Cold, &self.path)?;
        self.read_at(buffer, position)
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check_room(&self.path)?;
        let crashed = world.step()?;
        let mut bytes = Vec::new();
        for slice in slices.iter() {
            bytes.extend_from_slice(slice);
        }
        let wanted = bytes.len() as u64;
        let room = world.room.unwrap_or(u64::MAX);
        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        if let Some(left) = &mut world.room {
            *left = left.saturating_sub(wanted);
        }
        let position = usize::try_from(position).map_err(|_| ErrorKind::InvalidInput)?;
        world.content(self.node)?.change(ContentChange::Write(position, bytes));
        lost(crashed)?;
        if room < wanted { Err(DiskFault::Full.error()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world()?;
        let failed = world.check(DiskFault::Sync, &self.path);
        lost(world.step()?)?;
        let content = world.content(self.node)?;
        match failed {
            Ok(()) => content.sync(),
            Err(_) => content.pending.clear(),
        }
        failed
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut world = self.world()?;
        world.check(DiskFault::Write, &self.path)?;
        let crashed = world.step()?;
        let length = usize::try_from(length).map_err(|_| ErrorKind::InvalidInput)?;
        world.content(self.node)?.change(ContentChange::Cut(length));
        lost(crashed)
    }

    fn reserve(&self, length: u64) -> io::Result<()> {
        let world = self.world()?;
        world.check_room(&self.path)?;
        let room = world.room.unwrap_or(u64::MAX);
        if room < length { Err(DiskFault::Full.error()) } else { Ok(()) }
    }

    fn size(&self) -> io::Result<u64> {
        let mut world = self.world()?;
        world.check(DiskFault::Read, &self.path)?;
        Ok(world.content(self.node)?.bytes.len() as u64)
    }

    fn system_file(&self) -> Option<&Arc<File>> {
        None
    }
}
