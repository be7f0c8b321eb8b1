//! Planted bugs: the suite must find each of them, by a property that is named beforehand.
//!
//! Decided here: what a mutant is (small search-and-replace edits, kept as data in `sim/mutants`),
//! where it is built (a copy of the tree with one target folder of its own), and when it is dead: a
//! property of its list fails on one of the default seeds. One that does not apply, or does not
//! compile, is an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// What of the tree a copy needs.
const COPIED: [&str; 8] =
    [".cargo", "Cargo.lock", "Cargo.toml", "core", "io", "rust-toolchain.toml", "sim", "tests"];

/// A planted bug.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its file's name without the ending.
    #[serde(skip)]
    pub name: String,
    /// What is wrong with the code then, in a sentence.
    pub about: String,
    /// The suite that must find it.
    #[serde(default)]
    pub suite: HuntedBy,
    /// The ids of the properties of which one must fail.
    pub kills: Vec<String>,
    /// The edits.
    pub edit: Vec<Edit>,
}

/// A suite, also one that this build does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HuntedBy {
    /// That of the core alone.
    #[default]
    Direct,
    /// That of the whole broker.
    Shell,
}

impl HuntedBy {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HuntedBy::Direct => "direct",
            HuntedBy::Shell => "shell",
        }
    }
}

/// Replaces text that is in a file exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The file, from the top of the tree.
    pub file: PathBuf,
    /// What is there.
    pub search: String,
    /// What is there instead.
    pub replace: String,
}

/// A mutant cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum MutantError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its description cannot be read.
    #[error("{path}: {error}")]
    Description {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// The text to replace is not there once.
    #[error("mutant {name} does not apply: its text is {count} times in {file}, not once")]
    DoesNotApply {
        /// Which mutant.
        name: String,
        /// In which file.
        file: PathBuf,
        /// How often the text is there.
        count: usize,
    },
    /// It does not compile.
    #[error("mutant {name} does not compile:\n{output}")]
    DoesNotCompile {
        /// Which mutant.
        name: String,
        /// What the compiler said.
        output: String,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> MutantError {
    let path = path.to_owned();
    |error| MutantError::Io { path, error }
}

/// All mutants of a tree, by name.
pub fn all(top: &Path) -> Result<Vec<Mutant>, MutantError> {
    let folder = top.join("sim/mutants");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(at(&folder))? {
        paths.push(entry.map_err(at(&folder))?.path());
    }
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Result<Mutant, MutantError> {
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    match toml::from_str::<Mutant>(&text) {
        Ok(mut mutant) => {
            mutant.name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(mutant)
        }
        Err(error) => Err(MutantError::Description { path, error: Box::new(error) }),
    }
}

impl Mutant {
    /// The changed files, with their text before and after.
    pub fn applied(&self, top: &Path) -> Result<Vec<(PathBuf, String, String)>, MutantError> {
        let mut changed: Vec<(PathBuf, String, String)> = Vec::new();
        for edit in &self.edit {
            let known = changed.iter().position(|(file, ..)| *file == edit.file);
            let place = match known {
                Some(place) => place,
                None => {
                    let path = top.join(&edit.file);
                    let text = fs::read_to_string(&path).map_err(at(&path))?;
                    changed.push((edit.file.clone(), text.clone(), text));
                    changed.len() - 1
                }
            };
            let text = &mut changed[place].2;
            let count = text.matches(&edit.search).count();
            if count != 1 {
                let (name, file) = (self.name.clone(), edit.file.clone());
                return Err(MutantError::DoesNotApply { name, file, count });
            }
            *text = text.replacen(&edit.search, &edit.replace, 1);
        }
        Ok(changed)
    }
}

/// A copy of the tree in which mutants are built, all in one target folder.
pub struct Copy {
    tree: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies `top` into `folder`. Files that are the same already are not touched, so that what
    /// was built stays built.
    pub fn new(top: &Path, folder: &Path) -> Result<Copy, MutantError> {
        let (tree, target) = (folder.join("tree"), folder.join("target"));
        for name in COPIED {
            copy(&top.join(name), &tree.join(name))?;
        }
        Ok(Copy { tree, target })
    }

    /// Builds the simulator with the mutant in it, and leaves the copy as it was.
    pub fn build(&self, mutant: &Mutant) -> Result<PathBuf, MutantError> {
        let changed = mutant.applied(&self.tree)?;
        for (file, _, after) in &changed {
            let path = self.tree.join(file);
            fs::write(&path, after).map_err(at(&path))?;
        }
        let built = self.cargo_build(mutant.suite);
        for (file, before, _) in &changed {
            let path = self.tree.join(file);
            fs::write(&path, before).map_err(at(&path))?;
        }
        let output = built.map_err(at(&self.tree))?;
        if output.status.success() {
            return Ok(self.target.join("mutant/quorate-sim"));
        }
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(MutantError::DoesNotCompile { name: mutant.name.clone(), output })
    }

    /// Builds no more than the suite needs: without the shell in less than half the time.
    fn cargo_build(&self, suite: HuntedBy) -> io::Result<std::process::Output> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--profile", "mutant", "-p", "quorate-sim"]);
        if suite == HuntedBy::Direct {
            cargo.arg("--no-default-features");
        }
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo.output()
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), MutantError> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(at(to))?;
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(at(from))? {
            names.push(entry.map_err(at(from))?.file_name());
        }
        for entry in fs::read_dir(to).map_err(at(to))? {
            let name = entry.map_err(at(to))?.file_name();
            let path = to.join(&name);
            if !names.contains(&name) && path.is_file() {
                fs::remove_file(&path).map_err(at(&path))?;
            }
        }
        return names.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)));
    }
    let bytes = fs::read(from).map_err(at(from))?;
    if fs::read(to).is_ok_and(|same| same == bytes) {
        return Ok(());
    }
    fs::write(to, bytes).map_err(at(to))
}

/// `count` mutants, chosen by a text such as a commit's hash: other ones for each, the same again
/// for the same.
#[must_use]
pub fn sample(mut mutants: Vec<Mutant>, count: usize, by: &str) -> Vec<Mutant> {
    use std::hash::BuildHasher;
    let hasher = foldhash::quality::FixedState::default();
    mutants.sort_by_key(|mutant| hasher.hash_one((by, &mutant.name)));
    mutants.truncate(count);
    mutants
}
