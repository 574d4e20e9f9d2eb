//! What a file imports: references by their paths, and files that every registry has.

use std::collections::{HashMap, HashSet};

use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;

use super::position::{error, error_at, name_error};
use super::{parse, well_known};
use crate::schema::{ParseError, Referenced};

/// The path in a `FileDescriptorProto` of its imports.
const IMPORT_PATH: i32 = 3;

/// A pool of all that `main` imports, each file after those that it imports itself.
///
/// Also gives `main` itself with nothing but direct imports, as the pool wants it.
pub(super) fn add_all(
    main: &FileDescriptorProto,
    text: &str,
    references: &[Referenced],
) -> Result<(DescriptorPool, FileDescriptorProto), ParseError> {
    let texts: HashMap<&str, &str> =
        references.iter().map(|reference| (reference.name.as_str(), reference.text.as_str())).collect();
    let mut pool = DescriptorPool::new();
    let mut visible = Visible::default();
    // A walk in depth without recursion: files whose imports are being added, and the next of them to look at.
    let mut open = vec![(main.clone(), 0)];
    while let Some((file, next)) = open.last_mut() {
        let Some(name) = file.dependency.get(*next).cloned() else {
            let Some((mut file, _)) = open.pop() else { break };
            visible.flatten(&mut file);
            if open.is_empty() {
                return Ok((pool, file));
            }
            add(&mut pool, file)?;
            continue;
        };
        *next += 1;
        if pool.get_file_by_name(&name).is_some() {
            continue;
        }
        if open.iter().any(|(file, _)| file.name() == name) {
            return Err(error(format!("the imports go in a circle through {name:?}")));
        }
        match import(&name, &texts) {
            Some(imported) => open.push((imported.map_err(|found| within(&name, &found))?, 0)),
            None => return Err(not_found(main, text, &name)),
        }
    }
    Err(error("the file is not valid"))
}

fn add(pool: &mut DescriptorPool, mut file: FileDescriptorProto) -> Result<(), ParseError> {
    file.source_code_info = None;
    let name = file.name().to_owned();
    pool.add_file_descriptor_proto(file).map_err(|found| within(&name, &name_error("", &[], &found)))
}

/// Files by what their imports make visible.
///
/// The library follows public imports wrongly, and in a time that doubles with each of them: so every file imports directly
/// what it may see, and nothing publicly.
#[derive(Default)]
struct Visible {
    /// What each file imports publicly, also by way of others.
    public: HashMap<String, Vec<String>>,
}

impl Visible {
    /// Makes the imports of `file` direct ones; those that it imports must have been here before.
    fn flatten(&mut self, file: &mut FileDescriptorProto) {
        let is_public =
            |index: usize| file.public_dependency.iter().any(|public| usize::try_from(*public) == Ok(index));
        let mut all = Vec::new();
        let mut public = Vec::new();
        for (index, path) in file.dependency.iter().enumerate() {
            let passed_on = self.public.get(path).into_iter().flatten();
            let seen: Vec<String> = std::iter::once(path).chain(passed_on).cloned().collect();
            if is_public(index) {
                public.extend(seen.iter().cloned());
            }
            all.extend(seen);
        }
        self.public.insert(file.name().to_owned(), distinct(public));
        file.dependency = distinct(all);
        file.public_dependency.clear();
        file.weak_dependency.clear();
    }
}

fn distinct(mut paths: Vec<String>) -> Vec<String> {
    let mut known = HashSet::new();
    paths.retain(|path| known.insert(path.clone()));
    paths
}

/// The file that is imported as `name`, if there is one.
fn import(name: &str, texts: &HashMap<&str, &str>) -> Option<Result<FileDescriptorProto, ParseError>> {
    match texts.get(name) {
        Some(text) => Some(match parse::descriptor_bytes(text) {
            Some(bytes) => parse::file_of_descriptor(name, &bytes),
            None => parse::file_of(name, text),
        }),
        None => well_known::file(name),
    }
}

fn not_found(main: &FileDescriptorProto, text: &str, name: &str) -> ParseError {
    let message =
        format!("import {name:?} is not among the references: register it, and refer to it by this name");
    let index =
        main.dependency.iter().position(|import| import == name).and_then(|index| i32::try_from(index).ok());
    let place = index.and_then(|index| {
        let places = &main.source_code_info.as_ref()?.location;
        places.iter().find(|place| place.path == [IMPORT_PATH, index])?.span.first().copied()
    });
    let line = place.and_then(|line| usize::try_from(line).ok());
    let offset = line.map(|line| text.split_inclusive('\n').take(line).map(str::len).sum::<usize>());
    match offset {
        Some(offset) => error_at(text, offset, message),
        None => error(message),
    }
}

fn within(name: &str, found: &ParseError) -> ParseError {
    error(format!("in {name:?}: {found}"))
}
