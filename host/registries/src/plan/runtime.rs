//! What a bundle may run: a file of its own, by itself or with a runtime. With other options (`-c`, `--eval`, `-m` of
//! what is installed, `uv run` of any program) its manifest would be a command line of its publisher's.

use aiw_core::{RelPath, quoted};

use super::inputs::Value;

/// The programs that run a bundle's files.
const RUNTIME_PROGRAMS: [&str; 4] = ["node", "python3", "python", "uv"];

/// Options that only set how a runtime works.
const NODE_OPTIONS: KnownOptions = KnownOptions {
    bare: &[
        "--no-warnings",
        "--no-deprecation",
        "--enable-source-maps",
        "--trace-warnings",
        "--trace-deprecation",
        "--trace-uncaught",
        "--experimental-modules",
        "--experimental-vm-modules",
        "--experimental-strip-types",
        "--experimental-transform-types",
        "--experimental-sqlite",
        "--expose-gc",
        "--use-system-ca",
        "--use-bundled-ca",
        "--use-openssl-ca",
    ],
    valued: &["--max-old-space-size", "--unhandled-rejections", "--disable-warning", "--dns-result-order"],
};
const PYTHON_OPTIONS: KnownOptions = KnownOptions {
    bare: &["-u", "-B", "-E", "-I", "-P", "-s", "-S", "-O", "-OO", "-q", "-b", "-bb"],
    valued: &["-X", "-W"],
};
const UV_OPTIONS: KnownOptions = KnownOptions {
    bare: &[
        "--quiet",
        "-q",
        "--frozen",
        "--locked",
        "--no-dev",
        "--no-sync",
        "--no-project",
        "--no-config",
        "--no-cache",
        "--no-progress",
        "--no-editable",
        "--all-extras",
        "--isolated",
        "--offline",
        "--script",
        "-s",
    ],
    valued: &["--directory", "--project", "--python", "-p", "--extra", "--group"],
};

/// The options that `-X` may set in Python.
const PYTHON_X_OPTIONS: [&str; 7] =
    ["utf8", "utf8=0", "utf8=1", "dev", "faulthandler", "frozen_modules=on", "frozen_modules=off"];

/// After these, Python looks for modules elsewhere.
const ISOLATION_FLAGS: [&str; 3] = ["-E", "-I", "-P"];

struct KnownOptions {
    bare: &'static [&'static str],
    valued: &'static [&'static str],
}

/// A bundle's command.
pub(super) struct Runtime<'a> {
    /// The runtime.
    pub(super) program: &'a str,
    /// Where the bundle is unpacked, and where it runs.
    pub(super) directory: &'a str,
    /// Whether it has a file.
    pub(super) has_file: &'a dyn Fn(&RelPath) -> bool,
    /// Where Python looks for modules besides.
    pub(super) module_paths: Vec<RelPath>,
    /// Whether Python is told not to look where it runs.
    pub(super) is_isolated: bool,
}

/// An option and its value.
type GivenOption<'a> = (&'a str, Option<&'a str>);

/// The options before the first other word, that word, and the options after it.
type Split<'a> = (Vec<GivenOption<'a>>, Option<&'a str>, &'a [Value]);

impl Runtime<'_> {
    /// Checks that what it runs is a file of the bundle. The error is the end of a sentence about its manifest.
    pub(super) fn check(&self, words: &[Value]) -> Result<(), String> {
        let root = RelPath::root();
        match self.program {
            "node" => {
                let (_, script, _) = self.options(&NODE_OPTIONS, words)?;
                self.script(&root, script)
            }
            "python" | "python3" => self.python(&root, words),
            "uv" => self.uv(words),
            other => {
                let known = aiw_core::quoted_list(&RUNTIME_PROGRAMS);
                Err(format!("runs {}, which is neither a file of the bundle nor one of {known}", quoted(other)))
            }
        }
    }

    fn options<'v>(&self, known: &KnownOptions, words: &'v [Value]) -> Result<Split<'v>, String> {
        let (mut given, mut at) = (Vec::new(), 0);
        while let Some(word) = words.get(at) {
            // What is asked for could be an option.
            let text = word.as_literal().ok_or_else(|| format!("leaves open what `{}` runs", self.program))?;
            at += 1;
            if !text.starts_with('-') {
                return Ok((given, Some(text), &words[at..]));
            }
            let (flag, value) = text.split_once('=').map_or((text, None), |(flag, value)| (flag, Some(value)));
            if known.bare.contains(&text) {
                given.push((text, None));
            } else if known.valued.contains(&flag) {
                let next = || words.get(at).and_then(Value::as_literal);
                let value =
                    value.or_else(next).filter(|value| !value.starts_with('-')).ok_or_else(|| self.with(text))?;
                at += usize::from(!text.contains('='));
                given.push((flag, Some(value)));
            } else if ["-m", "--module"].contains(&text) {
                let module = words.get(at).and_then(Value::as_literal).ok_or_else(|| self.with(text))?;
                given.push(("-m", Some(module)));
                return Ok((given, None, &words[at + 1..]));
            } else {
                return Err(self.with(text));
            }
        }
        Ok((given, None, &[]))
    }

    fn with(&self, word: &str) -> String {
        format!("runs `{}` with {}, not with a file of the bundle", self.program, quoted(word))
    }

    /// A path in the bundle, as a word of the command names it.
    fn inside(&self, base: &RelPath, word: &str) -> Option<RelPath> {
        match word.strip_prefix(self.directory) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => RelPath::parse(rest.trim_start_matches('/')).ok(),
            _ => Some(base.join(&RelPath::parse(word).ok()?)),
        }
    }

    fn script(&self, base: &RelPath, script: Option<&str>) -> Result<(), String> {
        let script = script.ok_or_else(|| format!("runs `{}` without a file of the bundle", self.program))?;
        let is_inside = self.inside(base, script).is_some_and(|path| (self.has_file)(&path));
        if is_inside { Ok(()) } else { Err(self.with(script)) }
    }

    fn python(&self, base: &RelPath, words: &[Value]) -> Result<(), String> {
        let (given, script, _) = self.options(&PYTHON_OPTIONS, words)?;
        for (flag, value) in given.iter().filter_map(|(flag, value)| Some((flag, (*value)?))) {
            let is_fine = match *flag {
                // A category could be a module's.
                "-W" => value.bytes().all(|b| b.is_ascii_lowercase()),
                "-X" => PYTHON_X_OPTIONS.contains(&value),
                _ => true,
            };
            if !is_fine {
                return Err(self.with(&format!("{flag} {value}")));
            }
        }
        match given.iter().find(|(flag, _)| *flag == "-m") {
            Some((_, Some(module))) if !given.iter().any(|(flag, _)| ISOLATION_FLAGS.contains(flag)) => {
                self.module(base, module)
            }
            Some(_) => Err(self.with("-m")),
            None => self.script(base, script),
        }
    }

    /// Python takes a module where it runs before one that is installed.
    fn module(&self, base: &RelPath, module: &str) -> Result<(), String> {
        let path = RelPath::parse(&module.replace('.', "/")).ok();
        let path = path
            .filter(|_| !self.is_isolated && module.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)));
        let is_inside = path.is_some_and(|path| {
            let files = [format!("{path}.py"), format!("{path}/__main__.py")];
            let roots = || std::iter::once(base).chain(&self.module_paths);
            files
                .iter()
                .filter_map(|file| RelPath::parse(file).ok())
                .any(|f| roots().any(|root| (self.has_file)(&root.join(&f))))
        });
        if is_inside { Ok(()) } else { Err(self.with(&format!("-m {module}"))) }
    }

    /// `uv [--directory D] run [--directory D] FILE`
    fn uv(&self, words: &[Value]) -> Result<(), String> {
        let (before, command, words) = self.options(&UV_OPTIONS, words)?;
        if command != Some("run") {
            return Err(self.with(command.unwrap_or_default()));
        }
        let (after, script, rest) = self.options(&UV_OPTIONS, words)?;
        let mut base = RelPath::root();
        for (flag, value) in before.iter().chain(&after) {
            let value = value.unwrap_or_default();
            let directory = self.inside(&RelPath::root(), value);
            let is_fine = match *flag {
                "--directory" => {
                    base = directory.clone().unwrap_or_default();
                    directory.is_some()
                }
                "--project" => directory.is_some(),
                // A version: a word or a path would be a program.
                "--python" | "-p" => value.bytes().all(|b| b.is_ascii_digit() || b"<>=~!.,*".contains(&b)),
                _ => true,
            };
            if !is_fine {
                return Err(self.with(&format!("{flag} {value}")));
            }
        }
        match (after.iter().find(|(flag, _)| *flag == "-m"), script) {
            (Some((_, module)), _) => self.module(&base, module.unwrap_or_default()),
            (None, Some("python" | "python3")) => self.python(&base, rest),
            (None, script) => self.script(&base, script),
        }
    }
}
