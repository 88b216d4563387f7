//! Roles: texts that go before a task. They are files of aiw's own, or Claude Code's subagents.
//!
//! aiw's own are `role/*.md` of its home: a description, a line of exactly 12 dashes, the content. At most 1 MB of
//! UTF-8. A byte order mark is not part of the role; line endings in the content are preserved. Claude Code's are
//! `.claude/agents/*.md` of the current directory and of the user's home: front matter, then the content. They are
//! read, never written. If several have the same name, the first one in this order counts.

mod error;
mod folder;
mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::RoleName;
use aiw_home::{CLAUDE_AGENTS, Home, Settings};

pub use error::{MAX_ROLE_BYTES, RoleError, RoleProblem};
pub use folder::Overwrite;
pub use parse::DELIMITER;

use folder::{RoleFile, RoleFolder};
use parse::ParsedRole;

aiw_core::string_enum! {
    /// Where a role comes from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum RoleSource {
        /// aiw's own.
        Aiw = "aiw",
        /// A subagent of the current directory.
        Project = "project",
        /// A subagent of the user.
        User = "user",
    }
}

/// A role that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The name.
    pub name: RoleName,
    /// The purpose of the role.
    pub description: String,
    /// The text for the AI.
    pub content: String,
    /// Where the role comes from.
    pub source: RoleSource,
    /// The file.
    pub path: PathBuf,
    /// The size of the file.
    pub bytes: u64,
    /// Whether the role may go before a task. A project's role may not if its directory is not trusted.
    pub trusted: bool,
}

/// A role as lists show it, or a file that should be a role.
#[derive(Debug)]
pub struct RoleEntry {
    /// The name, or that of the file if nothing better is known.
    pub name: String,
    /// The purpose of the role, if it can be used.
    pub description: Option<String>,
    /// Where the role comes from.
    pub source: RoleSource,
    /// The file.
    pub path: PathBuf,
    /// The size of the file.
    pub bytes: u64,
    /// Why the role can't be used.
    pub problem: Option<RoleProblem>,
    /// The file that takes precedence over it.
    pub shadowed_by: Option<PathBuf>,
    /// Like [`Role::trusted`].
    pub trusted: bool,
}

/// All roles.
#[derive(Debug, Default)]
pub struct RoleListing {
    /// The roles, by source, then by name.
    pub roles: Vec<RoleEntry>,
    /// Folders that could not be read. The others were.
    pub read_errors: Vec<RoleError>,
}

/// The folders that contain roles.
#[derive(Debug)]
pub struct Roles {
    home: Home,
    project: Option<RoleProject>,
    user: Option<PathBuf>,
}

/// A directory that may have its own roles.
#[derive(Debug)]
struct RoleProject {
    root: PathBuf,
    trusted: bool,
}

/// A folder of Claude Code's subagents.
struct Agents {
    source: RoleSource,
    trusted: bool,
    folder: Result<RoleFolder, RoleError>,
}

/// The description of a new role until somebody writes one.
pub const DESCRIPTION_PLACEHOLDER: &str = "What this role is for, in a line";

/// The content of a new role until somebody writes it. It is put before no task.
pub const CONTENT_PLACEHOLDER: &[u8] = b"Say here who the AI is, how it works, and what it must not do.\n";

impl Roles {
    /// Returns the roles of aiw's home, of a directory (whether trusted or not), and of the user.
    pub fn open(home: Home, settings: &Settings, directory: Option<&Path>) -> Self {
        // Trust belongs to a path without links, and the folder is opened by that path and no other.
        let project = directory.map(|directory| {
            let root = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
            RoleProject { trusted: settings.trust().is_trusted(&root), root }
        });
        let user = home.context().user_home();
        Self::new(home, project, user)
    }

    fn new(home: Home, project: Option<RoleProject>, user: Option<PathBuf>) -> Self {
        let agents = |root: &Path| fs::canonicalize(root.join(CLAUDE_AGENTS)).ok();
        let users = user.as_deref().and_then(agents);
        // In the user's home, both are the same folder.
        let project = project.filter(|project| users.is_none() || agents(&project.root) != users);
        Self { home, project, user }
    }

    /// Returns the folder of aiw's own roles.
    pub fn own_dir(&self) -> PathBuf {
        self.home.root().join("role")
    }

    fn own(&self) -> Result<Option<RoleFolder>, RoleError> {
        RoleFolder::open(&self.own_dir())
    }

    /// Returns those of Claude Code's folders that exist. Untrusted ones come last.
    fn agents(&self) -> Vec<Agents> {
        let project = self.project.as_ref().and_then(|project| {
            let folder = RoleFolder::open_beneath(&project.root, CLAUDE_AGENTS).transpose()?;
            Some(Agents { source: RoleSource::Project, trusted: project.trusted, folder })
        });
        let user = self.user.as_deref().and_then(|root| {
            let folder = RoleFolder::open(&root.join(CLAUDE_AGENTS)).transpose()?;
            Some(Agents { source: RoleSource::User, trusted: true, folder })
        });
        let mut all: Vec<Agents> = project.into_iter().chain(user).collect();
        all.sort_by_key(|agents| !agents.trusted);
        all
    }

    /// Returns all roles, including broken ones.
    pub fn list(&self) -> RoleListing {
        let mut listing = RoleListing::default();
        let mut first: HashMap<RoleName, PathBuf> = HashMap::new();
        let own = self.own().transpose().map(|folder| Agents { source: RoleSource::Aiw, trusted: true, folder });
        for Agents { source, trusted, folder } in own.into_iter().chain(self.agents()) {
            match folder.and_then(|folder| folder.files()) {
                Ok(files) => {
                    let mut roles: Vec<RoleEntry> = files
                        .into_iter()
                        .map(|file| RoleEntry { trusted, ..listed(source, file, &mut first) })
                        .collect();
                    roles.sort_by(|a, b| a.name.cmp(&b.name));
                    listing.roles.append(&mut roles);
                }
                Err(e) => listing.read_errors.push(e),
            }
        }
        listing
    }

    /// Returns the role with a name, to go before a task. A broken role is an error even if another role with that
    /// name would work: no other role is used in its place.
    pub fn find(&self, name: &RoleName) -> Result<Role, RoleError> {
        match (self.view(name)?, &self.project) {
            (role, Some(project)) if !role.trusted => {
                Err(RoleError::NotTrusted { name: role.name, directory: project.root.clone() })
            }
            (role, _) if role.content.trim().as_bytes() == CONTENT_PLACEHOLDER.trim_ascii() => {
                Err(RoleError::Unedited { name: role.name })
            }
            (role, _) => Ok(role),
        }
    }

    /// Checks all roles, or those of a name. Returns each with its problem, and why folders can't be read.
    pub fn validate(&self, name: Option<&str>) -> (Vec<(RoleEntry, Option<String>)>, Vec<RoleError>) {
        let RoleListing { roles, read_errors: unread } = self.list();
        let wanted = roles.into_iter().filter(|listed| name.is_none_or(|name| listed.name == name));
        let checked = wanted.map(|listed| {
            let problem = listed.problem.as_ref().map(ToString::to_string).or_else(|| self.unedited(&listed));
            (listed, problem)
        });
        // Of one that was named, the folders of others don't matter.
        (checked.collect(), if name.is_none() { unread } else { Vec::new() })
    }

    /// Returns a problem if the placeholder text of a new role is unchanged. Such a role can be used, but says nothing.
    fn unedited(&self, listed: &RoleEntry) -> Option<String> {
        let role = self.view(&listed.name.parse().ok()?).ok().filter(|role| role.path == listed.path)?;
        let left = [
            ("description", role.description.trim() == DESCRIPTION_PLACEHOLDER),
            ("content", role.content.trim().as_bytes() == CONTENT_PLACEHOLDER.trim_ascii()),
        ];
        let left: Vec<&str> = left.into_iter().filter_map(|(part, is_left)| is_left.then_some(part)).collect();
        let hint = format!("`aiw role edit {}`", role.name);
        (!left.is_empty()).then(|| format!("still has the {} of the template: {hint}", left.join(" and the ")))
    }

    /// Returns the role with a name, for viewing: this may be a role of a directory that is not trusted.
    pub fn view(&self, name: &RoleName) -> Result<Role, RoleError> {
        if let Some(file) = self.own()?.and_then(|folder| folder.file(name)) {
            return match file.content.and_then(|bytes| Ok((bytes.len() as u64, parse::parse_role(&bytes)?))) {
                Ok((bytes, text)) => Ok(role(name.clone(), text, RoleSource::Aiw, file.path, bytes)),
                Err(problem) => Err(RoleError::Broken { path: file.path, problem }),
            };
        }
        let mut broken = None;
        for Agents { source, trusted, folder } in self.agents() {
            // A folder that can't be read cannot contain a role that the user meant. `list` reports the folder.
            for file in folder.and_then(|folder| folder.files()).unwrap_or_default() {
                match file.content.and_then(|bytes| parse::parse_subagent(&bytes, &file.name)) {
                    Ok((found, text)) if found == *name => {
                        return Ok(Role { trusted, ..role(found, text, source, file.path, file.bytes) });
                    }
                    Err(problem) if file.name == name.as_str() && broken.is_none() => {
                        broken = Some(RoleError::Broken { path: file.path, problem });
                    }
                    _ => {}
                }
            }
        }
        Err(broken.unwrap_or_else(|| RoleError::Unknown { name: name.clone() }))
    }

    /// Returns the bytes of a role of aiw's own, for editing. They need not be a valid role.
    pub fn read_file(&self, name: &RoleName) -> Result<Vec<u8>, RoleError> {
        let folder = self.own()?;
        let Some((folder, file)) = folder.and_then(|folder| folder.file(name).map(|file| (folder, file))) else {
            return Err(match self.view(name) {
                Ok(Role { path, .. }) | Err(RoleError::Broken { path, .. }) => {
                    RoleError::ReadOnly { name: name.clone(), path }
                }
                Err(e) => e,
            });
        };
        folder.check(name, Overwrite::Always)?;
        file.content.map_err(|problem| RoleError::Broken { path: file.path, problem })
    }

    /// Writes a role of aiw's own, if the bytes are a valid role.
    pub fn write(&self, name: &RoleName, bytes: &[u8], over: Overwrite<'_>) -> Result<Role, RoleError> {
        let text = parse::parse_role(bytes).map_err(|problem| RoleError::Invalid { name: name.clone(), problem })?;
        let _lock = self.home.lock()?;
        let dir = self.own_dir();
        self.home.make_dir(&dir)?;
        let folder = RoleFolder::open(&dir)?.ok_or_else(|| {
            let source = std::io::ErrorKind::NotFound.into();
            RoleError::Io { action: "read", path: dir.clone(), source }
        })?;
        folder.check(name, over)?;
        let path = folder.replace(name, bytes)?;
        Ok(role(name.clone(), text, RoleSource::Aiw, path, bytes.len() as u64))
    }

    /// Removes a role of aiw's own. Returns its file.
    pub fn remove(&self, name: &RoleName) -> Result<PathBuf, RoleError> {
        // Errors for a role that isn't aiw's own. A role that can't be read can still be removed.
        match self.read_file(name) {
            Ok(_) | Err(RoleError::Broken { .. }) => {}
            Err(e) => return Err(e),
        }
        let _lock = self.home.lock()?;
        let folder = self.own()?.ok_or_else(|| RoleError::Unknown { name: name.clone() })?;
        folder.remove(name)
    }

    /// Returns the bytes of a role's file with this description and content.
    pub fn render_file(description: &str, content: &[u8]) -> Result<Vec<u8>, RoleError> {
        let description = description.trim();
        if description.contains(['\n', '\r']) || description == DELIMITER {
            return Err(RoleError::InvalidDescription { description: description.to_owned() });
        }
        let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
        let mut text = format!("{description}\n{DELIMITER}\n").into_bytes();
        text.extend_from_slice(content);
        Ok(text)
    }
}

fn role(name: RoleName, text: ParsedRole, source: RoleSource, path: PathBuf, bytes: u64) -> Role {
    Role { name, description: text.description, content: text.content, source, path, bytes, trusted: true }
}

fn listed(source: RoleSource, file: RoleFile, first: &mut HashMap<RoleName, PathBuf>) -> RoleEntry {
    let RoleFile { name: stem, path, bytes, content } = file;
    let name = stem.parse::<RoleName>().map_err(|source| RoleProblem::InvalidName { source });
    let read = match source {
        RoleSource::Aiw => name.and_then(|name| {
            // The file takes its name regardless of its content; see `find`.
            let before = before(first, &name, &path);
            Ok((name, parse::parse_role(&content?)?, before))
        }),
        RoleSource::Project | RoleSource::User => content.and_then(|bytes| {
            let (name, text) = parse::parse_subagent(&bytes, &stem)?;
            let before = before(first, &name, &path);
            Ok((name, text, before))
        }),
    };
    match read {
        Ok((name, text, shadowed_by)) => RoleEntry {
            name: name.to_string(),
            description: Some(text.description),
            source,
            path,
            bytes,
            problem: None,
            shadowed_by,
            trusted: true,
        },
        Err(problem) => RoleEntry {
            name: stem,
            description: None,
            source,
            path,
            bytes,
            problem: Some(problem),
            shadowed_by: None,
            trusted: true,
        },
    }
}

/// Returns the file that has this name already. If there is none, the name becomes this file's.
fn before(first: &mut HashMap<RoleName, PathBuf>, name: &RoleName, path: &Path) -> Option<PathBuf> {
    match first.get(name) {
        Some(other) => Some(other.clone()),
        None => {
            first.insert(name.clone(), path.to_owned());
            None
        }
    }
}

/// Returns the prompt: the texts of the roles, then the task byte for byte, separated by `---`.
pub fn compose(roles: &[Role], task: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = roles.iter().map(|role| role.content.as_bytes()).chain([task]).collect();
    parts.join(&b"\n\n---\n\n"[..])
}
