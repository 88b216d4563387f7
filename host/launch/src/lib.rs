//! AI CLIs: which are installed, how, and in which version; the roles that go before their tasks; and starting them.
//!
//! Detection reads files. It runs a CLI only if no file tells its version, and then remembers the answer.
//!
//! ```no_run
//! # fn f(home: &aiw_home::Home) {
//! let search = aiw_launch::SearchPath::from_context(home.context());
//! for cli in aiw_launch::detect(&search, None) {
//!     println!("{} {:?}", cli.kind, cli.version);
//! }
//! # }
//! ```

mod access;
mod advice;
mod arguments;
mod builder;
mod clis;
mod detect;
mod environment;
mod error;
mod gateway;
mod launcher;
mod overlay;
mod permission;
mod prepared;
mod project_files;
mod reader;
mod report;
mod request;
mod resume;
mod roles;
mod served;
mod stream;
mod summary;
mod text;
mod tree;
mod trust;
mod via;
mod workspace;

pub use advice::{Advice, advice};
pub use clis::{apis, supported_apis};
pub use detect::{
    CliInstallMethod, DetectedCli, SearchPath, detect, detect_cached, detect_one, install_command, npm_package,
    remove_command, update_command,
};
pub use error::LaunchError;
pub use gateway::{GatewayAccess, GatewayCredentials, GatewayProblem, GatewayRunRequest};
pub use launcher::Launcher;
pub use permission::Permission;
pub use prepared::{Explanation, PreparedRun, Translation};
pub use project_files::{ProjectContent, ProjectDeclarations, ProjectFile};
pub use reader::{RunReader, interpreter};
pub use report::{
    TaskDetails, TaskLog, TaskLogLine, TaskSummary, TaskWaitResult, TokenUsage, describe_state, duration, resume_line,
};
pub use request::{AiwServer, MAX_PROMPT_BYTES, RunRequest};
pub use resume::{EndedSession, ResumeCommand, ResumeIndex, ResumePlan};
pub use roles::{
    CONTENT_PLACEHOLDER, DELIMITER, DESCRIPTION_PLACEHOLDER, MAX_ROLE_BYTES, Overwrite, Role, RoleEntry, RoleError,
    RoleListing, RoleProblem, RoleSource, Roles, compose,
};
pub use stream::{OutputTarget, Renderer, RunEvent};
pub use summary::{CliDetails, CliSummary, RoleDetails, RoleSummary};
pub use text::{LogRenderer, TextLine, tail};
pub use tree::{ProcessSession, RootKind, session};
pub use trust::trust_prompt_directory;
