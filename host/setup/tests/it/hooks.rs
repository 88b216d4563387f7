//! aiw's hooks in Claude Code's settings.

use std::fs;

use aiw_setup::{HookScope, Hooks};
use serde_json::{Value, json};

use crate::world::World;

struct Settings {
    world: World,
    hooks: Hooks,
}

impl Settings {
    fn new() -> Self {
        let world = World::new();
        let hooks = Self::hooks(&world, "aiw");
        Self { world, hooks }
    }

    fn hooks(world: &World, program: &str) -> Hooks {
        Hooks::new(world.home.clone(), world.places("NONE", ""), program.to_owned())
    }

    fn scopes(&self) -> [HookScope; 5] {
        let project = self.world.dir.path().join("project");
        let own = HookScope::Project(project.clone());
        [HookScope::User, own, HookScope::Local(project), HookScope::Codex, HookScope::Gemini]
    }

    fn write(&self, scope: &HookScope, text: &str) {
        let path = self.hooks.file(scope);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn text(&self, scope: &HookScope) -> String {
        fs::read_to_string(self.hooks.file(scope)).unwrap()
    }

    /// Returns whether anything changed.
    fn install(&self, scope: &HookScope) -> bool {
        let plan = self.hooks.plan(scope).unwrap();
        self.hooks.apply(&plan).unwrap();
        !plan.is_empty()
    }

    fn uninstall(&self, scope: &HookScope) -> bool {
        let plan = self.hooks.plan_undo(scope).unwrap();
        self.hooks.apply(&plan).unwrap();
        !plan.is_empty()
    }
}

#[test]
fn hooks_are_installed_once_in_each_scope_and_go_without_a_trace() {
    let settings = Settings::new();
    for scope in settings.scopes() {
        assert!(!settings.hooks.status(&scope).installed);
        assert!(settings.install(&scope), "{scope:?}");
        // Gemini CLI has another unit, and another word.
        let (timeout, before) = if scope == HookScope::Gemini { (10_000, "PreCompress") } else { (10, "PreCompact") };
        let hook = json!([{"hooks": [{"type": "command", "command": "aiw history hooks handle", "timeout": timeout}]}]);
        let written: Value = serde_json::from_str(&settings.text(&scope)).unwrap();
        assert_eq!(written, json!({"hooks": {"SessionEnd": hook, before: hook}}));
        assert!(!settings.install(&scope), "{scope:?} twice");
        let status = settings.hooks.status(&scope);
        assert!(status.installed && status.command.as_deref() == Some("aiw history hooks handle"), "{status:?}");
    }
    // The directory of a project goes with what made it.
    for scope in settings.scopes().into_iter().rev() {
        assert!(settings.uninstall(&scope), "{scope:?}");
        assert!(!settings.hooks.file(&scope).exists(), "{scope:?}");
        assert!(!settings.uninstall(&scope), "{scope:?} twice");
    }
    assert!(!settings.world.dir.path().join("project/.claude").exists());
    assert_eq!(fs::read_dir(settings.world.home.root().join("setup")).unwrap().count(), 0);
}

/// Settings of people's, with everything that an editor allows.
const OTHERS: [&str; 8] = [
    "{}",
    "{ }\n",
    "{\n  \"model\": \"opus\"\n}\n",
    "{\n\t\"hooks\": {\n\t\t\"SessionEnd\": [\n\t\t\t{\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}\n\t\t],\n\t\t\"Stop\": []\n\t},\n\t\"z\": 1.50\n}",
    "{\r\n  \"hooks\": {},\r\n  \"unknown\": [1, 2,   3]\r\n}\r\n",
    "\u{feff}{\n  // mine\n  \"hooks\": { /* none */ \"PreCompact\": [] },\n}",
    "{\"a\":{\"b\":[{}]},\"hooks\":{\"SessionEnd\":[{\"matcher\":\"clear\",\"hooks\":[{\"type\":\"command\",\"command\":\"x hooks handle\"}]}]}}",
    "",
];

#[test]
fn settings_are_what_they_were_after_uninstall() {
    for before in OTHERS {
        let settings = Settings::new();
        settings.write(&HookScope::User, before);
        assert!(settings.install(&HookScope::User) && !settings.install(&HookScope::User), "{before}");
        assert!(settings.hooks.status(&HookScope::User).installed, "{before}");
        // Everything that was there is there, in its order.
        let after = settings.text(&HookScope::User);
        let mut rest = after.as_str();
        for line in before.lines().map(str::trim).filter(|line| line.len() > 3 && !line.contains("hooks")) {
            let line = line.trim_end_matches(',');
            let at = rest.find(line).unwrap_or_else(|| panic!("{line} is gone from {after}"));
            rest = &rest[at + line.len()..];
        }
        assert!(settings.uninstall(&HookScope::User));
        assert_eq!(settings.text(&HookScope::User), before);
    }
}

#[test]
fn only_our_hooks_go_where_others_changed_the_settings_since() {
    for before in OTHERS {
        let settings = Settings::new();
        settings.write(&HookScope::User, before);
        settings.install(&HookScope::User);
        let edited = settings.text(&HookScope::User).replacen('{', "{ \"mine\": [ 1 ],", 1);
        settings.write(&HookScope::User, &edited);
        assert!(!settings.install(&HookScope::User));
        assert!(settings.uninstall(&HookScope::User));
        let after = settings.text(&HookScope::User);
        assert!(after.contains("\"mine\": [ 1 ],") || after.contains("\"mine\": [ 1 ]"), "{after}");
        assert!(!after.contains("aiw history hooks handle"), "{after}");
        if before.len() > 4 {
            // Between brackets that were empty, an end of line may stay.
            let wanted = before.replacen('{', "{ \"mine\": [ 1 ],", 1);
            let is_same = |c: &char| !c.is_whitespace();
            assert_eq!(
                after.chars().filter(is_same).collect::<String>(),
                wanted.chars().filter(is_same).collect::<String>()
            );
            assert!(after == wanted || before.contains("{}") || before.contains("[]"), "{after:?}");
        }
    }
}

#[test]
fn a_hook_of_ours_in_company_leaves_alone_and_an_old_path_is_replaced() {
    let settings = Settings::new();
    let before = r#"{"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": "mine"}, {"type": "command", "command": "AIW_HOME=/x '/old place/aiw' history hooks handle"}]}]}}"#;
    settings.write(&HookScope::User, before);
    assert_eq!(settings.hooks.status(&HookScope::User).events, ["SessionEnd"]);
    assert!(settings.install(&HookScope::User));
    let text = settings.text(&HookScope::User);
    assert!(!text.contains("/old place/aiw") && text.contains("mine"), "{text}");
    assert_eq!(text.matches("hooks handle").count(), 2);
    assert!(settings.uninstall(&HookScope::User));
    assert_eq!(settings.text(&HookScope::User), before);
    // Without a record, hooks that somebody wrote by hand go too.
    fs::remove_dir_all(settings.world.home.root().join("setup")).unwrap();
    assert!(settings.uninstall(&HookScope::User));
    let left: Value = serde_json::from_str(&settings.text(&HookScope::User)).unwrap();
    assert_eq!(left, json!({"hooks": {"SessionEnd": [{"hooks": [{"type": "command", "command": "mine"}]}]}}));
}

#[test]
fn settings_that_make_no_sense_are_left_alone() {
    for bad in ["[", "[]", "3", r#"{"hooks": 3}"#, r#"{"hooks": {"SessionEnd": "x"}}"#, r#"{"hooks": {}, "hooks": {}}"#]
    {
        let settings = Settings::new();
        settings.write(&HookScope::User, bad);
        assert!(settings.hooks.plan(&HookScope::User).is_err(), "{bad}");
        assert_eq!(settings.text(&HookScope::User), bad);
        assert!(!settings.hooks.status(&HookScope::User).installed);
    }
    let settings = Settings::new();
    settings.write(&HookScope::User, "{}");
    let plan = settings.hooks.plan(&HookScope::User).unwrap();
    settings.write(&HookScope::User, r#"{"a": 1}"#);
    assert!(settings.hooks.apply(&plan).is_err());
    assert_eq!(settings.text(&HookScope::User), r#"{"a": 1}"#);
}
