//! Roles: what goes before a task. Files of aiw's own, and Claude Code's subagents.
//!
//! aiw's own are `role/*.md` of its home: a description, a line of exactly 12 dashes, the
//! content. At most 1 MB of UTF-8. A byte order mark is no part of it; line ends stay as they
//! are in the content. Claude Code's are `.claude/agents/*.md` of the current directory and of
//! the user's home: front matter, then the content. They are read, never written. Of several
//! with one name the first counts, in this order.

mod error;
mod folder;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::RoleName;
use aiw_home::{Home, Settings, user_home};

pub use error::{RoleError, RoleProblem};
pub use parse::DELIMITER;

use folder::{File, Folder};
use parse::Text;

/// The most bytes that a role's file may have: 1 MB.
pub const MAX_ROLE_BYTES: u64 = 1 << 20;

/// Where Claude Code keeps subagents, below a project and below the user's home.
const AGENTS: &str = ".claude/agents";

/// Whose file a role is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleSource {
    /// aiw's own.
    Aiw,
    /// A subagent of the current directory.
    Project,
    /// A subagent of the user's.
    User,
}

impl RoleSource {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aiw => "aiw",
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A role that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: String,
    /// What the AI is told.
    pub content: String,
    /// Whose file it is.
    pub source: RoleSource,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// A role as lists show it, or a file that should be one.
#[derive(Debug)]
pub struct Listed {
    /// Its name; the file's, where nothing better is known.
    pub name: String,
    /// What it is for, if it can be used.
    pub description: Option<String>,
    /// Whose file it is.
    pub source: RoleSource,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Why it can't be used.
    pub problem: Option<RoleProblem>,
    /// The file that goes before it.
    pub shadowed_by: Option<PathBuf>,
}

/// All roles.
#[derive(Debug, Default)]
pub struct Listing {
    /// By source, then by name.
    pub roles: Vec<Listed>,
    /// Folders that could not be read; the others were.
    pub unread: Vec<RoleError>,
}

/// What happens to a role that is there already.
#[derive(Debug, Clone, Copy)]
pub enum Overwrite<'a> {
    /// It stays, and that is an error.
    Never,
    /// It is replaced.
    Always,
    /// It is replaced if its file still has these bytes.
    IfStill(&'a [u8]),
}

/// The folders that hold roles.
#[derive(Debug)]
pub struct Roles {
    home: Home,
    project: Option<PathBuf>,
    user: Option<PathBuf>,
}

impl Roles {
    /// The roles of aiw's home, of a project's directory, and of a user's home.
    pub fn new(home: Home, project: Option<PathBuf>, user: Option<PathBuf>) -> Self {
        let agents = |root: &Option<PathBuf>| fs::canonicalize(root.as_ref()?.join(AGENTS)).ok();
        // In the user's home both are one folder.
        let same = agents(&project).is_some_and(|dir| agents(&user) == Some(dir));
        Self { home, project: project.filter(|_| !same), user }
    }

    /// The same with the current directory and `HOME`.
    pub fn from_environment(home: Home) -> Self {
        Self::new(home, env::current_dir().ok(), user_home())
    }

    /// The roles of runs in a directory: its own only where it is trusted.
    pub fn of_runs(home: Home, settings: &Settings, cwd: &Path) -> Self {
        Self::new(home, settings.trusts(cwd).then(|| cwd.to_owned()), user_home())
    }

    /// Where aiw's own are.
    pub fn own_dir(&self) -> PathBuf {
        self.home.root().join("role")
    }

    fn own(&self) -> Result<Option<Folder>, RoleError> {
        Folder::open(&self.own_dir())
    }

    /// Claude Code's folders; those that there are.
    fn agents(&self) -> Vec<(RoleSource, Result<Folder, RoleError>)> {
        let project = self.project.as_deref().and_then(|root| Folder::open_beneath(root, AGENTS).transpose());
        let user = self.user.as_deref().and_then(|root| Folder::open(&root.join(AGENTS)).transpose());
        [(RoleSource::Project, project), (RoleSource::User, user)]
            .into_iter()
            .filter_map(|(source, folder)| Some((source, folder?)))
            .collect()
    }

    /// Everything that is there, what is broken too.
    pub fn list(&self) -> Listing {
        let mut listing = Listing::default();
        let mut first: HashMap<RoleName, PathBuf> = HashMap::new();
        let own = self.own().transpose().map(|folder| (RoleSource::Aiw, folder));
        for (source, folder) in own.into_iter().chain(self.agents()) {
            match folder.and_then(|folder| folder.files()) {
                Ok(files) => {
                    let mut roles: Vec<Listed> =
                        files.into_iter().map(|file| listed(source, file, &mut first)).collect();
                    roles.sort_by(|a, b| a.name.cmp(&b.name));
                    listing.roles.append(&mut roles);
                }
                Err(e) => listing.unread.push(e),
            }
        }
        listing
    }

    /// The role of a name. One that is broken is an error, also where another of that name
    /// would work: nobody gets another role than the one that counts.
    pub fn find(&self, name: &RoleName) -> Result<Role, RoleError> {
        if let Some(file) = self.own()?.and_then(|folder| folder.file(name)) {
            return match file.content.and_then(|bytes| Ok((bytes.len() as u64, parse::own(&bytes)?))) {
                Ok((bytes, text)) => Ok(role(name.clone(), text, RoleSource::Aiw, file.path, bytes)),
                Err(problem) => Err(RoleError::Broken { path: file.path, problem }),
            };
        }
        let mut broken = None;
        for (source, folder) in self.agents() {
            // A folder that can't be read holds no role that anybody meant; `list` says so.
            for file in folder.and_then(|folder| folder.files()).unwrap_or_default() {
                match file.content.and_then(|bytes| parse::subagent(&bytes, &file.name)) {
                    Ok((found, text)) if found == *name => return Ok(role(found, text, source, file.path, file.bytes)),
                    Err(problem) if file.name == name.as_str() && broken.is_none() => {
                        broken = Some(RoleError::Broken { path: file.path, problem });
                    }
                    _ => {}
                }
            }
        }
        Err(broken.unwrap_or_else(|| RoleError::Unknown { name: name.clone() }))
    }

    /// The bytes of a role of aiw's own, to be edited: they need not be a good role.
    pub fn own_bytes(&self, name: &RoleName) -> Result<Vec<u8>, RoleError> {
        let folder = self.own()?;
        let Some((folder, file)) = folder.and_then(|folder| folder.file(name).map(|file| (folder, file))) else {
            return Err(match self.find(name) {
                Ok(Role { path, .. }) | Err(RoleError::Broken { path, .. }) => {
                    RoleError::NotOurs { name: name.clone(), path }
                }
                Err(e) => e,
            });
        };
        folder.check(name, Overwrite::Always)?;
        file.content.map_err(|problem| RoleError::Broken { path: file.path, problem })
    }

    /// Writes a role of aiw's own, if the bytes are one.
    pub fn write(&self, name: &RoleName, bytes: &[u8], over: Overwrite<'_>) -> Result<Role, RoleError> {
        let text = parse::own(bytes).map_err(|problem| RoleError::Invalid { name: name.clone(), problem })?;
        let _lock = self.home.lock()?;
        let dir = self.own_dir();
        self.home.make_dir(&dir)?;
        let folder = Folder::open(&dir)?.ok_or_else(|| {
            let source = std::io::ErrorKind::NotFound.into();
            RoleError::Io { action: "read", path: dir.clone(), source }
        })?;
        folder.check(name, over)?;
        let path = folder.replace(name, bytes)?;
        Ok(role(name.clone(), text, RoleSource::Aiw, path, bytes.len() as u64))
    }

    /// The bytes of a role's file with this description and content.
    pub fn text(description: &str, content: &[u8]) -> Result<Vec<u8>, RoleError> {
        let description = description.trim();
        if description.contains(['\n', '\r']) || description == DELIMITER {
            return Err(RoleError::Description { description: description.to_owned() });
        }
        let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
        let mut text = format!("{description}\n{DELIMITER}\n").into_bytes();
        text.extend_from_slice(content);
        Ok(text)
    }
}

fn role(name: RoleName, text: Text, source: RoleSource, path: PathBuf, bytes: u64) -> Role {
    Role { name, description: text.description, content: text.content, source, path, bytes }
}

fn listed(source: RoleSource, file: File, first: &mut HashMap<RoleName, PathBuf>) -> Listed {
    let File { name: stem, path, bytes, content } = file;
    let name = stem.parse::<RoleName>().map_err(|source| RoleProblem::Name { source });
    let read = match source {
        RoleSource::Aiw => name.and_then(|name| {
            // It has its name whatever is in it: see `find`.
            let before = before(first, &name, &path);
            Ok((name, parse::own(&content?)?, before))
        }),
        RoleSource::Project | RoleSource::User => content.and_then(|bytes| {
            let (name, text) = parse::subagent(&bytes, &stem)?;
            let before = before(first, &name, &path);
            Ok((name, text, before))
        }),
    };
    match read {
        Ok((name, text, shadowed_by)) => Listed {
            name: name.to_string(),
            description: Some(text.description),
            source,
            path,
            bytes,
            problem: None,
            shadowed_by,
        },
        Err(problem) => {
            Listed { name: stem, description: None, source, path, bytes, problem: Some(problem), shadowed_by: None }
        }
    }
}

/// The file that has this name already; else the name is this file's.
fn before(first: &mut HashMap<RoleName, PathBuf>, name: &RoleName, path: &Path) -> Option<PathBuf> {
    match first.get(name) {
        Some(other) => Some(other.clone()),
        None => {
            first.insert(name.clone(), path.to_owned());
            None
        }
    }
}

/// The prompt: what the roles say, then the task, parted by `---`; the task byte for byte.
pub fn compose(roles: &[Role], task: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = roles.iter().map(|role| role.content.as_bytes()).chain([task]).collect();
    parts.join(&b"\n\n---\n\n"[..])
}
