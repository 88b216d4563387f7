//! `aiw role …`

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use aiw_app::usable_settings;
use aiw_core::{Diagnostic, ErrorKind, RoleName, one_line};
use aiw_home::Home;
use aiw_launch::{
    CONTENT_PLACEHOLDER, DESCRIPTION_PLACEHOLDER, MAX_ROLE_BYTES, Overwrite, RoleDetails, RoleEntry, RoleError,
    RoleSummary, Roles,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::each::remove_files;
use super::given;
use crate::cli::{NewRoleArgs, RoleCommand};
use crate::editor::Editor;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

/// `aiw role edit`
#[derive(Serialize, JsonSchema)]
pub struct RoleEdit {
    /// The role
    pub role: String,
    /// Whether it was changed
    pub changed: bool,
}

pub fn run(command: RoleCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let here = home.context().directory().ok();
    let roles = Roles::open(home.clone(), &usable_settings(home, output)?, here);
    match command {
        RoleCommand::List => list(&roles, output),
        RoleCommand::Show { name } => show(&roles, &name.parse()?, output),
        RoleCommand::New(args) => new(&roles, &args, output),
        RoleCommand::Edit { name } => edit(&roles, &name.parse()?, output),
        RoleCommand::Remove { names } => remove_files(&names, output, |name| Ok(roles.remove(&name.parse()?)?)),
        RoleCommand::Validate { name } => validate(&roles, name.as_deref(), output),
    }
}

fn list(roles: &Roles, output: &Output) -> Result<(), CliError> {
    let listing = roles.list();
    let row = |listed: &RoleEntry| {
        let said = match (&listed.problem, &listed.shadowed_by) {
            (Some(_), _) => "(broken)".to_owned(),
            (None, Some(by)) => format!("(not used: `{}` takes precedence)", by.display()),
            (None, None) if !listed.trusted => "(not used: the directory is not trusted)".to_owned(),
            (None, None) => one_line(listed.description.as_deref().unwrap_or_default(), 80),
        };
        vec![one_line(&listed.name, 129), listed.source.as_str().to_owned(), said]
    };
    let rows: Vec<Vec<String>> = listing.roles.iter().map(row).collect();
    output.table(&["NAME", "SOURCE", "DESCRIPTION"], &rows);
    if rows.is_empty() {
        output.line("no roles: `aiw role new NAME` creates one");
    }
    for (path, problem) in listing.roles.iter().filter_map(|listed| Some((&listed.path, listed.problem.as_ref()?))) {
        output.note(format!("`{}` {problem}", path.display()));
    }
    listing.read_errors.iter().for_each(|problem| output.note(problem.to_string()));
    if listing.roles.iter().any(|listed| !listed.trusted) {
        output.note("`aiw trust add` lets the roles of this directory be used");
    }
    output.set_json(single_entry_map("roles", listing.roles.iter().map(RoleSummary::new).collect::<Vec<_>>()));
    Ok(())
}

fn show(roles: &Roles, name: &RoleName, output: &Output) -> Result<(), CliError> {
    let role = roles.view(name)?;
    // A carriage return would be shown as what it is; it belongs to the line's end.
    let lines = |text: &str| text.replace("\r\n", "\n");
    output.line(lines(&role.description));
    output.line("");
    output.line(lines(&role.content));
    if !role.trusted {
        output.note("no run gets this role: the directory is not trusted (`aiw trust add`)");
    }
    output.set_json(single_entry_map("role", RoleDetails::new(&role)));
    Ok(())
}

fn new(roles: &Roles, args: &NewRoleArgs, output: &Output) -> Result<(), CliError> {
    let name: RoleName = args.name.parse()?;
    let given = args.from.as_deref().map(|from| given(from, MAX_ROLE_BYTES)).transpose()?;
    let is_template = given.is_none();
    let text = match (&args.description, given) {
        (None, Some(whole)) => whole,
        (description, content) => Roles::render_file(
            description.as_deref().unwrap_or(DESCRIPTION_PLACEHOLDER),
            content.as_deref().unwrap_or(CONTENT_PLACEHOLDER),
        )?,
    };
    let over = if args.force { Overwrite::Always } else { Overwrite::Never };
    let role = roles.write(&name, &text, over)?;
    output.line(format!("Wrote `{}`", role.path.display()));
    if is_template {
        output.line(format!("Edit it with `aiw role edit {name}`"));
    }
    output.set_json(single_entry_map("role", RoleSummary::from_role(&role)));
    Ok(())
}

fn edit(roles: &Roles, name: &RoleName, output: &Output) -> Result<(), CliError> {
    let old = roles.read_file(name)?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(CliError::user("editing needs a terminal")
            .with_hint(format!("`aiw role new {name} --from FILE --force` replaces it without one")));
    }
    let editor = Editor::find()?;
    let copy = EditorCopy::new(name, &old)?;
    let ended = editor.open(&copy.path)?;
    let new = copy.read();
    if !ended.success() {
        let failure = CliError::user(format!("the role was not changed, because the editor exited with {ended}"));
        return Err(match new {
            Ok(new) if new == old => failure,
            _ => failure.with_hint(copy.keep()),
        });
    }
    let new = new?;
    if new == old {
        output.line(format!("{name} is unchanged"));
        output.set_json(RoleEdit { role: name.to_string(), changed: false });
        return Ok(());
    }
    roles
        .write(name, &new, Overwrite::IfUnchanged(&old))
        .map_err(|e| CliError::new(e.kind(), format!("the role was not changed: {e}")).with_hint(copy.keep()))?;
    output.line(format!("Changed {name}"));
    output.set_json(RoleEdit { role: name.to_string(), changed: true });
    Ok(())
}

/// A copy for the editor, in a private directory.
struct EditorCopy {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl EditorCopy {
    fn new(name: &RoleName, bytes: &[u8]) -> Result<Self, CliError> {
        let make = || {
            let private = fs::Permissions::from_mode(0o700);
            let dir = tempfile::Builder::new().prefix("aiw-role-").permissions(private).tempdir()?;
            let path = dir.path().join(format!("{name}.md"));
            fs::write(&path, bytes)?;
            Ok(Self { dir, path })
        };
        make().map_err(|e: io::Error| CliError::new(ErrorKind::Unavailable, format!("cannot make a copy to edit: {e}")))
    }

    /// Reads the edited text; of an endless file, just enough to refuse it.
    fn read(&self) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.path).and_then(|file| file.take(MAX_ROLE_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok(bytes),
            Err(e) => Err(CliError::user(format!("the role was not changed, because its copy is gone: {e}"))),
        }
    }

    /// Leaves the copy where it is, and says where.
    fn keep(self) -> String {
        let _ = self.dir.keep();
        format!("your text is kept in `{}`", self.path.display())
    }
}

fn validate(roles: &Roles, name: Option<&str>, output: &Output) -> Result<(), CliError> {
    let (checked, unread) = roles.validate(name);
    if let (Some(name), true) = (name, checked.is_empty()) {
        return Err(RoleError::Unknown { name: name.parse()? }.into());
    }
    let (mut bad, mut roles) = (Vec::new(), Vec::new());
    for (listed, problem) in checked {
        output.line(format!("{}: {}", one_line(&listed.name, 129), problem.as_deref().unwrap_or("good")));
        bad.extend(problem.is_some().then(|| format!("`{}`", listed.path.display())));
        roles.push(RoleSummary { problem, ..RoleSummary::new(&listed) });
    }
    for unread in unread.iter().map(ToString::to_string) {
        output.line(&unread);
        bad.push(unread);
    }
    let failure = (!bad.is_empty()).then(|| CliError::user(format!("invalid: {}", bad.join(", "))));
    output.set_json_or_error(single_entry_map("roles", roles), failure)
}
